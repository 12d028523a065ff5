"""What a run needs of every rank, worked out on paper: memory, traffic, and which ZeRO stage and batches fit."""

from __future__ import annotations
