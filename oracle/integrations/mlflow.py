"""Decisions written through to MLflow: metrics and tags of the run that a training is logged to.

with mlflow.start_run(), watch(...) as run:
    track(run)
"""

from __future__ import annotations

import time
from typing import Any

from oracle.errors import InvalidHistory, must_be
from oracle.hook import WatchedRun
from oracle.integrations import tracking

#: MLflow's own limit is 8,000 characters a tag.
MAX_TAG_CHARS = 5_000


def track(
    run: WatchedRun, mlflow_run_id: str | None = None, tracking_uri: str | None = None
) -> WatchedRun:
    """Write what is decided on a run to an MLflow run, from now on, see `tracking.track`.

    Args:
        run: of `watch`.
        mlflow_run_id: of MLflow; None = the active run.
        tracking_uri: of MLflow's server or database; None = the one that is set.

    Returns:
        The run. Whatever fails, MLflow that is not installed too, gives one warning.
    """
    try:
        return tracking.track(run, MlflowRun(mlflow_run_id, tracking_uri))
    except Exception as error:
        run.problems.note_error("follower", "write to MLflow", error)
        return run


class MlflowRun:
    """A run of MLflow as `tracking.Tracker` has it; its tags are the attributes.

    Args:
        run_id: None = the active run.
        tracking_uri: None = the one that is set.

    Raises:
        ImportError: MLflow is not installed.
        InvalidHistory: no run is active, and none is named.
    """

    def __init__(self, run_id: str | None = None, tracking_uri: str | None = None) -> None:
        import mlflow
        from mlflow.entities import Metric, RunTag

        if run_id is None:
            active = mlflow.active_run()
            if active is None:
                advice = "Begin with `mlflow.start_run()`, or name the run."
                raise InvalidHistory(must_be("mlflow_run_id", "given without an active run", None,
                                             advice))  # fmt: skip
            run_id = active.info.run_id
        self._run_id: str = run_id
        self._client = mlflow.MlflowClient(tracking_uri)
        self._metric, self._tag = Metric, RunTag
        self.config = self

    def log(self, values: dict[str, float]) -> None:
        """Keep numbers of now, all in one request."""
        now, step = int(1000 * time.time()), int(values.get("oracle/epoch", 0))
        metrics = [self._metric(name, value, now, step) for name, value in values.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def update(self, values: dict[str, Any]) -> None:
        """Set tags."""
        tags = [self._tag(name, str(text)[:MAX_TAG_CHARS]) for name, text in values.items()]
        self._client.log_batch(self._run_id, tags=tags)
