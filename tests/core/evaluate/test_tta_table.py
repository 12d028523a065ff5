"""A table's scores against plain evaluations, how often a view is run, and what rows cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.data import Subset
from tta_toys import ViewedTask

from umbel.config.build import with_variant
from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TtaConfig, TtaVariant, default_tta_variants
from umbel.data.datasets import load_datasets
from umbel.evaluate.evaluate import evaluate_task
from umbel.evaluate.inference import image_tensor
from umbel.evaluate.tta_table import evaluate_variants
from umbel.evaluate.tta_variants import decode_groups
from umbel.evaluate.tta_views import ImageViews, Member
from umbel.training.run import Run

Viewed = Callable[..., Run]

VARIANTS = [
    TtaVariant("Original"),
    TtaVariant("MS", TtaConfig(scales=[1.0, 1.5])),
    TtaVariant("MS+Flip", TtaConfig(scales=[1.0, 1.5], hflip=True)),
    TtaVariant("MS+Flip, most", TtaConfig(scales=[1.0, 1.5], hflip=True), {"pick": "max"}),
    TtaVariant("twice as bright", TtaConfig(scales=[1.5]), {"gain": 2.0}),
    TtaVariant("sizes", TtaConfig(sizes=[[16, 24], [8, 40]])),
]


def counting(run: Run, monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, ...]]:
    """Notes the pixels of every forward: one image of one view has its own."""
    seen: Counter[tuple[int, ...]] = Counter()
    plain = run.runtime.forward

    def forward(images: torch.Tensor, task: str) -> Any:
        seen[tuple(images.flatten().tolist())] += 1
        return plain(images, task)

    monkeypatch.setattr(run.runtime, "forward", forward)
    return seen


def test_rows_are_what_plain_evaluations_give(viewed: Viewed) -> None:
    run = viewed()
    data = load_datasets(run.tasks, "val")["bright"]
    rows = evaluate_variants(run.runtime, run.tasks["bright"], VARIANTS, data, None)
    assert [row.name for row in rows] == [variant.name for variant in VARIANTS]
    for row, variant in zip(rows, VARIANTS, strict=True):
        keys = [f"tasks.bright.tta.{key}={value}" for key, value in vars(variant.tta).items()]
        keys += [f"tasks.bright.options.{key}={value}" for key, value in variant.options.items()]
        alone = viewed(*keys)
        assert row.scores == pytest.approx(evaluate_task(alone.runtime, alone.tasks["bright"], data), abs=1e-6)
    assert len({row.scores["closeness"] for row in rows}) == len(rows)


def test_every_view_is_run_once_an_image(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> None:
    run = viewed()
    seen = counting(run, monkeypatch)
    data = load_datasets(run.tasks, "val")["bright"]
    evaluate_variants(run.runtime, run.tasks["bright"], VARIANTS, data, None)
    assert set(seen.values()) == {1}
    assert len(seen) == 7 * 5  # 1.0 and 1.5, each mirrored; 8 x 40; the size 16 x 24 is scale 1.0


def test_decoding_is_shared_where_only_merging_differs(viewed: Viewed, monkeypatch: pytest.MonkeyPatch) -> None:
    run = viewed()
    decoded: list[float] = []
    plain = ViewedTask.decode

    def decode(self: ViewedTask, output: torch.Tensor, view: Any) -> list[float]:
        decoded.append(self.options.gain)
        return plain(self, output, view)

    monkeypatch.setattr(ViewedTask, "decode", decode)
    data = load_datasets(run.tasks, "val")["bright"]
    evaluate_variants(run.runtime, run.tasks["bright"], VARIANTS, data, 2)
    assert Counter(decoded) == {1.0: 2 * 5, 2.0: 2 * 1}
    tasks = [with_variant(run.tasks["bright"], variant) for variant in VARIANTS]
    assert decode_groups(tasks) == [0, 0, 0, 0, 1, 0]


def test_costs(viewed: Viewed) -> None:
    run = viewed()
    data = load_datasets(run.tasks, "val")["bright"]
    rows = evaluate_variants(run.runtime, run.tasks["bright"], VARIANTS, data, 3)
    plain, large = 16 * 24, 24 * 40  # 1.5 is 24 x 36, padded to 24 x 40
    pixels = [plain, plain + large, 2 * (plain + large), 2 * (plain + large), large, plain + 8 * 40]
    assert [row.views for row in rows] == [1, 2, 4, 4, 1, 2]
    assert [row.megapixels for row in rows] == pytest.approx([count / 1e6 for count in pixels])
    assert [row.cost for row in rows] == pytest.approx([count / plain for count in pixels])
    assert all(row.seconds > 0 for row in rows)
    only_large = evaluate_variants(run.runtime, run.tasks["bright"], VARIANTS[4:5], data, 1)
    assert only_large[0].cost == pytest.approx(large / plain)


def test_limit_spreads_over_the_data(viewed: Viewed) -> None:
    run = viewed()
    task, data = run.tasks["bright"], load_datasets(run.tasks, "val")["bright"]
    limited = evaluate_variants(run.runtime, task, VARIANTS[:1], data, 3)
    chosen = evaluate_variants(run.runtime, task, VARIANTS[:1], Subset(data, [0, 2, 4]), None)
    assert limited[0].scores == chosen[0].scores
    whole = evaluate_variants(run.runtime, task, VARIANTS[:1], data, None)
    assert evaluate_variants(run.runtime, task, VARIANTS[:1], data, 99)[0].scores == whole[0].scores
    assert limited[0].scores != whole[0].scores


def test_a_view_is_let_go_after_its_last_variant(viewed: Viewed) -> None:
    run = viewed()
    image = image_tensor(load_datasets(run.tasks, "val")["bright"][0].image, run.runtime.device)
    tasks = [with_variant(run.tasks["bright"], variant) for variant in VARIANTS]
    members = [Member(*pair, pair[0].views((16, 24))) for pair in zip(tasks, decode_groups(tasks), strict=True)]
    with run.runtime.eval_mode():
        shared = ImageViews(run.runtime, image, members)
        kept, outputs = [], []
        for member in members:
            shared.merge(member)
            kept.append(len(shared._restored))
            outputs.append(len(shared._outputs))
    assert kept == [1, 2, 4, 1, 1, 0]  # the flips go after the fourth row, the size 16 x 24 is asked for once more
    assert outputs == [0, 1, 1, 1, 0, 0]  # of 1.5, which another gain decodes


@pytest.mark.parametrize(
    ("tta", "names"),
    [
        (TtaConfig(), ["Original"]),
        (TtaConfig(hflip=True), ["Original", "Flip"]),
        (TtaConfig(scales=[1.0, 1.2]), ["Original", "MS"]),
        (TtaConfig(scales=[1.0, 1.2], hflip=True), ["Original", "MS", "MS+Flip"]),
        (TtaConfig(sizes=[[8, 8], [9, 9]], hflip=True), ["Original", "MS", "MS+Flip"]),
        (TtaConfig(scales=[1.5], hflip=True), ["Original", "Rescaled", "Rescaled+Flip"]),
    ],
)
def test_default_rows(tta: TtaConfig, names: list[str]) -> None:
    rows = default_tta_variants(tta)
    assert [row.name for row in rows] == names
    assert rows[0].tta == TtaConfig()
    assert rows[-1].tta == tta
    assert all(row.options == {} for row in rows)


@pytest.mark.parametrize(
    ("options", "part"),
    [({"gian": 2.0}, "Did you mean: 'gain'"), ({"gain": "high"}, "gain"), ({"pick": "least"}, "pick is 'least'")],
)
def test_a_wrong_option_of_a_variant_is_named(viewed: Viewed, options: dict[str, Any], part: str) -> None:
    with pytest.raises(ConfigError, match=r"tasks\.bright\.tta_variants: bad: ") as caught:
        with_variant(viewed().tasks["bright"], TtaVariant("bad", options=options))
    assert part in str(caught.value)


def test_variants_have_names_of_their_own(viewed: Viewed) -> None:
    with pytest.raises(ConfigError, match="tta_variants names repeat: a"):
        viewed("tasks.bright.tta_variants=[{name: a}, {name: a}]")
    with pytest.raises(ConfigError, match=r"missing value: .*tta_variants\[0\]\.name"):
        viewed("tasks.bright.tta_variants=[{tta: {hflip: true}}]")
