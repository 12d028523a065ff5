"""The record of plugins names version, file and hash."""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toys

from umbel.registry.plugins import Plugin, Plugins
from umbel.registry.provenance import plugin_records
from umbel.training.run import Run


def test_run_records_its_plugins(launch: Callable[..., Run]) -> None:
    run = launch("out", "train.steps=1")
    records = {entry["plugin"]: entry for entry in json.loads((run.directory / "plugins.json").read_text())}
    toy = records["toy-tasks:toys"]
    assert toy["version"] == "1.0"
    assert toy["file"] == toys.__file__
    assert toy["sha256"] == hashlib.sha256(Path(toys.__file__).read_bytes()).hexdigest()
    assert toy["error"] is None


def lines_of(files: dict[str, str]) -> str:
    """The hash of a distribution, written out as `sha256sum` would."""
    text = "".join(f"{hashlib.sha256(files[name].encode()).hexdigest()}  {name}\n" for name in sorted(files))
    return hashlib.sha256(text.encode()).hexdigest()


def install(site: Path, name: str, files: dict[str, str], *, record: bool) -> None:
    """A distribution as pip leaves it; without a record, as one whose files lie elsewhere."""
    info = site / f"{name.replace(chr(45), chr(95))}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    for inside, content in files.items():
        (site / inside).parent.mkdir(parents=True, exist_ok=True)
        (site / inside).write_text(content)
    listed = [*files, f"{info.name}/METADATA", "../../bin/tool"] if record else ["__editable__.thing.pth"]
    (info / "RECORD").write_text("".join(f"{inside},,\n" for inside in listed))


def record_of(site: Path, name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    plugins = Plugins()
    try:
        plugins.register(importlib.import_module(module), Plugin(name, "1", "main"))
        (record,) = plugin_records(plugins)
    finally:
        for loaded in [one for one in sys.modules if one.partition(".")[0] == module.partition(".")[0]]:
            del sys.modules[loaded]
    return record


PACKAGE = {"pack_a/__init__.py": "", "pack_a/task.py": "x = 1", "pack_a/data/table.csv": "1,2"}
LAYOUTS: dict[str, tuple[dict[str, str], str]] = {
    "package": (PACKAGE, "pack_a"),
    "namespace": ({"firm_b/eyes/__init__.py": "", "firm_b/eyes/task.py": "x = 2"}, "firm_b.eyes"),
    "inner": ({"pack_c/__init__.py": "", "pack_c/plugin.py": "x = 3"}, "pack_c.plugin"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("record", [True, False], ids=["wheel", "editable"])
def test_every_file_of_a_distribution_counts(
    layout: str, record: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, module = LAYOUTS[layout]
    install(tmp_path / "site", "some-eyes", files, record=record)
    found = record_of(tmp_path / "site", "some-eyes", module, monkeypatch)
    assert (found["sha256"], found["files"]) == (lines_of(files), len(files))
    (tmp_path / "site" / next(iter(files))).parent.joinpath("__pycache__").mkdir(exist_ok=True)
    (tmp_path / "site" / next(iter(files))).parent.joinpath("__pycache__/x.pyc").write_text("compiled")
    assert record_of(tmp_path / "site", "some-eyes", module, monkeypatch) == found
    changed = files | {list(files)[-1]: "x = 4"}
    (tmp_path / "site" / list(files)[-1]).write_text("x = 4")
    assert record_of(tmp_path / "site", "some-eyes", module, monkeypatch)["sha256"] == lines_of(changed)


def test_single_module_has_its_own_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "lone-eye", {"lone_eye.py": "x = 1"}, record=True)
    found = record_of(tmp_path, "lone-eye", "lone_eye", monkeypatch)
    assert (found["sha256"], found["files"]) == (hashlib.sha256(b"x = 1").hexdigest(), 1)


def test_file_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "some-eyes", PACKAGE, record=True)
    (tmp_path / "pack_a/data/table.csv").unlink()
    found = record_of(tmp_path, "some-eyes", "pack_a", monkeypatch)
    assert found["missing"] == ["pack_a/data/table.csv"]
    assert found["files"] == 2


def test_of_a_huge_file_the_ends_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "some-eyes", PACKAGE, record=True)
    hashes = set()
    for size, end in ((100, b"a"), (100, b"b"), (101, b"a")):
        with (tmp_path / "pack_a/data/table.csv").open("wb") as file:
            file.truncate(size << 20)
            file.seek(-1, 2)
            file.write(end)
        hashes.add(record_of(tmp_path, "some-eyes", "pack_a", monkeypatch)["sha256"])
    assert len(hashes) == 3
