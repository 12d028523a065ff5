"""The images of a source: the union of what its tasks label, each once, whoever knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from file_tasks import file_task
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.contract.errors import ConfigError, DataError
from umbel.data.datasets import HoldoutSubset, load_datasets
from umbel.data.join import JoinedImage, join_images


def joined(**files: list[str]) -> list[JoinedImage]:
    tasks: dict[str, Any] = {name: file_task(name, of_task) for name, of_task in files.items()}
    return join_images(tasks, load_datasets(tasks, "train"))


NAMES = [f"{folder}/{number}.png" for folder in "ab" for number in range(4)]  # of equal names in two folders


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(NAMES), min_size=1, unique=True), min_size=2, max_size=4))
def test_one_folder_gives_the_union_of_files(chosen: list[list[str]]) -> None:
    files = {f"t{number}": [f"/data/{name}" for name in ["a/all.png", *names]] for number, names in enumerate(chosen)}
    images = joined(**files)
    everything = dict.fromkeys(file for of_task in files.values() for file in of_task)
    assert [str(image.file) for image in images] == list(everything)
    for image in images:
        known = {name: of_task.index(str(image.file)) for name, of_task in files.items() if str(image.file) in of_task}
        assert image.samples == known


def test_other_folders_are_joined_by_name() -> None:
    images = joined(road=["/road/x.png", "/road/y.png"], cars=["/cars/y.jpg", "/cars/z.jpg"])
    assert [(str(image.file), image.samples) for image in images] == [
        ("/road/x.png", {"road": 0}),
        ("/road/y.png", {"road": 1, "cars": 0}),
        ("/cars/z.jpg", {"cars": 1}),
    ]
    assert [image.id for image in images] == ["x.png", "y.png", "z.jpg"]


def test_tasks_of_one_folder_never_join_by_name() -> None:
    """Halves of one data set, whose subfolders number their images alike."""
    images = joined(road=["/d/a/1.png", "/d/b/2.png"], cars=["/d/a/2.png", "/d/b/1.png"])
    assert [image.samples for image in images] == [{"road": 0}, {"road": 1}, {"cars": 0}, {"cars": 1}]


def test_two_files_of_one_name_are_refused_with_both() -> None:
    with pytest.raises(DataError) as caught:
        joined(road=["/road/a/1.png", "/road/b/1.png"], cars=["/cars/1.png"])
    assert "/road/a/1.png" in str(caught.value)
    assert "/road/b/1.png" in str(caught.value)
    with pytest.raises(DataError, match=r"1\.png.*1\.jpg|1\.jpg.*1\.png"):
        joined(road=["/d/1.png"], cars=["/d/1.jpg"])
    assert len(joined(road=["/d/1.png", "/d/1.jpg"], cars=["/d/1.jpg", "/d/1.png"])) == 2  # both know both


def test_an_image_labelled_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"1\.png: has two labels in task 'road', samples 0 and 2"):
        joined(road=["/d/1.png", "/d/2.png", "/d/1.png"], cars=["/d/1.png"])


def test_a_link_to_the_folder_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    images = joined(road=[f"{tmp_path}/real/1.png"], cars=[f"{tmp_path}/link/1.png"])
    assert [image.samples for image in images] == [{"road": 0, "cars": 0}]


def test_indices_are_those_of_the_part_that_trains() -> None:
    tasks: dict[str, Any] = {"road": file_task("road", ["/d/1.png", "/d/2.png", "/d/3.png"])}
    part = HoldoutSubset(load_datasets(tasks, "train")["road"], [2, 0])
    assert [(image.id, image.samples) for image in join_images(tasks, {"road": part})] == [
        ("3.png", {"road": 0}),
        ("1.png", {"road": 1}),
    ]


def test_a_task_that_does_not_name_its_files_is_refused() -> None:
    tasks: dict[str, Any] = {"road": file_task("road", ["/d/1.png"])}
    tasks["road"].sources = lambda dataset: None
    with pytest.raises(ConfigError, match=r"tasks\.road\.source: FileTask does not say which files"):
        join_images(tasks, load_datasets(tasks, "train"))
