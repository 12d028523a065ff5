"""Views, grouping, order, merging."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toys import BrightOptions, BrightTask

from umbel.contract.errors import ConfigError, PluginError
from umbel.contract.task import Task
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Size, View
from umbel.evaluate.inference import image_tensor, predict


class Means(BrightTask):
    """The prediction of a view is the mean of its pixels, with the view's size, so that views can be told apart."""

    of_size: dict[Size, list[View]]

    def views(self, size: Size) -> list[View]:
        return self.of_size[size]

    def decode(self, output: Tensor, view: View) -> list[Any]:
        return [(view.size, view.hflip, round(float(value), 3)) for value in output]

    def restore(self, prediction: Any, view: View, size: Size) -> Any:
        return (*prediction, size)

    def merge(self, predictions: Iterable[Any]) -> Any:
        return list(predictions)


def task(of_size: dict[Size, list[View]]) -> Means:
    made = Means("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    made.of_size = of_size
    return made


class Forward:
    """Means of the left half of each image, and a note of what was asked for."""

    model = SimpleNamespace(pad_color=(0.0, 0.0, 0.0))

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def forward(self, images: Tensor, name: str) -> Tensor:
        assert name == "a"
        self.batches.append(tuple(images.shape))
        return images[..., : images.shape[-1] // 2].float().mean((1, 2, 3))


def plain(value: int, size: Size) -> Tensor:
    return torch.full((3, *size), value, dtype=torch.uint8)


def test_images_of_different_sizes_group_by_view_and_keep_their_order() -> None:
    square, wide = View((8, 8)), View((8, 16))
    forward = Forward()
    images = [plain(1, (4, 4)), plain(2, (4, 8)), plain(3, (4, 4)), plain(4, (8, 8)), plain(5, (4, 8))]
    found = predict(forward, task({(4, 4): [square], (4, 8): [wide], (8, 8): [square]}), images)
    assert [merged[0][2] for merged in found] == [1, 2, 3, 4, 5]
    assert [merged[0][3] for merged in found] == [(4, 4), (4, 8), (4, 4), (8, 8), (4, 8)]
    assert sorted(forward.batches) == [(2, 3, 8, 16), (3, 3, 8, 8)]


def test_merge_gets_every_view_restored_and_in_order() -> None:
    views = [View((8, 8)), View((8, 8), hflip=True), View((16, 8)), View((8, 8), canvas=(8, 32))]
    left_dark = plain(0, (8, 8))
    left_dark[..., 4:] = 100
    found = predict(Forward(), task({(8, 8): views, (4, 4): views[:2]}), [left_dark, plain(7, (4, 4))])
    assert [(size, flip) for size, flip, _, _ in found[0]] == [(v.size, v.hflip) for v in views]
    assert [value for _, _, value, _ in found[0]] == [0, 100, 0, 25]
    assert {entry[3] for entry in found[0]} == {(8, 8)}
    assert [entry[2] for entry in found[1]] == [7, 7]


def test_views_of_one_image_run_as_merge_asks_for_them() -> None:
    forward, seen = Forward(), []

    class Lazy(Means):
        def merge(self, predictions: Iterable[Any]) -> Any:
            stream: Iterator[Any] = iter(predictions)
            for _ in stream:
                seen.append(len(forward.batches))
            return seen

    lazy = Lazy("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    lazy.of_size = {(8, 8): [View((8, 8)), View((16, 16)), View((24, 24))]}
    predict(forward, lazy, [plain(1, (8, 8))])
    assert seen == [1, 2, 3]


def test_result_does_not_depend_on_the_company() -> None:
    views = {(5, 7): [View((8, 8))], (9, 9): [View((8, 8))], (8, 8): [View((8, 8))]}
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 255, (3, *size), dtype=torch.uint8, generator=generator) for size in views]
    together = predict(Forward(), task(views), images)
    assert together == [predict(Forward(), task(views), [image])[0] for image in images]


def test_no_images_no_predictions() -> None:
    assert predict(Forward(), task({}), []) == []


def test_task_without_merge_refuses_several_views() -> None:
    class NoMerge(Means):
        merge = Task.merge

    made = NoMerge("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    made.of_size = {(8, 8): [View((8, 8)), View((8, 8), hflip=True)]}
    with pytest.raises(ConfigError, match=r"tasks\.a\.tta: task 'a' cannot merge 2 views"):
        predict(Forward(), made, [plain(1, (8, 8))])


def test_decode_that_loses_an_image_is_an_error() -> None:
    class Loses(Means):
        def decode(self, output: Tensor, view: View) -> list[Any]:
            return super().decode(output, view)[1:]

    made = Loses("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    made.of_size = {(8, 8): [View((8, 8))]}
    with pytest.raises(PluginError, match=r"decode\(\).* returned 1 predictions for 2 images"):
        predict(Forward(), made, [plain(1, (8, 8))] * 2)


def test_images_may_be_mirrored_views_or_read_only() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    pixels.flags.writeable = False
    for view in (pixels, pixels[:, ::-1], pixels[..., ::-1], np.asfortranarray(pixels)):
        tensor = image_tensor(view, torch.device("cpu"))
        assert tensor.dtype == torch.uint8
        assert (tensor.permute(1, 2, 0).numpy() == view).all()
