"""Reading all data of a recipe before training does, and naming every fault."""

from __future__ import annotations
