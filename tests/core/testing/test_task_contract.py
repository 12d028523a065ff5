"""The contract passes a good task, and names the fault of every broken one."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from good_task import Closeness, Shade, ShadeContract, ShadeHead, ShadeOptions, Shades, resize
from torch import Tensor, nn
from torchmetrics import Metric

from umbel import FeatureSpec, Losses, Sample, Size, Task, View, option
from umbel.testing import ContractFault
from umbel.testing.fixture import TaskFixture


class TestShade(ShadeContract):
    """The good task itself."""


@dataclass
class SilentOptions(ShadeOptions):
    secret: int = option(3)


class SilentOption(Shade):
    Options = SilentOptions


class FloatImages(Shade):
    def dataset(self, split: str) -> Any:
        class Floats(Shades):
            def __getitem__(self, index: int) -> Sample:
                sample = super().__getitem__(index)
                return replace(sample, image=sample.image / 255)

        return Floats(Path(self.options.root) / split)


class WidthFirst(Shade):
    def dataset(self, split: str) -> Any:
        class Swapped(Shades):
            def __getitem__(self, index: int) -> Sample:
                sample = super().__getitem__(index)
                return replace(sample, size=(sample.size[1], sample.size[0]))

        return Swapped(Path(self.options.root) / split)


class RandomReader(Shade):
    def dataset(self, split: str) -> Any:
        class Noisy(Shades):
            def __getitem__(self, index: int) -> Sample:
                sample = super().__getitem__(index)
                return replace(sample, target=sample.target + np.random.default_rng().random())

        return Noisy(Path(self.options.root) / split)


class GlobalDice(Shade):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        random.random()
        return super().augment(sample, rng)


class OwnDice(Shade):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return super().augment(sample, np.random.default_rng())


class PaintsOverTheStored(Shade):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        sample.image[:4] = 0
        return super().augment(sample, rng)


class WrongSize(Shade):
    def augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        return replace(super().augment(sample, rng), image=sample.image[:32])


class ArraysInBatches(Shade):
    def collate_targets(self, targets: Sequence[np.ndarray]) -> Any:
        return {"shades": np.stack(targets)}


class FixedChannels(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        return ShadeHead(8)


class UnusedParameter(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        head = ShadeHead(features.channels[0])
        head.spare = nn.Linear(3, 3)
        return head


class Detached(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return Losses(super().loss(output, targets).total.detach())


class NotConnectedToTheBackbone(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        class Cut(ShadeHead):
            def forward(self, features: tuple[Tensor, ...]) -> Tensor:
                return super().forward(tuple(level.detach() for level in features))

        return Cut(features.channels[0])


class NanWhenEmpty(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        shades = torch.nn.functional.interpolate(output.float(), size=targets.shape[-2:], mode="bilinear")[:, 0]
        valid = torch.isfinite(targets)
        return Losses((shades[valid] - targets[valid]).square().mean())


class NeverLearns(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return Losses(1 + 1e-6 * super().loss(output, targets).total)


class ForgetsToUnflip(Shade):
    def restore(self, prediction: Tensor, view: View, size: Size) -> Tensor:
        return resize(prediction, size)


class ForgetsToScale(Shade):
    def restore(self, prediction: Tensor, view: View, size: Size) -> Tensor:
        return prediction.flip(-1) if view.hflip else prediction


class KeepsThePadding(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        return super().decode(output, View(view.canvas or view.size))


class OnePredictionForAll(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        return super().decode(output, view) * 2


class SumsViews(Shade):
    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        return torch.stack(list(predictions)).sum(0)


class MergesInPlace(Shade):
    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        first, *others = predictions
        for other in others:
            first += other
        first /= 1 + len(others)
        return first


class ErrorAsMain(Shade):
    def metric(self) -> Metric:
        class Error(Closeness):
            def compute(self) -> dict[str, Tensor]:
                return {"closeness": self.error / self.count + 1}

        return Error()


class OtherName(Shade):
    main_metric = "nearness"


class HiddenState(Shade):
    def metric(self) -> Metric:
        class Hidden(Closeness):
            seen = 0

            def update(self, predictions: Any, targets: Any) -> None:
                self.seen += len(predictions)
                super().update(predictions, targets)

            def compute(self) -> dict[str, Tensor]:
                return {"closeness": 1 - self.error / self.seen}

        return Hidden()


class MeanOfUpdates(Shade):
    def metric(self) -> Metric:
        class Means(Closeness):
            def update(self, predictions: Any, targets: Any) -> None:
                pairs = zip(predictions, targets, strict=True)
                self.error += max(float((p - torch.from_numpy(t)).abs().mean()) for p, t in pairs)
                self.count += 1

        return Means()


class WrongFormula(Shade):
    def metric(self) -> Metric:
        class Squared(Closeness):
            def compute(self) -> dict[str, Tensor]:
                return {"closeness": 1 - (self.error / self.count) ** 2}

        return Squared()


class DrawsOver(Shade):
    def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
        image[:] = 0
        return image


class NotJson(Shade):
    def to_json(self, prediction: Any) -> Any:
        return {"mean": float("nan")}


class NeedsItsData(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        self.dataset("train")
        return super().head(features)


class StateOutside(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        class Counting(ShadeHead):
            shift = 0.0

            def forward(self, features: tuple[Tensor, ...]) -> Tensor:
                if self.training:
                    self.shift += 1.0
                return super().forward(features) + self.shift

        return Counting(features.channels[0])


class CannotBeTraced(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        class Branching(ShadeHead):
            def forward(self, features: tuple[Tensor, ...]) -> Tensor:
                out = super().forward(features)
                return out if float(out.detach().mean()) > -1e9 else -out

        return Branching(features.channels[0])


class Half(Task[ShadeOptions]):
    Options = ShadeOptions
    dataset, head, decode, metric = Shade.dataset, Shade.head, Shade.decode, Shade.metric


BROKEN = [
    (SilentOption, "options_are_documented", "SilentOptions does not document secret"),
    (FloatImages, "samples_are_whole_and_repeat", r"image of a sample of 'train' is float64 .*not \(H, W, 3\) uint8"),
    (WidthFirst, "samples_are_whole_and_repeat", r"size .* is \(96, 64\); its image is \(64, 96\)"),
    (RandomReader, "samples_are_whole_and_repeat", "gives other samples when it is read again"),
    (GlobalDice, "augmentation_is_a_function_of_its_key", r"augment\(\) draws from the global generator of random"),
    (OwnDice, "augmentation_is_a_function_of_its_key", "same key gives another sample: sample.image differs"),
    (PaintsOverTheStored, "augmentation_is_a_function_of_its_key", "changes the stored sample in place: sample.image"),
    (WrongSize, "augmentation_is_a_function_of_its_key", r"makes an image of \(32, 96, 3\), not \(64, 96, 3\)"),
    (
        ArraysInBatches,
        "batches_have_their_shapes",
        r"targets\['shades'\] of a batch is ndarray, which stays on the CPU",
    ),
    (FixedChannels, "head_reads_the_feature_spec", "does not read features.channels"),
    (UnusedParameter, "loss_reaches_every_parameter", "no gradient reaches spare.weight, spare.bias"),
    (Detached, "loss_reaches_every_parameter", "total loss has no gradient"),
    (NotConnectedToTheBackbone, "loss_reaches_every_parameter", "no gradient reaches the backbone"),
    (NanWhenEmpty, "empty_targets", "total loss is nan on empty targets"),
    (NeverLearns, "overfits_one_batch", r"60 steps on one batch take the loss from 1 to 1 only"),
    (ForgetsToUnflip, "restores_flipped_and_scaled_views", r"does not bring a mirrored view of \(64, 96\)"),
    (ForgetsToScale, "restores_flipped_and_scaled_views", r"view of \(96, 144\).* back to the image: metric\(\) says"),
    (KeepsThePadding, "restores_flipped_and_scaled_views", r"view of .* back to the image"),
    (OnePredictionForAll, "decodes_every_view", "gives 2 predictions for 1 image"),
    (SumsViews, "merge_of_equal_views_changes_nothing", "two equal views is not the prediction of one"),
    (MergesInPlace, "merge_of_equal_views_changes_nothing", r"merge\(\) changes the predictions it is given"),
    (ErrorAsMain, "main_metric_is_higher_for_better", "must be higher for better"),
    (OtherName, "metric_adds_up", "gives closeness, not 'nearness', the main metric"),
    (HiddenState, "metric_adds_up", "declare every state by add_state"),
    (MeanOfUpdates, "metric_adds_up", "average over samples, not over updates"),
    (WrongFormula, "metric_against_the_oracle", "the oracle"),
    (DrawsOver, "draws_predictions_and_targets", "paints over the image"),
    (NotJson, "predictions_become_json", "what JSON cannot hold"),
    (NeedsItsData, "checkpoint_brings_the_head_back", "cannot be built without the data"),
    (StateOutside, "checkpoint_brings_the_head_back", "keeps state outside parameters and buffers"),
    (CannotBeTraced, "export_keeps_the_predictions", "torch.export cannot trace the head"),
]


@pytest.mark.parametrize(("broken", "test", "fault"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_broken_task_is_told_its_fault(broken: type[Shade], test: str, fault: str, tmp_path: Path) -> None:
    class Contract(ShadeContract):
        task = broken

    contract = Contract()
    with pytest.raises(ContractFault, match=fault) as caught:
        getattr(contract, f"test_{test}")(TaskFixture(contract, tmp_path))
    assert "\n" not in str(caught.value).strip() or test == "head_reads_the_feature_spec"


def test_a_class_that_is_not_whole_is_named(tmp_path: Path) -> None:
    class Contract(ShadeContract):
        task = Half

    with pytest.raises(ContractFault, match="Half does not implement loss"):
        TaskFixture(Contract(), tmp_path).task  # noqa: B018


def test_missing_options_are_named(tmp_path: Path) -> None:
    class Contract(ShadeContract):
        def write_data(self, folder: Path) -> dict[str, Any]:
            return {"nosie": 3}

    with pytest.raises(ContractFault, match="'nosie' not in 'ShadeOptions'"):
        TaskFixture(Contract(), tmp_path).task  # noqa: B018


def test_symmetric_data_is_refused(tmp_path: Path) -> None:
    class Contract(ShadeContract):
        def write_data(self, folder: Path) -> dict[str, Any]:
            options = super().write_data(folder)
            from umbel import write_image

            for path in folder.rglob("*.png"):
                write_image(path, np.full((64, 96, 3), 90, np.uint8))
            return options

    contract = Contract()
    with pytest.raises(ContractFault, match="make it asymmetric"):
        contract.test_restores_flipped_and_scaled_views(TaskFixture(contract, tmp_path))
