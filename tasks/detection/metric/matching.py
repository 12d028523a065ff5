"""Matching detections to labelled boxes at IoU 0.5."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IOU = 0.5

MOST = 100  # detections of a class and image that COCO looks at


@dataclass(frozen=True)
class Found:
    """Detections that count: those that only hit a crowd are left out."""

    scores: list[float]
    hits: list[bool]


def iou_matrix(boxes_M4: np.ndarray, others_N4: np.ndarray, crowd_N: np.ndarray | None = None) -> np.ndarray:
    """(M, N) intersection over union of xyxy boxes; over the detection's own area where `others` is a crowd."""
    low = np.maximum(boxes_M4[:, None, :2], others_N4[None, :, :2])
    high = np.minimum(boxes_M4[:, None, 2:], others_N4[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    area, other_area = (np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (boxes_M4, others_N4))
    union = area[:, None] + other_area[None] - inter
    if crowd_N is not None:
        union = np.where(crowd_N[None], area[:, None], union)
    result: np.ndarray = inter / np.maximum(union, 1e-9)
    return result


def match_class(boxes_M4: np.ndarray, scores_M: np.ndarray, objects_N4: np.ndarray, crowd_N: np.ndarray) -> Found:
    """COCO's matching of one class in one image: best score first, each takes the free object it overlaps most."""
    order = np.argsort(-scores_M, kind="stable")[:MOST]
    overlaps = iou_matrix(boxes_M4[order], objects_N4, crowd_N)
    free = ~crowd_N
    scores, hits = [], []
    for row, index in enumerate(order.tolist()):
        candidates = np.where(free & (overlaps[row] >= IOU), overlaps[row], -1.0)
        hit = bool(len(candidates)) and candidates.max() >= IOU
        if hit:
            free[len(candidates) - 1 - int(candidates[::-1].argmax())] = False  # COCO keeps the last of equals
        elif (crowd_N & (overlaps[row] >= IOU)).any():
            continue
        scores.append(float(scores_M[index]))
        hits.append(hit)
    return Found(scores, hits)


def best_pairs(
    boxes_M4: np.ndarray, objects_N4: np.ndarray, crowds_K4: np.ndarray
) -> tuple[list[tuple[int, int]], set[int]]:
    """Pairs of detection and object whatever their classes, greatest overlap first, each used once.

    Returns:
        (detection, object) pairs, and the unpaired detections that lie in a crowd.
    """
    overlaps = iou_matrix(boxes_M4, objects_N4)
    pairs: list[tuple[int, int]] = []
    taken, found = set(), set()
    for flat in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        mine, theirs = divmod(flat, len(objects_N4))
        if overlaps[mine, theirs] < IOU:
            break
        if mine not in taken and theirs not in found:
            taken.add(mine)
            found.add(theirs)
            pairs.append((mine, theirs))
    crowded = iou_matrix(boxes_M4, crowds_K4, np.ones(len(crowds_K4), bool)) >= IOU
    return pairs, {mine for mine in range(len(boxes_M4)) if mine not in taken and crowded[mine].any()}
