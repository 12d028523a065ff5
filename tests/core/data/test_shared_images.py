"""Batches of a source: one decode, one draw and one tensor for all its tasks, and the labels there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from file_tasks import IGNORE, SIZE, FileTask, file_task, sources_for, write_images
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import umbel.io.images
from umbel import Geometry, Sample, read_image
from umbel.contract.errors import ConfigError, DataError
from umbel.contract.source_config import SourceAugment, SourceConfig
from umbel.contract.task import Task
from umbel.contract.types import Batch, SampleKey
from umbel.data.bad_samples import CorruptSamples
from umbel.data.loader import CompositeLoader, batches_per_pass, first_batch
from umbel.data.nested import map_tensors, tensors_in
from umbel.data.shared_images import SourceView
from umbel.data.source_geometry import draw_geometry
from umbel.schedule.plan import CompositePlan
from umbel.schedule.window import Window

Tasks = dict[str, Task[Any]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_images(tmp_path_factory.mktemp("images"), [f"{number}.png" for number in range(11)])


def load(tasks: Tasks, start: int, stop: int, **more: Any) -> list[dict[str, Batch | None]]:
    datasets, sources = sources_for(tasks)
    return list(CompositeLoader(tasks, datasets, seed=3, start=start, stop=stop, sources=sources, **more))


def same(left: Batch | None, right: Batch | None) -> bool:
    if left is None or right is None:
        return left is right
    rows = (left.rows is None and right.rows is None) or torch.equal(left.rows, right.rows)  # type: ignore[arg-type]
    return (
        rows
        and left.ids == right.ids
        and torch.equal(left.images, right.images)
        and torch.equal(left.targets, right.targets)
    )


def all_same(left: list[dict[str, Batch | None]], right: list[dict[str, Batch | None]]) -> bool:
    return len(left) == len(right) and all(
        list(a) == list(b) and all(same(a[name], b[name]) for name in a) for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_tasks_have_one_tensor_of_images_and_labels_that_follow_it(files: list[str], workers: int) -> None:
    tasks: Tasks = {name: file_task(name, files, workers=workers) for name in "ab"}
    for step in load(tasks, 0, 4):
        a, b = step["a"], step["b"]
        assert a is not None
        assert b is not None
        assert a.images is b.images
        assert a.images.shape == (4, 3, *SIZE)
        assert a.rows is None
        assert a.ids == b.ids
        assert a.sizes == ((20, 26),) * 4
        assert torch.equal(a.targets, b.targets)
        known = a.targets != IGNORE
        assert 0.2 < known.float().mean() < 1
        assert (a.images[:, 0][~known] == 128).float().mean() > 0.5  # grey beyond the image, but for its blurred edge


def test_a_target_lies_where_naive_sampling_finds_it(files: list[str]) -> None:
    config = SourceConfig(SIZE, augment=SourceAugment(scale=[0.6, 1.6], rotation=30.0))
    task = file_task("a", files)
    stored = read_image(Path(files[0]))[..., 0]
    mirrored = set()
    for seed in range(12):
        geometry = draw_geometry(config, (20, 26), np.random.default_rng(seed))
        mirrored.add(geometry.mirrored)
        warped = task.warp(stored, geometry)
        back = np.linalg.inv(np.vstack([geometry.matrix, [0, 0, 1]]))
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                column, row, _ = back @ [x + 0.5, y + 0.5, 1]
                if min(abs(column - round(column)), abs(row - round(row))) < 0.1:
                    continue  # as near to one pixel as to the next
                inside = 0 <= column < 26 and 0 <= row < 20
                assert warped[y, x] == (stored[int(row), int(column)] if inside else IGNORE)
    assert mirrored == {True, False}


def test_draw_without_variation_fits_the_image(files: list[str]) -> None:
    still = SourceAugment(hflip=0.0)
    for keep_ratio, expected in ((False, (24.0, 16.0)), (True, (20.8, 16.0))):
        config = SourceConfig(SIZE, keep_ratio=keep_ratio, augment=still)
        geometry = draw_geometry(config, (20, 26), np.random.default_rng(0))
        corners = geometry.warp_points(np.array([[0.0, 0.0], [26.0, 20.0]]))
        assert corners[1] - corners[0] == pytest.approx(expected)
        assert (corners >= -1e-9).all()
        assert (corners <= np.array([24, 16]) + 1e-9).all()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sets(st.integers(0, 10), min_size=1), min_size=2, max_size=3), st.integers(1, 5))
def test_labels_are_those_there_are(files: list[str], known: list[set[int]], batch: int) -> None:
    tasks: Tasks = {
        f"t{n}": file_task(f"t{n}", [files[i] for i in sorted(of_task)], batch=batch) for n, of_task in enumerate(known)
    }
    union = list(dict.fromkeys(file for task in tasks.values() for file in task.options.files))
    whole: Tasks = {"w": file_task("w", union, batch=batch)}
    for step, full in zip(load(tasks, 0, 6), load(whole, 0, 6), strict=True):
        every = full["w"]
        assert every is not None
        for name, part in step.items():
            names = {Path(file).name for file in tasks[name].options.files}
            rows = [row for row, sample_id in enumerate(every.ids) if sample_id in names]
            if not rows:
                assert part is None
                continue
            assert part is not None
            assert torch.equal(part.images, every.images)
            assert (part.rows is None) == (len(rows) == batch)
            assert part.rows is None or (part.rows.dtype == torch.int64 and part.rows.tolist() == rows)
            assert part.ids == tuple(every.ids[row] for row in rows)
            assert torch.equal(part.targets, every.targets[rows])


def test_each_image_is_decoded_once(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []
    decode = umbel.io.images._decode

    def counted(path: Path) -> np.ndarray:
        decoded.append(path)
        return decode(path)

    monkeypatch.setattr(umbel.io.images, "_decode", counted)
    load({name: file_task(name, files) for name in "abc"}, 0, 3)
    assert len(decoded) == 3 * 4
    read_image(Path(files[0]))
    read_image(Path(files[0]))
    assert len(decoded) == 3 * 4 + 2  # nothing is kept beyond the image


class Scribbles(FileTask):
    """Blackens what it reads."""

    def dataset(self, split: str) -> Any:
        inner = super().dataset(split)

        class Scribbled(type(inner)):  # type: ignore[misc]
            def __getitem__(self, index: int) -> Sample:
                sample: Sample = super().__getitem__(index)
                sample.image[:] = 0
                return sample

        return Scribbled(self.options)


def test_a_task_cannot_change_the_pixels_of_another(files: list[str]) -> None:
    plain = load({"a": file_task("a", files), "b": file_task("b", files)}, 0, 2)
    beside = load({"a": file_task("a", files), "b": file_task("b", files, kind=Scribbles)}, 0, 2)
    assert all_same([{"a": step["a"]} for step in plain], [{"a": step["a"]} for step in beside])


def test_order_is_keyed_resumable_and_shared_by_ranks(files: list[str]) -> None:
    def tasks(batch: int, workers: int = 0) -> Tasks:
        return {"a": file_task("a", files, batch=batch, workers=workers), "b": file_task("b", files[:6], batch=batch)}

    whole = load(tasks(4), 0, 6)
    for start in (1, 3, 5):
        assert all_same(load(tasks(4), start, 6), whole[start:])
    ranks = [load(tasks(2), 0, 6, rank=rank, world_size=2) for rank in range(2)]
    for step, together in enumerate(whole):
        parts = [rank[step]["a"] for rank in ranks]
        assert together["a"] is not None
        assert [i for part in parts if part is not None for i in part.ids] == list(together["a"].ids)
    seen = [i for step in whole[:2] for i in step["a"].ids]  # type: ignore[union-attr]
    assert len(set(seen)) == 8  # of one pass, none comes twice
    datasets, sources = sources_for(tasks(4))
    other = list(CompositeLoader(tasks(4), datasets, seed=4, start=0, stop=2, sources=sources))
    assert not all_same(other, whole[:2])


def test_a_source_moves_on_in_the_steps_of_any_of_its_tasks(files: list[str]) -> None:
    tasks: Tasks = {"a": file_task("a", files), "b": file_task("b", files), "own": file_task("own", files, source=None)}
    every_step = [step["a"] for step in load({"a": tasks["a"], "b": tasks["b"]}, 0, 12)]
    plan = CompositePlan({"a": Window(every=3), "b": Window(every=2, start_step=1, stop_step=9), "own": Window()})
    loaded = load(tasks, 0, 12, plan=plan)
    due = [step for step in range(12) if step % 3 == 0 or (step in range(1, 9) and step % 2 == 1)]
    for step, batches in enumerate(loaded):
        assert list(batches) == list(plan.at(step))
        for name in ("a", "b"):
            if name in batches:
                assert same(batches[name], every_step[due.index(step)])
    for start in (1, 4, 7, 11):
        assert all_same(load(tasks, start, 12, plan=plan), loaded[start:])
    halves = load(tasks, 0, 6, plan=plan, accumulate=2)
    again = [batches["a"] for batches in halves if "a" in batches]
    assert all(same(one, other) for one, other in zip(again[:2], every_step[:2], strict=True))


def test_a_task_with_images_of_its_own_does_not_notice(files: list[str]) -> None:
    alone = load({"own": file_task("own", files, source=None)}, 0, 4)
    beside: Tasks = {n: file_task(n, files, source=None if n == "own" else "all") for n in ("a", "own", "b")}
    assert all_same([{"own": step["own"]} for step in load(beside, 0, 4)], alone)


def test_a_label_at_fault_names_its_task_and_gives_way_within_the_budget(files: list[str]) -> None:
    tasks: Tasks = {"a": file_task("a", files), "b": file_task("b", files[3:], broken=files[5:6])}
    with pytest.raises(DataError, match=r"5\.txt: has no label"):
        load(tasks, 0, 3)
    bad = CorruptSamples.within(1, {"a": 11, "b": 8})
    batches = load(tasks, 0, 6, bad_samples=bad)
    assert [(one.task, one.index) for one in bad.found.values()] == [("b", 2)]
    assert all("5.png" not in batch.ids for step in batches for batch in step.values() if batch is not None)
    assert all_same(load(tasks, 0, 6, bad_samples=CorruptSamples.within(1, {"a": 11, "b": 8})), batches)


class Refuses(FileTask):
    def warp(self, target: np.ndarray, geometry: Geometry) -> np.ndarray:
        raise KeyError("no such corner")


def test_what_warp_raises_names_task_and_sample(files: list[str]) -> None:
    with pytest.raises(DataError, match=r"b.*sample \d+ \(\d+\.png\).*cannot be used: KeyError: 'no such corner'"):
        load({"a": file_task("a", files), "b": file_task("b", files, kind=Refuses)}, 0, 1)


def test_images_of_other_sizes_under_one_name_are_refused(tmp_path: Path) -> None:
    tasks: Tasks = {
        "a": file_task("a", write_images(tmp_path / "a", ["1.png"]), batch=1),
        "b": file_task("b", write_images(tmp_path / "b", ["1.png"], size=(8, 9)), batch=1),
    }
    with pytest.raises(DataError, match=r"is 26 x 20 pixels in task 'a', 9 x 8 in 'b'"):
        load(tasks, 0, 1)


def test_draws_are_a_function_of_seed_source_epoch_and_index(files: list[str]) -> None:
    tasks: Tasks = {"a": file_task("a", files), "b": file_task("b", files)}
    datasets, sources = sources_for(tasks, brightness=0.5)

    def image(seed: int = 1, epoch: int = 0) -> np.ndarray:
        view = SourceView(sources["all"], tasks, datasets, seed)
        sample = view.sample(SampleKey(epoch, 2))
        assert sample["a"].image is sample["b"].image
        return sample["a"].image

    assert (image() == image()).all()
    assert (image() != image(seed=2)).any()
    assert (image() != image(epoch=1)).any()


def test_trial_batch_and_length_of_a_pass(files: list[str]) -> None:
    tasks: Tasks = {"a": file_task("a", files), "b": file_task("b", files[:2])}
    datasets, sources = sources_for(tasks)
    whole, few = (first_batch(tasks[name], datasets[name], 3, source=sources["all"]) for name in "ab")
    assert same(first_batch(file_task("a", files), datasets["a"], 3, source=sources["all"]), whole)
    assert same(load({"a": tasks["a"]}, 0, 1)[0]["a"], whole)
    assert few.rows is None
    assert set(few.ids) == {"0.png", "1.png"}
    assert batches_per_pass(tasks, datasets, 2, sources) == {"a": 11 / 8, "b": 11 / 8}
    assert sources["all"].labels() == {("a",): 9, ("a", "b"): 2}
    assert sources["all"].text() == "11 images, 11 labelled for a, 2 labelled for b; 2 for all"


def test_images_that_only_one_task_holds_out_are_said(files: list[str], caplog: pytest.LogCaptureFixture) -> None:
    alike: Tasks = {name: file_task(name, files, holdout=0.3) for name in "ab"}
    sources_for(alike)
    assert not caplog.records
    held = set(files) - {str(image.file) for image in sources_for(alike)[1]["all"].images}
    assert len(held) == 3
    sources_for({"a": file_task("a", files, holdout=0.3), "b": file_task("b", sorted(held), holdout=0.4)})
    said = [record.getMessage() for record in caplog.records]
    assert said == [line for line in said if "images that 'a' holds out are trained on by 'b'" in line]
    assert [line.split(": ")[1].split()[0] for line in said] == ["2"]


def test_a_collate_of_its_own_cannot_share(files: list[str]) -> None:
    class Collates(FileTask):
        def collate(self, samples: Any) -> Batch:
            return super().collate(samples)

    with pytest.raises(ConfigError, match=r"tasks\.a\.source: Collates has a collate\(\) of its own"):
        sources_for({"a": file_task("a", files, kind=Collates)})


def test_a_tensor_that_occurs_twice_is_changed_once() -> None:
    images, other = torch.zeros(2), torch.ones(3)
    value = {"a": Batch(images, other, (), ()), "b": Batch(images, [images], (), (), other)}
    changed = map_tensors(lambda tensor: tensor + 1, value)
    assert changed["a"].images is changed["b"].images is changed["b"].targets[0]
    assert changed["a"].targets is changed["b"].rows
    assert torch.equal(changed["a"].images, torch.ones(2))

    def found() -> Iterator[torch.Tensor]:
        yield from tensors_in(value)

    assert len(list(found())) == 2
