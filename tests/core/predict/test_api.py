"""`umbel.load(RUN).predict(...)`: what it takes, what it gives, and filtering it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from trio import make_run

import umbel
from umbel import ConfigError, DataError, Result, read_image, write_image


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> umbel.TrainedModel:
    return umbel.load(make_run(tmp_path_factory.mktemp("api") / "run"))


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (70, 50, 3)).astype(np.uint8)


def test_one_image_of_any_kind_gives_one_result(model: umbel.TrainedModel, image: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(path, image)
    expected = model.predict(image).to_json()
    for source in (path, str(path), Image.fromarray(image)):
        result = model.predict(source)
        assert isinstance(result, Result)
        assert result.to_json() == expected
        np.testing.assert_array_equal(result.image, image)
    assert model.predict(path).source == str(path)
    assert repr(model.predict(path, "signs")) == f"Result({path}, 70x50, signs: Detections)"  # no walls of pixels
    assert json.loads(json.dumps(expected)).keys() == {"road", "vehicles", "signs"}


def test_a_list_gives_a_list_and_a_generator_streams(model: umbel.TrainedModel, image: np.ndarray) -> None:
    assert [list(result) for result in model.predict([image, image], "road")] == [["road"], ["road"]]
    assert model.predict([]) == []
    asked: list[int] = []

    def camera() -> Iterator[np.ndarray]:
        for number in range(5):
            asked.append(number)
            yield image

    stream = model.predict(camera(), "vehicles", batch=2)
    assert asked == []
    next(stream)
    assert asked == [0, 1]
    assert len(list(stream)) == 4


def test_pictures_of_one_task_or_of_all(model: umbel.TrainedModel, image: np.ndarray, tmp_path: Path) -> None:
    result = model.predict(image)
    before = image.copy()
    pictures = [result.plot(name) for name in result] + [result.plot()]
    np.testing.assert_array_equal(image, before)
    assert all(picture.shape == image.shape and picture.dtype == np.uint8 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == 4
    result.save(tmp_path / "all.png")
    np.testing.assert_array_equal(read_image(tmp_path / "all.png"), pictures[-1])


def test_confidence_and_classes_filter_every_task(model: umbel.TrainedModel, image: np.ndarray) -> None:
    plain = model.predict(image)
    scores = plain["signs"].scores_N
    half = float(scores.median())
    filtered = model.predict(image, confidence=half, classes=["stop", "road"])
    assert 0 < len(filtered["signs"].scores_N) < len(scores)
    assert set(filtered["signs"].classes_N.tolist()) == {0}
    assert filtered["signs"].scores_N.min() >= half
    assert set(filtered["road"].labels.unique().tolist()) <= {1, 255}
    assert (filtered["road"].labels == 1).equal(plain["road"].labels == 1)
    assert filtered["vehicles"].probabilities.equal(plain["vehicles"].probabilities)  # has none of these classes
    nothing = model.predict(image, confidence=1.0)
    assert nothing.to_json()["vehicles"] == {"class_id": None, "class": None, "probability": None, "top5": []}
    assert nothing.to_json()["signs"] == []
    np.testing.assert_array_equal(nothing.plot("vehicles"), image)
    bus = model.predict(image, classes=["bus"]).to_json()["vehicles"]
    assert (bus["class"], len(bus["top5"])) == ("bus", 1)


def test_everything_drawn_of_what_passes_a_low_confidence(model: umbel.TrainedModel, image: np.ndarray) -> None:
    faint = model.predict(image, "signs")["signs"].scores_N.min().item()
    assert faint < 0.3  # what is not drawn unless a confidence asks for it
    low, usual = model.predict(image, "signs", confidence=faint), model.predict(image, "signs")
    assert low["signs"].scores_N.equal(usual["signs"].scores_N)
    assert (low.plot() != usual.plot()).any()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), "type float32"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        ("gone.png", "gone.png"),
        (7, "cannot predict a int"),
        ([None], "cannot predict a NoneType"),
    ],
)
def test_what_is_no_image_is_named(model: umbel.TrainedModel, source: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.predict(source)  # type: ignore[call-overload]


def test_wrong_filters_are_named(model: umbel.TrainedModel, image: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"no task has a class 'stopp' \(did you mean 'stop'\?\)"):
        model.predict(image, classes=["stopp"])
    with pytest.raises(ConfigError, match=r"confidence: is 1\.5"):
        model.predict(image, confidence=1.5)
    with pytest.raises(ConfigError, match="size: is"):
        model.predict(image, size=(0, 10))
    with pytest.raises(ConfigError, match="no task 'signz'"):
        model.predict(image, "signz")
