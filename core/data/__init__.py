"""Reading files, ordering samples and forming composite batches."""

from __future__ import annotations
