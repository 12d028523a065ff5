"""What core does with a task: by its own method where it has the capability, else in the way that suits every task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from umbel.contract.capabilities import (
    Compares,
    DescribesData,
    DescribesExport,
    Detects,
    Draws,
    Exports,
    Filters,
    InfersOptions,
    Inspects,
    MakesJson,
    NamesClasses,
    NamesSources,
    Reports,
    ShowsClasses,
    Stratifies,
    SuggestsTta,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from torch import nn
    from torch.utils.data import Dataset

    from umbel.contract.dataset_report import DetectedDataset, SampleReport, Statistic
    from umbel.contract.reporter import Reporter
    from umbel.contract.task import Task
    from umbel.contract.task_config import TtaVariant
    from umbel.contract.types import Sample, Source


def detected_in(kind: type[Task[Any]], folder: Path) -> DetectedDataset | None:
    """What a kind makes of a folder of data; None where it recognises none."""
    return kind.detect(folder) if isinstance(kind, Detects) else None


def inspected(task: Task[Any], dataset: Dataset[Sample], index: int) -> SampleReport:
    """The faults of a sample; else whether it can be read."""
    from umbel.contract.dataset_report import read_sample

    return task.inspect(dataset, index) if isinstance(task, Inspects) else read_sample(dataset, index)


def sources_of(task: Task[Any], dataset: Dataset[Sample]) -> Iterable[Source] | None:
    """What the samples are read from; else None."""
    return task.sources(dataset) if isinstance(task, NamesSources) else None


def classes_of(task: Task[Any]) -> Sequence[str]:
    """The names of its classes; else none."""
    return task.prediction_classes() if isinstance(task, NamesClasses) else ()


def classes_shown_in(task: Task[Any], dataset: Dataset[Sample], index: int) -> Iterable[str] | None:
    """The classes in a sample; else None."""
    return task.classes_shown(dataset, index) if isinstance(task, ShowsClasses) else None


def strata_of(task: Task[Any], dataset: Dataset[Sample]) -> Sequence[str]:
    """The class of every sample; else none."""
    return task.strata(dataset) if isinstance(task, Stratifies) else ()


def statistics_of(task: Task[Any], split: str) -> Sequence[Statistic]:
    """Tables about a split; else none."""
    return task.describe_data(split) if isinstance(task, DescribesData) else ()


def inferred_options_of(task: Task[Any]) -> Mapping[str, Any]:
    """What it infers from its data; else nothing."""
    return task.inferred_options() if isinstance(task, InfersOptions) else {}


def tta_variants_of(task: Task[Any]) -> list[TtaVariant]:
    """What `umbel tta` compares; else what the recipe's `tta` suggests."""
    from umbel.contract.task_config import default_tta_variants

    return task.tta_variants() if isinstance(task, SuggestsTta) else default_tta_variants(task.config.tta)


def drawn(task: Task[Any], image: np.ndarray, prediction: Any) -> np.ndarray:
    """A picture of a prediction or target; else the image itself."""
    return task.draw(image, prediction) if isinstance(task, Draws) else image


def filtered(task: Task[Any], prediction: Any, confidence: float | None, classes: frozenset[str]) -> Any:
    """A prediction without what is not asked for; else as it is."""
    return task.filter(prediction, confidence, classes) if isinstance(task, Filters) else prediction


def json_of(task: Task[Any], prediction: Any) -> Any:
    """A prediction as JSON types; else its dataclasses, tensors and arrays converted."""
    from umbel.contract.values import to_jsonable

    return task.to_json(prediction) if isinstance(task, MakesJson) else to_jsonable(prediction)


def reporter_of(task: Task[Any]) -> Reporter:
    """What gathers its figures; else its first samples, drawn."""
    from umbel.contract.reporter import FirstExamples

    return task.reporter() if isinstance(task, Reports) else FirstExamples(partial(drawn, task))


def exported(task: Task[Any], head: nn.Module) -> nn.Module:
    """The head as it is exported; else the head itself."""
    return task.export(head) if isinstance(task, Exports) else head


def export_spec_of(task: Task[Any]) -> Mapping[str, Any]:
    """What is said of the exported outputs; else nothing."""
    return task.export_spec() if isinstance(task, DescribesExport) else {}


def predictions_close(task: Task[Any], one: Any, other: Any, tolerance: float) -> bool:
    """Whether two predictions are the same but for rounding; else whether all their numbers are."""
    from umbel.contract.values import values_close

    return (
        task.predictions_close(one, other, tolerance)
        if isinstance(task, Compares)
        else values_close(one, other, tolerance)
    )
