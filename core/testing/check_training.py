"""Checks of a task's head and loss: gradients, empty targets, low precision, learning, checkpoints, export."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from umbel.contract.defaults import exported, inferred_options_of
from umbel.contract.task import Task
from umbel.contract.types import Batch, View
from umbel.model.model import MultiTaskModel
from umbel.testing.check_data import check_losses
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import NAME, TaskFixture
from umbel.testing.same import difference

OTHER_WIDTHS = [6, 10, 14, 18]


def check_head(fixture: TaskFixture) -> None:
    """The head reads channels from the feature spec, starts from torch's seed, and repeats itself in evaluation."""
    batch = fixture.batch()
    try:
        with torch.no_grad():
            fixture.new_model(widths=OTHER_WIDTHS).eval()(batch.images, NAME)
    except RuntimeError as error:
        raise ContractFault(
            f"the head fails on a backbone of {OTHER_WIDTHS} channels, so it does not read features.channels: {error}"
        ) from error
    model, twin = fixture.new_model(), fixture.new_model()
    found = difference(model.state_dict(), twin.state_dict(), path="weights")
    expect(not found, f"two heads made from one torch seed differ: {found}")
    model.eval()
    with torch.no_grad():
        found = difference(model(batch.images, NAME), model(batch.images, NAME), path="output")
    expect(not found, f"the head in evaluation mode gives two outputs for one input: {found}")


def check_gradients(fixture: TaskFixture) -> None:
    """The loss is finite and reaches every parameter of the head, and the backbone."""
    model = fixture.new_model().train()
    _check_backward(model, fixture.task, fixture.batch(), "")


def check_low_precision(fixture: TaskFixture) -> None:
    """Loss and decoding take outputs in bfloat16, as autocast makes them."""
    model, batch = fixture.new_model().train(), fixture.batch()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch.images, NAME)
    losses = fixture.task.loss(output, batch.targets)  # outside autocast, as in training
    check_losses(losses)
    expect(losses.total.dtype != torch.bfloat16, "the loss is computed in bfloat16: call .float() on the output")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        output = model.eval()(batch.images, NAME)
    expect(
        len(fixture.task.decode(output, View(fixture.contract.input_size))) == batch.images.shape[0],
        "decode() of a bfloat16 output gives another number of predictions than images",
    )


def check_empty_targets(fixture: TaskFixture, batch: Batch, what: str) -> None:
    """A batch without anything to learn from has a finite loss that is still connected to every parameter."""
    _check_backward(fixture.new_model().train(), fixture.task, batch, f" on {what}")


def _check_backward(model: MultiTaskModel, task: Task[Any], batch: Batch, where: str) -> None:
    features = [level.detach().requires_grad_() for level in model.backbone(model.normalise(batch.images), NAME)]
    losses = task.loss(model.heads[NAME](tuple(features)), batch.targets)
    try:
        check_losses(losses)
    except ContractFault as fault:
        raise ContractFault(f"{fault}{where}") from None
    losses.total.backward()  # type: ignore[no-untyped-call]
    named = [(name, p) for name, p in model.heads[NAME].named_parameters() if p.requires_grad]
    without = [name for name, parameter in named if parameter.grad is None]
    expect(
        not without,
        f"no gradient reaches {', '.join(without)} of the head{where}: every parameter must take part in the loss",
    )
    broken = [
        name for name, parameter in named if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
    ]
    expect(not broken, f"the gradient of {', '.join(broken)} is not finite{where}")
    expect(
        any(level.grad is not None for level in features),
        f"no gradient reaches the backbone{where}: the head detaches its features",
    )


def check_learns(fixture: TaskFixture) -> None:
    """A few steps on one batch bring its loss down."""
    contract, batch = fixture.contract, fixture.batch()
    model = fixture.new_model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=contract.overfit_lr, weight_decay=0.0)
    first = last = 0.0
    for step in range(contract.overfit_steps + 1):
        torch.manual_seed(step)
        total = fixture.task.loss(model(batch.images, NAME), batch.targets).total
        last = float(total.detach())
        first = last if step == 0 else first
        if last <= contract.overfit_to * first:
            return
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    raise ContractFault(
        f"{contract.overfit_steps} steps on one batch take the loss from {first:.4g} to {last:.4g} only; "
        f"it should fall below {contract.overfit_to:g} of its start"
    )


def check_checkpoint(fixture: TaskFixture) -> None:
    """Weights written and read again, in a task built without its data, give the same output."""
    from safetensors.torch import load_file, save_file

    model, batch = fixture.new_model(), fixture.batch()
    with torch.no_grad():
        for _ in range(2):  # buffers such as running statistics move
            model.train()(batch.images, NAME)
        expected = model.eval()(batch.images, NAME)
    learnt = inferred_options_of(fixture.task)
    away = fixture.folder.with_name("moved")
    fixture.folder.rename(away)
    try:
        task = fixture.new_task(learnt)
        other = fixture.new_model(task, seed=1)
    except Exception as error:  # whatever a task's reader raises
        raise ContractFault(
            f"the head cannot be built without the data: {type(error).__name__}: {error}; "
            "inferred_options() must return what it read"
        ) from error
    finally:
        away.rename(fixture.folder)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({name: value.clone().contiguous() for name, value in model.state_dict().items()}, path)
        try:
            other.load_state_dict(load_file(path))
        except RuntimeError as error:
            raise ContractFault(
                f"the weights do not fit a head built again: {str(error).splitlines()[-1].strip()}"
            ) from error
    with torch.no_grad():
        found = difference(other.eval()(batch.images, NAME), expected, path="output")
    expect(
        not found,
        f"a head with the weights of another gives another output: {found}; "
        "it keeps state outside parameters and buffers",
    )


def check_export(fixture: TaskFixture) -> None:
    """The exported head decodes to the same predictions, and torch.export traces it to the same output."""
    model = fixture.new_model().eval()
    task, view = fixture.task, View(fixture.contract.input_size)
    with torch.no_grad():
        features = model.backbone(model.normalise(fixture.batch().images), NAME)
        head = model.heads[NAME]
        plain = task.decode(head(features), view)
        shipped = exported(task, head).eval()
        expected = shipped(features)
        found = difference(task.decode(expected, view), plain, 1e-4, "prediction")
        expect(not found, f"the head of export() decodes to other predictions: {found}")
        found = difference(_traced(shipped, features)(features), expected, 1e-4, "output")
    expect(not found, f"torch.export of the head gives another output: {found}")


def _traced(head: nn.Module, features: tuple[Tensor, ...]) -> nn.Module:
    try:
        return torch.export.export(head, (features,)).module()
    except Exception as error:  # the tracer raises many kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ContractFault(f"torch.export cannot trace the head: {reason}") from error
