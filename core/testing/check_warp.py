"""Checks of `warp`: the label of a view is that of the stored image, moved as its pixels are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from umbel.contract.capabilities import Draws, Warps
from umbel.contract.geometry import Geometry
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Sample, Size, View
from umbel.evaluate.evaluate import compute_scores
from umbel.testing.check_predictions import has_geometry, some_views
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import TaskFixture
from umbel.testing.same import difference

GREY = (128, 128, 128)

DRAWS = 6  # random maps a sample

APART = 0.6  # of two drawings, at most

MARGIN = 0.02  # that drawings of symmetric labels may fit another map better

BLUR = 0.03  # of the longer side: thin lines that miss each other by a pixel still meet


def check_warp(fixture: TaskFixture) -> None:
    """A warped target is the truth of the warped image: by the ideal prediction, and by what is drawn."""
    task = fixture.task
    assert isinstance(task, Warps)
    stored = fixture.samples("train") + fixture.samples("val")
    for sample in stored:
        for index, geometry in enumerate(_maps(sample.size)):
            before = repr(sample.target)
            warped = task.warp(sample.target, geometry)
            expect(repr(sample.target) == before, "warp() changes the target it is given")
            expect(
                not difference(warped, task.warp(sample.target, geometry)),
                f"warp() gives two targets for one map ({_named(geometry)}): it may draw nothing itself",
            )
            if not has_geometry(fixture):
                found = difference(warped, sample.target)
                expect(not found, f"warp() changes a target whose prediction is the same in every view: {found}")
            elif isinstance(task, Draws) and index >= len(some_views(sample.size)):
                _compare_drawings(task, sample, geometry)
    if has_geometry(fixture) and fixture.contract.ideal(task, stored[-1], View(stored[-1].size)) is not None:
        _check_views(fixture)


def _maps(size: Size) -> Iterator[Geometry]:
    """The maps of a few views at test time, then random scales, rotations, mirrors and crops."""
    for view in some_views(size):
        yield Geometry.of_view(view, size)
    rng = keyed_generator("warp", *size)
    for _ in range(DRAWS):
        angle = np.deg2rad(rng.uniform(8, 20) * rng.choice([-1, 1]))
        scale = rng.uniform(1.25, 1.5) ** rng.choice([-1, 1])
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        if rng.random() < 0.5:
            turn[:, 0] *= -1
        middle = np.array([size[1], size[0]]) / 2
        centre = middle * rng.uniform(0.8, 1.2, 2)
        yield Geometry(np.column_stack([turn, centre - turn @ middle]), size, size)


def _check_views(fixture: TaskFixture) -> None:
    """The ideal prediction of a view, left in the view, scores as ideal against the warped target."""
    task, least = fixture.task, fixture.contract.ideal_score
    assert isinstance(task, Warps)
    samples = fixture.samples("val")
    for index in range(len(some_views(samples[0].size))):
        metric, named = task.metric(), ""
        for sample in samples:
            view = some_views(sample.size)[index]
            geometry = Geometry.of_view(replace(view, canvas=None), sample.size)  # decoded ones may be without padding
            named = _named(geometry)
            prediction = fixture.contract.ideal(task, sample, view)
            whole = task.merge(iter([task.restore(prediction, View(view.size), view.size)]))
            try:
                metric.update([whole], [task.warp(sample.target, geometry)])
            except (RuntimeError, ValueError, IndexError) as error:  # shapes that do not fit
                raise ContractFault(f"warp() by a map ({named}) gives no target of the view: {error}") from error
        score = compute_scores(task, metric)[task.main_metric]
        expect(
            score >= least,
            f"warp() by a map ({named}) does not follow the image: "
            f"{task.main_metric} of the ideal prediction is {score:.3f}, below {least:g}",
        )


def _compare_drawings(task: Task[Any], sample: Sample, geometry: Geometry) -> None:
    """What is drawn of the warped target lies where the stored drawing goes by this map, and by no other."""
    assert isinstance(task, Draws)
    assert isinstance(task, Warps)
    stored = task.draw(np.full_like(sample.image, GREY[0]), sample.target)
    shown = task.draw(np.full((*geometry.size, 3), GREY[0], np.uint8), task.warp(sample.target, geometry))
    colours = not geometry.mirrored  # in a mirror left and right may have each other's
    apart = _apart(shown, stored, geometry, colours)
    for fault, other in _others(geometry).items():
        expect(
            apart <= APART and apart <= _apart(shown, stored, other, colours) + MARGIN,
            f"warp() by a map ({_named(geometry)}) does not follow the image of {sample.id!r}: "
            f"what is drawn of it fits better {fault}",
        )


def _others(geometry: Geometry) -> dict[str, Geometry]:
    """Maps that a faulty `warp` might follow; those of scale and mirror show in the views of `_check_views`."""
    matrix, height, width = geometry.matrix, *geometry.size
    upright = np.diag([-1.0 if geometry.mirrored else 1.0, 1.0]) * geometry.scale
    middle = np.array([geometry.stored[1], geometry.stored[0]]) / 2
    held = matrix[:, :2] @ middle + matrix[:, 2]  # where the middle goes
    others = {"without the rotation": np.column_stack([upright, held - upright @ middle])}
    for fault, step in {"to the right": (width, 0), "to the left": (-width, 0), "below": (0, height)}.items():
        others[fault] = matrix + np.column_stack([np.zeros((2, 2)), step]) / 8
    return {fault: Geometry(other, geometry.stored, geometry.size) for fault, other in others.items()}


def _apart(shown: np.ndarray, stored: np.ndarray, geometry: Geometry, colours: bool) -> float:
    """How far a drawing is from the warp of another: 0 where they agree, 1 where they have nothing in common."""
    inside = geometry.warp_map(np.ones(geometry.stored, np.uint8), 0)[..., None] > 0
    pictures = (np.where(inside, picture, GREY[0]) for picture in (shown, geometry.warp_image(stored, GREY)))
    ours, theirs = (_blurred(picture, colours=colours) for picture in pictures)
    total = float(np.abs(ours).sum() + np.abs(theirs).sum())
    return float(np.abs(ours - theirs).sum()) / total if total else 0.0


def _blurred(picture: np.ndarray, *, colours: bool) -> np.ndarray:
    """What differs from grey, spread a little."""
    import cv2

    sigma = max(1.0, BLUR * max(picture.shape[:2]))
    differs = picture.astype(np.float32) - GREY[0]
    blurred: np.ndarray = cv2.GaussianBlur(differs if colours else np.linalg.norm(differs, axis=2), (0, 0), sigma)
    return blurred


def _named(geometry: Geometry) -> str:
    turned = np.rad2deg(np.arctan2(geometry.matrix[1, 0], geometry.matrix[1, 1]))
    mirrored = ", mirrored" if geometry.mirrored else ""
    return (
        f"{list(geometry.stored)} to {list(geometry.size)}, scale {geometry.scale:.2f}, {turned:.0f} degrees{mirrored}"
    )
