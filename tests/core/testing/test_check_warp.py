"""A task that moves its labels otherwise than its images is caught by the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contracts import contract_of

from umbel import Geometry
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.task import Detection
from umbel.testing.check_warp import check_warp
from umbel.testing.fault import ContractFault
from umbel.testing.fixture import TaskFixture

SHIFT = np.array([[0.0, 0.0, 9.0], [0.0, 0.0, 0.0]])
OTHER = {
    "mirrors where it must not": lambda g: Geometry(
        np.array([[-1.0, 0.0, g.size[1]], [0.0, 1.0, 0.0]]) @ np.vstack([g.matrix, [0, 0, 1]]), g.stored, g.size
    ),
    "shifts": lambda g: replace(g, matrix=g.matrix + SHIFT),
    "forgets the scale": lambda g: replace(g, matrix=np.column_stack([np.eye(2), g.matrix[:, 2]])),
    "forgets the rotation": lambda g: replace(
        g, matrix=g.matrix if not g.matrix[0, 1] else np.column_stack([np.diag([g.scale, g.scale]), g.matrix[:, 2]])
    ),
}


@pytest.mark.parametrize("name", ["detection", "segmentation"])
@pytest.mark.parametrize("fault", OTHER)
def test_another_geometry_is_caught(name: str, fault: str, tmp_path: Path) -> None:
    contract = contract_of(name)
    kind: Any = contract.task

    class Tampered(kind):  # type: ignore[misc]
        Options = kind.Options

        def warp(self, target: Any, geometry: Geometry) -> Any:
            return super().warp(target, OTHER[fault](geometry))

    changed = type("Changed", (contract,), {"task": Tampered})()
    with pytest.raises(ContractFault, match=r"warp\(\)"):
        check_warp(TaskFixture(changed, tmp_path))


def test_a_label_that_stays_where_it_was_is_caught(tmp_path: Path) -> None:
    class Still(Detection):
        def warp(self, target: Any, geometry: Geometry) -> Any:
            return target

    with pytest.raises(ContractFault, match="does not follow the image"):
        check_warp(TaskFixture(type("Changed", (contract_of("detection"),), {"task": Still})(), tmp_path))


def test_a_class_is_of_the_whole_image(tmp_path: Path) -> None:
    class Renamed(Classification):
        def warp(self, target: int, geometry: Geometry) -> int:
            return 1 - target

    with pytest.raises(ContractFault, match="same in every view"):
        check_warp(TaskFixture(type("Changed", (contract_of("classification"),), {"task": Renamed})(), tmp_path))
