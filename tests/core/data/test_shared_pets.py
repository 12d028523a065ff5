"""Real images with outlines, breeds, species and boxes of heads, which half of them lack: one folder, four tasks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader
from umbel.data.sources import open_sources
from umbel.registry.plugins import Plugins


@pytest.fixture
def pets(shared: Path) -> Path:
    folder = shared / "data2" / "pets"
    if not folder.is_dir():
        pytest.skip("the pets are not here: put them at ../shared/data2/pets or set UMBEL_SHARED")
    return folder


def recipe(root: Path) -> str:
    both = ["train", "train_nobox"]
    table = {"root": str(root), "format": "csv", "train": "classes", "val": "classes", "split_column": "split"}
    table |= {"train_splits": both, "images": "images", "image_column": "stem"}
    outline = {"root": str(root), "format": "folders", "more_train_lists": ["train_nobox.txt"]}
    tasks = {
        "outline": {"kind": "segmentation", "options": outline},
        "breed": {"kind": "classification", "options": {**table, "label_column": "breed"}},
        "species": {"kind": "classification", "options": {**table, "label_column": "species"}},
        "head": {"kind": "detection", "options": {"root": str(root)}},
    }
    augment = {"rotation": 10, "scale": [0.75, 1.5], "brightness": 0, "contrast": 0, "saturation": 0}
    source = {"batch_size": 6, "input_size": [96, 96], "workers": 0, "augment": augment}
    return yaml.safe_dump(
        {
            "backbone": {"options": {"model": "resnet18", "norm_stats": "shared"}},
            "sources": {"pets": source},
            "tasks": {name: {**task, "source": "pets"} for name, task in tasks.items()},
        },
        sort_keys=False,
    )


def test_four_tasks_read_one_folder_as_it_is(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "pets.yaml").write_text(recipe(pets))
    plugins = Plugins.discover()
    typed = load_recipe(str(tmp_path / "pets.yaml"), (), plugins).typed
    tasks = build_tasks(typed, plugins)
    datasets = load_datasets(tasks, "train")
    sources = open_sources(typed.sources, tasks, datasets)
    boxed = {entry["file_name"] for entry in json.loads((pets / "annotations/train.json").read_text())["images"]}
    stems = (pets / "train.txt").read_text().split() + (pets / "train_nobox.txt").read_text().split()
    assert [image.file.stem for image in sources["pets"].images] == stems
    assert sources["pets"].labels() == {
        ("outline", "breed", "species"): len(stems) - len(boxed),
        ("outline", "breed", "species", "head"): len(boxed),
    }
    species = dict(line.split(",")[0::3] for line in (pets / "classes.csv").read_text().split()[1:])
    steps = list(CompositeLoader(tasks, datasets, seed=1, start=0, stop=8, sources=sources))
    seen = set()
    for step in steps:
        outline, head, kinds = step["outline"], step["head"], step["species"]
        assert outline is not None
        assert kinds is not None
        rows = [row for row, stem in enumerate(outline.ids) if f"{stem}.jpg" in boxed]
        seen.add(len(rows))
        if head is None:
            assert not rows
        else:
            assert head.images is outline.images
            assert head.rows is None or head.rows.tolist() == rows
            assert [Path(name).stem for name in head.ids] == [outline.ids[row] for row in rows]
        names = [tasks["species"].class_names[int(k)] for k in kinds.targets]  # type: ignore[attr-defined]
        assert names == [species[stem] for stem in outline.ids]
        grey = (outline.images == 128).all(dim=1)
        assert np.mean((outline.targets == 255)[grey].numpy()) > 0.9  # beyond the image nothing is labelled
    assert len(seen) > 1
