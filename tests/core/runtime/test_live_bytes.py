"""Live bytes against counts by hand and against what autograd says it saves."""

from __future__ import annotations

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from umbel.runtime.live_bytes import LiveBytes


def test_births_and_releases_are_counted():
    with LiveBytes() as live:
        first = torch.zeros(1000)
        second = first + 1
        assert live.now == 8000
        view = second[:10]
        second.add_(1)
        assert live.now == 8000
        del first, second
        assert live.now == 4000  # the view keeps the whole storage
        del view
        assert live.now == 0
    assert live.peak == 8000


def test_known_tensors_and_their_views_do_not_count():
    weight = torch.zeros(10, 10)
    with LiveBytes([weight]) as live:
        kept = weight.t()[0]
        assert live.now == 0
    assert kept.shape == (10,)


def test_what_autograd_saves_counts_until_backward():
    weight = torch.ones(100, requires_grad=True)
    weight.grad = torch.zeros(100)
    with LiveBytes([weight, weight.grad]) as live:
        out = (weight * 2).exp().sum()  # exp saves its result
        assert live.now == 404
        out.backward()
        del out
        assert live.now == 0


def forward_backward(model: nn.Module, batch: int) -> LiveBytes:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    with LiveBytes(known) as live:
        out = model(torch.zeros(batch, 3, 16, 16))
        torch.autograd.backward(out, torch.zeros_like(out))
    return live


def small_model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.GELU())


def test_fake_tensors_count_as_real_ones():
    real = forward_backward(small_model(), 4)
    with FakeTensorMode():
        fake = forward_backward(small_model(), 4)
    assert fake.peak == real.peak > 4 * 8 * 14 * 14 * 4 * 2  # at least what ReLU and BatchNorm keep


def test_what_is_kept_is_what_autograd_says_it_saves():
    model = small_model()
    weights = {parameter.data_ptr() for parameter in [*model.parameters(), *model.buffers()]}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            saved[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        LiveBytes([*model.parameters(), *model.buffers()]) as live,
    ):
        out = model(torch.zeros(8, 3, 16, 16))
        now = live.now
    note(out)
    assert now == sum(saved.values())
