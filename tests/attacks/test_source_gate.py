"""No line of the source loads code from data: no pickle, eval, exec, unsafe YAML, remote code, or cv2.imread."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = ("core", "tasks", "backbones", "recipes", "plugins", "benchmarks")
MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
CALLS = {
    "eval", "exec", "compile", "__import__", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load",
    "cv2.imread", "cv2.imwrite", "os.system", "os.popen", "torch.hub.load", "torch.hub.load_state_dict_from_url",
    "np.load", "numpy.load", "pd.read_pickle", "torch.jit.load",
}  # fmt: skip
BANNED_KEYWORDS = {"trust_remote_code": True, "weights_only": False, "allow_pickle": True, "shell": True}
EXEMPT = {
    # a trained run's own shards, behind a manifest that verifies
    "torch.load": ("core/runtime/shards.py", "core/checkpoint/shards.py"),
}


def _name(node: ast.expr) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def offences(source: str, file: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        at = f"{file}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            yield from (f"{at} imports {n.name}" for n in node.names if n.name.split(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield f"{at} imports {node.module}"
        elif isinstance(node, ast.Call):
            called = _name(node.func)
            safe = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
            if called in CALLS:
                yield f"{at} calls {called}"
            if called == "torch.load" and safe.get("weights_only") is not True and file not in EXEMPT["torch.load"]:
                yield f"{at} calls torch.load without weights_only=True"
            for name, value in BANNED_KEYWORDS.items():
                if name in safe and safe[name] is value:
                    yield f"{at} passes {name}={value}"
        elif isinstance(node, ast.Attribute) and _name(node) in ("cv2.imread", "cv2.imwrite", "torch.hub"):
            yield f"{at} names {_name(node)}"


def test_source_loads_no_code(repository: Path) -> None:
    files = [path for folder in SOURCES for path in (repository / folder).rglob("*.py") if ".venv" not in path.parts]
    assert len(files) > 100
    found = [
        offence
        for path in files
        for offence in offences(path.read_text(encoding="utf-8"), str(path.relative_to(repository)))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "import torch; torch.load(f)", "torch.load(f, weights_only=False)",
        "yaml.load(f)", "eval(x)", "exec(x)", "torch.hub.load('a', 'b')", "AutoModel.f(trust_remote_code=True)",
        "cv2.imread(p)", "f = cv2.imread", "np.load(p, allow_pickle=True)", "subprocess.run(x, shell=True)",
    ],
)  # fmt: skip
def test_gate_notices(line: str) -> None:
    assert list(offences(line, "x.py"))


def test_gate_lets_the_safe_forms_pass() -> None:
    safe = "import torch\ntorch.load(f, weights_only=True)\nyaml.safe_load(f)\nmodel.eval()\nre.compile('x')\n"
    assert list(offences(safe, "x.py")) == []
