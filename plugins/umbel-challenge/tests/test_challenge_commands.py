"""`umbel submit` and `umbel score` on a run of the real tasks."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from umbel_challenge.collect import sections_of

import umbel

Cli = Callable[..., tuple[int, str, str]]

ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\u202e\u2066\x9b31m\n"


@pytest.fixture(scope="module")
def run(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("challenge-run")
    OmegaConf.save(OmegaConf.create(recipe), folder / "small.yaml")
    umbel.train(folder / "small.yaml", out=folder / "run")
    return folder / "run"


@pytest.fixture
def cli(installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line in tmp_path; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    umbel_command = next(iter(metadata.entry_points(group="console_scripts", name="umbel"))).load()

    def call(*arguments: str) -> tuple[int, str, str]:
        code: Any = 0
        try:
            umbel_command(list(arguments))
        except SystemExit as stop:
            code = stop.code or 0
        return (int(code), *capfd.readouterr())

    return call


def scored(cli: Cli, *arguments: str) -> dict[str, float]:
    code, out, err = cli("score", *arguments, "--json")
    assert code == 0, err
    content: dict[str, float] = json.loads(out)
    return content


def test_a_submission_scores_as_evaluate_says(cli: Cli, run: Path, layout: Path) -> None:
    code, out, err = cli("submit", str(run))
    assert (code, out) == (0, "pred_results.json\n"), err
    evaluated = json.loads(cli("evaluate", str(run), "--json")[1])
    found = scored(cli, "pred_results.json", str(run))
    assert found == pytest.approx({key: evaluated[key] for key in found}, abs=1e-6)
    assert set(evaluated) - set(found) == {"cars/top5"}
    by_layout = scored(cli, "pred_results.json", str(layout), "--formula", "A")
    assert by_layout["score"] == pytest.approx(evaluated["score"], abs=1e-6)
    b = scored(cli, "pred_results.json", str(layout), "--formula", "B")["score"]
    assert b == pytest.approx((evaluated["cars/top1"] + evaluated["signs/map50"]) / 2, abs=1e-6)
    content = json.loads(Path("pred_results.json").read_text())
    assert list(content["cls"]) == [f"0{index}.jpg" for index in range(6)]
    assert list(content["seg"]) == [f"s{index}.png" for index in range(6)]
    assert {entry["image_id"] for entry in content["dec"]} <= set(range(45, 51))
    assert {entry["category_id"] for entry in content["dec"]} <= {3, 7, 12}
    assert len(content["dec"]) > 100
    counts: dict[tuple[int, int], int] = {}
    for entry in content["dec"]:
        key = (entry["image_id"], entry["category_id"])
        counts[key] = counts.get(key, 0) + 1
    assert max(counts.values()) <= 100


def test_held_out_data_is_submitted_and_scored(cli: Cli, run: Path) -> None:
    """With `holdout` validation data is a part of the training data; its images keep the ids of the annotations."""
    held = [f"tasks.{name}.holdout=0.5" for name in ("road", "cars", "signs")]
    OmegaConf.save(OmegaConf.merge(OmegaConf.load(run / "recipe.yaml"), OmegaConf.from_dotlist(held)), "held.yaml")
    code, _, err = cli("submit", "held.yaml", "--checkpoint", str(run))
    assert code == 0, err
    evaluated = json.loads(cli("evaluate", "held.yaml", "--checkpoint", str(run), "--json")[1])
    found = scored(cli, "pred_results.json", "held.yaml")
    assert found == pytest.approx({key: evaluated[key] for key in found}, abs=1e-6)
    content = json.loads(Path("pred_results.json").read_text())
    assert (len(content["seg"]), len(content["cls"])) == (2, 2)
    assert {entry["image_id"] for entry in content["dec"]} < set(range(47, 51))


def test_at_most_100_detections_an_image_and_class(cli: Cli, run: Path) -> None:
    options = (
        "options.keep=300",
        "options.max_detections=900",
        "options.nms_iou=1.0",
        "tta.scales=[1.0]",
        "tta.hflip=false",
    )
    changes = [argument for option in options for argument in ("--set", f"tasks.signs.{option}")]
    assert cli("submit", str(run), "--task", "signs", *changes)[0] == 0
    content = json.loads(Path("pred_results.json").read_text())
    assert list(content) == ["dec"]
    per_class = [(entry["image_id"], entry["category_id"]) for entry in content["dec"]]
    assert max(per_class.count(key) for key in set(per_class)) == 100


def test_list_form_and_compat_road(cli: Cli, run: Path) -> None:
    assert cli("submit", str(run), "--out", "plain.json")[0] == 0
    assert cli("submit", str(run), "--out=lists.json", "--list-form", "--compat-road")[0] == 0
    plain, lists = (json.loads(Path(name).read_text()) for name in ("plain.json", "lists.json"))
    assert [{name: number} for name, number in plain["cls"].items()] == lists["cls"]
    assert [next(iter(entry)) for entry in lists["seg"]] == list(plain["seg"])
    for entry in lists["seg"]:
        [polygons] = entry.values()
        [[first, *_]] = polygons["0"]
        assert first == [0, 0]
    assert scored(cli, "plain.json", str(run)) == scored(cli, "lists.json", str(run))


def test_images_are_numbered_in_the_order_given(cli: Cli, run: Path, layout: Path) -> None:
    paths = [str(layout / f"dec/val/d{index}.jpg") for index in (4, 1)]
    assert cli("submit", str(run), *paths)[0] == 0
    content = json.loads(Path("pred_results.json").read_text())
    assert list(content["seg"]) == ["d4.png", "d1.png"]
    assert list(content["cls"]) == ["d4.jpg", "d1.jpg"]
    first = [entry for entry in content["dec"] if entry["image_id"] == 1]
    assert {entry["image_id"] for entry in content["dec"]} == {1, 2}
    assert cli("submit", str(run), paths[0], "--out", "one.json")[0] == 0
    assert json.loads(Path("one.json").read_text())["dec"] == first


def test_the_test_layout(cli: Cli, run: Path, layout: Path, tmp_path: Path) -> None:
    """track1_test_data: ids count the lines of dec/test.txt, whatever the files are called."""
    data = tmp_path / "track1_test_data"
    (data / "seg/images").mkdir(parents=True)
    (data / "seg/images/test").symlink_to(layout / "seg/images/val")
    for section in ("cls", "dec"):
        (data / section).mkdir()
        (data / section / "test").symlink_to(layout / section / "val")
    (data / "dec/test.txt").write_text("d3.jpg\nd0.jpg\n")
    assert cli("submit", str(run), "--data", str(data), "--split=test")[0] == 0
    content = json.loads(Path("pred_results.json").read_text())
    assert {entry["image_id"] for entry in content["dec"]} == {1, 2}
    assert len(content["seg"]) == len(content["cls"]) == 6
    assert cli("submit", str(run), "--out", "val.json")[0] == 0
    own = json.loads(Path("val.json").read_text())
    assert (content["seg"], content["cls"]) == (own["seg"], own["cls"])
    assert cli("submit", str(run), "--data", str(layout), "--out=ids.json")[0] == 0
    by_json = json.loads(Path("ids.json").read_text())
    assert [entry["image_id"] for entry in by_json["dec"]] == [entry["image_id"] for entry in own["dec"]]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["submit", "RUN", "--split", "test"], 2, "needs --data"),
        (["submit", "RUN", "x.jpg", "--data", "y"], 2, "IMAGES or --data"),
        (["submit", "RUN", "x.jpg"], 3, "x.jpg"),
        (["submit", "RUN", "--data", "nowhere", "--split", "test"], 3, "nowhere/seg/images/test: no such folder"),
        (["submit", "RUN", "--task", "sings"], 2, "no task 'sings'"),
        (["submit", "RUN", "LAYOUT/dec/val", "LAYOUT/dec/train/d1.jpg"], 3, "is called like"),
        (["score", "gone.json", "RUN"], 3, "gone.json: no such file"),
        (["score", "gone.json", "."], 3, "neither a run nor"),
        (["score", "empty.json", "RUN"], 3, "empty.json: has no key 'seg'"),
        (["score", "empty.json", "RUN", "--formula", "B"], 3, "empty.json: has no key 'cls'"),
    ],
)
def test_errors_are_one_line(cli: Cli, run: Path, layout: Path, arguments: list[str], code: int, part: str) -> None:
    Path("empty.json").write_text("{}")
    given = [argument.replace("RUN", str(run)).replace("LAYOUT", str(layout)) for argument in arguments]
    found, out, err = cli(*given)
    assert (found, out) == (code, ""), err
    assert part in err
    assert "Traceback" not in err


@pytest.mark.parametrize("names", [["signs"], ["road"], ["cars"], ["road", "signs"]])
def test_a_submission_of_some_tasks_scores_as_evaluate_says(
    cli: Cli, run: Path, layout: Path, names: list[str]
) -> None:
    chosen = [argument for name in names for argument in ("--task", name)]
    assert cli("submit", str(run), *chosen)[0] == 0
    evaluated = json.loads(cli("evaluate", str(run), "--json")[1])
    found = scored(cli, "pred_results.json", str(run))
    mains = {"road": "road/miou", "cars": "cars/top1", "signs": "signs/map50"}
    score = sum(evaluated[mains[name]] for name in names) / len(names)
    assert found.pop("score") == pytest.approx(score, abs=1e-6)
    assert {key.partition("/")[0] for key in found} == set(names)
    assert found == pytest.approx({key: evaluated[key] for key in found}, abs=1e-6)
    assert scored(cli, "pred_results.json", str(layout))["score"] == pytest.approx(score, abs=1e-6)
    code, _, err = cli("score", "pred_results.json", str(run), "--formula", "A")
    assert code == 3
    assert "has no key" in err


def test_two_tasks_of_one_kind_are_submitted_and_scored_one_by_one(
    cli: Cli, run: Path, layout: Path, tmp_path: Path
) -> None:
    twice = OmegaConf.load(run / "recipe.yaml")
    twice.tasks.vans = twice.tasks.cars
    OmegaConf.save(twice, "twice.yaml")
    assert cli("submit", str(run), "--task", "cars")[0] == 0
    assert "both classification" in cli("score", "pred_results.json", "twice.yaml")[2]
    found = scored(cli, "pred_results.json", "twice.yaml", "--task", "vans")
    assert found["vans/top1"] == scored(cli, "pred_results.json", str(run))["cars/top1"] == found["score"]


def test_a_score_that_a_submission_cannot_give_is_left_out(cli: Cli, run: Path) -> None:
    """The recipe's formula may need the five best classes, which the file does not hold."""
    assert cli("submit", str(run), "--task", "cars")[0] == 0
    recipe = OmegaConf.load(run / "recipe.yaml")
    recipe.score = "cars.top5"
    OmegaConf.save(recipe, "other.yaml")
    assert set(scored(cli, "pred_results.json", "other.yaml")) == {"cars/top1"}
    assert cli("score", "pred_results.json", str(run), "--formula", "cars.top5")[0] == 2


