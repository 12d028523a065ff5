"""A submission written, read and scored, against the metrics given the predictions themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from umbel_challenge.grade import grade
from umbel_challenge.polygons import contours_of
from umbel_challenge.submission import BoxEntry, Submission, write_submission
from umbel_challenge.truth import open_truth

from umbel import ConfigError, DataError, open_tasks


def submission_of(guesses: dict[str, list[tuple[Any, Any]]], tasks: dict[str, Any], **how: bool) -> Submission:
    masks = {f"{s.id}.png": contours_of(p.labels.numpy(), 19, **how) for s, p in guesses["road"]}
    classes = {sample.id: prediction.label for sample, prediction in guesses["cars"]}
    boxes = []
    for sample, prediction in guesses["signs"]:
        number = 50 - int(sample.id[1:-4])
        for row in tasks["signs"].to_json(prediction):
            boxes.append(BoxEntry(number, row["category_id"], tuple(row["bbox"]), row["score"]))
    return Submission(masks, classes, boxes)


def direct(guesses: dict[str, list[tuple[Any, Any]]], tasks: dict[str, Any]) -> dict[str, float]:
    """What the metrics say when they are given the predictions, as `umbel evaluate` does."""
    scores = {}
    for name, task in tasks.items():
        metric = task.metric()
        metric.update([prediction for _, prediction in guesses[name]], [sample.target for sample, _ in guesses[name]])
        scores |= {f"{name}/{key}": float(value) for key, value in metric.compute().items()}
    return scores


@pytest.fixture
def written(guesses, recipe, tmp_path):
    _, tasks = open_tasks(recipe)
    path = tmp_path / "pred_results.json"
    write_submission(path, submission_of(guesses, tasks))
    return path


@pytest.mark.parametrize("list_form", [False, True])
@pytest.mark.parametrize("compat_road", [False, True])
def test_scores_are_those_of_the_predictions(guesses, recipe, tmp_path, list_form, compat_road):
    typed, tasks = open_tasks(recipe)
    path = tmp_path / "s.json"
    write_submission(path, submission_of(guesses, tasks, compat_road=compat_road), list_form=list_form)
    expected = direct(guesses, tasks)
    found = grade(path, typed, tasks, split="val", formula=None)
    mains = [expected[key] for key in ("road/miou", "cars/top1", "signs/map50")]
    assert all(0.1 < main < 0.99 for main in mains)
    assert found.pop("score") == pytest.approx(sum(mains) / 3, abs=1e-6)
    assert len(found) == 6
    assert found == pytest.approx({key: expected[key] for key in found}, abs=1e-6)


def test_the_layout_itself_is_a_truth(guesses, recipe, layout, written):
    expected = direct(guesses, open_tasks(recipe)[1])
    typed, tasks = open_truth(str(layout), "val")
    assert list(tasks) == ["seg", "cls", "dec"]
    mains = {"seg": expected["road/miou"], "cls": expected["cars/top1"], "dec": expected["signs/map50"]}
    for formula, sections in (("A", ("seg", "cls", "dec")), ("B", ("cls", "dec")), (None, ("seg", "cls", "dec"))):
        score = grade(written, typed, tasks, split="val", formula=formula)["score"]
        assert score == pytest.approx(sum(mains[section] for section in sections) / len(sections), abs=1e-6)
    own = grade(written, typed, tasks, split="val", formula="max(2 * dec, seg.miou_present)")
    assert own["score"] == pytest.approx(max(2 * mains["dec"], expected["road/miou_present"]), abs=1e-6)
    assert not any(key.startswith("cls") for key in own)


def test_leaderboards_of_the_paper(golden):
    """Tables 2 and 3, through the formulas that A and B stand for."""
    from umbel import overall_score

    numbers = golden("score.json")
    for row in numbers["A"].values():
        scores = dict(zip(("seg/miou", "cls/top1", "dec/map50"), row, strict=False))
        mains = {key.split("/")[0]: key.split("/")[1] for key in scores}
        assert overall_score("mean", scores, mains) == pytest.approx(row[3], abs=6e-5)
    for name, mean in numbers["mean_A"].items():
        assert sum(numbers["A"][name][:3]) / 3 == pytest.approx(mean, abs=1e-8)
    for top1, map50, score in numbers["B"].values():
        scores = {"cls/top1": top1, "dec/map50": map50}
        assert overall_score("mean", scores, {"cls": "top1", "dec": "map50"}) == pytest.approx(score, abs=6e-4)


def test_leaderboard_b_needs_no_masks(guesses, recipe, layout, tmp_path):
    _, tasks = open_tasks(recipe)
    whole = submission_of(guesses, tasks)
    write_submission(tmp_path / "s.json", Submission(cls=whole.cls, dec=whole.dec))
    typed, truth = open_truth(str(layout), "val")
    assert set(grade(tmp_path / "s.json", typed, truth, split="val", formula="B")) == {
        "cls/top1", "dec/map50", "dec/map50_95", "score",
    }  # fmt: skip
    with pytest.raises(DataError, match="has no key 'seg'"):
        grade(tmp_path / "s.json", typed, truth, split="val", formula="A")


def rewrite(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["cls"].pop("01.jpg"), "cls has no entry for image '01.jpg'"),
        (lambda c: c["cls"].update({"99.jpg": 1}), "cls has the unknown image '99.jpg'"),
        (lambda c: c["cls"].update({"01.png": 1}), "cls has both '01.jpg' and '01.png'"),
        (lambda c: c["cls"].update({"01.jpg": 5}), r"cls, image '01.jpg' has class 5: there are 5, 0\.\.4"),
        (lambda c: c["seg"].pop("s3.png"), "seg has no entry for image 's3'"),
        (lambda c: c["seg"].update({"s9.png": {}}), "seg has the unknown image 's9.png'"),
        (lambda c: c["seg"]["s3.png"].update({"19": []}), r"seg, image 's3.png', class 19: there are 19 classes"),
        (lambda c: c["seg"]["s3.png"].update({"4": [[[0, 0], [0, 900]]]}), "seg, .*class 4, contour 0 leaves"),
        (lambda c: c["seg"]["s3.png"].update({"4": [[-1, 0]]}), "seg, .*class 4, contour 0 leaves"),
        (lambda c: c["dec"][3].update(image_id=7), r"dec, entry 3 is on the unknown image 7 \(ids: 50, 49"),
        (lambda c: c["dec"][3].update(image_id="50"), "dec, entry 3 is on the unknown image '50'"),
        (lambda c: c["dec"][3].update(category_id=4), r"dec, entry 3 on image 50 has the unknown category 4 .*3, 7"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_truth_is_named(written, layout, change, message):
    rewrite(written, change)
    typed, tasks = open_truth(str(layout), "val")
    with pytest.raises(DataError, match=rf"pred_results\.json: {message}"):
        grade(written, typed, tasks, split="val", formula="A")


def test_names_may_end_in_any_suffix_and_images_may_have_no_detection(guesses, recipe, layout, written):
    def change(content: dict[str, Any]) -> None:
        content["seg"] = {name.replace(".png", ".jpg"): masks for name, masks in content["seg"].items()}
        content["cls"] = {name.removesuffix(".jpg"): number for name, number in content["cls"].items()}
        content["dec"] = [entry for entry in content["dec"] if entry["image_id"] != 48]

    typed, tasks = open_truth(str(layout), "val")
    before = grade(written, typed, tasks, split="val", formula="A")
    rewrite(written, change)
    after = grade(written, typed, tasks, split="val", formula="A")
    assert after["seg/miou"] == before["seg/miou"]
    assert after["cls/top1"] == before["cls/top1"]


def test_pixels_in_no_polygon_count_as_class_0(guesses, recipe, layout, written):
    rewrite(written, lambda c: [masks.update({"0": []}) for masks in c["seg"].values()])
    typed, tasks = open_truth(str(layout), "val")
    expected = direct(guesses, open_tasks(recipe)[1])["road/miou"]
    assert grade(written, typed, tasks, split="val", formula="seg")["score"] == pytest.approx(expected, abs=1e-6)


def test_truths_that_are_none(tmp_path, layout):
    with pytest.raises(DataError, match="is neither a run nor the challenge's data"):
        open_truth(str(tmp_path), "val")
    with pytest.raises(ConfigError, match="no recipe 'nowhere'"):
        open_truth("nowhere", "val")
    shutil.copytree(layout / "cls", tmp_path / "cls")
    typed, tasks = open_truth(str(tmp_path), "val")
    assert list(tasks) == ["cls"]
    write_submission(tmp_path / "s.json", Submission())
    with pytest.raises(DataError, match="has no task for seg, which leaderboard A needs"):
        grade(tmp_path / "s.json", typed, tasks, split="val", formula="A")
    write_submission(tmp_path / "s.json", Submission(cls={f"0{i}.jpg": 0 for i in range(6)}))
    with pytest.raises(ConfigError, match="neither a metric nor arithmetic"):
        grade(tmp_path / "s.json", typed, tasks, split="val", formula="cls.top5")


@pytest.mark.parametrize("formula", ["mean", "(road.miou + cars.top1) / 2", "signs.map50"])
@pytest.mark.parametrize("section", ["seg", "cls", "dec"])
def test_a_submission_of_one_task_is_scored(guesses, recipe, tmp_path, section, formula, caplog):
    """As `submit --task` writes it, whatever the recipe's own formula needs."""
    _, tasks = open_tasks(recipe)
    whole = submission_of(guesses, tasks)
    write_submission(tmp_path / "one.json", Submission(**{section: getattr(whole, section)}))
    typed, truth = open_tasks({**recipe, "score": formula})
    found = grade(tmp_path / "one.json", typed, truth, split="val", formula=None)
    main = {"seg": "road/miou", "cls": "cars/top1", "dec": "signs/map50"}[section]
    assert found["score"] == pytest.approx(direct(guesses, tasks)[main], abs=1e-6)
    assert {key.split("/")[0] for key in found} - {"score"} == {main.split("/")[0]}
    needed = formula == "signs.map50" and section == "dec"
    assert ("has no" in caplog.text) is not needed


def test_of_two_tasks_of_a_kind_one_is_named(guesses, recipe, tmp_path):
    _, tasks = open_tasks(recipe)
    write_submission(tmp_path / "one.json", Submission(dec=submission_of(guesses, tasks).dec))
    two = {**recipe, "tasks": {**recipe["tasks"], "more": recipe["tasks"]["signs"]}}
    typed, truth = open_tasks(two)
    with pytest.raises(ConfigError, match="'signs' and 'more' are both detection"):
        grade(tmp_path / "one.json", typed, truth, split="val", formula=None)
    found = grade(tmp_path / "one.json", typed, truth, split="val", formula=None, names=("signs",))
    assert found["score"] == pytest.approx(direct(guesses, tasks)["signs/map50"], abs=1e-6)
