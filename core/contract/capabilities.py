"""What a task may offer besides `Task`: each in a small protocol of its own.

A task has a capability by having its methods; it need not name the protocol as a base class. Core finds it by
`isinstance`, and `umbel.contract.defaults` has what it does for a task that lacks one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from torch import nn

    from umbel.contract.dataset_report import DetectedDataset, SampleReport, Statistic
    from umbel.contract.geometry import Geometry
    from umbel.contract.reporter import Reporter
    from umbel.contract.task_config import TtaVariant
    from umbel.contract.types import Source


@runtime_checkable
class Detects(Protocol):
    """Detects folders of data, for `umbel init`; other kinds are only taken by name."""

    @classmethod
    def detect(cls, folder: Path) -> DetectedDataset | None:
        """What `umbel init` should write for a folder of data; None if it is none that this kind reads."""
        ...


@runtime_checkable
class Inspects(Protocol):
    """Looks closely at its samples, for `umbel check --data`; of other tasks core tries to read each sample.

    umbel itself looks closely at each image file that `read_image` or `read_label_map` read meanwhile. This names all
    faults of a label and not only the first, and the classes that occur.
    """

    def inspect(self, dataset: Any, index: int) -> SampleReport:
        """Every fault of a sample of `dataset(split)`."""
        ...


@runtime_checkable
class NamesSources(Protocol):
    """Names the files its samples are read from, so that `--resume` notices data that has changed.

    Of other tasks a run remembers the length, the files that are read by `umbel.read_text` and the like while the data
    set is opened once more, and a few samples.
    """

    def sources(self, dataset: Any) -> Iterable[Source] | None:
        """What each sample of `dataset(split)` is read from, in order, without reading an image; None: not known."""
        ...


@runtime_checkable
class NamesClasses(Protocol):
    """Has classes with names; other tasks have none."""

    def prediction_classes(self) -> Sequence[str]:
        """Names of the classes that predictions can be filtered by."""
        ...


@runtime_checkable
class ShowsClasses(Protocol):
    """Knows which of the classes of `prediction_classes` a sample shows, without decoding its image.

    `umbel train` asks for two seconds before the first step, and warns of classes that no training sample shows.
    """

    def classes_shown(self, dataset: Any, index: int) -> Iterable[str] | None:
        """Classes in a sample of `dataset(split)`; None if unknown."""
        ...


@runtime_checkable
class Stratifies(Protocol):
    """Knows the class of every sample without reading it, so that `holdout` takes equal shares of each."""

    def strata(self, dataset: Any) -> Sequence[str]:
        """The class of every sample of `dataset("train")`; empty: all alike."""
        ...


@runtime_checkable
class DescribesData(Protocol):
    """Describes its data, for `umbel check` and reports."""

    def describe_data(self, split: str) -> list[Statistic]:
        """Tables about a split, such as class balance, with findings."""
        ...


@runtime_checkable
class InfersOptions(Protocol):
    """Infers options from its data that head or predictions depend on, such as class names.

    They are written into the recipe of the run, so that a trained model can be used without its data.
    """

    def inferred_options(self) -> Mapping[str, Any]:
        """Values that a recipe can hold, by the name of an option."""
        ...


@runtime_checkable
class SuggestsTta(Protocol):
    """Suggests what `umbel tta` compares where the recipe declares nothing.

    For other tasks it is one view, `tta` without its flip, and all of it: `umbel.default_tta_variants`.
    """

    def tta_variants(self) -> list[TtaVariant]:
        """The rows, the single view first."""
        ...


@runtime_checkable
class Draws(Protocol):
    """Draws what it predicts; for other tasks the image itself is shown."""

    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        """Picture of a prediction or, for reports, of a target: (H, W, 3) uint8 RGB of the same size as `image`."""
        ...


@runtime_checkable
class Filters(Protocol):
    """Leaves out of a prediction what is not asked for; predictions of other tasks stay as they are."""

    def filter(self, prediction: Any, confidence: float | None, classes: frozenset[str]) -> Any:
        """A prediction without what is of other classes or less certain.

        Args:
            prediction: in original coordinates.
            confidence: the lowest score to keep; None keeps all.
            classes: names of `prediction_classes` to keep; empty keeps all.
        """
        ...


@runtime_checkable
class MakesMasks(Protocol):
    """Predicts a class id for every pixel: `umbel predict --format masks` writes PNG files."""

    def to_mask(self, prediction: Any) -> np.ndarray:
        """A prediction as an (H, W) uint8 or uint16 map of class ids."""
        ...


@runtime_checkable
class MakesCoco(Protocol):
    """Predicts what COCO has annotations for: `umbel predict --format coco` writes a file of them."""

    def to_coco(self, prediction: Any) -> list[dict[str, Any]]:
        """A prediction as annotations of a COCO file, but for their ids and image ids."""
        ...

    def coco_categories(self) -> list[dict[str, Any]]:
        """The `categories` of the file."""
        ...


@runtime_checkable
class MakesJson(Protocol):
    """Says how a prediction is written as JSON; of others dataclasses, tensors and arrays are converted."""

    def to_json(self, prediction: Any) -> Any:
        """A prediction as JSON types, for result files."""
        ...


@runtime_checkable
class Reports(Protocol):
    """Has figures of its own in the run's report; of other tasks a few samples are shown."""

    def reporter(self) -> Reporter:
        """What gathers this task's figures during the last evaluation."""
        ...


@runtime_checkable
class Exports(Protocol):
    """Exports its head as another module; other heads are exported as they are."""

    def export(self, head: nn.Module) -> nn.Module:
        """The head as it is exported, its output tensors that `decode` takes too."""
        ...


@runtime_checkable
class DescribesExport(Protocol):
    """Says what a program needs that uses the exported model without umbel."""

    def export_spec(self) -> dict[str, Any]:
        """How images get to the size of the network input, what the exported outputs mean and how they are decoded.

        It goes into the JSON beside an exported model.
        """
        ...


@runtime_checkable
class Warps(Protocol):
    """Moves a label along with its image, so that the task can share images with others: one draw for all of them."""

    def warp(self, target: Any, geometry: Geometry) -> Any:
        """The target of the view that `geometry` cuts out of a stored sample; what lies outside is left out or ignored.

        Args:
            target: as `dataset` gives it; leave it as it is.
            geometry: from the stored image to a view of any size.
        """
        ...


@runtime_checkable
class Compares(Protocol):
    """Knows when two predictions are the same but for rounding.

    For other tasks structure and integers are equal, and numbers within `tolerance` times the largest beside them.
    """

    def predictions_close(self, one: Any, other: Any, tolerance: float) -> bool:
        """Whether an exported model's prediction is that of the model itself, but for rounding."""
        ...


CAPABILITIES: tuple[type[Any], ...] = (
    *(
        Detects,
        Inspects,
        NamesSources,
        NamesClasses,
        ShowsClasses,
        Stratifies,
        DescribesData,
        InfersOptions,
        SuggestsTta,
    ),
    *(Draws, Filters, MakesMasks, MakesCoco, MakesJson, Reports, Exports, DescribesExport, Warps, Compares),
)
