"""Test-time augmentation of six views against six bare forwards of the same sizes."""

from __future__ import annotations

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import EngineStep, new_system, three_tasks

from umbel.inference import predict


def main() -> None:
    quick = arguments(__doc__).quick
    logged = {"tta": {"scales": [1.0, 1.25, 1.5], "hflip": True}}
    system = new_system(three_tasks(quick, 2), task_keys=logged)
    runtime = EngineStep(system).runtime
    rows, claims = [], []
    with runtime.evaluating():
        for name, task in system.tasks.items():
            image = system.batches[name].images[0]
            views = task.views((int(image.shape[1]), int(image.shape[2])))
            fill = runtime.model.fill
            shown = [view.apply(image, fill)[None].contiguous(memory_format=torch.channels_last) for view in views]

            def bare(name: str = name, shown: list[torch.Tensor] = shown) -> None:
                for images in shown:
                    runtime.forward(images, name)

            def whole(name: str = name, image: torch.Tensor = image) -> None:
                predict(runtime.forward, system.tasks[name], [image], runtime.model.fill)

            times = side_by_side({"forwards": bare, "predict": whole}, 2 if quick else 11)
            rows += [(f"{name}, {len(views)} views, {key}", milliseconds(v)) for key, v in medians(times).items()]
            claims.append(Claim(f"{name}: prediction / bare forwards", ratio(times, "predict", "forwards"), 1.10))
    publish("tta", ("what", "median ms"), rows, claims)


if __name__ == "__main__":
    main()
