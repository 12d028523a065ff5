"""From the first step of a run to its last: at each step boundary it is saved, evaluated, and stopped by a signal."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor

from umbel.contract.errors import InterruptedRunError, StopRequestedError
from umbel.contract.hooks import FIXED
from umbel.contract.types import Batch, Losses
from umbel.data.loader import CompositeLoader, LoadedStep
from umbel.data.worker_counts import counts_text
from umbel.runtime.base import Runtime
from umbel.runtime.prefetch import copied_ahead
from umbel.runtime.ranks import limit_waiting
from umbel.schedule.epochs import passes_text
from umbel.training.balancing import factors_text
from umbel.training.engine import Engine
from umbel.training.evaluating import evaluate_run, evaluation_is_due, main_scores
from umbel.training.run import Run
from umbel.training.signals import StopRequest, signal_name
from umbel.training.step_round import StepRound

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Due:
    """What there is to do at a step boundary.

    Args:
        save: the recipe wants a checkpoint.
        evaluate: the recipe wants an evaluation.
        saved: a checkpoint of this step is there.
        judged: whether the scores end the run early has been decided before.
    """

    save: bool = False
    evaluate: bool = False
    saved: bool = False
    judged: bool = False


class Loop:
    """Trains a run from where it is to its end.

    Args:
        run: prepared, and resumed if it is.
        request: where a signal's handler leaves it.

    Attributes:
        scores: of the last evaluation.
    """

    def __init__(self, run: Run, request: StopRequest) -> None:
        self.run = run
        self.request = request
        self.scores: dict[str, float] = {}
        self._patience = run.recipe.train.timeout  # the ranks have met with it
        self._round: StepRound | None = None

    def run_to_end(self, *, resumed: bool) -> dict[str, float]:
        """Train, save and evaluate.

        Args:
            resumed: a checkpoint of the step it is at exists.

        Returns:
            The last scores.

        Raises:
            InterruptedRunError: if a signal asked it to stop; a checkpoint has been saved.
        """
        try:
            self.run.parts.minutes.start()
            self._begin(resumed)
            if not self.run.parts.early_stop.reason:
                self._train()
            self._log_the_end()
            if not self.scores:
                self._at_boundary(self.run.steps_done, Due(evaluate=True, saved=True, judged=True))
            return self.scores
        except BaseException as error:
            self.run.saver.wait_before_leaving(error)
            raise

    def _begin(self, resumed: bool) -> None:
        """Answer a signal that came while the run was prepared, and make up for an evaluation that is outstanding."""
        run, step = self.run, self.run.steps_done
        signal = self._signal()
        if signal:
            if not resumed:
                run.saver.save(step, needed=True)
            self._stop(signal, step)
        if not run.parts.evaluated.done:
            self._at_boundary(step, Due(evaluate=True, saved=True))

    def _train(self) -> None:
        run, train = self.run, self.run.recipe.train
        log.info("plan of %d steps: %s", run.total_steps, self._passes(run.total_steps))
        engine = Engine(run.runtime, run.tasks, run.parts.guard, run.clock, received=lambda: self.request.received)
        self._round = engine.round
        with closing(self._batches()) as batches:
            engine.fit(batches, self._after_step, seed=train.seed, start=run.steps_done, accumulate=train.accumulate)

    def _batches(self) -> Generator[dict[str, Batch | None], None, None]:
        """Those of the loader; should it fail between two steps, those before are saved."""
        run, train = self.run, self.run.recipe.train
        loader = CompositeLoader(
            {name: run.tasks[name] for name in run.data.train},
            run.data.train,
            seed=train.seed,
            start=run.steps_done,
            stop=run.total_steps,
            rank=run.runtime.rank,
            world_size=run.runtime.world_size,
            bad_samples=run.parts.bad_samples,
            plan=run.schedule.plan,
            sources=run.data.sources,
            accumulate=train.accumulate,
            device_type=run.device.type,
            ahead=partial(copied_ahead, place=partial(_placed, run.runtime), device=run.device),
        )
        log.info("loading processes: %s", counts_text(loader.workers))
        with closing(iter(loader)) as iterator:
            for number in itertools.count():
                try:
                    composite = next(iterator)
                except StopIteration:
                    return
                except Exception:
                    at_boundary = number and number % train.accumulate == 0
                    if at_boundary and run.runtime.world_size == 1:  # others may be anywhere
                        run.saver.save_before_leaving()
                    raise
                yield composite

    def _after_step(self, step: int, losses: dict[str, Losses], lr: float) -> bool:
        self.run.observers.step_finished(self.run, step, losses, lr)
        due = Due(save=self.run.saver.is_due(step), evaluate=evaluation_is_due(self.run, step))
        ended = self._at_boundary(step, due)
        self._wait_for_others(self.run.recipe.train.collective_timeout)
        return ended

    def _at_boundary(self, step: int, due: Due) -> bool:
        """Between two steps: save, evaluate, stop if a signal asks for it; whether the scores end the run.

        What was trained is on disk before its last evaluation: a metric that fails, or a rank, must not cost it.
        """
        run, last = self.run, step == self.run.total_steps
        signal, scored = self._signal_at(due), False
        if due.save or due.evaluate or signal:
            self._wait_for_others(run.recipe.train.timeout)
        run.parts.minutes.lap()
        if not due.saved and (due.evaluate or due.save or signal):
            run.saver.wait(tolerant=bool(signal) or last)
            self._save(step, due, needed=last or bool(signal))
        if due.evaluate and not signal:
            scored = self._evaluate(step)
            signal = self._signal()
            run.parts.minutes.lap()
        if scored and not due.judged:
            run.parts.early_stop.update(main_scores(run, self.scores), step)
            ends = last or bool(run.parts.early_stop.reason) or bool(signal)
            run.saver.record(step, self.scores, needed=ends)
        ended = bool(run.parts.early_stop.reason)
        signal = self._settled(step, due, signal, scored=scored)
        if signal and not (scored and (ended or last)):
            self._stop(signal, step)
        return ended

    def _wait_for_others(self, seconds: float) -> None:
        """How long from now on, where there are others: from the first step to the last they are never late, but while
        one prepares, saves or evaluates more than the others."""
        if self.run.runtime.world_size > 1 and seconds != self._patience:
            limit_waiting(seconds)
            self._patience = seconds

    def _settled(self, step: int, due: Due, signal: str, *, scored: bool) -> str:
        """The signal that ends the run here, "" for none, once what it leaves is on disk."""
        saver = self.run.saver
        if signal and not scored:
            saver.wait(tolerant=True)
            if saver.failed:  # of what was saved while it was evaluated
                self._save(step, due, needed=True)
        elif not signal and (due.evaluate or due.save) and (late := self._signal()):  # it came meanwhile
            saver.wait()
            return "" if saver.failed else late
        return signal

    def _save(self, step: int, due: Due, *, needed: bool) -> None:
        self.run.parts.evaluated.done = not due.evaluate
        self.run.saver.save(step, needed=needed)

    def _evaluate(self, step: int) -> bool:
        """Whether it came to its end; a signal breaks it off."""
        try:
            self.scores.update(evaluate_run(self.run, step, self.request))
        except StopRequestedError:
            return False
        return True

    def _signal_at(self, due: Due) -> str:
        """The signal that ends the run at a step boundary, "" for none. Several ranks know it from the message of the
        step, so that one which came since counts a step later; they ask again where there is more to do."""
        if self._round is None or self.run.runtime.world_size == 1 or due.save or due.evaluate:
            return self._signal()
        return signal_name(self._round.signal)

    def _signal(self) -> str:
        return self.request.agreed(self.run.runtime)

    def _stop(self, signal: str, step: int) -> None:
        self.request.answered = True
        raise InterruptedRunError(
            f"{signal} after step {step} of {self.run.total_steps}; a checkpoint is saved",
            where=str(self.run.directory),
            hint="go on with --resume",
        )

    def _passes(self, steps: int) -> str:
        return passes_text(self.run.schedule.plan, self.run.schedule.batches, steps)

    def _log_the_end(self) -> None:
        run, done = self.run, self.run.steps_done
        if run.parts.early_stop.reason:
            log.info("ended at step %d of %d: %s", done, run.total_steps, run.parts.early_stop.reason)
        log.info("in %d steps: %s", done, self._passes(done))
        name, balancer = run.recipe.train.balancer.name, run.model.balancer
        if name != FIXED:
            with run.runtime.whole(balancer):
                log.info("factors of '%s' at the end: %s", name, factors_text(balancer))


def _placed(runtime: Runtime, composite: LoadedStep) -> LoadedStep:
    """A composite batch on the runtime's device; images that tasks share are copied once, and shared there too."""
    placed: LoadedStep = {}
    images: dict[int, Tensor] = {}  # those on the device, by those that were loaded
    for name, loaded in composite.items():
        batch = loaded.batch
        if batch is not None:
            there = images.get(id(batch.images))
            moved = runtime.to_device(batch if there is None else replace(batch, images=there))
            images.setdefault(id(batch.images), moved.images)
            batch = replace(moved, images=images[id(batch.images)])
        placed[name] = replace(loaded, batch=batch)
    return placed
