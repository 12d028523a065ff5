"""Recipes shipped with umbel."""

from __future__ import annotations
