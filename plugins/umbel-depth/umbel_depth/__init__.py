"""Monocular depth for umbel: metres for every pixel."""

from __future__ import annotations

from pathlib import Path

from umbel import hookimpl


@hookimpl
def umbel_tasks() -> dict[str, str]:
    return {"depth": "umbel_depth.task:Depth"}


@hookimpl
def umbel_recipes() -> dict[str, str]:
    return {path.stem: str(path) for path in Path(__file__).parent.glob("*.yaml")}
