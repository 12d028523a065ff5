"""Telling the observers what happens; one that cannot write, as on a full disk, costs a warning, not the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from umbel.contract.run_view import RunView
from umbel.contract.types import Losses
from umbel.training.fetched import FetchedLosses

log = logging.getLogger(__name__)


class Observers:
    """The observers of a run.

    Args:
        hook: calls them all; None on the ranks that do not lead, where nobody listens.
    """

    def __init__(self, hook: Any) -> None:
        self.hook = hook
        self._reported: set[str] = set()

    def run_started(self, run: RunView) -> None:
        self._tell(lambda: self.hook.umbel_run_started(run=run))

    def step_finished(self, run: RunView, step: int, losses: Mapping[str, Losses], lr: float) -> None:
        fetched = FetchedLosses(losses)
        self._tell(lambda: self.hook.umbel_step_finished(run=run, step=step, losses=fetched, lr=lr))

    def evaluated(self, run: RunView, step: int, scores: Mapping[str, float]) -> None:
        self._tell(lambda: self.hook.umbel_evaluated(run=run, step=step, scores=scores))

    def run_finished(self, run: RunView, error: BaseException | None) -> None:
        self._tell(lambda: self.hook.umbel_run_finished(run=run, error=error))

    def _tell(self, call: Callable[[], object]) -> None:
        if self.hook is None:
            return
        try:
            call()
        except OSError as error:
            if str(error) not in self._reported:
                self._reported.add(str(error))
                log.warning("an observer cannot write: %s; training goes on", error)
