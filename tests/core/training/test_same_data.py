"""What may change between two parts of a run: data and recipe, refused by name or accepted and written down."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toys import TOY_RECIPE, BrightDataset, BrightTask, ToyPlugin

from umbel import Source
from umbel.config.edit import changed_keys
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, ConfigError
from umbel.io.run_folder import DATA_FILE
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.resume import _comparable
from umbel.training.run import Run
from umbel.training.same_data import ACCEPTED_FILE, check_data
from umbel.training.session import train


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toys' samples as named files with labels, one list a data set."""
    folder = tmp_path / "files"
    folder.mkdir()

    def sources(self: BrightTask, dataset: BrightDataset) -> Iterator[Source]:
        path = folder / f"{dataset.name}.json"
        rows = json.loads(path.read_text()) if path.exists() else [[f"s{i}", i] for i in range(len(dataset))]
        return (Source(name, (folder / name,), label) for name, label in rows)

    monkeypatch.setattr(BrightTask, "sources", sources, raising=False)
    for index in range(12):
        (folder / f"s{index}").write_text(f"content {index}")
    return folder


def run(tmp_path: Path, *overrides: str, recipe: str = TOY_RECIPE, **how: bool) -> Run:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toys", "1", "toys"))
    (tmp_path / "toy.yaml").write_text(recipe)
    loaded = load_recipe(str(tmp_path / "toy.yaml"), ["train.save_every=2", *overrides], plugins)
    made = prepare(loaded, tmp_path / "out")
    train(made, **how)
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "s3").write_text("other"), "tasks.first.train: other files of 1 sample: s3"),
        (lambda folder: (folder / "first-val.json").write_text(json.dumps([[f"s{i}", i] for i in range(11, -1, -1)])),
         "tasks.first.val: reordered, from 's11' on"),
        (lambda folder: (folder / "second-train.json").write_text(json.dumps([[f"s{i}", 5] for i in range(7)])),
         "tasks.second.train: another label of 6 samples: s0, s1, s2, s3, s4 and 1 more"),
    ],
)  # fmt: skip
def test_changed_data_is_refused_by_name_and_accepted_when_told(
    change: Any, said: str, files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    remembered = (tmp_path / "out" / DATA_FILE).read_bytes()
    run(tmp_path, resume=True)
    assert (tmp_path / "out" / DATA_FILE).read_bytes() == remembered
    change(files)
    with pytest.raises(CheckpointError, match="was trained on other data") as refused:
        run(tmp_path, resume=True)
    assert said in str(refused.value)
    assert "--accept-changes" in str(refused.value)
    assert (tmp_path / "out" / DATA_FILE).read_bytes() == remembered
    with caplog.at_level(logging.WARNING):
        run(tmp_path, resume=True, accept_changes=True)
    assert said in caplog.text
    (accepted,) = json.loads((tmp_path / "out" / ACCEPTED_FILE).read_text())
    assert accepted["step"] == 12
    assert said in accepted["changes"]
    run(tmp_path, resume=True)  # the data as it is now is what is remembered


def test_run_without_a_memory_of_its_data_goes_on_with_a_line(
    files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path)
    (tmp_path / "out" / DATA_FILE).unlink()
    run(tmp_path, resume=True)
    assert "whether the data has changed cannot be told" in caplog.text
    assert (tmp_path / "out" / DATA_FILE).exists()


def test_damaged_memory_is_refused_by_name(files: Path, tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "out" / DATA_FILE).write_bytes(b"x" * 50)
    with pytest.raises(CheckpointError, match=rf"{DATA_FILE}: is not what umbel remembers"):
        run(tmp_path, resume=True)
    run(tmp_path, resume=True, accept_changes=True)


def test_data_set_that_names_no_sources_is_watched_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path)
    run(tmp_path, resume=True)
    read = BrightDataset.__getitem__

    def brighter(self: BrightDataset, index: int) -> Any:
        sample = read(self, index)
        sample.image[:] = 255 - sample.image
        return sample

    monkeypatch.setattr(BrightDataset, "__getitem__", brighter)
    with pytest.raises(CheckpointError, match=r"tasks\.first\.train: sample 0 has changed"):
        run(tmp_path, resume=True)


def test_held_out_share_is_remembered_as_a_whole(files: Path, tmp_path: Path) -> None:
    run(tmp_path, "tasks.first.holdout=0.25")
    rows = [["new", 0], *([f"s{i}", i] for i in range(11))]
    (files / "first-train.json").write_text(json.dumps(rows))
    with pytest.raises(CheckpointError, match=r"tasks\.first\.train and val: 1 sample added: new"):
        run(tmp_path, "tasks.first.holdout=0.25", resume=True)


