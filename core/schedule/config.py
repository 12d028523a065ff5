"""The part of a recipe that says which tasks take part in which step, and when a run may end early."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.contract.options import check_choice, check_range, option

COMPOSITE, ROUND_ROBIN, PROPORTIONAL, TEMPERATURE = "composite", "round_robin", "proportional", "temperature"


@dataclass
class ScheduleConfig:
    """How tasks are put into steps; each task's own `every`, `start_step` and `stop_step` apply to all strategies."""

    strategy: str = option(
        COMPOSITE,
        "composite (every task in every step), round_robin (one task a step, in turn), proportional (one task a step, "
        "drawn in proportion to its number of batches, so that all data is seen equally often), or temperature "
        "(the same with flattened proportions)",
    )
    temperature: float = option(
        2.0, "for strategy temperature: shares are batches^(1/temperature); 1 is proportional, large ones are equal"
    )

    def __post_init__(self) -> None:
        check_choice("schedule.strategy", self.strategy, (COMPOSITE, ROUND_ROBIN, PROPORTIONAL, TEMPERATURE))
        check_range("schedule.temperature", self.temperature, 1.0, 1e6)


@dataclass
class EarlyStopConfig:
    """Ending a run whose scores no longer improve; judged at evaluations, by main metrics."""

    mode: str = option(
        "none",
        "none, all (no task improves any more), any (one task does not), or primary (the task named below); "
        "a task counts while it takes part",
    )
    primary: str | None = option(None, "for mode=primary: the task whose main metric decides")
    patience: int = option(5, "evaluations in a row without improvement after which a task no longer improves")
    min_delta: float = option(0.0, "what the main metric has to rise by to count as improvement")

    def __post_init__(self) -> None:
        check_choice("early_stop.mode", self.mode, ("none", "all", "any", "primary"))
        check_range("early_stop.patience", self.patience, 1, 10**9)
        check_range("early_stop.min_delta", self.min_delta, 0.0, 1e9)
        if self.mode == "primary" and self.primary is None:
            raise ValueError("early_stop.mode is 'primary', but early_stop.primary names no task")
        if self.mode != "primary" and self.primary is not None:
            raise ValueError(f"early_stop.primary is {self.primary!r}, but early_stop.mode is not: set it to primary")
