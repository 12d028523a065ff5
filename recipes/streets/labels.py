"""Class ids of the label maps and names of the vehicle and sign kinds."""

from __future__ import annotations

CLASSES = (
    "road",
    "lane_marking",
    "sidewalk",
    "building",
    "pole",
    "traffic_sign",
    "vegetation",
    "sky",
    "person",
    "vehicle",
)

ROAD, LANE_MARKING, SIDEWALK, BUILDING, POLE, TRAFFIC_SIGN, VEGETATION, SKY, PERSON, VEHICLE = range(len(CLASSES))

VEHICLE_KINDS = ("bus", "car", "motorcycle", "pickup", "truck", "van")

SIGN_KINDS = (
    "speed_limit",
    "stop",
    "yield",
    "no_entry",
    "warning",
    "mandatory",
    "crosswalk",
    "traffic_light",
)

# COCO ids with gaps, as real annotation files have them: a reader that takes ids for indices fails on these.
SIGN_CATEGORY_IDS = dict(zip(SIGN_KINDS, (2, 3, 5, 8, 13, 21, 34, 55), strict=True))
