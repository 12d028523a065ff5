"""Values of the environment that a recipe takes, kept out of what a run writes down."""

from __future__ import annotations

import os
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

_TAKEN = re.compile(r"\$\{\s*oc\.env\s*:\s*(\w+)")
_SHORTEST = 6  # characters: what is shorter is no secret, and a part of many words


def conceal(value: Any, tree: DictConfig) -> Any:
    """JSON types in whose text each value of the environment stands as the recipe writes it, such as ${oc.env:NAME}.

    Args:
        value: strings and containers of them; anything else is returned as it is.
        tree: the recipe, interpolations unresolved.
    """
    names = set(_TAKEN.findall(OmegaConf.to_yaml(tree, resolve=False)))
    secrets = {os.environ.get(name, ""): f"${{oc.env:{name}}}" for name in names}
    return _replace(value, {secret: secrets[secret] for secret in sorted(secrets, key=len, reverse=True)})


def _replace(value: Any, secrets: dict[str, str]) -> Any:
    if isinstance(value, str):
        for secret, written in secrets.items():
            if len(secret) >= _SHORTEST:
                value = value.replace(secret, written)
        return value
    if isinstance(value, dict):
        return {key: _replace(item, secrets) for key, item in value.items()}
    return [_replace(item, secrets) for item in value] if isinstance(value, list) else value
