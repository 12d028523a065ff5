from __future__ import annotations

import copy

import pytest
import torch

from umbel import DeviceConstant


def test_a_device_gets_one_copy() -> None:
    constant = DeviceConstant(torch.tensor([1.0, 2.0]))
    assert constant.on(torch.device("cpu")).tolist() == [1.0, 2.0]
    on_meta = constant.on(torch.device("meta"))
    assert on_meta.device.type == "meta"
    assert constant.on(torch.device("meta")) is on_meta


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])  # both by what a pickle holds
def test_copies_do_not_travel(again) -> None:
    constant = DeviceConstant(torch.tensor([1.0, 2.0]))
    on_meta = constant.on(torch.device("meta"))
    other = again(constant)
    assert other.on(torch.device("cpu")).tolist() == [1.0, 2.0]  # a copy on meta would hold no values
    assert other.on(torch.device("meta")) is not on_meta


def test_what_inference_asked_for_first_can_be_trained_with() -> None:
    constant = DeviceConstant(torch.tensor([3.0]))
    with torch.inference_mode():
        constant.on(torch.device("cpu"))
    weight = torch.ones(1, requires_grad=True)
    (weight * constant.on(torch.device("cpu"))).sum().backward()
    assert weight.grad.item() == 3.0
