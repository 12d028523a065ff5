"""The Task contract: everything umbel has to know about a job for the shared backbone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from umbel.contract.types import Batch, FeatureSpec, Losses, Sample, Size, View

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from torch import nn
    from torch.utils.data import Dataset
    from torchmetrics import Metric

    from umbel.contract.task_config import TaskConfig


OptionsT = TypeVar("OptionsT")


class Task(ABC, Generic[OptionsT]):
    """One job of the model: data, head, loss, decoding, metric. Core treats targets, outputs and predictions as opaque.

    What else a task may offer stands in `umbel.contract.capabilities`, each in a protocol of its own.

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
