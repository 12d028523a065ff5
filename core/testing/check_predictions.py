"""Checks of decoding, restoring, merging and scoring predictions."""

from __future__ import annotations

import copy
import math
import statistics
from dataclasses import replace
from typing import Any

from torchmetrics import Metric

from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.contract.task_config import TtaConfig
from umbel.contract.types import Sample, View, round_up
from umbel.evaluate.evaluate import compute_scores
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import TaskFixture
from umbel.testing.pyramid import STRIDES
from umbel.testing.same import arrays_in, difference

TOLERANCE = 1e-4

DECLARE = "declare every state by add_state"

UNTRAINED = 5  # models whose predictions are wrong ones


def some_views(size: tuple[int, int]) -> list[View]:
    """Views of an image: as it is, enlarged, and both mirrored, padded to what the backbone takes."""
    frames = [size, (round(size[0] * 1.5), round(size[1] * 1.5))]
    return [View(frame, hflip, round_up(frame, STRIDES[-1])) for frame in frames for hflip in (False, True)]


def check_decode(fixture: TaskFixture) -> None:
    """Every view of the task decodes and restores to one prediction an image, in the frame of the image."""
    task = fixture.new_task(tta=TtaConfig(scales=[1.0, 1.5], hflip=True))
    model = fixture.new_model(task)
    for sample in fixture.samples("val")[:2]:
        views = task.views(sample.size)
        expect(
            bool(views) and all(isinstance(view, View) for view in views), "views() must return at least one umbel.View"
        )
        for view in views:
            frame = view.canvas or view.size
            expect(
                round_up(frame, STRIDES[-1]) == frame,
                f"views() makes a frame of {frame}, not divisible by the largest stride {STRIDES[-1]}: pad with canvas",
            )
            decoded = task.decode(fixture.output(model, view, sample), view)
            expect(len(decoded) == 1, f"decode() gives {len(decoded)} predictions for 1 image")
            restored = task.restore(decoded[0], view, sample.size)
            for array in arrays_in(restored):
                left = (
                    array.ndim >= 2
                    and tuple(array.shape[-2:]) in (view.size, frame)
                    and tuple(array.shape[-2:]) != sample.size
                )
                expect(
                    not left,
                    f"restore() leaves an array of {tuple(array.shape)} in the view's frame, not {sample.size}",
                )


def ideal_scores(fixture: TaskFixture, make_view: Any, shown_as: Any = None) -> float:
    """The main metric of the ideal predictions in a view of every validation sample, restored and merged."""
    task, metric = fixture.task, fixture.task.metric()
    for sample in fixture.samples("val"):
        view = make_view(sample.size)
        prediction = fixture.contract.ideal(task, sample, view)
        restored = task.restore(prediction, shown_as(view) if shown_as else view, sample.size)
        metric.update([task.merge(iter([restored]))], [sample.target])
    return compute_scores(task, metric)[task.main_metric]


def check_geometry(fixture: TaskFixture) -> None:
    """The ideal prediction of a mirrored, enlarged or padded view, restored, is still the target."""
    task, least = fixture.task, fixture.contract.ideal_score
    plain = ideal_scores(fixture, lambda size: some_views(size)[0])
    main = task.main_metric
    expect(
        plain >= least,
        f"the ideal prediction of an unchanged view scores {main} {plain:.3f}, below {least:g}: "
        "ideal(), decode() or metric() is wrong",
    )
    for index in range(1, 4):
        view = some_views(fixture.samples("val")[0].size)[index]
        name = f"{'mirrored ' if view.hflip else ''}view of {view.size}, canvas {view.canvas}"
        try:
            score = ideal_scores(fixture, lambda size, index=index: some_views(size)[index])
        except (RuntimeError, ValueError, IndexError) as error:  # shapes that do not fit
            raise ContractFault(
                f"restore() does not bring a {name} back to the image: metric() says {error}"
            ) from error
        expect(
            score >= least,
            f"restore() does not bring a {name} back to the image: {main} {score:.3f}, {plain:.3f} without it",
        )
    unturned = ideal_scores(fixture, lambda size: some_views(size)[1], lambda view: replace(view, hflip=False))
    expect(
        unturned < plain,
        f"mirrored predictions score {main} {unturned:.3f} too: "
        "the data of write_data() cannot show a wrong flip, make it asymmetric",
    )


