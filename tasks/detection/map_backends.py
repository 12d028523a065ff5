"""COCO's mean average precision, by one of two libraries that give the same digits.

N boxes of all images together; an image is a number from 0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from umbel import ConfigError

Scores = tuple[float, float]


def check_backend(name: str) -> None:
    """Raise ConfigError unless the library of a backend is installed."""
    if name == "hotcoco" and importlib.util.find_spec("hotcoco") is None:
        raise ConfigError("map_backend 'hotcoco' needs a package that is not installed", hint="pip install hotcoco")


def by_faster_coco_eval(detections: Sequence[Tensor], objects: Sequence[Tensor]) -> Scores:
    """mAP at 0.5 to 0.95 and at 0.5, through torchmetrics.

    Args:
        detections: of each image, (N, 6) rows x1, y1, x2, y2, score, class.
        objects: of each image, (N, 6) rows x1, y1, x2, y2, class, crowd; at least one in all.
    """
    oracle = MeanAveragePrecision(  # its own thresholds are rounded to single precision, which costs the fifth digit
        iou_thresholds=np.linspace(0.5, 0.95, 10).tolist(),
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
        backend="faster_coco_eval",
    )
    oracle.warn_on_many_detections = False
    oracle.update(
        [{"boxes": rows[:, :4], "scores": rows[:, 4], "labels": rows[:, 5].long()} for rows in detections],
        [{"boxes": rows[:, :4], "labels": rows[:, 4].long(), "iscrowd": rows[:, 5].long()} for rows in objects],
    )
    values = oracle.compute()
    return float(values["map"]), float(values["map_50"])


def by_hotcoco(detections: Sequence[Tensor], objects: Sequence[Tensor]) -> Scores:
    """As `by_faster_coco_eval`, from arrays throughout: many times faster on large data sets."""
    import hotcoco

    found, wanted = torch.cat(list(detections)).double(), torch.cat(list(objects)).double()
    classes = np.unique(torch.cat((found[:, 5], wanted[:, 4])).long().numpy()).tolist()
    truth = hotcoco.COCO.from_arrays(
        [{"id": image} for image in range(len(objects))],
        [{"id": index, "name": str(index)} for index in classes],
        _image_of(objects).numpy(),
        wanted[:, 4].long().numpy(),
        _corner_and_size(wanted).numpy(),
        iscrowd=wanted[:, 5].bool().numpy(),
    )
    rows = torch.cat((_image_of(detections)[:, None], _corner_and_size(found), found[:, 4:]), dim=1)
    evaluation = hotcoco.COCOeval(truth, truth.load_res(rows.numpy()), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = np.asarray((evaluation.eval or {})["precision"])[
        :, :, :, 0, -1
    ]  # (IoU, recall, class), all areas, most boxes
    return _mean(precision), _mean(precision[0])


BACKENDS = {"faster_coco_eval": by_faster_coco_eval, "hotcoco": by_hotcoco}


def _mean(precision: np.ndarray) -> float:
    """Mean over what is defined: -1 marks a class without a labelled box."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else 0.0


def _image_of(rows_by_image: Sequence[Tensor]) -> Tensor:
    return torch.arange(len(rows_by_image)).repeat_interleave(torch.tensor([len(rows) for rows in rows_by_image]))


def _corner_and_size(boxes_N4: Tensor) -> Tensor:
    return torch.cat((boxes_N4[:, :2], boxes_N4[:, 2:4] - boxes_N4[:, :2]), dim=1)
