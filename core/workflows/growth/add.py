"""Growing a trained run by new tasks, from its checkpoint to the verdict on the old ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from omegaconf import OmegaConf

from umbel.config.check import build_recipe
from umbel.config.edit import grown_tree
from umbel.config.growth import ADAPTER
from umbel.config.inferred import write_inferred_backbone
from umbel.config.load import load_recipe
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.config.read import parse_overrides, read_tree
from umbel.contract.errors import ConfigError
from umbel.data.datasets import load_datasets
from umbel.evaluate.evaluate import evaluate
from umbel.io.files import write_json
from umbel.io.run_folder import CHECKPOINTS, RECIPE_FILE, RUN, new_or_resumed
from umbel.io.written import write_new
from umbel.model.grow import load_existing
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugins
from umbel.training.observers import register_observers
from umbel.training.prepare import prepare
from umbel.training.session import train
from umbel.workflows.growth.gate import Verdict, judge

GATE_FILE = "gate.json"


def add_tasks(
    run: Path, recipe: str, *, overrides: Sequence[str], mode: str, out: Path, checkpoint: str, plugins: Plugins,
    resume: bool = False, accept_changes: bool = False,
) -> tuple[list[Verdict], dict[str, float]]:  # fmt: skip
    """Train new tasks on top of a trained run.

    Args:
        run: folder of the run.
        recipe: path or name of a recipe with the new tasks.
        overrides: "a.b=c" strings, applied last.
        mode: "frozen", "adapter" or "joint".
        out: folder of the grown run; it must not hold one already unless `resume`.
        checkpoint: which of the run's checkpoints, see `umbel.predict.load.open_trained`.
        plugins: where kinds are looked up.
        resume: go on from the newest checkpoint in `out`, to the same verdicts.
        accept_changes: with `resume`, go on with data that has changed.

    Returns:
        A verdict on each old task, and the scores of all tasks.

    Raises:
        UmbelError: naming what is wrong; nothing is written then.
    """
    with new_or_resumed(out, "umbel add-task", resume=resume):
        return _add_tasks(
            run, recipe, overrides=overrides, mode=mode, out=out, checkpoint=checkpoint, plugins=plugins,
            resume=resume, accept_changes=accept_changes,
        )  # fmt: skip


def _add_tasks(
    run: Path, recipe: str, *, overrides: Sequence[str], mode: str, out: Path, checkpoint: str, plugins: Plugins,
    resume: bool, accept_changes: bool,
) -> tuple[list[Verdict], dict[str, float]]:  # fmt: skip
    if not resume and (out / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(out), hint="resume it, or choose another folder")
    old, tasks, runtime = open_trained(str(run), (), checkpoint, plugins)
    if old.growth.mode == ADAPTER:
        raise ConfigError(
            "carries adapters already", where=str(run), hint="add the new tasks to the run that it grew out of"
        )
    tree = grown_tree(
        load_recipe(str(run / RECIPE_FILE), (), plugins).tree,
        asdict(old.backbone),
        read_tree(recipe, plugins),
        overrides=parse_overrides(overrides),
        mode=mode,
        source=recipe,
    )
    write_inferred_backbone(tree, runtime.model.backbone)
    if OmegaConf.select(tree, "train.precision", default="auto") == "auto":
        OmegaConf.update(tree, "train.precision", runtime.precision, force_add=True)
    typed = build_recipe(tree, plugins, recipe)
    before = evaluate(runtime, tasks, load_datasets(tasks, "val"), old.score)
    init_weights = partial(load_existing, tensors=runtime.model.state_dict(), kept=tuple(tasks), where=str(run))
    grown = prepare(LoadedRecipe(typed, tree, plugins), out, init_weights=init_weights, trial=not resume)
    mains = {name: task.main_metric for name, task in tasks.items()}
    del runtime
    register_observers(plugins)
    scores = train(grown, resume=resume, accept_changes=accept_changes)
    verdicts = judge(mains, before, scores, typed.growth.max_drop)
    if grown.is_main_process:
        with write_new(out / GATE_FILE, RUN, replace=resume):
            write_json(out / GATE_FILE, [asdict(verdict) for verdict in verdicts])
    return verdicts, scores
