"""What a timm backbone does when tasks are added to it: batch statistics of old tasks stay, new ones start from
them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from umbel.backbones.options import TimmOptions
from umbel.backbones.timm import TimmBackbone

MODEL = "test_efficientnet"


def bound(names: tuple[str, ...], **settings: str) -> TimmBackbone:
    torch.manual_seed(1)
    backbone = TimmBackbone(TimmOptions(model=MODEL, **settings))
    backbone.bind_tasks(names)
    return backbone


def wander(backbone: TimmBackbone) -> None:
    """Statistics as after training: different for every task."""
    with torch.no_grad():
        for name, value in backbone.state_dict().items():
            if "running_mean" in name:
                value.normal_()
            if "running_var" in name:
                value.uniform_(0.5, 2.0)


def levels(backbone: TimmBackbone, task: str) -> tuple[Tensor, ...]:
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return backbone.eval()(images, task)


@pytest.mark.parametrize(("names", "policy"), [(("a",), "shared"), (("a", "b"), "per_task")])
def test_old_tasks_keep_their_features_to_the_bit(names: tuple[str, ...], policy: str) -> None:
    old = bound(names)
    wander(old)
    assert old.inferred_options() == {"norm_stats": policy}
    grown = bound((*names, "new"), **old.inferred_options())
    state = grown.complete_state(dict(old.state_dict()))
    assert state.keys() == grown.state_dict().keys()
    grown.load_state_dict(state)
    for name in names:
        for one, other in zip(levels(old, name), levels(grown, name), strict=True):
            assert torch.equal(one, other)
    assert all(torch.isfinite(level).all() for level in levels(grown, "new"))


def test_new_task_starts_from_the_mean_of_the_old_statistics() -> None:
    old = bound(("a", "b"))
    wander(old)
    grown = bound(("a", "b", "new"))
    state = grown.complete_state(dict(old.state_dict()))
    name = next(name for name in state if name.endswith("running_mean_new"))
    stem = name.removesuffix("new")
    torch.testing.assert_close(state[name], (state[f"{stem}a"] + state[f"{stem}b"]) / 2)


def test_inferred_options_of_other_backbones() -> None:
    assert bound(("a", "b"), norm_stats="frozen").inferred_options() == {"norm_stats": "frozen"}
    convnext = TimmBackbone(TimmOptions(model="test_convnext"))
    assert convnext.inferred_options() == {}
