"""One training: its folder is taken, it is begun or gone on with, and its scores are left."""

from __future__ import annotations

import logging
from functools import partial

from omegaconf import DictConfig, OmegaConf

from umbel.checkpoint.layout import last_checkpoint_text
from umbel.checkpoint.read import find_checkpoint
from umbel.config.inferred import write_inferred_options
from umbel.data.presence import warn_of_absent_classes
from umbel.evaluate.evaluate import scores_to_json
from umbel.evaluate.metric_states import apart
from umbel.io.files import write_json
from umbel.io.output import depend_on_run
from umbel.io.run_folder import BAD_SAMPLES_FILE, PLUGINS_FILE, RECIPE_FILE, SCORES_FILE, run_folder, written_at_once
from umbel.registry.provenance import plugin_records
from umbel.runtime.deterministic import deterministic_kernels
from umbel.runtime.numerics import numerics
from umbel.runtime.rank_watch import active_watch
from umbel.training.loop import Loop
from umbel.training.resume import resume as resume_run
from umbel.training.run import Run
from umbel.training.same_data import remember_data
from umbel.training.signals import stop_signals

log = logging.getLogger(__name__)


@apart()  # a plugin's metric in a loss, an observer or a report must not wait for ranks that compute none
def train(run: Run, *, resume: bool = False, exact: bool = False, accept_changes: bool = False) -> dict[str, float]:
    """Train a prepared run to its end, evaluate it, and leave checkpoints and scores in its folder.

    Args:
        run: from `prepare`.
        resume: go on from the newest checkpoint in the run's folder.
        exact: with `resume`, never from an older one because the newest is damaged.
        accept_changes: with `resume`, go on with data that has changed; see `umbel.training.resume.resume`.

    Returns:
        The last scores, by "task/metric" and "score".

    Raises:
        InterruptedRunError: if a signal asked it to stop; a checkpoint has been saved.
    """
    depend_on_run()
    with (
        run_folder(run.directory, run.is_main_process, run.runtime.all_reduce_max, resume=resume),
        deterministic_kernels(run.recipe.train.deterministic),
    ):
        tree = _as_trained(run)
        if resume:
            checkpoint = find_checkpoint(run.checkpoints, exact=exact)
            resume_run(run, checkpoint, tree, accept=accept_changes)
        if (watch := active_watch()) is not None:
            watch.last_words, watch.is_saving = partial(last_checkpoint_text, run.checkpoints), run.saver.is_writing
        if run.is_main_process:
            _write_at_once(run, tree)
            if not resume:
                remember_data(run)
                warn_of_absent_classes(run.tasks, run.data.train)
        with numerics(run.recipe.train, run.device):
            return _train(run, resumed=resume)


def _train(run: Run, *, resumed: bool) -> dict[str, float]:
    run.observers.run_started(run)
    error: BaseException | None = None
    try:
        with stop_signals(launched=run.runtime.world_size > 1) as request:
            scores = Loop(run, request).run_to_end(resumed=resumed)
        if run.is_main_process:
            write_json(run.directory / SCORES_FILE, run.redacted(scores_to_json(scores)))
    except BaseException as caught:
        error = caught
        raise
    finally:
        _list_bad_samples(run)
        run.observers.run_finished(run, error)
    return scores


def _write_at_once(run: Run, tree: DictConfig) -> None:
    """The files that are whole before the first step."""
    with written_at_once(run.directory):
        OmegaConf.save(tree, run.directory / RECIPE_FILE, resolve=False)
        write_json(run.directory / PLUGINS_FILE, run.redacted(plugin_records(run.plugins)))


def _list_bad_samples(run: Run) -> None:
    bad = run.parts.bad_samples
    if bad.found and run.is_main_process:
        log.warning("%d bad training samples; %s lists them", len(bad.found), BAD_SAMPLES_FILE)
        write_json(run.directory / BAD_SAMPLES_FILE, bad.to_json())


def _as_trained(run: Run) -> DictConfig:
    """The recipe as written, plus what was decided for it: the precision, and what the tasks read from their data;
    interpolations stay unresolved."""
    tree = run.tree.copy()
    OmegaConf.update(tree, "train.precision", run.runtime.precision, force_add=True)
    write_inferred_options(tree, run.tasks)
    return tree
