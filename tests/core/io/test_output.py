"""What cannot be said costs a warning and never the run; nothing that is said acts on a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import exit_code
from hypothesis import given
from hypothesis import strategies as st

from umbel.io.images import write_image
from umbel.io.output import Printable, Tolerant

ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\u202e\u2066\x9b31m\n"


class Full(io.StringIO):
    """A disk that is full from the second write on."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        if self.writes > 1:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_stream_that_fails_becomes_silent() -> None:
    full = Full()
    stream = Tolerant(full)
    for _ in range(5):
        stream.write("x")
        stream.flush()
    assert full.getvalue() == "x"
    assert full.writes == 2
    assert isinstance(stream.lost, OSError)


@given(st.text())
def test_only_line_ends_act(text: str) -> None:
    target = io.StringIO()
    Printable(Tolerant(target)).write(text)
    shown = target.getvalue()
    assert shown.count("\n") == text.count("\n")
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Cf") for c in shown.replace("\n", ""))


def test_what_the_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    stream = Printable(Tolerant(io.TextIOWrapper(raw, "ascii")))
    stream.write("naïve\n")
    stream.flush()
    assert raw.getvalue() == b"na\\xefve\n"
    assert stream.encoding == "utf-8"  # else click writes to the bytes below, past the escapes


@pytest.fixture
def shell(distribute: Callable[..., Path], tmp_path: Path, recipe_file: Path) -> Callable[[str], tuple[int, str]]:
    """Runs a line of bash where `umbel` is this one; the exit code of its first command and all that was said."""
    site = distribute("toy-tasks")
    tests = Path(__file__).resolve().parents[2] / "support"
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{tests}", "OMP_NUM_THREADS": "1"}
    prefix = f'umbel() {{ "{sys.executable}" -m umbel "$@"; }}; '

    def go(line: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", f"{prefix}{line}; exit ${{PIPESTATUS[0]}}"],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, errors="surrogateescape",
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return go


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "warned"),
    [
        ("2>&1 | head -1", False),
        ("--json | head -1", True),
        ("> /dev/full", True),
        ("2> /dev/full", True),
        ("> /dev/full 2>&1", False),
        ("--json > /dev/full", True),
        (">&- 2>&-", False),
    ],
)
def test_a_training_ends_well_whoever_reads(
    shell: Callable[[str], tuple[int, str]], tmp_path: Path, redirected: str, warned: bool
) -> None:
    code, said = shell(f"umbel train toy.yaml --out run {redirected}")
    assert code == 0, said
    assert (tmp_path / "run" / "checkpoints" / "step-00000012" / "manifest.json").is_file()
    assert (tmp_path / "run" / "report.html").is_file()
    assert said.count("cannot be written") == warned, said
    assert "Traceback" not in said
    assert "Logging error" not in said
    assert "Exception ignored" not in said


@pytest.mark.slow
def test_other_commands_end_quietly_or_say_so(shell: Callable[[str], tuple[int, str]]) -> None:
    assert shell("umbel show toy.yaml | head -0") == (0, "")
    code, said = shell("umbel show toy.yaml > /dev/full")
    assert (code, said) == (3, "umbel: error: stdout: cannot be written: No space left on device\n")


