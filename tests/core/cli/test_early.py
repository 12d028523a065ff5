"""What is wrong on the command line is said before torch is imported, with what was meant and what there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.cli import override_hint
from umbel.config.keys import recipe_keys, suggest

EACH = """
import contextlib, importlib.abc, io, json, sys

class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numpy", "timm", "cv2"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, NoTorch())
from umbel.cli import main
found = []
for arguments in json.loads(sys.argv[1]):
    text = io.StringIO()
    try:
        with contextlib.redirect_stderr(text), contextlib.redirect_stdout(io.StringIO()):
            main(arguments)
        code = 0
    except SystemExit as stop:
        code = stop.code
    found.append([code, text.getvalue()])
print(json.dumps(found))
"""

CASES: list[tuple[str, int, str]] = [
    ("train gone.yaml", 2, "no recipe 'gone.yaml' (did you mean 'good.yaml'?"),
    ("train goood.yaml", 2, "did you mean 'good.yaml'?"),
    ("train good.yaml train.stepps=3", 2, "Did you mean: 'steps'?"),
    ("train good.yaml steps=3", 2, "did you mean train.steps?"),
    ("train good.yaml lr=3", 2, "did you mean optim.lr?"),
    ("train good.yaml batch_size=3", 2, "did you mean tasks.one.batch_size?"),
    ("train good.yaml whatever=3", 2, "it has tasks, sources, backbone, optim"),
    ("train good.yaml tasks.on.batch_size=3", 2, "did you mean tasks.one?"),
    ("train good.yaml tasks.one.kind=brigth", 2, "did you mean 'bright'?"),
    ("train good.yaml backbone.name=tinny", 2, "did you mean 'tiny'?"),
    ("train good.yaml train.balancer=uncertanty", 2, "train.balancer"),
    ("train good.yaml tasks.one.batch_size=0", 2, "batch_size is 0; it must lie in 1..65536"),
    ("train good.yaml tasks.one.input_size=640", 2, "tasks.one.input_size"),
    ("train good.yaml optim.eps=0", 2, "eps is 0.0; it must lie in 1e-20..1"),
    ("train good.yaml optim.lr=.nan", 2, "lr is nan"),
    ("train good.yaml train.steps", 2, "not of the form key=value"),
    ("train good.yaml --out taken", 2, "taken: already holds a run"),
    ("train good.yaml --out good.yaml", 3, "good.yaml: cannot be written: it is a file"),
    ("train good.yaml --resume", 2, "--resume needs the run's folder"),
    ("train good.yaml --resume --out gone", 3, "gone: no such run to resume"),

    ("train broken.yaml", 2, "is not valid YAML"),
    ("train tabs.yaml", 2, "line 2"),
    ("train list.yaml", 2, "must be a mapping"),
    ("train dotted.yaml", 2, "task name 'a.b'"),
    ("train twice.yaml", 2, "twice.yaml"),
    ("train taken", 2, "taken: is a folder and no recipe (its recipe is taken/recipe.yaml)"),
    ("train --steps 5 good.yaml", 2, "behind RECIPE: train.steps=5"),
    ("train good.yaml --batch-size=7", 2, "tasks.NAME.batch_size=7"),
    ("train good.yaml --epoch 3", 2, "train.epochs=3"),
    ("check good.yaml --device cpu", 2, "train.device=cpu"),
    ("trian good.yaml", 2, "No such command 'trian'"),
    ("check gone.yaml", 2, "no recipe 'gone.yaml'"),
    ("show gone.yaml", 2, "no recipe 'gone.yaml'"),
    ("plan gone.yaml", 2, "no recipe 'gone.yaml'"),
    ("compare gone.yaml", 2, "no recipe 'gone.yaml'"),
    ("evaluate nothere", 2, "no run and no recipe 'nothere' (runs here: taken;"),
    ("evaluate takn", 2, "did you mean 'taken'?"),
    ("evaluate empty", 3, "empty: is not a run: it has no recipe.yaml"),
    ("evaluate .", 3, "is not a run: it has no recipe.yaml (runs in it: taken)"),
    ("predict nothere photo.png", 2, "no run 'nothere' (runs here: taken)"),
    ("predict good.yaml photo.png", 3, "good.yaml: is a file, not the folder of a run"),
    ("export nothere --out x", 2, "no run 'nothere'"),
    ("extract nothere --tasks one --out x", 2, "no run 'nothere'"),
    ("drop-task nothere one --out x", 2, "no run 'nothere'"),
    ("add-task nothere good.yaml", 2, "no run 'nothere'"),
    ("add-task taken gone.yaml", 2, "no recipe 'gone.yaml'"),
    ("tta nothere", 2, "no run and no recipe 'nothere'"),
    ("check good.yaml train.stepps=3", 2, "Did you mean: 'steps'?"),
    ("check good.yaml steps=3", 2, "did you mean train.steps?"),
    ("check good.yaml --pictures good.yaml", 3, "good.yaml: cannot be written: it is a file"),
    ("plan good.yaml lr=3", 2, "did you mean optim.lr?"),
    ("compare good.yaml optim.lr=.nan", 2, "lr is nan"),
    ("compare good.yaml --out good.yaml", 3, "good.yaml: cannot be written: it is a file"),
    ("evaluate taken seed=3", 2, "did you mean train.seed?"),
    ("tta taken tasks.one.batch_size=x", 2, "tasks.one.batch_size"),
    ("predict taken photo.png", 3, "photo.png: no such file or folder"),
    ("predict taken good.yaml --out good.yaml", 3, "good.yaml: cannot be written: it is a file"),
    ("predict taken good.yaml --device tpu", 2, "device: 'tpu' is not a device; choose auto, cpu, cuda or cuda:N"),
    ("export taken --to onnx --out good.yaml/x", 3, "good.yaml: cannot be written: it is a file"),
    ("extract taken --tasks one --out taken", 2, "taken: already holds a run"),
    ("drop-task taken one --out taken", 2, "taken: already holds a run"),
    ("add-task taken good.yaml --out taken", 2, "taken: already holds a run"),
    ("add-task taken good.yaml workers=2", 2, "did you mean tasks.one.workers?"),
    ("train good.yaml --out good.yaml/x", 3, "good.yaml: cannot be written: it is a file"),
    ("train good.yaml train.epochs=0", 2, "epochs is 0.0; it must lie in"),
    ("train good.yaml train.device=gpu", 2, "device: 'gpu' is not a device; choose"),
    ("report nothere", 2, "no run 'nothere'"),
    ("report taken nothere", 2, "no run 'nothere'"),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    good = "backbone: {name: tiny}\ntasks:\n  one: {kind: bright, input_size: [32, 32]}\ntrain: {steps: 1}\n"
    files = {
        "good.yaml": good, "taken/recipe.yaml": good, "broken.yaml": "tasks: [", "tabs.yaml": "tasks:\n\tone: 1\n",
        "list.yaml": "- 1\n", "dotted.yaml": good.replace("one:", "a.b:"),
        "twice.yaml": good.replace("train:", "  one: {kind: bright}\ntrain:"),
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "taken" / "checkpoints").mkdir()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_nothing_heavy_is_imported_to_say_what_is_wrong(folder: Path, distribute: Callable[..., Path]) -> None:
    site = distribute("toy-tasks")
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parents[2] / 'support'}"}
    arguments = json.dumps([case.split() for case, _, _ in CASES])
    done = subprocess.run(
        [sys.executable, "-c", EACH, arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wrong = [
        (case, code, text)
        for (case, expected, said), (code, text) in zip(CASES, found, strict=True)
        if code != expected or said not in text or "imported" in text or "Traceback" in text
    ]
    assert not wrong
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["good.yaml", "taken", "broken.yaml", "tabs.yaml", "list.yaml", "dotted.yaml", "twice.yaml", "empty", "site"]
    )


@pytest.mark.parametrize(
    ("word", "key"),
    [("steps", "train.steps"), ("--lr", "optim.lr"), ("seed", "train.seed"), ("device", "train.device"),
     ("--weight-decay", "optim.weight_decay"), ("epoch", "train.epochs"), ("input_size", "tasks.NAME.input_size"),
     ("workers", "tasks.NAME.workers"), ("warmup_step", "optim.warmup_steps"), ("xyzzy", ""), ("", "")],
)  # fmt: skip
def test_where_a_key_belongs(word: str, key: str) -> None:
    assert suggest(word) == key


def test_suggested_keys_are_keys() -> None:
    keys = list(recipe_keys())
    assert len(keys) > 50
    assert len(set(keys)) == len(keys)
    assert {suggest(key.rpartition(".")[2]).rpartition(".")[2] for key in keys} == {k.rpartition(".")[2] for k in keys}


@pytest.mark.parametrize(
    ("option", "arguments", "hint"),
    [
        ("--steps", ["train", "--steps", "5", "a.yaml"], "train.steps=5"),
        ("--steps", ["train", "--steps=5", "a.yaml"], "train.steps=5"),
        ("--steps", ["train", "a.yaml", "--steps"], "train.steps=VALUE"),
        ("--steps", ["train", "--steps", "\x1b[31m5"], "train.steps=\\x1b[31m5"),
        ("--nonsense", ["train", "--nonsense", "5"], ""),
    ],
)
def test_options_that_are_keys(option: str, arguments: list[str], hint: str) -> None:
    assert override_hint(option, arguments).endswith(hint)
    assert bool(override_hint(option, arguments)) == bool(hint)
