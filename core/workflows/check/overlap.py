"""Images that are used more than once, classes that only one split has, and classes that none has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from umbel.contract.dataset_report import Finding
from umbel.workflows.check.sample import SampleResult

_SPLIT = "keep it in one split only"


def find_overlaps(results: Iterable[SampleResult]) -> list[Finding]:
    """Copies within a split, and validation images that the same or another task trains on: its backbone has seen them.

    Images are the same when their pixels are.
    """
    uses: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for result in results:
        for path, digest in result.images:
            uses[digest].append((result.task, result.split, path))
    findings = []
    for places in uses.values():
        if len(places) == 1:
            continue
        first: dict[tuple[str, str], str] = {}
        for task, split, path in places:
            seen = first.setdefault((task, split), path)
            if seen is not path:
                same = "is used twice" if seen == path else f"has the pixels of {seen}"
                findings.append(
                    Finding(
                        "duplicate",
                        path,
                        message=f"{same} in the same split",
                        remedy="keep one",
                        severity="warning",
                        task=task,
                        split=split,
                    )
                )
        for (task, split), path in first.items():
            trained = [(other, where) for (other, its), where in first.items() if its == "train"]
            for other, where in trained if split == "val" else ():
                if other == task:
                    message = f"validates what is trained on: {where}"
                    findings.append(
                        Finding("leak", path, message=message, remedy=_SPLIT, severity="error", task=task, split=split)
                    )
                else:
                    message = f"validates what task '{other}' trains the shared backbone on: {where}"
                    findings.append(
                        Finding(
                            "leak-across-tasks",
                            path,
                            message=message,
                            remedy=_SPLIT,
                            severity="error",
                            task=task,
                            split=split,
                        )
                    )
    return findings


def find_unseen_classes(results: Iterable[SampleResult], divided: Collection[str] = ()) -> list[Finding]:
    """Classes that only the validation samples show, which nothing trains, or only the training ones: nothing tells.

    Args:
        results: of all samples that could be looked at.
        divided: tasks whose data umbel divides itself; a class of a few samples may well be absent from validation.
    """
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in results:
        seen[result.task, result.split] |= result.classes
    findings = []
    for task in sorted({task for task, _ in seen}):
        train, val = seen.get((task, "train")), seen.get((task, "val"))
        if train is None or val is None:
            continue
        for name in sorted(val - train):
            message = f"no training sample shows {name!r}, which validation samples do"
            remedy = "split the data again, or leave the class out"
            findings.append(_class_finding("unseen-class", message, remedy, task))
        for name in sorted(train - val if task not in divided else ()):
            message = f"no validation sample shows {name!r}: the scores do not tell how well it is learnt"
            findings.append(_class_finding("unvalidated-class", message, "split the data again, or go on", task))
    return findings


def find_absent_classes(results: Iterable[SampleResult], classes: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Classes that no training sample shows, and no other either: those are `find_unseen_classes`'.

    Args:
        results: of all samples that could be looked at.
        classes: in their order, of every task that says which ones a sample shows.
    """
    seen: dict[str, set[str]] = defaultdict(set)
    for result in results:
        seen[result.task] |= result.classes
    return [
        Finding(
            "absent-class",
            f"tasks.{task}",
            message=f"no sample shows {name!r}",
            remedy="check what the labels are called and which values they have, or leave the class out by class_map",
            severity="warning",
            task=task,
            split="train",
        )
        for task, names in classes.items()
        for name in names
        if name not in seen[task]
    ]


def _class_finding(kind: str, message: str, remedy: str, task: str) -> Finding:
    return Finding(kind, f"tasks.{task}", message=message, remedy=remedy, severity="warning", task=task, split="val")