def has_geometry(fixture: TaskFixture) -> bool:
    """Whether predictions depend on the view they were made in, so that `restore` has to bring them back.

    The ideal ones of a mirrored and enlarged view then differ from those of the image. Where the contract gives none,
    `restore` gives back something else than the prediction of an untrained model.
    """
    task = fixture.task
    for sample in fixture.samples("val"):
        plain, *_, turned = some_views(sample.size)
        ideal = fixture.contract.ideal(task, sample, turned)
        if ideal is not None and difference(ideal, fixture.contract.ideal(task, sample, plain), TOLERANCE):
            return True
        if ideal is None:
            (prediction,) = task.decode(fixture.output(fixture.new_model(), turned, sample), turned)
            before = copy.deepcopy(prediction)
            restored = task.restore(prediction, turned, sample.size)
            if restored is not prediction or difference(restored, before):
                return True
    return False


def check_merge(fixture: TaskFixture) -> None:
    """Merging two equal views gives what one gives, from an iterator, and leaves the views as they are."""
    task = fixture.task
    for sample in fixture.samples("val"):
        one = prediction_of(fixture, sample)
        views = [copy.deepcopy(one), copy.deepcopy(one)]
        merged = task.merge(iter(views))
        other = prediction_of(fixture, sample, ideal=False)
        given = [copy.deepcopy(one), copy.deepcopy(other)]
        task.merge(iter(given))
        found = difference(given, [one, other], path="views")
        expect(not found, f"merge() changes the predictions it is given: {found}")
        found = difference(merged, task.merge(iter([one])), TOLERANCE, "prediction")
        expect(not found, f"merge() of two equal views is not the prediction of one: {found}")


def can_merge(fixture: TaskFixture) -> bool:
    """Whether the task merges views at all; a ConfigError says that it does not."""
    one = prediction_of(fixture, fixture.samples("val")[0])
    try:
        fixture.task.merge(iter([one, one]))
    except ConfigError:
        return False
    return True


def check_metric(fixture: TaskFixture) -> None:
    """Scores by name, the main one among them; the same at once, in pieces, and from two processes."""
    task, samples = fixture.task, fixture.samples("val")
    predictions = mixed_predictions(fixture, samples)
    targets = [sample.target for sample in samples]
    pairs = list(zip(predictions, targets, strict=True))
    at_once = scores_of(fixture, [pairs])
    expect(
        task.main_metric in at_once,
        f"metric() gives {', '.join(at_once) or 'nothing'}, not '{task.main_metric}', the main metric",
    )
    found = difference(scores_of(fixture, [[pair] for pair in pairs]), at_once, TOLERANCE, "scores")
    expect(
        not found,
        f"metric() scores samples one by one otherwise than at once: {found}; average over samples, not over updates",
    )
    whole = _merged(task, pairs)
    if whole is None:
        whole = task.metric()
        whole.update(*map(list, zip(*pairs, strict=True)))
    found = difference(floats(whole.compute()), at_once, TOLERANCE, "scores")
    expect(not found, f"the metrics of two processes merged score otherwise than one: {found}; {DECLARE}")
    whole.reset()
    whole.update(*map(list, zip(*pairs, strict=True)))
    found = difference(floats(whole.compute()), at_once, TOLERANCE, "scores")
    expect(not found, f"a metric that was reset remembers: {found}; {DECLARE}")


