"""Built-in tasks, written as a third party would write them."""

from __future__ import annotations
