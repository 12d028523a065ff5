"""The pretended GPU in torch's deterministic mode against the list in torch's documentation of that mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from umbel.testing.gpu import PretendedGpu, pretended_gpu


@pytest.fixture
def gpu() -> Iterator[PretendedGpu]:
    torch.use_deterministic_algorithms(True)
    try:
        with pretended_gpu() as device:
            yield device
    finally:
        torch.use_deterministic_algorithms(False)


def maps(*shape: int) -> Tensor:
    return torch.rand(shape, device="cuda", requires_grad=True)


def backward(result: Tensor) -> None:
    result.sum().backward()


def interpolated(mode: str, *shape: int, antialias: bool = False) -> None:
    backward(F.interpolate(maps(1, 2, *shape), scale_factor=2, mode=mode, antialias=antialias))


def unpooled(dims: int) -> None:
    pool = getattr(F, f"max_pool{dims}d")
    pooled, indices = pool(maps(1, 1, *[4] * dims), 2, return_indices=True)
    getattr(F, f"max_unpool{dims}d")(pooled, indices, 2)


def fractionally_pooled(dims: int) -> None:
    kind = getattr(nn, f"FractionalMaxPool{dims}d")
    places = torch.full((1, 1, dims), 0.5, device="cuda")
    backward(kind(2, output_size=2, _random_samples=places)(maps(1, 1, *[5] * dims)))


def grid_sampled() -> None:
    backward(F.grid_sample(maps(1, 1, 4, 4), torch.zeros(1, 2, 2, 2, device="cuda"), align_corners=False))


def indices(*values: int) -> Tensor:
    return torch.tensor(values, device="cuda")


RAISING: dict[str, list[Callable[[], object]]] = {  # by the name in torch's list
    "torch.nn.AvgPool3d": [lambda: backward(F.avg_pool3d(maps(1, 1, 4, 4, 4), 2))],
    "torch.nn.AdaptiveAvgPool2d": [lambda: backward(F.adaptive_avg_pool2d(maps(1, 1, 4, 4), 3))],
    "torch.nn.AdaptiveAvgPool3d": [lambda: backward(F.adaptive_avg_pool3d(maps(1, 1, 4, 4, 4), 3))],
    "torch.nn.AdaptiveMaxPool2d": [lambda: backward(F.adaptive_max_pool2d(maps(1, 1, 4, 4), 3))],
    "torch.nn.FractionalMaxPool2d": [lambda: fractionally_pooled(2)],
    "torch.nn.FractionalMaxPool3d": [lambda: fractionally_pooled(3)],
    "torch.nn.MaxUnpool1d": [lambda: unpooled(1)],
    "torch.nn.MaxUnpool2d": [lambda: unpooled(2)],
    "torch.nn.MaxUnpool3d": [lambda: unpooled(3)],
    "torch.nn.functional.interpolate": [
        lambda: interpolated("linear", 4),
        lambda: interpolated("bicubic", 4, 4),
        lambda: interpolated("bilinear", 4, 4, antialias=True),
        lambda: interpolated("bicubic", 4, 4, antialias=True),
    ],
    "torch.nn.ReflectionPad1d": [lambda: backward(F.pad(maps(1, 1, 4), (1, 1), "reflect"))],
    "torch.nn.ReflectionPad2d": [lambda: backward(F.pad(maps(1, 1, 4, 4), (1, 1, 1, 1), "reflect"))],
    "torch.nn.ReflectionPad3d": [lambda: backward(F.pad(maps(1, 1, 4, 4, 4), (1,) * 6, "reflect"))],
    "torch.nn.NLLLoss": [lambda: F.cross_entropy(maps(1, 2, 3, 3), torch.zeros(1, 3, 3, device="cuda").long())],
    "torch.nn.CTCLoss": [
        lambda: backward(F.ctc_loss(maps(5, 1, 3).log_softmax(2), indices(1, 2)[None], indices(5), indices(2)))
    ],
    "torch.nn.EmbeddingBag": [
        lambda: backward(F.embedding_bag(indices(0, 1), maps(3, 2), indices(0), mode="max")),
    ],
    "torch.Tensor.put_": [lambda: maps(4).detach().put_(indices(0, 0), maps(2).detach(), accumulate=True)],
    "torch.histc": [lambda: torch.histc(maps(4).detach(), 3)],
    "torch.bincount": [lambda: torch.bincount(indices(0, 1), weights=maps(2).detach())],
    "torch.median": [lambda: torch.median(maps(2, 3), dim=1)],
    "torch.nn.functional.grid_sample": [grid_sampled],
    "torch.Tensor.scatter_reduce": [
        lambda: torch.ones(3, device="cuda").scatter_reduce(0, indices(0, 0), maps(2).detach(), "prod")
    ],
}
NOT_TOLD_APART = {"torch.Tensor.resize_"}  # of quantised tensors, which nobody trains with

REPEATING: dict[str, Callable[[], object]] = {
    "bilinear": lambda: interpolated("bilinear", 4, 4),  # torch computes it by indexing in this mode
    "nearest": lambda: interpolated("nearest", 4, 4),
    "global pooling": lambda: backward(F.adaptive_avg_pool2d(maps(1, 1, 4, 4), 1)),
    "max pooling": lambda: backward(F.max_pool2d(maps(1, 1, 4, 4), 2)),
    "cross-entropy of every pixel": lambda: backward(
        F.cross_entropy(maps(1, 2, 3, 3), torch.zeros(1, 3, 3, device="cuda").long(), reduction="none")
    ),
    "cross-entropy of an image": lambda: backward(F.cross_entropy(maps(2, 3), indices(0, 1))),
    "gather": lambda: backward(maps(2, 3).gather(1, indices(0, 1)[:, None])),
    "index": lambda: backward(maps(4, 2)[indices(0, 0, 3)]),
    "largest of scattered": lambda: indices(0, 0).scatter_reduce_(0, indices(0, 0), indices(3, 4), reduce="amax"),
    "counts": lambda: torch.bincount(indices(0, 1)),
    "median of all": lambda: torch.median(maps(3)),
    "mean of embeddings": lambda: backward(F.embedding_bag(indices(0, 1), maps(3, 2), indices(0), mode="mean")),
}


def test_every_operator_of_the_list_has_a_case() -> None:
    documented = torch.use_deterministic_algorithms.__doc__ or ""
    raising = documented.split("normally-nondeterministic operations will throw a")[1].split("In addition")[0]
    named = set(re.findall(r"^ *\* :\w+:`([\w.]+)`", raising, re.M))
    assert named == RAISING.keys() | NOT_TOLD_APART


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, cases in RAISING.items() for n in range(len(cases))])
def test_it_is_refused_in_the_words_of_torch(gpu: PretendedGpu, name: str, number: int) -> None:
    with pytest.raises(RuntimeError, match=r"^\w[\w ]+ does not have a deterministic implementation, but you set"):
        RAISING[name][number]()


@pytest.mark.parametrize("name", REPEATING)
def test_what_repeats_runs(gpu: PretendedGpu, name: str) -> None:
    REPEATING[name]()


def test_only_the_mode_refuses(gpu: PretendedGpu) -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    with pytest.warns(UserWarning, match="adaptive_avg_pool2d_backward_cuda does not have"):
        RAISING["torch.nn.AdaptiveAvgPool2d"][0]()
    torch.use_deterministic_algorithms(False)
    for cases in RAISING.values():
        for case in cases:
            case()


def test_the_host_may_compute_what_the_gpu_may_not(gpu: PretendedGpu) -> None:
    backward(F.adaptive_avg_pool2d(torch.rand(1, 1, 4, 4, requires_grad=True), 3))


@pytest.mark.parametrize("named", [{"size": (5, 9)}, {"scale_factor": 2.0}, {"size": 7, "align_corners": True}])
def test_bilinear_by_indexing_is_the_kernel(gpu: PretendedGpu, named: dict[str, object]) -> None:
    here = torch.rand(1, 2, 4, 6, requires_grad=True)
    there = here.detach().to("cuda").requires_grad_()
    expected = F.interpolate(here, mode="bilinear", **named)
    found = F.interpolate(there, mode="bilinear", **named)
    torch.testing.assert_close(found.cpu(), expected, atol=1e-6, rtol=0)
    weight = torch.rand(expected.shape)
    (expected * weight).sum().backward()
    (found * weight.to("cuda")).sum().backward()
    torch.testing.assert_close(there.grad.cpu(), here.grad, atol=1e-6, rtol=0)
