"""From the first step of a run to its last: at each step border it is evaluated, saved, and stopped by a signal."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from torch.utils.data import Dataset

from umbel.contract.errors import InterruptedRunError, StopRequestedError
from umbel.contract.hooks import FIXED
from umbel.contract.types import Batch, Losses, Sample
from umbel.data.loader import CompositeLoader
from umbel.evaluate.evaluate import evaluate
from umbel.report.collect import FigureCollector
from umbel.schedule.epochs import passes_text
from umbel.training.balancing import factors_text
from umbel.training.engine import fit
from umbel.training.interruptible import Interruptible
from umbel.training.saving import record, save, save_before_leaving, settle, wait_before_leaving
from umbel.training.signals import StopRequest

if TYPE_CHECKING:
    from umbel.training.run import Run


log = logging.getLogger(__name__)


def train_to_end(run: Run, request: StopRequest, *, resumed: bool) -> dict[str, float]:
    """Train a run from where it is, telling its observers.

    Args:
        run: prepared, and resumed if it is.
        request: where a signal's handler leaves it.
        resumed: a checkpoint of the step it is at exists.

    Returns:
        The last scores.

    Raises:
        InterruptedRunError: if a signal asked it to stop; a checkpoint has been saved.
    """
    try:
        return _train(run, request, resumed)
    except BaseException as error:
        wait_before_leaving(run, error)
        raise


def _train(run: Run, request: StopRequest, resumed: bool) -> dict[str, float]:
    scores: dict[str, float] = {}
    before, started = run.minutes, time.perf_counter()
    config, start = run.recipe.train, run.runtime.steps_done
    hook = run.hook

    def stop(signal: str, step: int) -> None:
        request.answered = True
        raise InterruptedRunError(
            f"{signal} after step {step} of {run.total_steps}; a checkpoint is saved",
            where=str(run.directory),
            hint="go on with --resume",
        )

    def border(step: int, *, evaluation_due: bool, save_due: bool, saved: bool = False, again: bool = False) -> bool:
        """Between two steps: save, evaluate, stop if a signal asks for it; whether the scores end the run.

        What was trained is on disk before its last evaluation: a metric that fails, or a rank, must not cost it.
        """
        signal, scored, last = request.agreed(run.runtime), False, step == run.total_steps
        run.minutes = before + (time.perf_counter() - started) / 60
        if not saved and (evaluation_due or save_due or signal):
            settle(run, tolerant=bool(signal) or last)
            save(run, step, evaluated=not evaluation_due, needed=last or bool(signal))
        if evaluation_due and not signal:
            try:
                scores.update(_evaluate(run, step, request))
                scored = True
            except StopRequestedError:
                pass
            signal = request.agreed(run.runtime)
            run.minutes = before + (time.perf_counter() - started) / 60
        if scored and not again:
            run.early_stop.update(_main_scores(run, scores), step)
            record(run, step, scores, needed=last or bool(run.early_stop.reason) or bool(signal))
        ended = bool(run.early_stop.reason)
        if signal and not scored:
            settle(run, tolerant=True)
            if run.failed_saves:  # of what was saved while it was evaluated
                save(run, step, evaluated=not evaluation_due, needed=True)
        elif not signal and (evaluation_due or save_due) and (late := request.agreed(run.runtime)):  # it came meanwhile
            settle(run)
            signal = "" if run.failed_saves else late
        if signal and not (scored and (ended or last)):
            stop(signal, step)
        return ended

    def batches(loader: CompositeLoader) -> Generator[dict[str, Batch], None, None]:
        """Those of the loader; should it fail between two steps, those before are saved."""
        with closing(iter(loader)) as iterator:
            for number in itertools.count():
                try:
                    composite = next(iterator)
                except StopIteration:
                    return
                except Exception:
                    border_reached = number and number % config.accumulate == 0
                    if border_reached and run.runtime.world_size == 1:  # others may be anywhere
                        save_before_leaving(run)
                    raise
                yield composite

    def after_step(step: int, losses: dict[str, Losses], lr: float) -> bool:
        tell(run, lambda: hook.umbel_step_finished(run=run, step=step, losses=losses, lr=lr))
        evaluation_due = step == run.total_steps or bool(config.eval_every and step % config.eval_every == 0)
        save_due = bool(config.save_every and step % config.save_every == 0)
        return border(step, evaluation_due=evaluation_due, save_due=save_due)

    signal = request.agreed(run.runtime)
    if signal:  # it came while the run was prepared
        if not resumed:
            save(run, start, evaluated=True, needed=True)
        stop(signal, start)
    if not run.evaluated:
        border(start, evaluation_due=True, save_due=False, saved=True)
    trained = {name: run.tasks[name] for name in run.train_data}
    if not run.early_stop.reason:
        log.info("plan of %d steps: %s", run.total_steps, passes_text(run.plan, run.batches, run.total_steps))
        loader = CompositeLoader(
            trained, run.train_data, config.seed, start, run.total_steps,
            run.runtime.rank, run.runtime.world_size, run.bad_samples, run.plan, config.accumulate,
        )  # fmt: skip
        with closing(batches(loader)) as composites:
            fit(
                run.runtime,
                run.tasks,
                composites,
                seed=config.seed,
                start=start,
                after_step=after_step,
                guard=run.guard,
                clock=run.clock,
                accumulate=config.accumulate,
            )
    done = run.runtime.steps_done
    if run.early_stop.reason:
        log.info("ended at step %d of %d: %s", done, run.total_steps, run.early_stop.reason)
    log.info("in %d steps: %s", done, passes_text(run.plan, run.batches, done))
    if config.balancer.name != FIXED:
        with run.runtime.whole(run.runtime.model.balancer):
            log.info("factors of '%s' at the end: %s", config.balancer.name, factors_text(run.runtime.model.balancer))
    if not scores:
        border(done, evaluation_due=True, save_due=False, saved=True, again=True)
    return scores


def _main_scores(run: Run, scores: Mapping[str, float]) -> dict[str, float]:
    return {name: scores[f"{name}/{run.tasks[name].main_metric}"] for name in run.train_data}


def _evaluate(run: Run, step: int, request: StopRequest) -> dict[str, float]:
    if step == run.total_steps or run.recipe.train.early_stop.mode != "none":  # it may be the last
        run.collector = FigureCollector(run.tasks)
    data: dict[str, Dataset[Sample]] = run.val_data
    if run.runtime.world_size == 1:  # several ranks finish it: one alone must not leave
        data = {name: Interruptible(dataset, request) for name, dataset in data.items()}
    scores = evaluate(run.runtime, run.tasks, data, run.recipe.score, run.collector)
    tell(run, lambda: run.hook.umbel_evaluated(run=run, step=step, scores=scores))
    return scores


def tell(run: Run, call: Callable[[], object]) -> None:
    """Tell the observers; one that cannot write, as on a full disk, costs a warning and not the training."""
    try:
        call()
    except OSError as error:
        if str(error) not in run.complaints:
            run.complaints.add(str(error))
            log.warning("an observer cannot write: %s; training goes on", error)