def test_observers_of_somebody_elses_program_end_nothing(
    launch: Callable[..., object], new_plugins: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from umbel.registry.plugins import Plugin, Plugins
    from umbel.training.observers.console import ConsoleObserver
    from umbel.training.observers.json_lines import JsonLinesObserver

    register = Plugins.register
    made: list[object] = []

    def with_observers(self: Plugins, module: object, plugin: Plugin) -> None:
        register(self, module, plugin)
        if plugin.entry_point == "jsonl":
            made.extend([ConsoleObserver(), JsonLinesObserver()])
            for number, observer in enumerate(made):
                register(self, observer, Plugin("umbel", "0", f"watcher-{number}"))

    monkeypatch.setattr(Plugins, "register", with_observers)
    monkeypatch.setattr(sys, "stdout", Full())
    monkeypatch.setattr(sys, "stderr", Full())
    run = launch("out", "train.steps=3")
    assert len(made) == 2
    assert (run.directory / "checkpoints" / "step-00000003").is_dir()  # type: ignore[attr-defined]


def test_an_observer_that_cannot_begin_or_end_costs_a_warning(
    launch: Callable[..., object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from umbel.contract.hooks import hookimpl
    from umbel.training.observers.jsonl import JsonlObserver

    @hookimpl
    def refuse(self: object, run: object) -> None:
        raise OSError(28, "No space left on device")

    @hookimpl
    def refuse_too(self: object, run: object, error: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(JsonlObserver, "umbel_run_started", refuse)
    monkeypatch.setattr(JsonlObserver, "umbel_run_finished", refuse_too, raising=False)
    monkeypatch.setattr(JsonlObserver, "_append", lambda self, entry: None)
    run = launch("out", "train.steps=2")
    assert (run.directory / "checkpoints" / "step-00000002").is_dir()  # type: ignore[attr-defined]
    assert caplog.text.count("an observer cannot write") == 2


COMMANDS = [
    ("show", "{0}.yaml"),
    ("train", "toy.yaml", "train.steps=1", "--out", "{0}/run"),
    ("train", "toy.yaml", "train.steps=1", "--json", "--out", "{0}/run"),
    ("train", "toy.yaml", "train.{0}=1"),
    ("evaluate", "{0}"),
    ("evaluate", "run", "--checkpoint", "{0}"),
    ("predict", "run", "{0}", "--out", "{0}/predicted"),
    ("predict", "run", "{0}", "--out", "predicted", "--task", "{0}"),
    ("report", "run", "--out", "{0}.html"),
    ("report", "run", "run", "--out", "{0}.html"),
    ("check", "toy.yaml", "--pictures", "{0}"),
    ("check", "toy.yaml", "--data", "--json", "{0}/x.json"),
    ("export", "run", "--to", "safetensors", "--out", "{0}/hub"),
    ("extract", "run", "--tasks", "first", "--out", "{0}/less"),
    ("drop-task", "run", "first", "--out", "{0}/less"),
    ("add-task", "run", "more.yaml", "train.steps=1", "--out", "{0}/grown"),
    ("compare", "toy.yaml", "--steps", "1", "--out", "{0}/compared"),
    ("tta", "run", "--csv", "{0}/t.csv"),
    ("init", "--task", "road={0}", "--out", "{0}.yaml"),
    ("new-task", "{0}"),
    ("new-task", "lanes", "--out", "{0}"),
    ("plan", "{0}.yaml"),
    ("plugins", "{0}"),
    ("{0}",),
    ("train", "toy.yaml", "--{0}"),
    ("demo", "--out", "{0}/demo", "--seed", "{0}"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:1]))
@pytest.mark.parametrize("name", [ESCAPES, "\udcff\udc9b"], ids=["escapes", "not UTF-8"])
def test_no_command_prints_what_acts_on_a_terminal(
    command: tuple[str, ...], name: str, distribute: Callable[..., Path], tmp_path: Path, recipe_file: Path,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    distribute("toy-tasks")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more.yaml").write_text("tasks:\n  third: {kind: bright, batch_size: 2, input_size: [16, 16]}\n")
    write_image(tmp_path / name / f"{name}.jpg", np.zeros((16, 16, 3), np.uint8))
    if any(part == "run" for part in command):
        assert exit_code("train", "toy.yaml", "train.steps=1", "--quiet", "--out", "run") == 0
    capfd.readouterr()
    exit_code(*(part.format(name) for part in command))
    out, err = capfd.readouterr()
    shown = (out + err).replace("\n", "")
    assert shown
    assert [c for c in shown if unicodedata.category(c) in ("Cc", "Cs", "Cf")] == []
    assert not [line for line in (out + err).split("\n") if line.startswith(("owned", "/", ".jpg", ".yaml"))]
