"""Exported programs of the built-in heads say what torch says, and hold what their tasks need and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import exit_code
from trio import SMALL, make_run

import umbel
from umbel.cli import main

EVERY_BOX = ["tasks.signs.options.nms_iou=1.0", "tasks.signs.options.max_detections=30000"]
NORMED = "{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8], norm_layer: batchnorm2d}"


def export(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    return exit_code("export", *arguments), capsys.readouterr().out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("export") / "street")


def test_weights_of_a_subset_load_and_predict_the_same(run: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "hub"
    code, _ = export(capsys, str(run), "--to", "safetensors", "--tasks", "signs,vehicles", "--out", str(out))
    assert code == 0
    assert sorted(path.name for path in out.iterdir()) == [
        ".umbel-written.json",
        "README.md",
        "model.safetensors",
        "recipe.yaml",
        "umbel.json",
    ]
    tensors = umbel.load_tensors(out / "model.safetensors")
    assert not [name for name in tensors if "road" in name]
    bundle, whole = umbel.load(out), umbel.load(run)
    image = torch.randint(0, 256, (50, 70, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    full = whole.predict(image).to_json()
    assert bundle.predict(image).to_json() == {name: full[name] for name in ("vehicles", "signs")}


@pytest.mark.parametrize("tasks", ["signs", "road,vehicles"])
def test_statistics_of_other_tasks_stay_behind(tmp_path: Path, capsys: Any, tasks: str) -> None:
    run, out = make_run(tmp_path / "run", model_args=NORMED), tmp_path / "out"
    assert export(capsys, str(run), "--to", "safetensors", "--tasks", tasks, "--out", str(out))[0] == 0
    kept = set(tasks.split(","))
    tensors = umbel.load_tensors(out / "model.safetensors")
    for name in {"road", "vehicles", "signs"} - kept:
        assert not [key for key in tensors if name in key]
    image = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    full = umbel.load(run).predict(image).to_json()
    assert umbel.load(out).predict(image).to_json() == {name: full[name] for name in full if name in kept}


def test_the_card_has_a_model_index_of_every_task(run: Path, tmp_path: Path, capsys: Any) -> None:
    from huggingface_hub import ModelCard

    export(capsys, str(run), "--to", "safetensors", "--out", str(tmp_path / "out"))
    card = ModelCard.load(tmp_path / "out" / "README.md")
    found = {(r.task_name, r.task_type, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert found == {
        ("road", "image-segmentation", "miou"): 0.5,
        ("vehicles", "image-classification", "top1"): 0.75,
        ("signs", "object-detection", "map50"): 0.25,  # the undefined map75 is left out
    }
    assert card.data.library_name == "umbel"
    spec = json.loads((tmp_path / "out" / "umbel.json").read_text())
    assert spec["tasks"]["signs"]["classes"] == ["stop", "yield"]
    assert spec["input"]["normalisation"]["mean"] == pytest.approx([0.485, 0.456, 0.406])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "args", "target"),
    [
        ("convnext_atto", SMALL, "onnx"),
        ("convnext_atto", NORMED, "onnx"),
        ("convnext_atto", SMALL, "torch_export"),
        ("tf_efficientnet_lite0", "{}", "onnx"),
    ],
)
def test_programs_of_all_heads_agree_with_torch_at_any_batch_and_size(
    tmp_path: Path, capsys: Any, model: str, args: str, target: str
) -> None:
    # random weights give boxes of all but equal scores, among which rounding would decide what suppression leaves
    run, out = make_run(tmp_path / "run", *EVERY_BOX, model=model, model_args=args), tmp_path / "out"
    code, printed = export(capsys, str(run), "--to", target, "--out", str(out))
    assert code == 0, printed
    spec = json.loads((out / "umbel.json").read_text())
    assert spec["input"]["dynamic"] == ["batch", "height", "width"]
    assert len({tuple(entry["shape"]) for entry in spec["parity"]}) == 3
    assert {entry["output"] for entry in spec["parity"]} == {"road", "vehicles", "signs"}
    assert all(entry["difference"] <= 1e-4 and entry["predictions"] for entry in spec["parity"])


@pytest.mark.slow
def test_an_onnx_subset_has_only_its_parameters(run: Path, tmp_path: Path, capsys: Any) -> None:
    onnx = pytest.importorskip("onnx")
    sizes = {}
    for tasks in ("vehicles", "signs,vehicles"):
        out = tmp_path / tasks
        assert export(capsys, str(run), "--to", "onnx", "--tasks", tasks, "--out", str(out))[0] == 0
        graph = onnx.load(out / "model.onnx").graph
        assert {output.name for output in graph.output} == set(tasks.split(","))
        values = [torch.Size(tensor.dims).numel() for tensor in graph.initializer if tensor.data_type == 1]
        model = umbel.load(run).runtime.model
        parts = [model.backbone, *(model.heads[name] for name in tasks.split(","))]
        own = sum(value.numel() for part in parts for value in part.state_dict().values() if value.is_floating_point())
        sizes[tasks] = sum(values)
        assert sum(values) <= own + 200  # constants: mean, std, anchors; batch norms fold into convolutions
    assert sizes["vehicles"] < sizes["signs,vehicles"]


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--to", "safetensors", "--tasks", "signz"], 2, "no task 'signz'"),
        (["--to", "torch_export", "--size", "50", "64"], 2, "divisible by 32"),
        (["--to", "safetensors", "--out", "FILE"], 3, "cannot be written"),
    ],
)
def test_errors_are_one_line(
    run: Path, tmp_path: Path, capsys: Any, arguments: list[str], code: int, part: str
) -> None:
    (tmp_path / "file").write_text("x")
    given = [str(tmp_path / "file") if argument == "FILE" else argument for argument in arguments]
    with pytest.raises(SystemExit) as stop:
        main(["export", str(run), *given])
    assert stop.value.code == code
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert part in err
