"""`umbel tta`: what it prints and writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import exit_code
from tta_toys import VIEWED_MODULE

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(
    distribute: Callable[..., Path],
    viewed_recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Cli:
    """Runs the command line in tmp_path, where a run is; gives the exit code, stdout and stderr."""
    distribute("toy-views", {"toy_views_module": VIEWED_MODULE})
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        return (exit_code(*arguments), *capfd.readouterr())

    assert run("train", str(viewed_recipe), "--out", "run")[0] == 0
    return run


def evaluated(cli: Cli, *arguments: str) -> float:
    code, out, err = cli("evaluate", *arguments, "--json")
    assert code == 0, err
    return float(json.loads(out)["bright/closeness"])


def test_table_csv_and_json_agree_with_evaluate(cli: Cli) -> None:
    code, out, err = cli("tta", "run", "--csv", "t.csv", "--json", "t.json")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split() == ["bright", "views", "closeness", "cost", "MP", "s"]
    assert [line.split()[:2] for line in lines[2:5]] == [["Original", "1"], ["MS", "2"], ["MS+Flip", "4"]]
    table = json.loads(Path("t.json").read_text())["bright"]
    assert table["main_metric"] == "closeness"
    scores = [row["scores"]["closeness"] for row in table["rows"]]
    assert scores[2] == pytest.approx(evaluated(cli, "run"), abs=1e-6)
    assert scores[0] == pytest.approx(
        evaluated(cli, "run", "tasks.bright.tta.scales=[1.0]", "tasks.bright.tta.hflip=false"), abs=1e-6
    )
    assert [f"{score:.4f}" for score in scores] == [line.split()[2] for line in lines[2:5]]
    with open("t.csv", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [row["name"] for row in listed] == ["Original", "MS", "MS+Flip"]
    assert [float(row["main"]) for row in listed] == scores
    assert [float(row["closeness"]) for row in listed] == scores
    assert {row["task"] for row in listed} == {"bright"}


def test_declared_variants_replace_the_default_rows(cli: Cli, viewed_recipe: Path) -> None:
    Path("declared.yaml").write_text(
        "defaults: viewed.yaml\ntasks:\n  bright:\n    tta_variants:\n"
        "    - {name: plain}\n"
        "    - {name: most, tta: {scales: [0.5, 1.0]}, options: {pick: max}}\n"
    )
    code, out, err = cli("tta", "declared.yaml", "--checkpoint", "run", "--limit", "2")
    assert code == 0, err
    assert [line.split()[:2] for line in out.splitlines()[2:4]] == [["plain", "1"], ["most", "2"]]
    assert cli("tta", "declared.yaml", "--checkpoint", "run", "--task", "dim")[0] == 2


def test_a_task_may_suggest_rows(cli: Cli) -> None:
    code, out, err = cli("tta", "run", "tasks.bright.kind=suggesting")
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[2:6]] == ["Original", "MS", "MS+Flip", "Most"]


def test_search_writes_a_recipe_that_scores_as_the_search_said(cli: Cli) -> None:
    code, out, err = cli(
        "tta", "run", "tasks.bright.options.gain=0.4", "--search", "--budget", "5", "--scales", "0.5,2.0",
        "--write", "found/best.yaml", "--json", "all.json",
    )  # fmt: skip
    assert code == 0, err
    steps = out.strip().splitlines()[2:]
    rows = json.loads(Path("all.json").read_text())["bright"]["rows"]
    assert max(row["cost"] for row in rows) <= 5
    last = next(row for row in rows if row["name"] == steps[-1].split("  ")[0])
    score = evaluated(cli, "found/best.yaml", "--checkpoint", "run")
    assert score == pytest.approx(last["scores"]["closeness"], abs=1e-6)
    shown = cli("show", "found/best.yaml")[1]
    assert "gain: 0.4" in shown
    assert "defaults: ../run/recipe.yaml" in Path("found/best.yaml").read_text()


def test_search_within_the_cost_of_one_view_finds_one_view(cli: Cli) -> None:
    code, out, _ = cli("tta", "run", "--search", "--budget", "1", "--scales", "2.0", "--write", "b.yaml")
    assert code == 0
    assert [line.split()[0] for line in out.strip().splitlines()[2:]] == ["Original"]
    assert "hflip: false" in Path("b.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--search"], "--search and --budget go together"),
        (["--budget", "3"], "--search and --budget go together"),
        (["--write", "x.yaml"], "are for --search"),
        (["--search", "--budget", "3", "--scales", "1,two"], "not a list of numbers"),
        (["--search", "--budget", "3", "--scales", "0"], "0.1..10"),
        (["--search", "--budget", "0.5"], "not in the range"),
        (["--limit", "0"], "not in the range"),
    ],
)
def test_usage_errors(cli: Cli, arguments: list[str], part: str) -> None:
    code, out, err = cli("tta", "run", *arguments)
    assert (code, out) == (2, "")
    assert part in err


def test_a_wrong_option_is_named_before_any_image_is_read(cli: Cli) -> None:
    code, out, err = cli("tta", "run", "tasks.bright.tta_variants=[{name: a, options: {pick: least}}]")
    assert (code, out) == (2, "")
    assert "umbel: error: tasks.bright.tta_variants: a: pick is 'least'" in err
