"""A real process that finds too little memory says in one line what the plan of its recipe predicts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from trio_data import write_trio

from umbel.config.load import load_recipe
from umbel.io.shortage import ShortageError
from umbel.io.text import size_text
from umbel.registry.plugins import Plugins
from umbel.workflows.plan.fit import Cluster
from umbel.workflows.plan.plan import make_plan
from umbel.workflows.plan.predicted import naming_prediction, predicted_for, predicted_text


def test_what_is_predicted_is_what_the_plan_says(tmp_path: Path) -> None:
    plugins = Plugins.discover()
    settings = ("tasks.signs.batch_size=16", "tasks.road.options.class_weights=[1,1,2]")  # a constant that has values
    typed = load_recipe(str(write_trio(tmp_path)), settings, plugins).typed
    plan = make_plan(typed, plugins, Cluster(1, 1, 2**36, 0.1))
    peak = next(task.peak(16) for task in plan.activations if task.task == "signs")
    states = plan.stages[0].states.total
    text = predicted_text(typed, plugins, "tasks.signs")
    of_all, of_activations = re.findall(r"([\d.]+) MiB (?:for it|of activations)", text)
    assert float(of_activations) == pytest.approx(peak / 2**20, rel=0.05)  # of 2 images, and a line from there
    assert float(of_all) == pytest.approx((peak + states) / 2**20, rel=0.05)
    assert size_text(states) in text
    assert size_text(states) in predicted_text(typed, plugins, "optim")
    assert predicted_text(typed, plugins, "tasks.signs.workers") == ""


def test_an_error_without_a_plan_stays_as_it_is() -> None:
    with pytest.raises(ShortageError) as caught, naming_prediction(partial(predicted_for, "none.yaml", ())):
        raise ShortageError("does not suffice", where="tasks.road", hint="lower it", kind="memory")
    assert str(caught.value) == "tasks.road: does not suffice (lower it)"


@pytest.mark.slow
def test_a_process_with_little_memory_ends_with_one_line(tmp_path: Path) -> None:
    recipe = write_trio(tmp_path)
    command = [sys.executable, "-m", "umbel", "train", str(recipe), "tasks.signs.batch_size=9000", "--out", "out"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -v 5500000; exec "$@"', "bash", *command],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if "error:" in line)
    assert re.search(
        r"tasks\.signs: main memory does not suffice for the (forward|backward|step) of 9000 images of 64 x 64 pixels: "
        r".* more were asked for; .*\(`ulimit -v`\); `umbel plan` predicts [\d.]+ GiB for it: .* of activations, ",
        line,
    )
    assert "lower tasks.signs.batch_size (9000 now) and raise train.accumulate" in line
