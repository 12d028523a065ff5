"""The contract names a capability that is not whole, is called otherwise than it takes, or is misspelt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from able_task import Able
from good_task import Shade, ShadeContract
from torch import Tensor

from umbel import ConfigError, Size, View
from umbel.testing import ContractFault
from umbel.testing.check_predictions import can_merge, has_geometry
from umbel.testing.fixture import TaskFixture


class HalfOfCoco(Shade):
    def to_coco(self, prediction: Any) -> list[dict[str, Any]]:
        return []


class DrawsOnNothing(Shade):
    def draw(self, prediction: Any) -> Any:
        return prediction


class NeedsMore(Shade):
    def filter(self, prediction: Any, confidence: float | None, classes: frozenset[str], most: int) -> Any:
        return prediction


class Misspells(Shade):
    def infered_options(self) -> dict[str, Any]:
        return {}


class TakesMore(Shade):
    def draw(self, image: Any, prediction: Any, width: int = 2) -> Any:
        return image

    def exported(self) -> None:
        """A name that is near one, but is no slip."""


class KeepsViews(Shade):
    def restore(self, prediction: Tensor, view: View, size: Size) -> Tensor:
        return prediction


class RefusesViews(Shade):
    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        first, *others = predictions
        if others:
            raise ConfigError("takes one view", where="tta")
        return first


def fixture(kind: type[Shade], folder: Path, *, ideal: bool = True) -> TaskFixture:
    class Contract(ShadeContract):
        task = kind

        def ideal(self, *given: Any) -> Any:
            return super().ideal(*given) if ideal else None

    return TaskFixture(Contract(), folder)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (HalfOfCoco, r"HalfOfCoco has to_coco\(\) without coco_categories\(\): umbel.MakesCoco takes both"),
        (DrawsOnNothing, r"DrawsOnNothing.draw\(prediction\) is called as draw\(image, prediction\), see umbel.Draws"),
        (NeedsMore, r"is called as filter\(prediction, confidence, classes\), see umbel.Filters"),
        (Misspells, r"Misspells.infered_options is never called: did you mean inferred_options\(\)\?"),
    ],
)
def test_fault_is_named(kind: type[Shade], fault: str, tmp_path: Path) -> None:
    made = fixture(kind, tmp_path)
    with pytest.raises(ContractFault, match=fault):
        made.contract.test_capabilities_are_whole(made)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [Shade, Able, TakesMore])
def test_good_ones_pass(kind: type[Shade], tmp_path: Path) -> None:
    made = fixture(kind, tmp_path)
    made.contract.test_capabilities_are_whole(made)  # type: ignore[attr-defined]


def test_geometry_is_seen_in_predictions(tmp_path: Path) -> None:
    for name in ("ideal", "decoded", "kept", "kept-ideal"):
        (tmp_path / name).mkdir()
    assert has_geometry(fixture(Shade, tmp_path / "ideal"))
    assert has_geometry(fixture(Shade, tmp_path / "decoded", ideal=False))
    assert not has_geometry(fixture(KeepsViews, tmp_path / "kept", ideal=False))
    forgets = fixture(KeepsViews, tmp_path / "kept-ideal")
    with pytest.raises(ContractFault, match="does not bring"):
        forgets.contract.test_restores_flipped_and_scaled_views(forgets)  # type: ignore[attr-defined]


def test_geometry_without_an_ideal_is_asked_for(tmp_path: Path) -> None:
    made = fixture(Shade, tmp_path, ideal=False)
    with pytest.raises(ContractFault, match=r"restore\(\) of Shade changes predictions: give ideal\(\)"):
        made.contract.test_restores_flipped_and_scaled_views(made)  # type: ignore[attr-defined]


def test_task_that_refuses_views_merges_none(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert can_merge(fixture(Shade, tmp_path / "one"))
    assert not can_merge(fixture(RefusesViews, tmp_path / "two"))
