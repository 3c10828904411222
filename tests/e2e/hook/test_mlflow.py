"""Decisions as metrics and tags of a real MLflow run, kept in a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up import StandIn
from watching import bad, good

from oracle.errors import OracleWarning
from oracle.hook import watch
from oracle.integrations.mlflow import track

pytestmark = [
    # Of MLflow's own use of SQLAlchemy, pydantic and the standard library.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)  # what it writes beside the database
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(None)


def test_a_run_has_its_decisions(uri: str) -> None:
    import mlflow

    with mlflow.start_run() as own, watch(total_epochs=10, model=StandIn(), control=0) as run:
        track(run)
        mlflow.log_metric("mqe", 0.1, step=1)  # the user's own, beside ours
        good(run, 1)
        bad(run, 2)
    client = mlflow.MlflowClient(uri)
    kept = client.get_run(own.info.run_id).data
    assert run.problems.counts == {}
    assert run.decision is not None
    assert kept.tags["oracle.action"] == "stop"
    assert kept.tags["oracle.state"] == "stopped"
    assert kept.tags["oracle.message"] == run.decision.message
    assert kept.metrics["mqe"] == 0.1
    support = client.get_metric_history(own.info.run_id, "oracle/support")
    assert [metric.step for metric in support] == [1, 2]
    assert support[-1].value == run.decision.forecast.support  # type: ignore[union-attr]


def test_a_run_that_is_gone_harms_nothing(uri: str) -> None:
    with watch(total_epochs=10, model=StandIn(), control=0) as run:
        track(run, "0" * 32, uri)
        with pytest.warns(OracleWarning, match="could not tell who follows the run"):
            good(run, 1)
        assert bad(run, 2)
    assert run.state == "stopped"


def test_without_an_active_run_its_name_is_asked_for(uri: str) -> None:
    run = watch(total_epochs=10, model=StandIn())
    with pytest.warns(OracleWarning, match="could not write to MLflow: `mlflow_run_id` must be"):
        track(run)
    good(run, 1)
    assert run.decision is not None
