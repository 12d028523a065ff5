"""Built-in backbones, written as a third party would write them."""

from __future__ import annotations

from umbel import hookimpl


@hookimpl
def umbel_backbones() -> dict[str, str]:
    """Backbones by the name that a recipe writes."""
    return {"timm": "umbel.backbones.timm:TimmBackbone"}
