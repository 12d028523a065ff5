"""The Task contract: everything umbel has to know about a job for the shared backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from umbel.contract.types import Batch, FeatureSpec, Losses, Sample, Size, Source, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    from torch import nn
    from torch.utils.data import Dataset
    from torchmetrics import Metric

    from umbel.contract.dataset_report import Guess, SampleReport, Statistic
    from umbel.contract.reporter import Reporter
    from umbel.contract.task_config import TaskConfig, TtaVariant


OptionsT = TypeVar("OptionsT")


class Task(ABC, Generic[OptionsT]):
    """One job of the model: data, head, loss, decoding, metric. Core treats targets, outputs and predictions as opaque.

    Args:
        name: the instance name in the recipe; key of the head, prefix of the metrics.
        config: what every task has: batch size, input size, weight, TTA.
        options: an instance of the class's own `Options`.

    Class attributes:
        Options: dataclass of typed options, declared with `umbel.option`.
        main_metric: the key of `metric().compute()` that enters the overall score; higher is better.
        merge_options: options that only `merge` reads; predictions of views are shared between variants of them.
        hub_tag: the task type by which model hubs file it.
    """

    Options: ClassVar[type]
    main_metric: ClassVar[str]
    merge_options: ClassVar[frozenset[str]] = frozenset()
    hub_tag: ClassVar[str] = "other"

    def __init__(self, name: str, config: TaskConfig, options: OptionsT) -> None:
        self.name = name
        self.config = config
        self.options = options

    @classmethod
    def recognise(cls, folder: Path) -> Guess | None:
        """What `umbel init` should write for a folder of data; None if it is none that this kind reads."""
        return None

    @abstractmethod
    def dataset(self, split: str) -> Dataset[Sample]:
        """Map-style data set of a split ("train" or "val") that gives Samples as stored: decoded, not augmented.

        Raises:
            DataError: naming the file and what is wrong with it.
        """

    @abstractmethod
    def head(self, features: FeatureSpec) -> nn.Module:
        """The head: `forward(features)` takes a tuple of (B, C_i, H/s_i, W/s_i) tensors and returns the raw output."""

    @abstractmethod
    def loss(self, output: Any, targets: Any) -> Losses:
        """Loss of a batch, averaged so that its size does not depend on the batch size; finite for empty targets."""

    @abstractmethod
    def decode(self, output: Any, view: View) -> list[Any]:
        """One prediction an image, in the coordinates of the padded view (`view.canvas`)."""

    @abstractmethod
    def metric(self) -> Metric:
        """A fresh metric: `update(predictions, targets)` takes lists, one entry an image, in original coordinates;
        `compute()` returns a dict of scalars by name, `main_metric` among them."""

    def inspect(self, dataset: Dataset[Sample], index: int) -> SampleReport:
        """Every fault of a sample of `dataset(split)`, for `umbel check --data`; the default tries to read it.

        umbel itself looks closely at each image file that `read_image` or `read_label_map` read meanwhile. Override it
        to name all faults of a label and not only the first, and the classes that occur.
        """
        from umbel.contract.dataset_report import read_sample

        return read_sample(dataset, index)

    def classes_shown(self, dataset: Dataset[Sample], index: int) -> Iterable[str] | None:
        """Classes of `class_list` in a sample of `dataset(split)`, told without decoding its image; None if unknown.

        `umbel train` asks for two seconds before the first step, and warns of classes that no training sample shows.
        """
        return None

    def strata(self, dataset: Dataset[Sample]) -> Sequence[str]:
        """The class of every sample of `dataset("train")`, of which `holdout` takes equal shares; empty: all alike.

        Override it where classes are known without reading the samples.
        """
        return ()

    def sources(self, dataset: Dataset[Sample]) -> Iterable[Source] | None:
        """What each sample of `dataset(split)` is read from, in order, without reading an image; None: not known.

        A run remembers it, so that `--resume` notices data that has changed. Of a data set that names no sources it
        remembers the length, the files that are read by `umbel.read_text` and the like while it is opened once more,
        and a few samples.
        """
        return None

    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Training view of a sample, of size `config.input_size`; every random choice comes from `rng`.

        The default resizes the image and leaves the target alone.
        """
        import cv2

        height, width = self.config.input_size
        resized = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_LINEAR)
        return Sample(resized, sample.target, sample.id, sample.size)

    def collate_targets(self, targets: Sequence[Any]) -> Any:
        """Targets of a batch from its samples' targets; the default is `torch.as_tensor` of the list."""
        import torch

        return torch.as_tensor(list(targets))

    def collate(self, samples: Sequence[Sample]) -> Batch:
        """A batch from augmented samples: images stacked as uint8, targets by `collate_targets`."""
        from umbel.contract.collate import stack_images

        return Batch(
            stack_images(samples),
            self.collate_targets([sample.target for sample in samples]),
            tuple(sample.id for sample in samples),
            tuple(sample.size for sample in samples),
        )

    def views(self, size: Size) -> list[View]:
        """Views of an image of this original size, from `config.tta`; the default is one resize to the input size."""
        return [View(self.config.input_size)]

    def restore(self, prediction: Any, view: View, size: Size) -> Any:
        """Take a prediction from view coordinates back to the original image: un-pad, un-flip, un-scale, in this order.

        The default suits predictions without geometry, such as a class.
        """
        return prediction

    def merge(self, predictions: Iterable[Any]) -> Any:
        """One prediction from those of all views of an image, each already restored to the original frame.

        The views come one at a time, each computed when it is asked for: fold them as they come to hold only one.
        Leave them as they are: `umbel tta` merges the same ones in several ways.
        """
        first, *others = predictions
        if not others:
            return first
        from umbel.contract.errors import ConfigError

        raise ConfigError(
            f"task '{self.name}' cannot merge {1 + len(others)} views",
            where=f"tasks.{self.name}.tta",
            hint=f"{type(self).__name__} does not implement merge(); remove the tta block",
        )

    def tta_rows(self) -> list[TtaVariant]:
        """What `umbel tta` compares where the recipe declares nothing: one view, `tta` without its flip, all of it."""
        from umbel.contract.task_config import default_rows

        return default_rows(self.config.tta)

    def learnt_options(self) -> dict[str, Any]:
        """Options that were read from the data and that head or predictions depend on, such as class names.

        They are written into the recipe of the run, so that a trained model can be used without its data.
        """
        return {}

    def describe_data(self, split: str) -> list[Statistic]:
        """Tables about a split, such as class balance, with findings; `umbel check` and reports show them."""
        return []

    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        """Picture of a prediction or, for reports, of a target: (H, W, 3) uint8 RGB of the same size as `image`."""
        return image

    def class_list(self) -> Sequence[str]:
        """Names of the classes that predictions can be narrowed to; empty for a task without classes."""
        return ()

    def narrow(self, prediction: Any, confidence: float | None, classes: frozenset[str]) -> Any:
        """A prediction without what is of other classes or less certain; the default leaves it as it is.

        Args:
            prediction: in original coordinates.
            confidence: the lowest score to keep; None keeps all.
            classes: names of `class_list` to keep; empty keeps all.
        """
        return prediction

    def to_mask(self, prediction: Any) -> np.ndarray | None:
        """A prediction as an (H, W) uint8 or uint16 map of class ids, for PNG files; None where it is no map."""
        return None

    def to_coco(self, prediction: Any) -> list[dict[str, Any]] | None:
        """A prediction as annotations of a COCO file, but for their ids and image ids; None where COCO has none."""
        return None

    def coco_categories(self) -> list[dict[str, Any]]:
        """The `categories` of a COCO file, for tasks with `to_coco`."""
        return []

    def reporter(self) -> Reporter:
        """What gathers this task's figures for the run's report during the last evaluation; the default shows a few
        samples, drawn by `draw`."""
        from umbel.contract.reporter import FirstExamples

        return FirstExamples(self.draw)

    def to_json(self, prediction: Any) -> Any:
        """A prediction as JSON types, for result files; the default converts dataclasses, tensors and arrays."""
        from umbel.contract.values import to_jsonable

        return to_jsonable(prediction)

    def export(self, head: nn.Module) -> nn.Module:
        """The head as it is exported, its output tensors that `decode` takes too; the default is the head itself."""
        return head

    def alike(self, one: Any, other: Any, tolerance: float) -> bool:
        """Whether an exported model's prediction is that of the model itself, but for rounding.

        The default wants equal structure and integers, and numbers within `tolerance` times the largest beside them.
        """
        from umbel.contract.values import alike

        return alike(one, other, tolerance)

    def export_spec(self) -> dict[str, Any]:
        """How images get to the size of the network input, what the exported outputs mean and how they are decoded.

        It goes into the JSON beside an exported model, for programs that use it without umbel.
        """
        return {}
