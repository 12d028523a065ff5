"""Calls into what plugins offer: every one is guarded, so that a fault names whose it is."""

from __future__ import annotations
