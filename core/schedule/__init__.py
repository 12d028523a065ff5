"""Which tasks take part in which step, with what weight, and when a run may end early."""

from __future__ import annotations
