"""The detection head as it is exported: decoded boxes in place of raw maps, and what a user of them has to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from umbel.tasks.detection.model.decode import decode_maps
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import Detections


class DecodedHead(nn.Module):
    """A head followed by the decoding of its maps.

    Args:
        head: gives raw maps.
        anchors_LA2: anchors in pixels.
    """

    anchors_LA2: Tensor

    def __init__(self, head: nn.Module, anchors_LA2: Tensor) -> None:
        super().__init__()
        self.head = head
        self.register_buffer("anchors_LA2", anchors_LA2, persistent=False)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Feature levels to (B, N, 5 + K): see `decode_maps`."""
        return decode_maps(self.head(features), self.anchors_LA2)


def describe(
    options: DetectionOptions, names: Sequence[str], ids: Sequence[int], size: Sequence[int]
) -> dict[str, Any]:
    """Pre- and post-processing of the exported head.

    Args:
        options: of the task.
        names: class names by index.
        ids: category ids by class index.
        size: height and width of the test view.
    """
    resize = "to the size, aspect not kept"
    pad = "none"
    if options.keep_ratio:
        resize, pad = "to the largest that fits into the size, aspect kept", "bottom and right with the padding colour"
    return {
        "classes": list(names),
        "category_ids": list(ids),
        "preprocess": {
            "size": list(size),
            "resize": resize,
            "interpolation": "bilinear, half-pixel centres, no antialiasing",
            "pad": pad,
        },
        "outputs_mean": "(B, N, 5 + K) per candidate: cx, cy, w, h in input pixels, objectness, class probabilities",
        "decode": [
            f"drop candidates whose objectness is not above {options.conf}",
            f"score = objectness * class probability; keep those above {options.conf}, "
            + ("of every class" if options.multi_label else "of the best class"),
            f"non-maximum suppression within each class at IoU {options.nms_iou}, the best {options.max_detections}",
            "divide boxes by the resize factors, clip to the image",
        ],
    }


def same_boxes(one: Detections, other: Detections, tolerance: float) -> bool:
    """Whether two sets of detections hold the same boxes, classes and scores; boxes of equal score may be swapped.

    Args:
        one, other: of the same image.
        tolerance: of scores, and of coordinates as a share of the frame's longer side.
    """
    if len(one.scores_N) != len(other.scores_N) or one.size != other.size:
        return False
    near_NN = (
        ((one.boxes_N4[:, None] - other.boxes_N4[None]).abs() <= tolerance * max(one.size)).all(dim=2)
        & ((one.scores_N[:, None] - other.scores_N[None]).abs() <= tolerance)
        & (one.classes_N[:, None] == other.classes_N[None])
    )
    return bool(near_NN.any(dim=0).all() and near_NN.any(dim=1).all())
