"""The pretended GPU against what is known of CUDA: calls that wait, calls that do not, calls that it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from umbel.testing.gpu import MixedDevicesError, PretendedGpu, pretended_gpu
from umbel.testing.gpu.device import waits_text


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    with pretended_gpu() as device:
        yield device


def put(*shape: int) -> Tensor:
    return torch.ones(shape, device="cuda")


WAITS: dict[str, tuple[int, Callable[[Tensor], object]]] = {
    "item": (1, lambda x: x.sum().item()),
    "float": (1, lambda x: float(x.sum())),
    "bool": (1, lambda x: bool((x > 0).all())),
    "tolist": (1, lambda x: x.tolist()),
    "tolist of a scalar": (1, lambda x: x.sum().tolist()),
    "cpu": (1, lambda x: x.cpu()),
    "to the CPU": (1, lambda x: x.to("cpu")),
    "nonzero": (1, lambda x: (x > 0).nonzero()),
    "where of one": (1, lambda x: torch.where(x > 0)),
    "boolean index": (1, lambda x: x[x > 0]),
    "assignment of a tensor by mask": (1, lambda x: x.__setitem__(x > 0, torch.ones(6, device="cuda"))),
    "index from the host": (1, lambda x: x[[0, 1]]),
    "masked_select": (1, lambda x: x.masked_select(x > 0)),
    "unique": (1, lambda x: x.unique()),
    "repeat_interleave": (1, lambda x: x[0].repeat_interleave(torch.ones(3, dtype=torch.long, device="cuda"))),
    "equal": (1, lambda x: torch.equal(x, x + 1)),
    "tensor of a list": (1, lambda x: torch.tensor([1.0, 2.0], device=x.device)),
    "new_tensor": (1, lambda x: x.new_tensor([1.0, 2.0])),
    "as_tensor of an array": (1, lambda x: torch.as_tensor(np.ones(3), device="cuda")),
    "blocking upload": (1, lambda x: torch.ones(3).to(x.device)),
    "blocking copy_": (1, lambda x: x.copy_(torch.ones(2, 3))),
    "copy_ to the host": (1, lambda x: torch.ones(2, 3).copy_(x)),
    "synchronize": (1, lambda x: torch.cuda.synchronize()),
    "contains": (1, lambda x: 1.0 in x),
    "two": (2, lambda x: (x.max().item(), x.min().item())),
    "upload that does not block": (0, lambda x: torch.ones(3).to("cuda", non_blocking=True)),
    "copy_ that does not block": (0, lambda x: x.copy_(torch.ones(2, 3), non_blocking=True)),
    "arithmetic": (0, lambda x: (x * 2 + 1).softmax(1).sum()),
    "gather": (0, lambda x: x.gather(1, torch.zeros(2, 1, dtype=torch.long, device="cuda"))),
    "index on the device": (0, lambda x: x[torch.zeros(2, dtype=torch.long, device="cuda")]),
    "slice": (0, lambda x: x[:, 1:]),
    "fill by mask": (0, lambda x: x.__setitem__(x > 0, 0.0)),
    "where of three": (0, lambda x: torch.where(x > 0, x, 0.0)),
    "constants": (0, lambda x: (torch.full((2,), 3.0, device="cuda"), torch.arange(3, device="cuda"))),
    "already there": (0, lambda x: (x.to("cuda"), x.cuda(), torch.as_tensor(x, device="cuda"))),
    "of the host": (0, lambda x: (torch.ones(3).sum().item(), torch.ones(3).cpu().tolist())),
}


@pytest.mark.parametrize("name", WAITS)
def test_waits(gpu: PretendedGpu, name: str) -> None:
    count, call = WAITS[name]
    tensor = put(2, 3)
    with gpu.recorded() as waits:
        call(tensor)
    assert len(waits) == count, waits_text(waits)
    assert all(wait.where.startswith("test_pretended_gpu.py:") for wait in waits)


REFUSED: dict[str, Callable[[Tensor], object]] = {
    "sum": lambda x: x + torch.ones(2, 3),
    "product from the left": lambda x: torch.ones(2, 3) * x,
    "matrix": lambda x: x @ torch.ones(3, 2),
    "cat": lambda x: torch.cat([x, torch.ones(2, 3)]),
    "stack of scalars": lambda x: torch.stack([x.sum(), torch.ones(())]),
    "in place on the host": lambda x: torch.zeros(()).add_(x.sum()),
    "mask of the host": lambda x: torch.where(torch.ones(2, 3) > 0, x, 0.0),
    "host indexed by the device": lambda x: torch.ones(2, 3)[x > 0],
    "value of the host": lambda x: x.__setitem__(x > 0, torch.ones(6)),
    "layer of the host": lambda x: nn.Linear(3, 2)(x),
    "loss": lambda x: nn.functional.cross_entropy(x, torch.zeros(2, dtype=torch.long)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mixed_devices_are_refused(gpu: PretendedGpu, name: str) -> None:
    with pytest.raises(MixedDevicesError, match=r"test_pretended_gpu.py:\d+: aten::.* of the CPU"):
        REFUSED[name](put(2, 3))


def test_scalars_of_the_host_are_taken(gpu: PretendedGpu) -> None:
    assert gpu.holds(put(2) * torch.tensor(2.0))
    assert gpu.holds(torch.tensor(2.0) - put(2))


def test_an_array_needs_a_copy_on_the_host(gpu: PretendedGpu) -> None:
    for call in (lambda x: x.numpy(), np.asarray):
        with pytest.raises(TypeError, match=r"use \.cpu\(\) first"):
            call(put(2))
    assert put(2).cpu().numpy().tolist() == [1.0, 1.0]


def test_says_where_a_tensor_lies(gpu: PretendedGpu) -> None:
    there, here = put(2), torch.ones(2)
    on_device = (there[0], there.view(1, 2), there.detach(), copy.deepcopy(there), here.to(there), here.cuda())
    made_there = (torch.zeros_like(there), there.new_zeros(3), torch.nn.Parameter(there))
    assert {(x.device, x.is_cuda) for x in (there, *on_device, *made_there)} == {(torch.device("cuda", 0), True)}
    on_host = (there.cpu(), torch.zeros_like(there, device="cpu"), there.new_zeros(3, device="cpu"), here.to("cpu"))
    assert {(x.device, x.is_cuda) for x in (here, *on_host)} == {(torch.device("cpu"), False)}
    assert torch.cuda.is_available()
    assert not there.to("cpu").is_cuda
    assert there.is_cuda, "the copy took the original along"


def test_a_model_learns_there_as_on_the_host() -> None:
    def trained(device: str) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
        model.to(device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
        images = torch.randn(2, 3, 6, 6).to(device)
        for _ in range(3):
            optimizer.zero_grad()
            model(images).square().mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
        assert {p.device.type for p in model.state_dict().values()} == {device}
        assert {p.grad.device.type for p in model.parameters() if p.grad is not None} == {device}
        return [p.detach().cpu() for p in model.parameters()]

    with pretended_gpu() as gpu:
        there = trained("cuda")
        assert {wait.what for wait in gpu.waits} == {"to to the device", "cpu from the device"}
    assert all(torch.equal(one, other) for one, other in zip(there, trained("cpu"), strict=True))


def test_a_gradient_crosses_devices(gpu: PretendedGpu) -> None:
    weight = torch.ones(3, requires_grad=True)
    (weight.to("cuda") * put(3)).cpu().sum().backward()
    assert weight.grad is not None
    assert not weight.grad.is_cuda
    assert weight.grad.tolist() == [1.0, 1.0, 1.0]


def test_backward_waits_are_found(gpu: PretendedGpu) -> None:
    class Curious(torch.autograd.Function):
        @staticmethod
        def forward(context: object, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(context: object, gradient: Tensor) -> Tensor:
            assert gradient.is_cuda
            return gradient * gradient.max().item()

    weight = torch.nn.Parameter(put(3))
    with gpu.recorded() as waits:
        Curious.apply(weight).sum().backward()
    assert [wait.what for wait in waits] == ["item"]
    with gpu.recorded() as waits:
        torch.autograd.grad(Curious.apply(weight).sum(), [weight])
    assert [wait.what for wait in waits] == ["item"]


def test_checkpointing_recomputes_there(gpu: PretendedGpu) -> None:
    devices = []

    def layer(value: Tensor) -> Tensor:
        devices.append(value.device.type)
        return value * torch.arange(3, device=value.device)

    weight = torch.nn.Parameter(put(3))
    torch.utils.checkpoint.checkpoint(layer, weight, use_reentrant=False, preserve_rng_state=False).sum().backward()
    assert devices == ["cuda", "cuda"]


def test_everything_is_as_before_afterwards() -> None:
    before = (torch.cuda.is_available, torch.autocast, torch.autograd._engine_run_backward)
    with pytest.raises(ZeroDivisionError), pretended_gpu():
        raise ZeroDivisionError
    assert (torch.cuda.is_available, torch.autocast, torch.autograd._engine_run_backward) == before
    assert torch.ones(3).device.type == "cpu"
