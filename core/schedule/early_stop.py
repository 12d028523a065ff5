"""Ending a run early: when the main metrics that matter have not improved for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.contract.errors import ConfigError
from umbel.schedule.config import EarlyStopConfig
from umbel.schedule.window import Window


class EarlyStop:
    """Counts, for every task, the evaluations since its main metric last improved.

    Args:
        config: what to judge, and for how long to wait.
        windows: when each task takes part; one that does not is not judged.

    Raises:
        ConfigError: if the primary task is none of them.
    """

    def __init__(self, config: EarlyStopConfig, windows: Mapping[str, Window]) -> None:
        self.config = config
        self.windows = windows
        self.best: dict[str, float] = {}
        self.waited: dict[str, int] = {}
        self.reason = ""
        if config.primary is not None and config.primary not in windows:
            raise ConfigError(
                f"there is no task '{config.primary}'",
                where="train.early_stop.primary",
                hint=f"tasks: {', '.join(windows)}",
            )

    def update(self, main_scores: Mapping[str, float], step: int) -> bool:
        """Take the main metrics of an evaluation after `step` steps; True if the run should end.

        An undefined score (NaN) is no improvement.
        """
        taking_part = [name for name, window in self.windows.items() if window.holds(step - 1)]
        for name in taking_part:
            self.waited[name] = self.waited.get(name, 0) + 1
            if main_scores[name] > self.best.get(name, float("-inf")) + self.config.min_delta:
                self.best[name] = main_scores[name]
                self.waited[name] = 0
        stale = [name for name in taking_part if self.waited[name] >= self.config.patience]
        waiting = any(window.start_step >= step for window in self.windows.values())
        if self._enough(stale, taking_part, waiting):
            self.reason = f"{', '.join(stale)} did not improve in {self.config.patience} evaluations"
        return bool(self.reason)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, as JSON types."""
        return {"best": dict(self.best), "waited": dict(self.waited), "reason": self.reason}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.best = {name: float(value) for name, value in state["best"].items()}
        self.waited = {name: int(value) for name, value in state["waited"].items()}
        self.reason = str(state["reason"])

    def _enough(self, stale: list[str], taking_part: list[str], waiting: bool) -> bool:
        if self.config.mode == "all":  # one that is still to come may improve
            return bool(taking_part) and not waiting and len(stale) == len(taking_part)
        if self.config.mode == "any":
            return bool(stale)
        return self.config.mode == "primary" and self.config.primary in stale
