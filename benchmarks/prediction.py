"""Predicting three tasks on one image: one pass of the backbone against a pass a task."""

from __future__ import annotations

from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import EngineStep, new_system, three_tasks

from umbel.evaluate.feature_cache import SharedFeatures
from umbel.evaluate.inference import predict_tasks


def main() -> None:
    quick = arguments(__doc__).quick
    side = 64 if quick else 512
    tasks = {name: (kind, count, (side, side)) for name, (kind, count, _) in three_tasks(quick).items()}
    system = new_system(tasks, model="convnext_atto" if quick else "convnext_tiny")
    runtime = EngineStep(system).runtime
    image = next(iter(system.batches.values())).images[0]

    def backbone_only() -> None:
        runtime.model.backbone(runtime.model.normalise(image[None]), next(iter(system.tasks)))

    def together() -> None:
        predict_tasks(runtime, system.tasks, [image], SharedFeatures)

    def one_by_one() -> None:
        for name, task in system.tasks.items():
            predict_tasks(runtime, {name: task}, [image], SharedFeatures)

    with runtime.eval_mode():
        runs = {"together": together, "one by one": one_by_one, "a backbone pass": backbone_only}
        times = side_by_side(runs, 2 if quick else 11)
    rows = [(name, milliseconds(value)) for name, value in medians(times).items()]
    claims = [Claim("three tasks together / one by one", ratio(times, "together", "one by one"))]
    publish("prediction", ("three tasks, one image", "median ms"), rows, claims)


if __name__ == "__main__":
    main()
