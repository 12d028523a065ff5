"""Who may import whom, what core may not know, and calls that are banned: read from the syntax, nothing is imported."""

from __future__ import annotations

import ast
import inspect
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from layers import LINE, PACKAGES, TASK_FACE, House, circles, floors, goes_down, imports, room

import umbel

ROOT = Path(__file__).resolve().parents[1]
HOUSE = House(ROOT)
KINDS = ("segmentation", "classification", "detection", "depth")
FORBIDDEN_IN_CORE = ("umbel.tasks", "umbel.backbones", "umbel.recipes", "timm", "albumentations")
TASKS = ("classification", "detection", "segmentation")
TASK_ENTRIES = {  # what every task's folder holds
    "__init__.py", "augment.py", "dataset.py", "draw.py", "formats", "inspect.py", "metric", "model", "options.py",
    "prediction.py", "report.py", "results.py", "statistics.py", "task.py", "views.py",
}  # fmt: skip
MORE_ENTRIES = {"detection": {"postprocess"}, "segmentation": {"postprocess"}}  # one probability vector needs none
FORMAT_FILES = {"__init__.py", "records.py", "registry.py", "unsplit.py"}  # beside a file or two a format
BANNED_CALLS = {
    "cv2.imread": "read_image",
    "cv2.imwrite": "write_image",
    "yaml.load": "OmegaConf",
    "yaml.unsafe_load": "OmegaConf",
    "torch.hub.load": "load_tensors",
    "torch.hub.load_state_dict_from_url": "load_tensors",
    "eval": "ast",
    "exec": "nothing",
    "os.system": "subprocess with a list",
}
MOST_POSITIONAL = 5
POSITIONAL_ALL_THE_SAME = {  # what a call may begin with that has more positional arguments
    "cv2": "takes most of them by position alone",
    "functional": "torch's own order",
    "nn": "torch's own order",
    "conv2d_same": "timm's, in torch's order",
    "logger": "arguments of the message",
    "top": "cells of a row of rich",
    "tag": "children of an element",
    "_kernel": "compiled by numba, whose calls by name are slower",
}
BANNED_IMPORTS = ("pickle", "dill", "cloudpickle", "marshal", "shelve", "torch.hub")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


ALL = sources(*PACKAGES)
CORE = sources("core")
GUESTS = sources("tasks", "backbones", "recipes")


def module_name(path: Path) -> str:
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[folder], *(part for part in rest if part != "__init__")])


MODULES = {module_name(path): path for path in ALL}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def docstrings(module: ast.Module) -> set[int]:
    """Ids of the nodes that are documentation."""
    return {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }


