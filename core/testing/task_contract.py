"""The pytest class that a task's tests subclass."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from umbel.contract.capabilities import Warps
from umbel.contract.task import Task
from umbel.contract.types import Sample, Size, View
from umbel.testing import (
    check_capabilities,
    check_data,
    check_gpu,
    check_predictions,
    check_ranks,
    check_training,
    check_warp,
)
from umbel.testing.fault import expect
from umbel.testing.fixture import TaskFixture
from umbel.testing.runner import pytest


class TaskContract:
    """What every task keeps. Subclass it as `TestMyTask`, set `task`, and write small data.

    Class attributes:
        task: the class under test.
        input_size: training height and width, divisible by 32.
        batch_size: images in a batch.
        overfit_steps, overfit_to, overfit_lr: on one batch, the loss must fall below this share of its start in so many
            steps of AdamW.
        ideal_score: what the main metric gives for ideal predictions at least.
        waits_of_a_step: how often the host may wait for a GPU in a training step; the guard before the weights does so
            once.
        waits_of_a_view: how often in the prediction of a view: forward, decode and restore.
        deterministic: every operator has a kernel on a GPU that repeats to the bit; False for a task that
            `train.deterministic` must refuse.
    """

    task: ClassVar[type[Task[Any]]]
    input_size: ClassVar[Size] = (64, 96)
    batch_size: ClassVar[int] = 2
    overfit_steps: ClassVar[int] = 60
    overfit_to: ClassVar[float] = 0.5
    overfit_lr: ClassVar[float] = 3e-3
    ideal_score: ClassVar[float] = 0.9
    waits_of_a_step: ClassVar[int] = 1
    waits_of_a_view: ClassVar[int] = 2
    deterministic: ClassVar[bool] = True

    def write_data(self, folder: Path) -> dict[str, Any]:
        """Write a few training and validation samples into an empty folder; return the options that read them."""
        raise NotImplementedError("write_data(): write a few samples and return the task's options")

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        """The best prediction for a view of a stored sample, in the view's coordinates, as `decode` returns it.

        Make it from `sample.target`, resized to `view.size`, mirrored if `view.hflip`, padded to `view.canvas`; or make
        the raw output that says so and return `task.decode(output, view)[0]`, which tests decoding too. None: the task
        has no geometry and no best prediction to test with.
        """
        return None

    def empty(self, task: Task[Any], sample: Sample) -> Sample | None:
        """A training sample with nothing to learn from: no boxes, all pixels ignored. None: there is no such thing."""
        return None

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float] | None:
        """Some of the metric's scores computed naively. None: not given."""
        return None

    @pytest.fixture
    def fixture(self, tmp_path_factory: pytest.TempPathFactory) -> TaskFixture:
        """The task and its small data, made once for the class."""
        made: dict[type, TaskFixture] = _FIXTURES
        if type(self) not in made:
            made[type(self)] = TaskFixture(self, tmp_path_factory.mktemp(type(self).__name__))
        return made[type(self)]

    def test_options_are_documented(self, fixture: TaskFixture) -> None:
        check_data.check_options(fixture.contract.task.Options)
        assert fixture.task is not None

    def test_capabilities_are_whole(self, fixture: TaskFixture) -> None:
        check_capabilities.check_capabilities(fixture)

    def test_samples_are_whole_and_repeat(self, fixture: TaskFixture) -> None:
        check_data.check_samples(fixture)

    def test_sources(self, fixture: TaskFixture) -> None:
        if not check_data.check_sources(fixture):
            pytest.skip("the task names no sources: a resumed run notices less of what changes in its data")

    def test_augmentation_is_a_function_of_its_key(self, fixture: TaskFixture) -> None:
        check_data.check_augment(fixture)

    def test_batches_have_their_shapes(self, fixture: TaskFixture) -> None:
        check_data.check_batch(fixture)

    def test_head_reads_the_feature_spec(self, fixture: TaskFixture) -> None:
        check_training.check_head(fixture)

    def test_loss_reaches_every_parameter(self, fixture: TaskFixture) -> None:
        check_training.check_gradients(fixture)

    def test_low_precision_outputs(self, fixture: TaskFixture) -> None:
        check_training.check_low_precision(fixture)

    def test_empty_targets(self, fixture: TaskFixture) -> None:
        samples = fixture.samples("train")
        empty = [self.empty(fixture.task, sample) for sample in samples]
        found = [sample for sample in empty if sample is not None]
        if not found:
            pytest.skip("empty() gives no sample: this task has no empty targets")
        check_training.check_empty_targets(fixture, fixture.batch(found), "empty targets")
        check_training.check_empty_targets(fixture, fixture.batch([samples[0], *found]), "a batch with an empty target")

    def test_overfits_one_batch(self, fixture: TaskFixture) -> None:
        check_training.check_learns(fixture)

    def test_decodes_every_view(self, fixture: TaskFixture) -> None:
        check_predictions.check_decode(fixture)

    def test_restores_flipped_and_scaled_views(self, fixture: TaskFixture) -> None:
        if not check_predictions.has_geometry(fixture):
            pytest.skip("a prediction is the same in every view: there is no geometry")
        given = self.ideal(fixture.task, fixture.samples("val")[0], View(self.input_size)) is not None
        expect(given, f"restore() of {fixture.kind} changes predictions: give ideal(), to test its geometry")
        check_predictions.check_geometry(fixture)

    def test_warped_targets_follow_the_image(self, fixture: TaskFixture) -> None:
        if not isinstance(fixture.task, Warps):
            pytest.skip("warp() is not implemented: this task cannot share images with others")
        check_warp.check_warp(fixture)

    def test_merge_of_equal_views_changes_nothing(self, fixture: TaskFixture) -> None:
        if not check_predictions.can_merge(fixture):
            pytest.skip("merge() is not implemented: this task has no test-time augmentation")
        check_predictions.check_merge(fixture)

    def test_metric_adds_up(self, fixture: TaskFixture) -> None:
        check_predictions.check_metric(fixture)

    def test_no_rank_waits_for_another(self, fixture: TaskFixture) -> None:
        check_ranks.check_company(fixture)

    def test_ranks_with_uneven_shares_score_as_one(self, fixture: TaskFixture) -> None:
        check_ranks.check_shares(fixture)

    def test_main_metric_is_higher_for_better(self, fixture: TaskFixture) -> None:
        if self.ideal(fixture.task, fixture.samples("val")[0], View(self.input_size)) is None:
            pytest.skip("ideal() gives no prediction to compare with")
        check_predictions.check_metric_direction(fixture)

    def test_metric_against_the_oracle(self, fixture: TaskFixture) -> None:
        if not check_predictions.check_oracle(fixture):
            pytest.skip("oracle() is not given")

    def test_draws_predictions_and_targets(self, fixture: TaskFixture) -> None:
        check_capabilities.check_draw(fixture)

    def test_predictions_become_json(self, fixture: TaskFixture) -> None:
        check_capabilities.check_json(fixture)

    def test_checkpoint_brings_the_head_back(self, fixture: TaskFixture) -> None:
        check_training.check_checkpoint(fixture)

    def test_runs_on_a_pretended_gpu(self, fixture: TaskFixture) -> None:
        check_gpu.check_gpu(fixture)

    def test_trains_with_deterministic_kernels(self, fixture: TaskFixture) -> None:
        if not self.deterministic:
            pytest.skip("the task says that not all of its kernels repeat to the bit: deterministic is False")
        check_gpu.check_deterministic(fixture)

    def test_export_keeps_the_predictions(self, fixture: TaskFixture) -> None:
        check_training.check_export(fixture)


_FIXTURES: dict[type, TaskFixture] = {}  # by test class, for their lifetime
