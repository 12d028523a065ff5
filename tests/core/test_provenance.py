"""The record of plugins names version, file and hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import toys

from umbel.run import Run


def test_run_records_its_plugins(launch: Callable[..., Run]) -> None:
    run = launch("out", "train.steps=1")
    records = {entry["plugin"]: entry for entry in json.loads((run.directory / "plugins.json").read_text())}
    toy = records["toy-tasks:toys"]
    assert toy["version"] == "1.0"
    assert toy["file"] == toys.__file__
    assert toy["sha256"] == hashlib.sha256(Path(toys.__file__).read_bytes()).hexdigest()
    assert toy["error"] is None
