"""Comparing variants of test-time augmentation."""

from __future__ import annotations
