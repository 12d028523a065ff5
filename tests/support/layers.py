"""The house as its imports draw it: every import counts, at module level, under TYPE_CHECKING and inside functions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGES = {"core": "umbel", "tasks": "umbel.tasks", "backbones": "umbel.backbones", "recipes": "umbel.recipes"}
ORDER = (  # of the rooms of core/; a module may import only from lines above its own, and from its own room
    "contract version",
    "io registry schedule balancing model",
    "checkpoint config data",
    "runtime report",
    "evaluate",
    "training predict testing",
    "workflows",
    "cli",
    "__main__",
)
LINE = {room: number for number, line in enumerate(ORDER) for room in line.split()}
FACE = "umbel"  # the public face, whose names are imported on first use
TASK_FACE = r"umbel\.tasks\.\w+\.(?:prediction|dataset)"  # of a built-in task, for plugins: what it predicts and reads


def imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Every import below a node, as (module, name); name is "" for `import module`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, "") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative import"
            yield from ((child.module or "", alias.name) for alias in child.names)


def public_homes(root: Path) -> dict[str, str]:
    """Module of each public name, from the one list of them."""
    stub = ast.parse((root / "core" / "__init__.pyi").read_text(encoding="utf-8"))
    froms = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"umbel.{node.module}" for node in froms for alias in node.names}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other, by Tarjan's algorithm."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def floors(graph: Mapping[str, set[str]]) -> int:
    """Nodes on the longest way down a graph without circles."""
    height: dict[str, int] = {}

    def of(node: str) -> int:
        if node not in height:
            height[node] = 1 + max((of(other) for other in graph[node]), default=0)
        return height[node]

    return max(map(of, graph))


@dataclass(frozen=True)
class House:
    """The modules of the project and who imports whom.

    Args:
        root: the repository.
    """

    root: Path

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module by its name."""
        found = {}
        for folder, package in PACKAGES.items():
            for path in sorted((self.root / folder).rglob("*.py")):
                parts = path.relative_to(self.root / folder).with_suffix("").parts
                found[".".join([package, *(part for part in parts if part != "__init__")])] = path
        return found

    @cached_property
    def files(self) -> dict[str, set[str]]:
        """What each module imports of the others; a public name counts as an import of the face alone."""
        return {name: set(self._imported(name, path)) - {name} for name, path in self.modules.items()}

    @cached_property
    def rooms(self) -> dict[str, set[str]]:
        """What each room imports of the others."""
        found: dict[str, set[str]] = {room(name): set() for name in self.modules}
        for name, others in self.files.items():
            found[room(name)] |= {room(other) for other in others} - {room(name)}
        found[room(FACE)] = {room(home) for home in public_homes(self.root).values()} - {room(FACE)}
        return found

    def back_arrows(self) -> list[str]:
        """Imports within core/ that do not go down."""
        return [
            f"{name} imports {other}"
            for name, others in self.files.items()
            for other in sorted(others)
            if not goes_down(room(name), room(other))
        ]

    def _imported(self, name: str, path: Path) -> Iterator[str]:
        for module, item in imports(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            if module == FACE and f"{FACE}.{item}" not in self.modules:
                yield FACE
            elif f"{module}.{item}" in self.modules:
                yield f"{module}.{item}"
            elif re.match(r"umbel(\.|$)", module):
                yield module


def room(module: str) -> str:
    """The room of a module: a folder of core/ with what is below it, a file of its root, or a folder of the others."""
    _, *parts = module.split(".")
    if not parts:
        return "__init__"
    if parts[0] in ("tasks", "recipes") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def goes_down(upper: str, lower: str) -> bool:
    """Whether an import from one room to another keeps the order; what is outside core/ may import the face alone."""
    if upper == lower:
        return True
    if upper not in LINE:
        return lower == "__init__" or lower.partition("/")[0] == upper.partition("/")[0]
    return LINE.get(lower, len(ORDER)) < LINE[upper]
