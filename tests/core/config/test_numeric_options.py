"""Numbers that can only fail, or mean nothing, are refused with what is allowed, for every option there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.growth import GrowthConfig
from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.task_config import TaskConfig, TtaConfig
from umbel.registry.plugins import Plugins
from umbel.schedule.config import EarlyStopConfig, ScheduleConfig

MEANINGLESS = (".nan", ".inf", "-.inf", "-1", "1e400", "1e300", "99999999999999999999", "true")
CORE = (OptimConfig, TrainConfig, TtaConfig, GrowthConfig, ScheduleConfig, EarlyStopConfig, TaskConfig)
SHAPES = {"anchors": (9, 2), "sizes": (1, 2), "wbf_weights": (1,), "mean": (3,), "std": (3,), "neck_channels": (3,)}


def _options() -> Iterator[tuple[type, dict[str, Any]]]:
    yield from ((options, {"kind": "x", "input_size": [64, 64]} if options is TaskConfig else {}) for options in CORE)
    plugins = Plugins.discover()
    for role in ("task", "backbone", "balancer"):
        for registration in plugins.registered(role):
            if registration.plugin.distribution == "umbel":
                options = registration.load().Options
                yield options, {f.name: "x" for f in dataclasses.fields(options) if f.default == "???"}


def _written(name: str, kind: str, default: Any, value: str) -> str:
    if "list" not in kind:
        return value
    shape = SHAPES.get(name, (len(default or ()) or 2,))
    for size in reversed(shape):
        value = f"[{','.join([value] * size)}]"
    return value


def _base(options: type, given: dict[str, Any]) -> DictConfig:
    base = OmegaConf.merge(OmegaConf.structured(options), OmegaConf.create(given))
    assert isinstance(base, DictConfig)
    return base


def _accepted(base: DictConfig, change: str) -> bool:
    try:
        OmegaConf.to_object(OmegaConf.merge(base, OmegaConf.from_dotlist([change])))
    except (OmegaConfBaseException, ValueError, TypeError, OverflowError):
        return False
    return True


def test_no_number_that_means_nothing_is_accepted() -> None:
    wrong, tried = [], 0
    for options, given in _options():
        base = _base(options, given)
        for field in dataclasses.fields(options):
            default = field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]
            kind = str(field.type)
            if not any(word in kind for word in ("int", "float")) or kind == "bool":
                continue
            for value in MEANINGLESS:
                tried += 1
                change = f"{field.name}={_written(field.name, kind, default, value)}"
                if _accepted(base, change):
                    wrong.append(f"{options.__name__}.{change}")
    assert tried > 500
    assert not wrong


@pytest.mark.parametrize(
    ("options", "change"),
    [(OptimConfig, "eps=0"), (TrainConfig, "epochs=0"), (TrainConfig, "device=tpu"),
     (TrainConfig, "steps=0"), (TrainConfig, "log_every=0"), (ScheduleConfig, "temperature=0"),
     (GrowthConfig, "rank=0")],
)  # fmt: skip
def test_what_has_no_meaning_in_its_place(options: type, change: str) -> None:
    assert not _accepted(_base(options, {}), change)
