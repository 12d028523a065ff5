"""docs/architecture.md draws the house as it stands: its layers, its rooms, and the two ways through it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from command_line import exit_code
from generators.unsplit import class_tree
from layers import LINE, ORDER, PACKAGES, House
from ways import Ways, followed

RECIPE = """
backbone: {{name: timm, options: {{model: convnext_atto, model_args: {{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8]}}}}}}
tasks:
  cars: {{kind: classification, batch_size: 2, workers: 0, input_size: [64, 64], options: {{root: {root}}}}}
train: {{steps: 1, precision: fp32, device: cpu, balancer: {{name: loss_scale}}}}
"""
LIMITS = {"recipe": 12, "images": 9}


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Ways:
    """What a training enters, with a built-in task, the built-in backbone and a balancer that learns."""
    folder = tmp_path_factory.mktemp("ways")
    for split in ("train", "val"):
        class_tree(folder / "data" / split)
    recipe = folder / "cars.yaml"
    recipe.write_text(RECIPE.format(root=folder / "data"))
    with followed(Ways(str(recipe))) as ways:
        assert exit_code("train", str(recipe), "--out", str(folder / "run"), "--quiet") == 0
    return ways


def way(page: str, name: str) -> list[str]:
    """Rooms of the numbered list below "### NAME"; `tasks` and what else names a folder of plugins stands for one."""
    section = page.split(f"### {name}")[1].split("\n#")[0]
    return re.findall(r"^\d+\. `([\w/]+?)/?`", section, re.MULTILINE)


def test_the_picture_has_the_lines_of_the_order(page: str) -> None:
    (drawn,) = re.findall(r"^```mermaid\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = re.findall(r'^ +\w+\["([^"]+)"\]$', drawn, re.MULTILINE)
    assert tuple(reversed(lines)) == ORDER
    nodes = re.findall(r"^ +(\w+)\[", drawn, re.MULTILINE)
    assert re.findall(r"(\w+) --> (\w+)", drawn) == list(pairwise(nodes))


def test_every_room_has_a_paragraph(page: str) -> None:
    told = re.findall(r"^- \*\*`([\w.]+?)(?:/|\.py)?`\*\*", page, re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == {*LINE, *PACKAGES, "plugins"} - {"core"}


@pytest.mark.parametrize("name", LIMITS)
def test_a_way_keeps_to_its_limit_and_is_the_real_one(page: str, ways: Ways, name: str) -> None:
    told = way(page, name)
    entered = [room.split("/")[0] for room in getattr(ways, name)]
    assert len(set(told)) == len(told) <= LIMITS[name]
    assert len(entered) <= LIMITS[name]
    assert sorted(told) == sorted(entered)


def test_the_figures_are_those_of_the_house(page: str, repository: Path) -> None:
    rooms, lines = map(int, re.findall(r"(\d+) rooms in `core/` on (\d+) lines", page)[0])
    assert rooms == len(LINE)
    assert lines == len(ORDER)
    assert House(repository).rooms.keys() >= LINE.keys()
