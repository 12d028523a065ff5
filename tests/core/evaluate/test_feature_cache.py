"""One pass of the backbone for all tasks that look alike, and the same predictions as task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trio import make_run

import umbel
from umbel.contract.values import to_jsonable
from umbel.evaluate.feature_cache import CountedCache, SharedFeatures
from umbel.evaluate.inference import image_tensor, predict, predict_tasks


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> umbel.TrainedModel:
    return umbel.load(make_run(tmp_path_factory.mktemp("shared") / "run"))


@contextmanager
def counting(model: umbel.TrainedModel) -> Iterator[Callable[[], int]]:
    """How often the backbone ran, and with how many images in all."""
    batches: list[int] = []
    hook = model.runtime.model.backbone.register_forward_hook(lambda _m, given, _out: batches.append(len(given[0])))
    try:
        yield lambda: len(batches)
    finally:
        hook.remove()


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def alone(model: umbel.TrainedModel, name: str, image: np.ndarray) -> Any:
    with model.runtime.eval_mode():
        tensor = image_tensor(image, model.runtime.device)
        (prediction,) = predict(model.runtime, model.tasks[name], [tensor])
    return prediction


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    else:
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-5, atol=1e-5)


def test_tasks_of_equal_views_share_one_pass(model: umbel.TrainedModel) -> None:
    image = picture(0, 64, 64)
    with counting(model) as passes:
        result = model.predict(image)
        assert passes() == 1
    for name in model.tasks:
        assert_same(to_jsonable(result[name]), to_jsonable(alone(model, name, image)))
    assert len(result["signs"].boxes_N4)


def test_tasks_of_other_views_have_their_own_pass_and_the_same_predictions(model: umbel.TrainedModel) -> None:
    image = picture(1, 50, 90)  # segmentation pads it, detection stretches it, classification does so with bicubic
    with counting(model) as passes:
        result = model.predict(image)
        assert passes() == 3
    for name in model.tasks:
        assert_same(to_jsonable(result[name]), to_jsonable(alone(model, name, image)))


def test_a_common_size_lets_all_tasks_share(model: umbel.TrainedModel) -> None:
    image = picture(2, 50, 90)
    with counting(model) as passes:
        result = model.predict(image, size=(60, 96))
        assert passes() == 1
    for name in model.tasks:
        assert_same(to_jsonable(result[name]), to_jsonable(model.predict(image, name, size=(64, 96))[name]))
    assert result["road"].labels.shape == (50, 90)


def test_images_of_one_size_share_a_batch(model: umbel.TrainedModel) -> None:
    images = [picture(3, 64, 64), picture(4, 64, 32), picture(5, 64, 64)]
    with counting(model) as passes:
        results = model.predict(images)
        assert passes() == 1 + 3
    for image, result in zip(images, results, strict=True):
        for name in model.tasks:
            assert_same(to_jsonable(result[name]), to_jsonable(alone(model, name, image)))


def test_views_of_test_time_augmentation_are_shared_where_they_are_equal(tmp_path: Path) -> None:
    flips = [f"tasks.{name}.tta.hflip=true" for name in ("road", "signs")]
    model = umbel.load(make_run(tmp_path / "run", *flips))
    images = [picture(6, 64, 64), picture(7, 64, 64)]
    with counting(model) as passes:
        results = model.predict(images)
        assert passes() == 2 * 2  # plain and mirrored of each; the classifier takes the plain one
    for image, result in zip(images, results, strict=True):
        for name in model.tasks:
            assert_same(to_jsonable(result[name]), to_jsonable(alone(model, name, image)))


def test_features_are_dropped_after_their_last_use(model: umbel.TrainedModel) -> None:
    kept: list[int] = []
    held: list[Any] = []

    class Watching:
        model = None

        def __init__(self, runtime: Any) -> None:
            self.runtime, self.model = runtime, runtime.model

        def features(self, images: torch.Tensor, task: str) -> Any:
            import weakref

            levels = self.runtime.features(images, task)
            held.append(weakref.ref(levels[0]))
            return levels

        def head(self, features: Any, task: str) -> Any:
            kept.append(sum(ref() is not None for ref in held))
            return self.runtime.head(features, task)

    with model.runtime.eval_mode():
        image = image_tensor(picture(8, 50, 90), model.runtime.device)
        predict_tasks(Watching(model.runtime), model.tasks, [image], SharedFeatures)
    assert kept == [1, 1, 1]


def test_a_backbone_with_statistics_of_each_task_runs_for_each(tmp_path: Path) -> None:
    args = "{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8], norm_layer: batchnorm2d}"
    model = umbel.load(make_run(tmp_path / "run", model_args=args))
    image = picture(9, 64, 64)
    with counting(model) as passes:
        result = model.predict(image)
        assert passes() == 3
    for name in model.tasks:
        assert_same(to_jsonable(result[name]), to_jsonable(alone(model, name, image)))


def test_a_backbone_that_binds_tasks_is_taken_to_differ_between_them() -> None:
    class Plain(umbel.Backbone):
        pass

    class Bound(umbel.Backbone):
        def bind_tasks(self, names: tuple[str, ...]) -> None:
            pass

    assert Plain().feature_key("a") == Plain().feature_key("b")
    assert Bound().feature_key("a") != Bound().feature_key("b")


def test_a_value_is_computed_at_its_first_use_and_dropped_at_its_last() -> None:
    cache: CountedCache[str, int] = CountedCache(["a", "b", "a", "a"])
    computed: list[str] = []

    def use(key: str) -> int:
        return cache.get(key, lambda: computed.append(key) or len(computed))  # type: ignore[func-returns-value]

    assert [(use("a"), len(cache)), (use("b"), len(cache)), (use("a"), len(cache))] == [(1, 1), (2, 1), (1, 1)]
    assert (use("a"), len(cache)) == (1, 0)
    assert (use("a"), len(cache)) == (3, 0)  # one use more than was said: nothing is kept
    assert computed == ["a", "b", "a"]
