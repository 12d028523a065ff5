"""Runtimes: how a model is stepped on one or many devices."""

from __future__ import annotations
