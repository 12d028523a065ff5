"""COCO's mean average precision, by one of two libraries that give the same digits.

N boxes of all images together; an image is a number from 0.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umbel import ConfigError

Scores = tuple[float, float]


def check_backend(name: str) -> None:
    """Raise ConfigError unless the library of a backend is installed."""
    if name == "hotcoco" and importlib.util.find_spec("hotcoco") is None:
        raise ConfigError("map_backend 'hotcoco' needs a package that is not installed", hint="pip install hotcoco")


def by_faster_coco_eval(detections: Sequence[Tensor], objects: Sequence[Tensor]) -> Scores:
    """mAP at 0.5 to 0.95 and at 0.5.

    torchmetrics' `MeanAveragePrecision` asks the same library, through an object a box and for three sizes of boxes
    besides; its thresholds are rounded to single precision, which costs the fifth digit.

    Args:
        detections: of each image, (N, 6) rows x1, y1, x2, y2, score, class.
        objects: of each image, (N, 6) rows x1, y1, x2, y2, class, crowd; at least one in all.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    found, wanted = _entries(detections, ("score", "category_id")), _entries(objects, ("category_id", "iscrowd"))
    categories = sorted({entry["category_id"] for entry in wanted})
    frame = {
        "images": [{"id": image} for image in range(len(objects))],
        "categories": [{"id": index, "name": str(index)} for index in categories],
    }
    evaluation = COCOeval_faster(COCO(frame | {"annotations": wanted}), COCO(frame | {"annotations": found}), "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = evaluation.params.areaRng[:1], ["all"]
    evaluation.params.maxDets = evaluation.params.maxDets[-1:]
    evaluation.evaluate()
    evaluation.accumulate()
    return _scores(np.asarray(evaluation.eval["precision"]))


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
    return _scores(np.asarray((evaluation.eval or {})["precision"]))


BACKENDS = {"faster_coco_eval": by_faster_coco_eval, "hotcoco": by_hotcoco}


def _scores(precision: np.ndarray) -> Scores:
    """Of an array over IoU, recall, class, area (all first) and number of boxes (most last)."""
    of_all = precision[:, :, :, 0, -1]
    return _mean(of_all), _mean(of_all[0])


def _mean(precision: np.ndarray) -> float:
    """Mean over what is defined: -1 marks a class without a labelled box."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else 0.0


def _entries(rows_by_image: Sequence[Tensor], columns: tuple[str, str]) -> list[dict[str, Any]]:
    """COCO's annotations from (N, 6) rows: a box and two further columns, whole numbers but for the score."""
    rows = torch.cat(list(rows_by_image)).double()
    boxes = _corner_and_size(rows)
    kinds = [float if column == "score" else int for column in columns]
    return [
        {"id": number, "image_id": image, "bbox": box, "area": area, columns[0]: kinds[0](a), columns[1]: kinds[1](b)}
        for number, (image, box, area, (a, b)) in enumerate(
            zip(
                _image_of(rows_by_image).tolist(),
                boxes.tolist(),
                (boxes[:, 2] * boxes[:, 3]).tolist(),
                rows[:, 4:].tolist(),
                strict=True,
            ),
            start=1,  # 0 would mean that there is no match
        )
    ]


def _image_of(rows_by_image: Sequence[Tensor]) -> Tensor:
    return torch.arange(len(rows_by_image)).repeat_interleave(torch.tensor([len(rows) for rows in rows_by_image]))


def _corner_and_size(boxes_N4: Tensor) -> Tensor:
    return torch.cat((boxes_N4[:, :2], boxes_N4[:, 2:4] - boxes_N4[:, :2]), dim=1)
