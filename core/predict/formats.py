"""In which forms results of images are written."""

from __future__ import annotations

FORMATS = ("pictures", "json", "coco", "masks")
