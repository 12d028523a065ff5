"""What the checks of a task work on: the task, samples of small data, and a model on the test backbone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.literals import literal
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.task_config import TaskConfig, TtaConfig
from umbel.contract.types import Batch, Sample, Size, View
from umbel.data.datasets import dataset_length
from umbel.evaluate.inference import image_tensor
from umbel.model.model import MultiTaskModel, build_model
from umbel.testing.fault import ContractFault, expect
from umbel.testing.pyramid import Pyramid, PyramidOptions

NAME = "contract"

MOST = 4  # samples of a split that are looked at


class Contract(Protocol):
    """What the checks read of `umbel.testing.TaskContract`, which says what each is."""

    task: ClassVar[type[Task[Any]]]
    input_size: ClassVar[Size]
    batch_size: ClassVar[int]
    overfit_steps: ClassVar[int]
    overfit_to: ClassVar[float]
    overfit_lr: ClassVar[float]
    ideal_score: ClassVar[float]
    waits_of_a_step: ClassVar[int]
    waits_of_a_view: ClassVar[int]

    def write_data(self, folder: Path) -> dict[str, Any]: ...

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any: ...

    def empty(self, task: Task[Any], sample: Sample) -> Sample | None: ...

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float] | None: ...


class TaskFixture:
    """A task of the contract's class and everything around it, each made when first asked for.

    Args:
        contract: the test class: which task, which data.
        folder: an empty folder for its data.
    """

    def __init__(self, contract: Contract, folder: Path) -> None:
        self.contract = contract
        self.folder = folder / "data"
        self.folder.mkdir()
        self.options: dict[str, Any] = contract.write_data(self.folder)
        self.kind = contract.task.__name__

    def new_task(self, changes: Mapping[str, Any] | None = None, tta: TtaConfig | None = None) -> Task[Any]:
        """A fresh instance, its options checked as a recipe's are."""
        options = self.contract.task.Options
        try:
            merged = OmegaConf.merge(OmegaConf.structured(options), literal(self.options), literal(changes or {}))
            missing = sorted(OmegaConf.missing_keys(merged))
            expect(
                not missing, f"write_data() gives no value for {', '.join(missing)}, which {options.__name__} requires"
            )
            typed = OmegaConf.to_object(merged)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ContractFault(
                f"the options that write_data() returns do not fit {options.__name__}: {reason}"
            ) from error
        config = TaskConfig(
            kind=NAME,
            batch_size=self.contract.batch_size,
            input_size=self.contract.input_size,
            tta=tta or TtaConfig(),
        )
        missing = sorted(getattr(self.contract.task, "__abstractmethods__", ()))
        expect(not missing, f"{self.kind} does not implement {', '.join(missing)}")
        return self.contract.task(NAME, config, typed)

    @cached_property
    def task(self) -> Task[Any]:
        return self.new_task()

    def samples(self, split: str) -> list[Sample]:
        """The first samples of a split, as stored."""
        dataset = self.task.dataset(split)
        length = dataset_length(dataset)
        expect(length > 0, f"dataset('{split}') is empty")
        return [dataset[index] for index in range(min(MOST, length))]

    def batch(self, samples: list[Sample] | None = None) -> Batch:
        """Augmented and collated training samples, `batch_size` of them."""
        stored = samples or self.samples("train")
        chosen = [stored[index % len(stored)] for index in range(self.contract.batch_size)]
        rngs = [keyed_generator(NAME, index) for index in range(len(chosen))]
        return self.task.collate([self.task.augment(s, rng) for s, rng in zip(chosen, rngs, strict=True)])

    def new_model(
        self, task: Task[Any] | None = None, widths: list[int] | None = None, seed: int = 0
    ) -> MultiTaskModel:
        """The task's head on the test backbone, its weights a function of the seed."""
        torch.manual_seed(seed)
        backbone = Pyramid(PyramidOptions(widths) if widths else PyramidOptions())
        return build_model(backbone, {NAME: task or self.task}, seed)

    def output(self, model: MultiTaskModel, view: View, sample: Sample) -> Any:
        """Raw output of a model in evaluation mode for one view of a sample."""
        image = view.apply(image_tensor(sample.image, torch.device("cpu")), model.pad_color)[None]
        with torch.no_grad():
            return model.eval()(image, NAME)
