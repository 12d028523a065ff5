"""The part of a recipe that names a balancer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from umbel.contract.hooks import FIXED
from umbel.contract.options import option


@dataclass
class BalancerConfig:
    """What sets the tasks' weights while training, on top of each task's own `weight`."""

    name: str = option(FIXED, "fixed (the recipe's weights alone) or another balancer of `umbel plugins`")
    options: Any = option({}, "the balancer's own options: `umbel show --schema NAME`")