def words(module: ast.Module) -> Iterator[str]:
    """Identifiers and string literals of a module, documentation left out."""
    skipped = docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value
        for field in ("id", "attr", "name", "arg", "module", "asname"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield value


def test_the_folders_were_found():
    assert len(CORE) > 20
    assert len(GUESTS) > 10


@pytest.mark.parametrize("path", CORE, ids=label)
def test_core_imports_no_task_and_no_backbone(path):
    found = [
        module
        for module, name in imports(tree(path))
        for f in FORBIDDEN_IN_CORE
        if within(f"{module}.{name}".rstrip("."), f)
    ]
    assert not found


@pytest.mark.parametrize("path", CORE, ids=label)
def test_core_names_no_kind(path):
    parts = {part.lower(): word for word in words(tree(path)) for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", word)}
    assert not [parts[kind] for kind in KINDS if kind in parts]


@pytest.mark.parametrize("path", GUESTS, ids=label)
def test_plugins_use_public_names_only(path):
    own = ".".join(module_name(path).split(".")[:3]) if path.parent.parent != ROOT else PACKAGES[path.parent.name]
    private = [
        f"{module} {name}"
        for module, name in imports(tree(path))
        if within(module, "umbel")
        and not (module == "umbel" and name in umbel.__all__)
        and not within(f"{module}.{name}".rstrip("."), own)
    ]
    assert not private


def test_recipes_import_no_task():
    imported = {f"{module}.{name}" for path in sources("recipes") for module, name in imports(tree(path))}
    assert not [name for name in imported if within(name, "umbel.tasks")]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_the_same_files_and_folders(task):
    folder = ROOT / "tasks" / task
    found = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    found = {"metric" if name == "metric.py" else name for name in found}  # a folder where it takes several files
    assert found == TASK_ENTRIES | MORE_ENTRIES.get(task, set())
    assert {path.name for path in (folder / "formats").iterdir()} >= FORMAT_FILES


def test_there_are_no_other_tasks():
    assert {path.parent.name for path in (ROOT / "tasks").glob("*/__init__.py")} == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_plugins_find_what_a_task_predicts_and_reads(task):
    """The modules that a distribution of its own may import, beside `umbel` itself."""
    for name in ("prediction", "dataset"):
        assert re.fullmatch(TASK_FACE, f"umbel.tasks.{task}.{name}")
        assert (ROOT / "tasks" / task / f"{name}.py").is_file()


def test_core_has_no_file_beside_its_rooms():
    assert {path.name for path in (ROOT / "core").glob("*.py")} == {"__init__.py", "__main__.py", "version.py"}
    assert {path.parent.name for path in (ROOT / "core").glob("*/__init__.py")} | {"version", "__main__"} == LINE.keys()


def test_the_contract_imports_nothing_of_umbel():
    assert HOUSE.rooms["contract"] == set()


def test_a_task_has_few_methods():
    methods = [name for name, value in vars(umbel.Task).items() if inspect.isroutine(value)]
    assert "__init__" in methods
    assert "collate" in methods
    assert len(methods) <= 12


def test_imports_go_down():
    assert not HOUSE.back_arrows()


def test_nothing_imports_itself_in_a_circle():
    assert not circles(HOUSE.files)
    assert not circles(HOUSE.rooms)


def test_the_figures_of_the_house():
    """Run it with -s to read them."""
    rooms, files = HOUSE.rooms, HOUSE.files
    arrows = sum(map(len, rooms.values()))
    back = {tuple(map(room, line.split(" imports "))) for line in HOUSE.back_arrows()}
    print(
        f"\nrooms {len(rooms)}, floors {floors(rooms)}, arrows {arrows}, back arrows {len(back)}, "
        f"circles {len(circles(rooms))}\n"
        f"files {len(files)}, floors {floors(files)}, imports {sum(map(len, files.values()))}, "
        f"back imports {len(HOUSE.back_arrows())}, circles {len(circles(files))}"
    )
    assert len(rooms) <= 28
    assert floors(rooms) <= 9
    assert arrows > len(rooms)  # the imports were read


@pytest.mark.parametrize(
    ("upper", "lower"), [("contract", "io"), ("io", "model"), ("report", "training"), ("cli", "__init__")]
)
def test_the_order_refuses(upper, lower):
    assert not goes_down(upper, lower)


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == [["b", "c"]]
    assert floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == 3


def test_files_are_short():
    lengths = {label(path): len(path.read_text().splitlines()) for path in sources("core", "tasks", "backbones")}
    assert not {name: length for name, length in lengths.items() if length > 300}
    assert statistics.median(lengths.values()) <= 100


def test_the_loop_reads_aloud():
    """No function of core/training is longer than a page."""
    functions = [
        (f"{label(path)}: {node.name}", node.end_lineno - node.lineno + 1)
        for path in sources("core/training")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef)
    ]
    assert len(functions) > 50
    assert not [entry for entry in functions if entry[1] > 50]


def test_no_file_of_odds_and_ends():
    assert not [label(path) for path in ALL if path.stem in ("utils", "util", "helpers", "misc", "common")]


def crowded_calls(module: ast.Module) -> list[str]:
    """Calls with more positional arguments than a reader can tell apart."""
    return [
        f"line {node.lineno}: {ast.unparse(node.func)}() has {len(node.args)} positional arguments, more than "
        f"{MOST_POSITIONAL}: name them, or pass the object that carries them"
        for node in ast.walk(module)
        if isinstance(node, ast.Call)
        and len(node.args) > MOST_POSITIONAL
        and re.split(r"\W", ast.unparse(node.func))[0] not in POSITIONAL_ALL_THE_SAME
    ]


@pytest.mark.parametrize("path", sources(*PACKAGES, "plugins", "benchmarks"), ids=label)
def test_positional_arguments_are_few(path):
    """ruff's PLR0917 holds the functions; this holds the calls, of dataclasses too."""
    assert not crowded_calls(tree(path))


def test_crowded_calls_are_found():
    found = crowded_calls(ast.parse("Row(1, 2, 3, 4, 5, 6)\nself.step(*a, 2, 3, 4, 5, 6)\ncv2.line(1, 2, 3, 4, 5, 6)"))
    assert [line.split()[1:3] for line in found] == [["1:", "Row()"], ["2:", "self.step()"]]
    assert not crowded_calls(ast.parse("Row(1, 2, 3, 4, 5, f=6)"))


@pytest.mark.parametrize("path", ALL, ids=label)
def test_banned_calls(path):
    module = tree(path)
    faults = [f"import {name}" for name, _ in imports(module) if name in BANNED_IMPORTS]
    faults += [f"from {name} import {item}" for name, item in imports(module) if f"{name}.{item}" in BANNED_IMPORTS]
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and dotted(node) in BANNED_CALLS:
            faults.append(f"line {node.lineno}: {dotted(node)}; use {BANNED_CALLS[dotted(node)]}")
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        weights_only = keywords.get("weights_only")
        if isinstance(node.func, ast.Name) and name in BANNED_CALLS:
            faults.append(f"line {node.lineno}: {name}(); use {BANNED_CALLS[name]}")
        if name.endswith("Compose") and "seed" in keywords:
            faults.append(f"line {node.lineno}: Compose(seed=) gives all transforms one stream; use apply_keyed")
        if name == "torch.load" and not (isinstance(weights_only, ast.Constant) and weights_only.value is True):
            faults.append(f"line {node.lineno}: torch.load without weights_only=True")
        if isinstance(weights_only, ast.Constant) and weights_only.value is not True:
            faults.append(f"line {node.lineno}: weights_only={weights_only.value}")
        shell = keywords.get("shell")
        if isinstance(shell, ast.Constant) and shell.value:
            faults.append(f"line {node.lineno}: shell=True")
    assert not faults
