"""Values of the environment that a recipe takes, kept out of what a run writes down."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from omegaconf import DictConfig, ListConfig, OmegaConf, grammar_parser
from omegaconf.errors import OmegaConfBaseException

from umbel.config.literals import literal, literal_before_interpolation
from umbel.config.yaml_rules import resolver_calls, resolver_name

_RESOLVER = "oc.env"

_SHORTEST = 6  # characters: what is shorter is a part of many words, so it is looked for as a whole text only

_SHORTEST_LINE = 8  # characters: of a value with several lines each is a secret of its own

_SHORTEST_PART = 12  # characters: what is shorter may be a part of a learnt name by chance, which it must not change


@dataclass(frozen=True)
class Secrets:
    """What a recipe takes from the environment.

    Args:
        written: the interpolation that stands for each value, such as ${oc.env:NAME}, longest value first; also for
            texts of which a value is a part.
    """

    written: Mapping[str, str]

    @classmethod
    def of(cls, tree: Any) -> Secrets:
        """Those of a recipe or a part of one, interpolations unresolved; a text that the recipe also spells out is
        none."""
        plain = set(_plain_texts(tree))
        found = {value: text for value, text in _taken(tree) if value and value not in plain}
        return cls({value: found[value] for value in sorted(found, key=len, reverse=True)})

    def redact(self, value: Any) -> Any:
        """JSON types in whose text, that of keys too, each value stands as the recipe writes it."""
        if isinstance(value, str):
            return self._in_text(value)
        if isinstance(value, Mapping):
            return {self._in_text(key) if isinstance(key, str) else key: self.redact(v) for key, v in value.items()}
        return [self.redact(item) for item in value] if isinstance(value, (list, tuple)) else value

    def as_recipe(self, value: Any) -> Any:
        """As `literal`, for the recipe: a secret becomes its interpolation again, so that the value comes back."""
        if isinstance(value, str):
            return self._interpolated(value)
        if isinstance(value, Mapping):
            return {key: self.as_recipe(item) for key, item in value.items()}
        return [self.as_recipe(item) for item in value] if isinstance(value, (list, tuple)) else value

    def _in_text(self, text: str) -> str:
        if text in self.written:
            return self.written[text]
        for secret, written in self.written.items():
            if len(secret) >= _SHORTEST:
                for form in _forms(secret):
                    text = text.replace(form, written)
        return text

    def _interpolated(self, text: str) -> Any:
        if text in self.written:
            return self.written[text]
        long = [re.escape(secret) for secret in self.written if len(secret) >= _SHORTEST_PART]
        parts = re.split(f"({'|'.join(long)})", text) if long else [text]
        if len(parts) == 1:
            return literal(text)
        escaped = [literal_before_interpolation(part) for part in parts[:-1:2]] + [literal(parts[-1])]
        secrets = [self.written[part] for part in parts[1::2]] + [""]
        return "".join(part + secret for part, secret in zip(escaped, secrets, strict=True))


NO_SECRETS = Secrets({})


def _forms(secret: str) -> Iterable[str]:
    """How a value may stand in a text: as it is, quoted as Python, JSON, HTML and URLs do, and line by line."""
    lines = [line.strip() for line in secret.splitlines()]
    pieces = [secret, secret.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)]
    quotes = (str, lambda piece: repr(piece)[1:-1], lambda piece: json.dumps(piece)[1:-1], html.escape, quote)
    forms = {form for piece in pieces for change in quotes if len(form := change(piece)) >= _SHORTEST}
    return sorted(forms, key=len, reverse=True)


def _taken(tree: Any) -> Iterator[tuple[str, str]]:
    """Values of the environment and the interpolations that take them, wherever in the recipe."""
    for parent, key, node in _leaves(tree):
        if not node._is_interpolation():
            continue
        value = node._value()
        for call in (call for call in resolver_calls(value) if resolver_name(call) == _RESOLVER):
            try:
                name = str(parent.resolve_parse_tree(call.sequence().element(0), key=key, node=node))
                whole = str(parent.resolve_parse_tree(grammar_parser.parse(value), key=key, node=node))
            except (OmegaConfBaseException, AttributeError, TypeError):
                continue  # reading the recipe reports it
            text = call.getText()
            if name in os.environ:
                yield os.environ[name], f"${{{_RESOLVER}:{name}}}" if "${." in text else text
                if "${." not in value:
                    yield whole, value


def _plain_texts(tree: Any) -> Iterator[str]:
    """Keys and values that stand in the recipe as they are."""
    for _, key, node in _leaves(tree):
        yield str(key)
        if not node._is_interpolation() and isinstance(node._value(), str):
            yield node._value()


def _leaves(node: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Every node of a tree with its parent and key, containers too."""
    if not OmegaConf.is_config(node) or node._is_none() or node._is_missing() or node._is_interpolation():
        return
    for key in list(node.keys()) if isinstance(node, DictConfig) else range(len(node)):
        child = node._get_node(key)
        yield node, key, child
        if isinstance(child, (DictConfig, ListConfig)):
            yield from _leaves(child)
