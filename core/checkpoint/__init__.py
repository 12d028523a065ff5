"""Checkpoints: directories that are whole or absent, of tensors and JSON."""

from __future__ import annotations
