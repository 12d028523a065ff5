"""Twelve ways to write an interpolation into a recipe of the real tasks, and none of the values in what is left."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from omegaconf import OmegaConf
from umbel_challenge.submit_command import submit

import umbel
from umbel.cli.export import export
from umbel.config.redact import Secrets
from umbel.registry.plugins import Plugins
from umbel.report.write import write_comparison, write_report
from umbel.workflows.report import rebuild_figures

TRUNK = {"name": "timm", "options": {"model": "convnext_atto", "model_args": {"depths": [1] * 4, "dims": [8] * 4}}}
CANARY = "canary-6f1b0c2e"
VALUES = {
    "PLAIN": f"{CANARY}-plain",
    "DEFAULTED": f"{CANARY}-defaulted",
    "QUOTED": f"{CANARY}-quoted",
    "TWICE": f"{CANARY}-twice",
    "PART": f"{CANARY}-part",
    "BLANKS": f"{CANARY}-blanks",
    "NESTED": f"{CANARY}-nested",
    "NAME_OF_NESTED": "NESTED",
    "POINTED": f"{CANARY}-pointed",
    "REGEX": f"{CANARY}-(a|b)+$^[",
    "JSON": f'{CANARY}-"<&>\\u00e9',
    "LINES": f"{CANARY}-first\n{CANARY}-second",
    "SHORT": "qx7",
    "LISTED": f"{CANARY}-listed",
    "OVERRIDE": f"{CANARY}-override",
}
WRITTEN = {
    "a": "${oc.env:PLAIN}",
    "b": "${oc.env:DEFAULTED,nothing}",
    "c": "${oc.env:'QUOTED'}",
    "d": '${oc.env:"TWICE"}',
    "e": "pre-${oc.env:PART}-post",
    "f": "${oc.env: BLANKS }",
    "g": "${oc.env:${oc.env:NAME_OF_NESTED}}",
    "h": "${oc.env:POINTED}",
    "i": "${.h}",
    "j": "${oc.select:tasks.kinds.options.class_map.a}",
    "k": "${oc.env:REGEX}",
    "l": "${oc.env:JSON}",
    "m": "${oc.env:LINES}",
    "n": "${oc.env:SHORT}",
    "o": "literal \\${oc.env:PLAIN}",
}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in VALUES.items():
        monkeypatch.setenv(name, value)
    data = tmp_path / f"{CANARY}-data"
    monkeypatch.setenv("DATA", str(data))
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in (*WRITTEN, "p"):
            umbel.write_image(
                data / f"cls/{split}/{name}/{split}{name}.png", rng.integers(0, 255, (32, 32, 3), np.uint8)
            )
        image = {"id": 1, "file_name": f"{split}.png", "width": 64, "height": 64}
        box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 30]}
        names = [{"id": 1, "name": "sign"}, {"id": 2, "name": "lamp"}]
        umbel.write_image(data / f"det/{split}/{split}.png", rng.integers(0, 255, (64, 64, 3), np.uint8))
        content = {"images": [image], "annotations": [box], "categories": names}
        umbel.write_json(data / f"det/annotations/{split}.json", content)
    common = {"batch_size": 2, "input_size": [64, 64]}
    small = {"mid_channels": 8, "reduction": 2}
    kinds = {
        "kind": "classification",
        **common,
        "options": {"root": "${oc.env:DATA}/cls", "class_map": WRITTEN, **small},
    }
    options = {"root": "${oc.env:DATA}/det", "neck_channels": [8, 8, 8], "depth_mult": 0.33}
    mapped = {"sign": "${oc.env:LISTED}", "lamp": "${tasks.kinds.options.class_map.a}"}
    things = {"kind": "detection", **common, "options": {**options, "class_map": mapped}}
    train = {"steps": 2, "device": "cpu", "precision": "fp32", "eval_every": 1, "bad_samples": 1}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"backbone": TRUNK, "tasks": {"kinds": kinds, "things": things}, "train": train}))
    return path


def forms(value: str) -> Iterator[bytes]:
    """What a value may look like in a file."""
    for text in (value, json.dumps(value)[1:-1], html.escape(value), repr(value)[1:-1]):
        yield text.encode()
    for shift in range(3):  # in base64 wherever it starts
        yield base64.b64encode(b"x" * shift + value.encode())[4:-4]


def found_in(folder: Path) -> list[tuple[str, bytes]]:
    secrets = {
        form for name, value in VALUES.items() if name not in ("NAME_OF_NESTED", "SHORT") for form in forms(value)
    }
    secrets |= set(forms(CANARY))
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    told = [(str(path), secret) for path in files for secret in secrets if secret in path.read_bytes()]
    texts = [path for path in files if path.suffix in (".json", ".jsonl", ".yaml", ".html", ".md")]
    return told + [(str(path), b"qx7") for path in texts if '"qx7"' in path.read_text() or ">qx7<" in path.read_text()]


def test_no_file_tells_a_value(recipe: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "left" / "run", tmp_path / "left"
    umbel.train(recipe, ["tasks.kinds.options.class_map.p=${oc.env:OVERRIDE}"], out=run, quiet=True)
    for target in ("safetensors", "torch_export"):
        done = CliRunner().invoke(export, [str(run), "--to", target, "--out", str(out / target), "--tasks", "kinds"])
        assert done.exit_code in (0, 1), done.output
    assert found_in(out) == []
    rebuild_figures(run, "latest", Plugins.discover())
    write_report(run, out / "again.html")
    write_comparison([run, run], out / "two.html")
    done = CliRunner().invoke(submit, [str(run), "--out", str(out / "submission.json")])
    assert done.exit_code == 0, done.output
    assert found_in(out) == []
    written = OmegaConf.load(run / "recipe.yaml")
    assert "${oc.env:PLAIN}" in OmegaConf.to_yaml(written.tasks.kinds.options)


def test_run_and_export_open_with_the_names_that_the_environment_gives(recipe: Path, tmp_path: Path) -> None:
    umbel.train(recipe, out=tmp_path / "run", quiet=True)
    expected = list(dict.fromkeys(OmegaConf.to_container(OmegaConf.create({"tasks": {"kinds": {"options": {
        "class_map": WRITTEN}}}}), resolve=True)["tasks"]["kinds"]["options"]["class_map"].values()))  # fmt: skip
    done = CliRunner().invoke(export, [str(tmp_path / "run"), "--to", "safetensors", "--out", str(tmp_path / "export")])
    assert done.exit_code == 0, done.output
    (tmp_path / f"{CANARY}-data").rename(tmp_path / "gone")
    for folder in (tmp_path / "run", tmp_path / "export"):
        model = umbel.load(folder)
        assert list(model.tasks["kinds"].prediction_classes()) == [*expected, "p"]
        assert list(model.tasks["things"].prediction_classes()) == [VALUES["LISTED"], VALUES["PLAIN"]]


@pytest.mark.parametrize(
    ("block", "taken"),
    [
        ({"deepspeed": {"wandb": {"team": "${oc.env:PLAIN}"}}}, "PLAIN"),
        ({"tasks": {"a": {"options": {"list": [["${oc.env:PART}"], {"b": "x ${oc.env:PART} y"}]}}}}, "PART"),
        ({"name": "NESTED", "deep": {"er": "${oc.env:${..name}}"}}, "NESTED"),
        ({"a": "${oc.env:LINES}"}, "LINES"),
    ],
)
def test_text_about_a_value_is_redacted_in_every_form(
    block: dict[str, object], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = VALUES[taken]
    monkeypatch.setenv(taken, value)
    secrets = Secrets.of(OmegaConf.create(block))
    told = {"plain": f"<{value}>", "error": [repr(value), json.dumps({"k": value}), html.escape(value)], value: 1.0}
    text = json.dumps(secrets.redact(told))
    assert CANARY not in text
    assert f"${{oc.env:{taken}}}" in text


def test_what_the_recipe_says_openly_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN", "streets")
    secrets = Secrets.of(OmegaConf.create({"tasks": {"streets": {"options": {"root": "${oc.env:PLAIN}"}}}}))
    assert secrets.redact({"streets": "of streets"}) == {"streets": "of streets"}


def test_show_tells_names_as_written(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from umbel.cli.show import show

    output = CliRunner().invoke(show, [str(recipe)]).output
    assert CANARY not in output
    assert "literal \\${oc.env:PLAIN}" in output
    assert Plugins.discover()
