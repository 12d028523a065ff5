"""Calls into what plugins register: every one is guarded, so that a fault names whose it is."""

from __future__ import annotations
