"""Checks of what a task offers besides the methods of `Task`."""

from __future__ import annotations

import difflib
import inspect
import json

import numpy as np

from umbel.contract.capabilities import CAPABILITIES
from umbel.contract.defaults import drawn, json_of
from umbel.contract.task import Task
from umbel.testing.check_predictions import prediction_of
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import TaskFixture

_ALIKE = 0.88  # of two names: "infered_options" and "inferred_options", not "exported" and "export"


def check_capabilities(fixture: TaskFixture) -> None:
    """Every capability is whole and takes what core calls it with; no name is a misspelt one."""
    for capability in CAPABILITIES:
        names = methods_of(capability)
        there = [name for name in names if callable(getattr(fixture.task, name, None))]
        missing = ", ".join(f"{name}()" for name in names if name not in there)
        expect(
            not there or not missing,
            f"{fixture.kind} has {', '.join(f'{name}()' for name in there)} without {missing}: "
            f"umbel.{capability.__name__} takes both",
        )
        for name in there:
            _check_signature(fixture, capability, name)
    _check_spelling(fixture)


def check_draw(fixture: TaskFixture) -> None:
    """Predictions and targets are drawn on a copy of the image, of the same size."""
    for sample in fixture.samples("val")[:2]:
        for what, value in (
            ("a prediction", fixture.task.merge(iter([prediction_of(fixture, sample)]))),
            ("a target", sample.target),
        ):
            image = sample.image.copy()
            try:
                picture = drawn(fixture.task, image, value)
            except Exception as error:
                raise ContractFault(f"draw() of {what} raises {type(error).__name__}: {error}") from error
            fits = isinstance(picture, np.ndarray) and picture.shape == image.shape and picture.dtype == np.uint8
            expect(
                fits,
                f"draw() of {what} gives {getattr(picture, 'dtype', type(picture).__name__)} "
                f"{getattr(picture, 'shape', '')}, not uint8 {image.shape}",
            )
            expect(np.array_equal(image, sample.image), f"draw() of {what} paints over the image it is given")


def check_json(fixture: TaskFixture) -> None:
    """Predictions become JSON without NaN."""
    predictions = {s.id: fixture.task.merge(iter([prediction_of(fixture, s)])) for s in fixture.samples("val")}
    for prediction in predictions.values():
        try:
            json.dumps(json_of(fixture.task, prediction), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ContractFault(f"to_json() makes what JSON cannot hold: {error}") from error


def methods_of(capability: type) -> list[str]:
    """Names of the methods of a protocol."""
    return [name for name in vars(capability) if not name.startswith("_")]


def _check_signature(fixture: TaskFixture, capability: type, name: str) -> None:
    wanted = [one for one in inspect.signature(getattr(capability, name)).parameters if one != "self"]
    given = inspect.signature(getattr(fixture.task, name))
    try:
        given.bind(*wanted)
        fits = True
    except TypeError:
        fits = False
    called, taken = ", ".join(wanted), ", ".join(given.parameters)
    expect(fits, f"{fixture.kind}.{name}({taken}) is called as {name}({called}), see umbel.{capability.__name__}")


def _check_spelling(fixture: TaskFixture) -> None:
    known = [name for capability in CAPABILITIES for name in methods_of(capability)]
    for name in dir(fixture.contract.task):
        if name in known or name.startswith("_") or hasattr(Task, name):
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
        expect(not near, f"{fixture.kind}.{name} is never called: did you mean {''.join(near)}()?")
