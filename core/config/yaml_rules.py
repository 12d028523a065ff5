"""What a recipe's text may hold: bounded in size and nesting, no YAML 1.1 surprises, no code, known resolvers only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, grammar_parser
from omegaconf.grammar.gen.OmegaConfGrammarParser import OmegaConfGrammarParser

from umbel.contract.errors import ConfigError

MAX_BYTES = 1_000_000

MAX_LEVELS = 50

RESOLVERS = ("oc.env", "oc.select")  # others could do more than look something up

CODE_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_")  # where other tools call what a recipe names

_SURPRISES = (
    (re.compile(r"(?i:yes|no|on|off)"), "is read as a boolean", "write true or false, or quote the word"),
    (re.compile(r"[-+]?0[0-7_]*[0-7]"), "is read as an octal number", "write it without the leading 0, or quote it"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "is read in base 60", "quote it"),
    (re.compile(r"[-+]?0b[01_]+"), "is read as a binary number", "write it in decimal, or quote it"),
)


def check_yaml(text: str, where: str) -> None:
    """Look through the YAML of a recipe before it is built.

    Raises:
        ConfigError: it nests too deep, has tags, or a plain word that YAML 1.1 takes for another; names the line.
        yaml.YAMLError: it is no YAML.
    """
    level = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        at = f"{where}:{event.start_mark.line + 1 if event.start_mark else '?'}"
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            level += 1
            if level > MAX_LEVELS:
                raise ConfigError(f"nests more than {MAX_LEVELS} deep; a recipe does not", where=at)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            level -= 1
        elif isinstance(event, yaml.ScalarEvent) and event.style is None:
            for pattern, effect, remedy in _SURPRISES:
                if pattern.fullmatch(event.value):
                    raise ConfigError(f"{event.value} {effect} by YAML 1.1", where=at, hint=remedy)
        tag = getattr(event, "tag", None)
        if tag and tag != "!" and not tag.startswith("tag:yaml.org,2002:"):
            raise ConfigError(f"has the tag {tag[:80]}", where=at, hint="a recipe holds plain values only")
        if tag and "python" in tag:
            raise ConfigError(f"has the tag {tag[:80]}, which names code", where=at, hint="remove it")


def check_tree(tree: DictConfig, where: str) -> None:
    """Refuse keys by which other tools run code, and resolvers that are not on the list.

    Raises:
        ConfigError: naming the key.
    """
    for key, value in _nodes(tree, ""):
        name = key.rpartition(".")[2]
        if name in CODE_KEYS:
            raise ConfigError(
                f"'{name}' would name code to run",
                where=f"{where}: {key}",
                hint="recipes name registered things only: see `umbel plugins`",
            )
        if isinstance(value, str) and "${" in value:
            for resolver in map(resolver_name, resolver_calls(value)):
                if resolver not in RESOLVERS:
                    raise ConfigError(
                        f"resolver '{resolver}' is not allowed",
                        where=f"{where}: {key}",
                        hint=f"use {' or '.join(RESOLVERS)}, or write the value",
                    )


def _nodes(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values as written, interpolations unresolved."""
    if isinstance(node, (DictConfig, ListConfig)):
        if node._is_none() or node._is_missing() or node._is_interpolation():
            yield prefix, node._value()
            return
        content = node._content
        items: Any = content.items() if isinstance(content, dict) else enumerate(content)  # type: ignore[arg-type]
        for key, child in items:
            inner = f"{prefix}.{key}" if prefix else str(key)
            yield inner, None
            yield from _nodes(child, inner)
    else:
        yield prefix, node._value() if hasattr(node, "_value") else node


def resolver_calls(value: str) -> Iterator[Any]:
    """The calls of resolvers in a text with interpolations, as omegaconf's grammar has them."""
    stack: list[Any] = [grammar_parser.parse(value)]
    while stack:
        node = stack.pop()
        if isinstance(node, OmegaConfGrammarParser.InterpolationResolverContext):
            yield node
        stack += list(getattr(node, "children", None) or ())


def resolver_name(call: Any) -> str:
    """Which resolver a call is of."""
    return str(call.resolverName().getText())
