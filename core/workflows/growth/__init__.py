"""Adding tasks to a trained run, taking tasks out of one, and checking that the old ones have not got worse."""

from __future__ import annotations