def test_accepting_changes_is_said_to_a_resumed_run_only(recipe_file: Path) -> None:
    from click.testing import CliRunner

    from umbel.cli.train import train as command

    result = CliRunner().invoke(command, [str(recipe_file), "--accept-changes"])
    assert isinstance(result.exception, ConfigError)
    assert "--accept-changes says how to resume" in str(result.exception)


def test_other_ranks_learn_of_a_refusal() -> None:
    def all_reduce_max(flags: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(flags)  # rank 0 has refused

    follower: Any = SimpleNamespace(
        is_main_process=False, runtime=SimpleNamespace(all_reduce_max=all_reduce_max), directory=Path("out")
    )
    with pytest.raises(CheckpointError, match="other data, as rank 0 says"):
        check_data(follower, accept=False)


def test_divided_step_of_the_same_images_is_refused_unless_accepted(tmp_path: Path) -> None:
    halves = ["tasks.first.batch_size=2", "tasks.second.batch_size=2", "train.accumulate=2"]
    run(tmp_path, "tasks.first.batch_size=4", "tasks.second.batch_size=4")
    with pytest.raises(CheckpointError, match=r"tasks.first.batch_size.*train.accumulate changed") as refused:
        run(tmp_path, *halves, resume=True)
    assert "--accept-changes" in str(refused.value)
    run(tmp_path, *halves, resume=True, accept_changes=True)
    (accepted,) = json.loads((tmp_path / "out" / ACCEPTED_FILE).read_text())
    assert "train.accumulate of the recipe changed" in accepted["changes"]


def test_other_images_a_step_are_refused_even_so(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="a step had 4 images of 'first', with 1 process it has 2"):
        run(tmp_path, "tasks.first.batch_size=2", resume=True, accept_changes=True)


@pytest.mark.parametrize("override", ["optim.lr=0.5", "tasks.first.options.threshold=3", "train.steps=20"])
def test_what_makes_another_run_is_never_accepted(override: str, tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match="was written with another recipe") as refused:
        run(tmp_path, override, resume=True, accept_changes=True)
    assert "--accept-changes" not in str(refused.value)


@pytest.mark.parametrize("stopping", ["none", "all"])
def test_evaluations_count_where_they_end_the_run(stopping: str, tmp_path: Path) -> None:
    settings = [f"train.early_stop.mode={stopping}", "train.early_stop.patience=50"]
    run(tmp_path, *settings, "train.eval_every=4")
    if stopping == "none":
        run(tmp_path, *settings, "train.eval_every=6", resume=True)
        return
    with pytest.raises(CheckpointError, match=r"train\.eval_every changed"):
        run(tmp_path, *settings, "train.eval_every=6", resume=True)


STAGE = {"zero_optimization": {"stage": 1}}


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, STAGE, []),
        (STAGE, {"zero_optimization": {"stage": 3, "reduce_bucket_size": 5}}, []),
        (STAGE, {"zero_optimization": {"stage": 1, "offload_optimizer": {"device": "cpu"}}}, []),
        ({"steps_per_print": 1}, {"wall_clock_breakdown": True}, []),
        (None, {"communication_data_type": "fp16"}, ["deepspeed.communication_data_type"]),
        ({"gradient_clipping": 1.0}, None, ["deepspeed.gradient_clipping"]),
        ({"bf16": {"enabled": False}}, {"bf16": {"enabled": True}}, ["deepspeed.bf16.enabled"]),
        (STAGE, {"zero_optimization": {"stage": 1, "zero_quantized_gradients": True}},
         ["deepspeed.zero_optimization.zero_quantized_gradients"]),
        (None, {"optimizer": {"type": "AdamW"}}, ["deepspeed.optimizer"]),
        (None, {"new_key": 1}, ["deepspeed.new_key"]),
    ],
)  # fmt: skip
def test_deepspeed_block_is_free_where_it_moves_no_number(before: Any, after: Any, changed: list[str]) -> None:
    from omegaconf import OmegaConf

    one, other = (_comparable(OmegaConf.create({"deepspeed": block})) for block in (before, after))
    assert list(changed_keys(one, other)) == changed
    assert list(changed_keys(_comparable(OmegaConf.create({})), _comparable(OmegaConf.create({})))) == []
