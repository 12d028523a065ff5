"""Checks of what a task offers besides the methods of `Task`."""

from __future__ import annotations

import difflib
import inspect
import json

import numpy as np

from umbel.contract.capabilities import CAPABILITIES
from umbel.contract.defaults import drawn, json_of
from umbel.contract.task import Task
from umbel.testing.bench import Bench
from umbel.testing.check_predictions import prediction_of
from umbel.testing.fault import ContractFault, expect

_ALIKE = 0.88  # of two names: "learned_options" and "learnt_options", not "exported" and "export"


def check_capabilities(bench: Bench) -> None:
    """Every capability is whole and takes what core calls it with; no name is a misspelt one."""
    for capability in CAPABILITIES:
        names = methods_of(capability)
        there = [name for name in names if callable(getattr(bench.task, name, None))]
        missing = ", ".join(f"{name}()" for name in names if name not in there)
        expect(
            not there or not missing,
            f"{bench.kind} has {', '.join(f'{name}()' for name in there)} without {missing}: "
            f"umbel.{capability.__name__} takes both",
        )
        for name in there:
            _check_signature(bench, capability, name)
    _check_spelling(bench)


def check_draw(bench: Bench) -> None:
    """Predictions and targets are drawn on a copy of the image, of the same size."""
    for sample in bench.samples("val")[:2]:
        for what, value in (
            ("a prediction", bench.task.merge(iter([prediction_of(bench, sample)]))),
            ("a target", sample.target),
        ):
            image = sample.image.copy()
            try:
                picture = drawn(bench.task, image, value)
            except Exception as error:
                raise ContractFault(f"draw() of {what} raises {type(error).__name__}: {error}") from error
            fits = isinstance(picture, np.ndarray) and picture.shape == image.shape and picture.dtype == np.uint8
            expect(
                fits,
                f"draw() of {what} gives {getattr(picture, 'dtype', type(picture).__name__)} "
                f"{getattr(picture, 'shape', '')}, not uint8 {image.shape}",
            )
            expect(np.array_equal(image, sample.image), f"draw() of {what} paints over the image it is given")


def check_json(bench: Bench) -> None:
    """Predictions become JSON without NaN."""
    predictions = {s.id: bench.task.merge(iter([prediction_of(bench, s)])) for s in bench.samples("val")}
    for prediction in predictions.values():
        try:
            json.dumps(json_of(bench.task, prediction), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ContractFault(f"to_json() makes what JSON cannot hold: {error}") from error


def methods_of(capability: type) -> list[str]:
    """Names of the methods of a protocol."""
    return [name for name in vars(capability) if not name.startswith("_")]


def _check_signature(bench: Bench, capability: type, name: str) -> None:
    wanted = [one for one in inspect.signature(getattr(capability, name)).parameters if one != "self"]
    given = inspect.signature(getattr(bench.task, name))
    try:
        given.bind(*wanted)
        fits = True
    except TypeError:
        fits = False
    called, taken = ", ".join(wanted), ", ".join(given.parameters)
    expect(fits, f"{bench.kind}.{name}({taken}) is called as {name}({called}), see umbel.{capability.__name__}")


def _check_spelling(bench: Bench) -> None:
    known = [name for capability in CAPABILITIES for name in methods_of(capability)]
    for name in dir(bench.contract.task):
        if name in known or name.startswith("_") or hasattr(Task, name):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
        expect(not near, f"{bench.kind}.{name} is never called: did you mean {''.join(near)}()?")
