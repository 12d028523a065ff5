"""Checks of what happens to a task where several ranks share its data unevenly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from umbel.contract.defaults import reporter_of
from umbel.contract.errors import PluginError
from umbel.evaluate.metric_states import apart, pack, unite
from umbel.testing.check_predictions import DECLARE, TOLERANCE, floats, mixed_predictions, prediction_of, scores_of
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import NAME, TaskFixture
from umbel.testing.same import difference

_WAITS = (
    *("all_gather", "all_gather_coalesced", "all_gather_into_tensor", "all_gather_object", "all_reduce"),
    *("all_reduce_coalesced", "all_to_all", "all_to_all_single", "barrier", "batch_isend_irecv", "broadcast"),
    *("broadcast_object_list", "gather", "gather_object", "irecv", "isend", "monitored_barrier", "recv", "reduce"),
    *("reduce_scatter", "reduce_scatter_tensor", "scatter", "scatter_object_list", "send"),
)

_COMPANY = {"is_available": True, "is_initialized": True, "get_world_size": 2, "get_rank": 0, "get_backend": "gloo"}


@contextmanager
def in_company(what: str) -> Iterator[None]:
    """As the first of two ranks, of which the other is silent: to wait for it is a fault of what runs meanwhile."""
    waited: list[str] = []

    def wait(name: str) -> Any:
        def refuse(*given: object, **named: object) -> None:
            waited.append(name)
            raise ContractFault(name)

        return refuse

    said = {name: lambda *given, value=value, **named: value for name, value in _COMPANY.items()}
    changed = said | {name: wait(name) for name in _WAITS if hasattr(dist, name)}
    own = {name: getattr(dist, name) for name in changed}
    try:
        for name, function in changed.items():
            setattr(dist, name, function)
        yield
    except Exception:
        if not waited:
            raise
    finally:
        for name, function in own.items():
            setattr(dist, name, function)
    named = "".join(waited[:1])
    expect(
        not waited,
        f"{what} waits for other ranks (torch.distributed.{named}), which may have no image left; "
        "make a metric of its own with sync_on_compute=False",
    )


def check_company(fixture: TaskFixture) -> None:
    """No method of the task waits for another rank: ranks have different numbers of images."""
    task, kind, samples = fixture.task, fixture.kind, fixture.samples("val")
    batch = fixture.batch()
    output = fixture.new_model().train()(batch.images, NAME)
    with in_company(f"{kind}.loss()"):
        task.loss(output, batch.targets)
    predictions = mixed_predictions(fixture, samples)
    with in_company(f"decode(), restore() or merge() of {kind}"):
        for sample in samples:
            task.merge(iter([prediction_of(fixture, sample, ideal=False)]))
    metric, reporter = task.metric(), reporter_of(task)
    for sample, prediction in zip(samples, predictions, strict=True):
        with in_company(f"{kind}.metric().update()"):
            metric.update([prediction], [sample.target])
        with in_company(f"{kind}.reporter().add()"):
            reporter.add(sample, prediction)
    with in_company(f"{kind}.reporter().figures()"):
        reporter.figures()
    with in_company(f"{kind}.metric().compute()"), apart():  # core has gathered its states before
        metric.compute()


def check_shares(fixture: TaskFixture) -> None:
    """The states of two and three ranks, one of them without an image, give every rank the scores of one process."""
    task, samples = fixture.task, fixture.samples("val")
    targets = [sample.target for sample in samples]
    pairs = list(zip(mixed_predictions(fixture, samples), targets, strict=True))
    at_once = scores_of(fixture, [pairs])
    for shares in ([pairs[:-1], pairs[-1:]], [[], pairs[:1], pairs[1:]], [pairs, [], []]):
        metrics = [task.metric() for _ in shares]
        for metric, share in zip(metrics, shares, strict=True):
            for prediction, target in share:
                metric.update([prediction], [target])
        images = ", ".join(str(len(share)) for share in shares)
        try:
            packed = [pack(metric) for metric in metrics]
            for metric in metrics:
                unite(metric, packed)
            with apart():
                scored = [floats(metric.compute()) for metric in metrics]
        except PluginError as error:
            raise ContractFault(f"{fixture.kind}: {error}") from error
        except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
            raise ContractFault(
                f"metric() of ranks with {images} images raises {type(error).__name__}: {error}; {DECLARE}"
            ) from error
        for scores in scored:
            found = difference(scores, at_once, TOLERANCE, "scores")
            expect(not found, f"ranks with {images} images score otherwise than one process: {found}; {DECLARE}")