def test_two_tasks_of_a_kind_must_be_chosen_between(recipe: dict[str, Any]) -> None:
    twice = {**recipe, "tasks": {**recipe["tasks"], "vans": recipe["tasks"]["cars"]}}
    typed, _ = umbel.open_tasks(twice)
    with pytest.raises(umbel.ConfigError, match="'cars' and 'vans' are both classification"):
        sections_of(typed)
    assert sections_of(typed, ("vans", "road")) == {"cls": "vans", "seg": "road"}


def test_a_file_of_the_user_is_refused_by_name_and_stays(cli: Cli, run: Path, layout: Path) -> None:
    mine = Path("pred_results.json")
    mine.write_bytes(b"the user's own\n")
    code, out, err = cli("submit", str(run), str(layout / "dec/val/d1.jpg"))
    assert (code, out) == (2, "")
    assert "exists" in err.splitlines()[-1]
    assert mine.name in err
    assert mine.read_bytes() == b"the user's own\n"
    assert list(Path().iterdir()) == [mine]


@pytest.mark.parametrize("name", [ESCAPES, "\udcff\udc9b"], ids=["escapes", "not UTF-8"])
@pytest.mark.parametrize("verb", [("submit", "RUN", "{0}"), ("score", "{0}/x.json", "RUN")], ids=lambda verb: verb[0])
def test_no_command_prints_what_acts_on_a_terminal(cli: Cli, run: Path, verb: tuple[str, ...], name: str) -> None:
    umbel.write_image(Path(name) / f"{name}.jpg", np.zeros((16, 16, 3), np.uint8))
    _, out, err = cli(*(part.format(name).replace("RUN", str(run)) for part in verb))
    shown = (out + err).replace("\n", "")
    assert shown
    assert [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Cf")] == []
    assert not [line for line in (out + err).split("\n") if line.startswith(("owned", ".jpg"))]
