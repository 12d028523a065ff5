"""Test-time augmentation of six views against six bare forwards of the same sizes."""

from __future__ import annotations

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, milliseconds, publish
from system import SEGMENTATION, EngineStep, System, new_system, three_tasks

from umbel.evaluate.inference import predict


def compare(system: System, prefix: str, repeats: int) -> tuple[list[tuple[str, str]], list[Claim]]:
    """Times of the views' forwards and of the whole prediction, of each task."""
    runtime = EngineStep(system).runtime
    pad_color = runtime.model.pad_color
    rows, claims = [], []
    with runtime.eval_mode():
        for name, task in system.tasks.items():
            image = system.batches[name].images[0]
            views = task.views((int(image.shape[1]), int(image.shape[2])))
            shown = [view.apply(image, pad_color)[None].contiguous(memory_format=torch.channels_last) for view in views]

            def bare(name: str = name, shown: list[torch.Tensor] = shown) -> None:
                for images in shown:
                    runtime.forward(images, name)

            def whole(name: str = name, image: torch.Tensor = image) -> None:
                predict(runtime, system.tasks[name], [image])

            times = side_by_side({"forwards": bare, "predict": whole}, repeats)
            title = prefix + name
            rows += [(f"{title}, {len(views)} views, {key}", milliseconds(v)) for key, v in medians(times).items()]
            claims.append(Claim(f"{title}: prediction / bare forwards", ratio(times, "predict", "forwards"), 1.10))
    return rows, claims


def main() -> None:
    quick = arguments(__doc__).quick
    task_keys = {"tta": {"scales": [1.0, 1.25, 1.5], "hflip": True}}
    rows, claims = compare(new_system(three_tasks(quick, 2), task_keys=task_keys), "", 2 if quick else 11)
    papers = {SEGMENTATION: {"width": 64 if quick else 512}}
    wide = new_system({"road": three_tasks(quick)["road"]}, task_keys=task_keys, heads=papers)
    wide_rows, wide_claims = compare(wide, "with the paper's 512 channels, ", 2 if quick else 5)
    publish("tta", ("what", "median ms"), rows + wide_rows, claims + wide_claims)


if __name__ == "__main__":
    main()
