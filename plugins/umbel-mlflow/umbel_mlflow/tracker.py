"""One MLflow run for one run of umbel; whatever the server does, training goes on."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient
from omegaconf import OmegaConf

from umbel import writing

if TYPE_CHECKING:
    from umbel import RunView

log = logging.getLogger(__name__)
ID_FILE = "mlflow-run-id.txt"
LONGEST = 500  # characters of a parameter
BATCH = 100  # parameters in a request


class Tracker:
    """Talks to the server that MLFLOW_TRACKING_URI names.

    Args:
        run: of umbel; its folder remembers the MLflow run, so that a resumed run goes on in it.
    """

    def __init__(self, run: RunView) -> None:
        self.client: MlflowClient | None = None
        self.id = ""
        self._guarded(lambda: self._open(run))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log metrics; values that are not finite are left out, as not every store takes them."""
        now = int(time.time() * 1000)
        metrics = [Metric(key, value, now, step) for key, value in values.items() if math.isfinite(value)]
        self._guarded(lambda: self._client.log_batch(self.id, metrics=metrics))

    def finish(self, run: RunView, error: BaseException | None) -> None:
        """Hand over the report and close the MLflow run."""
        report = run.directory / "report.html"
        if report.is_file():
            self._guarded(lambda: self._client.log_artifact(self.id, str(report)))
        self._guarded(lambda: self._client.set_terminated(self.id, "FINISHED" if error is None else "FAILED"))

    @property
    def _client(self) -> MlflowClient:
        assert self.client is not None
        return self.client

    def _open(self, run: RunView) -> None:
        client = MlflowClient()
        known = run.directory / ID_FILE
        if known.is_file() and run.steps_done:
            self.id = known.read_text(encoding="ascii").strip()
            client.set_terminated(self.id, "RUNNING")
        else:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "umbel")
            experiment = client.get_experiment_by_name(name)
            number = experiment.experiment_id if experiment else client.create_experiment(name)
            self.id = client.create_run(number, run_name=run.directory.name).info.run_id
            with writing(run.directory, [ID_FILE], "MLflow's id of the run"):
                known.write_text(self.id, encoding="ascii")
            recipe = OmegaConf.create(run.recipe_text())
            parameters = [Param(key, value[:LONGEST]) for key, value in flat(recipe).items()]
            for start in range(0, len(parameters), BATCH):
                client.log_batch(self.id, params=parameters[start : start + BATCH])
        self.client = client

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do it, or warn once and be silent from then on."""
        if self.id and self.client is None:
            return
        try:
            work()
        except Exception as error:
            log.warning("mlflow: nothing more is logged: %s: %s", type(error).__name__, error)
            self.client, self.id = None, self.id or "lost"


def flat(tree: Any) -> dict[str, str]:
    """Dotted keys of a recipe, interpolations unresolved: no secret of the environment reaches the server."""
    found: dict[str, str] = {}

    def walk(value: Any, prefix: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{prefix}.{key}" if prefix else str(key))
        else:
            found[prefix] = str(value)

    walk(OmegaConf.to_container(tree, resolve=False), "")
    return found
