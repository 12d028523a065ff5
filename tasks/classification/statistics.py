"""What a classification data set holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from umbel import Size, Statistic, class_balance, evenly_spaced, image_sizes
from umbel.tasks.classification.dataset import ClassificationDataset

READ = 50  # images decoded for their size


def describe(dataset: ClassificationDataset, class_names: Sequence[str], input_size: Size) -> list[Statistic]:
    """Images of every class, and the sizes of up to 50 of them.

    Args:
        dataset: the split.
        class_names: names by class id.
        input_size: height and width of the network input.
    """
    if not len(dataset):
        return []
    found = Counter(record.label for record in dataset.records)
    counts = [found[class_id] for class_id in range(len(class_names))]
    sizes = [dataset[index].size for index in evenly_spaced(len(dataset), READ)]
    return [class_balance("classes", class_names, counts, "images"), image_sizes(sizes, input_size)]
