"""recipes/traffic.yaml is the paper's system: its numbers, its sizes, its classes; leaderboard B is configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from generators.bdd100k import write_bdd100k
from generators.stanford_cars import write_stanford_cars
from generators.tt100k import write_tt100k
from omegaconf import OmegaConf
from torch import nn

from umbel import open_tasks, overall_score
from umbel.backbones.timm import TimmBackbone
from umbel.model.model import MultiTaskModel, build_model
from umbel.runtime.optim import lr_factor


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("traffic")
    write_bdd100k(root / "bdd100k", 2, 1, size=(90, 160))
    write_stanford_cars(root / "stanford_cars", 3, 2, size=(60, 90))
    write_tt100k(root / "tt100k", 2, 1, side=256)
    return root


@pytest.fixture(autouse=True)
def _data_is_found_by_environment(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBEL_DATA", str(data))


@pytest.fixture(scope="module")
def model(data: Path) -> MultiTaskModel:
    """The whole model without its numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMBEL_DATA", str(data))
        recipe, tasks = open_tasks("traffic")
        with torch.device("meta"):
            return build_model(TimmBackbone(recipe.backbone.options), tasks, recipe.train.seed)


def parameters_of(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


PARTS = {  # counts of timm, mmsegmentation and PaddleYOLO; layers around CBAM by hand
    "backbone.trunk": 196_227_264,
    "backbone.level_norms": 5_760,
    "heads.road.main": 36_886_035,
    "heads.road.aux": 1_774_867,
    "heads.cars.conv": 1536 * 1536 * 9 + 2 * 1536,
    "heads.cars.attention": 296_644,
    "heads.cars.classifier": 1536 * 196 + 196,
    "heads.signs.neck": 43_907_328,
    "heads.signs.predictors": 403_650,
}


@pytest.mark.parametrize(("part", "count"), PARTS.items())
def test_parameter_counts_to_the_digit(model: MultiTaskModel, part: str, count: int) -> None:
    assert parameters_of(model.get_submodule(part)) == count


def test_nothing_else_has_parameters(model: MultiTaskModel) -> None:
    assert parameters_of(model) == sum(PARTS.values())
    assert model.backbone.spec.channels == (192, 384, 768, 1536)
    assert model.backbone.spec.strides == (4, 8, 16, 32)


SETTINGS = {  # the paper's, and where it is silent docs/paper.md
    "backbone.options": {"drop_path": 0.4, "level_norm": True, "weights": None},
    "optim": {
        "lr": 1e-4, "weight_decay": 1e-4, "warmup_steps": 200, "schedule": "cosine", "min_lr": 1e-8, "clip_norm": 1.0,
        "betas": [0.9, 0.999], "decay_norm_bias": True, "layer_decay": 1.0, "backbone_lr_scale": 1.0,
    },
    "train": {"steps": 100 * (7000 // (6 * 3)), "ema_decay": 0.0},
    "tasks.road": {"batch_size": 3, "input_size": (512, 1024), "weight": 1.0, "lr_scale": 1.0},
    "tasks.road.tta": {"scales": [1.0, 1.2, 1.6], "sizes": [], "hflip": True},
    "tasks.road.options": {
        "format": "bdd100k", "ignore_index": 255, "width": 512, "aux_weight": 0.4, "class_weights": [],
        "scale": [0.5, 2.0], "scale_step": 0.25, "rotation": 15.0, "hflip": 0.5, "jitter_prob": 0.5, "brightness": 0.4,
        "contrast": 0.4, "saturation": 0.4, "hue": 18.0, "blur_prob": 0.3, "blur_kernel": [3, 9], "test_size": None,
    },
    "tasks.cars": {"batch_size": 6, "input_size": (448, 448), "weight": 1.0, "lr_scale": 1.0},
    "tasks.cars.tta": {"scales": [1.0, 1.2, 1.4], "sizes": [], "hflip": True},
    "tasks.cars.options": {
        "format": "stanford_cars", "reduction": 16, "label_smoothing": 0.0, "dropout": 0.0, "crop_scale": [1.0, 1.0],
        "hflip": 0.5, "jitter_prob": 0.5, "saturation": 0.4, "brightness": 0.0, "contrast": 0.0, "erase_prob": 0.5,
        "test_size": None, "tta_average": "probabilities",
    },
    "tasks.signs": {"batch_size": 2, "input_size": (1024, 1024), "weight": 1.0, "lr_scale": 1.0},
    "tasks.signs.tta": {"sizes": [[2048, 2048], [1568, 1568], [2240, 2240]], "scales": [1.0], "hflip": True},
    "tasks.signs.options": {
        "format": "tt100k", "depth_mult": 1.0, "neck_channels": None, "sppf": False, "bn_eps": 1e-3, "anchors": None,
        "box_gain": 0.05, "obj_gain": 1.0, "cls_gain": 0.5, "gain_scaling": "none", "det_loss_factor": 8.0,
        "crop_scale": [0.3, 0.6], "crop_aspect": [1.0, 1.0], "no_crop_prob": 0.0, "hflip": 0.5, "keep_ratio": False,
        "test_size": [2048, 2048], "conf": 0.001, "nms_iou": 0.65, "merge": "wbf", "wbf_iou": 0.55, "wbf_skip": 0.001,
        "wbf_conf_type": "avg", "wbf_weights": [],
    },
}  # fmt: skip


@pytest.mark.parametrize("section", SETTINGS)
def test_every_setting_of_the_paper(section: str) -> None:
    recipe, _ = open_tasks("traffic")
    typed = OmegaConf.select(OmegaConf.structured(recipe), section)
    assert {
        key: value if value is None else _plain(value) for key, value in typed.items() if key in SETTINGS[section]
    } == (SETTINGS[section])


def _plain(value: Any) -> Any:
    return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value


def test_learning_rates_over_the_run(golden: Callable[[str], Any]) -> None:
    recipe, _ = open_tasks("traffic")
    case = golden("lr_schedule.json")["cases"]["paper_100ep_388it"]
    for step, expected in case["lr_at_step"].items():
        rate = recipe.optim.lr * lr_factor(int(step), recipe.train.steps or 0, recipe.optim)
        assert rate == pytest.approx(expected, rel=1e-6, abs=1e-14)


def test_classes_are_those_of_the_data_sets() -> None:
    _, tasks = open_tasks("traffic")
    assert [len(tasks[name].inferred_options()["class_names"]) for name in ("road", "cars", "signs")] == [19, 196, 45]


def test_views_are_the_paper_s() -> None:
    _, tasks = open_tasks("traffic")
    road, cars, signs = (tasks[name].views((720, 1280) if name == "road" else (2048, 2048)) for name in tasks)
    assert [view.size for view in road[::2]] == [(720, 1280), (864, 1536), (1152, 2048)]
    assert [view.size for view in cars[::2]] == [(448, 448), (544, 544), (640, 640)]
    assert [view.size for view in signs[::2]] == [(2048, 2048), (1568, 1568), (2240, 2240)]
    assert all([view.hflip for view in views] == [False, True] * 3 for views in (road, cars, signs))


def test_tables_4_to_6_are_the_variants() -> None:
    """The single view, both triples of scales, and the second with flip; for detection merged both ways."""
    recipe, _ = open_tasks("traffic")
    rows = {
        name: [
            (
                variant.tta.scales if not variant.tta.sizes else [size[0] for size in variant.tta.sizes],
                variant.tta.hflip,
            )
            for variant in task.tta_variants
        ]
        for name, task in recipe.tasks.items()
    }
    assert rows["road"] == _table([1.0], [0.9, 1.0, 1.2], [1.0, 1.2, 1.6])
    assert rows["cars"] == _table([1.0], [0.6, 0.8, 1.0], [1.0, 1.2, 1.4])
    table6 = _table([1.0], [2048, 1344, 1504], [2048, 1568, 2240])
    assert rows["signs"] == [*table6, table6[-1]]
    assert [variant.options.get("merge") for variant in recipe.tasks["signs"].tta_variants[-2:]] == ["nms", "wbf"]
    for task in recipe.tasks.values():
        assert task.tta_variants[-1].tta == task.tta  # the last row is what is submitted


def _table(*scales: list[float]) -> list[tuple[list[float], bool]]:
    return [*((list(row), False) for row in scales), (list(scales[-1]), True)]


def test_leaderboard_b_takes_any_data_and_no_segmentation(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "leaderboard_b"
    write_tt100k(root / "det", 2, 1, side=64)
    for split in ("train", "val"):
        for name in ("kiwi", "emu", "rhea"):
            source = next((data / "stanford_cars/cars_train").glob("*.jpg"))
            (root / "cls" / split / name).mkdir(parents=True)
            (root / "cls" / split / name / "1.jpg").write_bytes(source.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMBEL_DATA", str(tmp_path))
        recipe, tasks = open_tasks("leaderboard_b")
        paper, _ = open_tasks("traffic")
        assert list(tasks) == ["cars", "signs"]
        assert tasks["cars"].inferred_options()["class_names"] == ["emu", "kiwi", "rhea"]
        assert len(tasks["signs"].dataset("train")) == 2  # type: ignore[arg-type]
    assert recipe.optim == paper.optim
    assert recipe.tasks["cars"].tta == paper.tasks["cars"].tta
    assert recipe.tasks["signs"].tta_variants == paper.tasks["signs"].tta_variants


def test_scores_of_tables_2_and_3() -> None:
    table2 = {"road/miou": 0.67104, "cars/top1": 0.95784, "signs/map50": 0.95615}
    table3 = {"cars/top1": 0.962, "signs/map50": 0.580}
    for name, table, expected in (("traffic", table2, 0.86168), ("leaderboard_b", table3, 0.771)):
        recipe, tasks = open_tasks(name)
        main = {task: tasks[task].main_metric for task in tasks}
        assert overall_score(recipe.score, table, main) == pytest.approx(expected, abs=5e-6)