def check_metric_direction(fixture: TaskFixture) -> None:
    """The ideal predictions score higher than wrong ones: the main metric is higher for better.

    On a few samples one untrained model may be right by luck, so several are asked, and what is ideal for other samples
    as well. Of a metric that is lower for better nearly all of them score above the ideal; where none of them differs
    from it, the data cannot tell.
    """
    task, samples = fixture.task, fixture.samples("val")
    targets = [sample.target for sample in samples]
    ideal = ideal_scores(fixture, lambda size: some_views(size)[0])
    wrong = [
        _main_score(task, [prediction_of(fixture, sample, ideal=False, seed=seed) for sample in samples], targets)
        for seed in range(UNTRAINED)
    ]
    if len({sample.size for sample in samples}) == 1:  # a prediction fits another image
        exchanged = [prediction_of(fixture, sample) for sample in samples]
        for by in range(1, len(samples)):
            wrong.append(_main_score(task, [*exchanged[by:], *exchanged[:by]], targets))
    above = [score for score in wrong if score > ideal + TOLERANCE * abs(ideal)]
    below = [score for score in wrong if score < ideal - TOLERANCE * abs(ideal) or math.isnan(score)]
    expect(
        len(above) <= len(below),
        f"{task.main_metric} is {ideal:.3f} for the ideal predictions and {statistics.median(above or [0]):.3f} for "
        f"wrong ones ({len(above)} of {len(wrong)} score higher): the main metric must be higher for better",
    )


def _main_score(task: Task[Any], restored: list[Any], targets: list[Any]) -> float:
    metric = task.metric()
    for prediction, target in zip(restored, targets, strict=True):
        metric.update([task.merge(iter([prediction]))], [target])
    return compute_scores(task, metric)[task.main_metric]


def check_oracle(fixture: TaskFixture) -> bool:
    """The metric against the contract's naive one; False if it has none."""
    task, samples = fixture.task, fixture.samples("val")
    predictions = mixed_predictions(fixture, samples)
    targets = [sample.target for sample in samples]
    expected = fixture.contract.oracle(task, predictions, targets)
    if expected is None:
        return False
    scores = scores_of(fixture, [list(zip(predictions, targets, strict=True))])
    for name, value in expected.items():
        expect(name in scores, f"metric() gives no '{name}', which the oracle does")
        close = math.isclose(scores[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        expect(close, f"metric() says {name} {scores[name]:.6g}, the oracle {value:.6g}")
    return True


def _merged(task: Task[Any], pairs: list[tuple[Any, Any]]) -> Metric | None:
    """A metric of the first pairs merged with one of the others; None where torchmetrics merges none of its kind."""
    half = max(1, len(pairs) // 2)
    first, second = task.metric(), task.metric()
    for metric, part in ((first, pairs[:half]), (second, pairs[half:])):
        if part:
            metric.update(*map(list, zip(*part, strict=True)))
    try:
        first.merge_state(second)
    except RuntimeError as error:
        if "not supported" in str(error):
            return None
        raise ContractFault(
            f"two metrics cannot be merged as those of two processes are: {error}; {DECLARE}"
        ) from error
    return first


def mixed_predictions(fixture: TaskFixture, samples: list[Sample]) -> list[Any]:
    """Merged predictions, good and bad in turn where the contract gives ideal ones."""
    restored = [prediction_of(fixture, sample, ideal=index % 2 == 0) for index, sample in enumerate(samples)]
    return [fixture.task.merge(iter([prediction])) for prediction in restored]


def prediction_of(fixture: TaskFixture, sample: Sample, *, ideal: bool = True, seed: int = 0) -> Any:
    """A restored prediction of one plain view: the ideal one where the contract gives it, else a fresh model's."""
    view = some_views(sample.size)[0]
    prediction = fixture.contract.ideal(fixture.task, sample, view) if ideal else None
    if prediction is None:
        (prediction,) = fixture.task.decode(fixture.output(fixture.new_model(seed=seed), view, sample), view)
    return fixture.task.restore(prediction, view, sample.size)


def scores_of(fixture: TaskFixture, updates: list[list[tuple[Any, Any]]]) -> dict[str, float]:
    """The metric of (prediction, target) pairs, a list of them an update."""
    metric = fixture.task.metric()
    for pairs in updates:
        metric.update([p for p, _ in pairs], [t for _, t in pairs])
    return floats(metric.compute())


def floats(scores: Any) -> dict[str, float]:
    """What a metric computes, as floats by name."""
    expect(
        isinstance(scores, dict), f"metric().compute() returns {type(scores).__name__}, not a dict of scores by name"
    )
    return {str(name): float(value) for name, value in scores.items()}
