"""Reports of runs: what tasks say about their results, as figures, and one HTML page of all of it."""

from __future__ import annotations
