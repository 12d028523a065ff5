"""When a run is evaluated, and an evaluation of it."""

from __future__ import annotations

import torch

from umbel.evaluate.evaluate import evaluate, go_on
from umbel.report.collect import FigureCollector
from umbel.runtime.numerics import free_sizes
from umbel.training.run import Run
from umbel.training.signals import StopRequest


def evaluation_is_due(run: Run, step: int) -> bool:
    """Whether a run is evaluated after `step` steps: every `train.eval_every`, and at its end."""
    every = run.recipe.train.eval_every
    return step == run.total_steps or bool(every and step % every == 0)


def evaluate_run(run: Run, step: int, request: StopRequest) -> dict[str, float]:
    """Evaluate a run as it is, and tell its observers; every rank must call it.

    Args:
        run: after `step` steps.
        step: optimizer steps done.
        request: a signal ends the evaluation of a lone process.

    Returns:
        Scores by "task/metric" and "score".

    Raises:
        StopRequestedError: a signal has come.
    """
    if step == run.total_steps or run.recipe.train.early_stop.mode != "none":  # it may be the last
        run.collector = FigureCollector(run.tasks)
    # several ranks finish it: one alone must not leave
    interrupt = request.raise_if_received if run.runtime.world_size == 1 else go_on
    with free_sizes():
        scores = evaluate(run.runtime, run.tasks, run.data.val, run.recipe.score, run.collector, interrupt=interrupt)
    run.observers.evaluated(run, step, scores)
    if run.device.type == "cuda":  # the peak that progress lines show is that of training
        torch.cuda.reset_peak_memory_stats(run.device)
    return scores


def main_scores(run: Run, scores: dict[str, float]) -> dict[str, float]:
    """The main metric of each task that is trained."""
    return {name: scores[f"{name}/{run.tasks[name].main_metric}"] for name in run.data.train}
