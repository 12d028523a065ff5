"""The classes of well-known data sets, and the label values that stand for them."""

from __future__ import annotations

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip

CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip

# Cityscapes' raw ids 0..33; those not named here are not evaluated, -1 (licence plate) is stored as 255
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)

UNLABELLED = 255

TRAIN_IDS: dict[int, str | None] = {**dict(enumerate(CITYSCAPES)), UNLABELLED: None}

LABEL_IDS: dict[int, str | None] = {
    **dict.fromkeys((*range(34), UNLABELLED)),
    **dict(zip(_CITYSCAPES_IDS, CITYSCAPES, strict=True)),
}

CAMVID_IDS: dict[int, str | None] = {**dict(enumerate(CAMVID)), len(CAMVID): None}
