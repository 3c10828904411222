"""A watched search learns: its ended runs correct the next forecasts, and the log replays them."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import StandIn

from oracle import Oracle
from oracle.decision.log import LoggedDecision, read_decisions, replay_decision
from oracle.errors import OracleWarning
from oracle.forecast.residuals import Residuals
from oracle.history.dataset import read_dataset
from oracle.hook import Population, WatchedRun, watch
from oracle.types import METRICS, Learned, Policy, Run

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    known = [run for run in read_dataset(SAMPLE) if run.history.context.mqe_of_mean]
    return [run for run in known if run.dataset == known[0].dataset][:4]


def played(run: Run, until: float = 1.0, **settings: object) -> WatchedRun:
    """Report a recorded run, without its name: so many begin anew."""
    history = run.history
    given = {"context": history.context, "population_name": "table", **settings}
    watched = watch(total_epochs=history.total_epochs, **given)  # type: ignore[arg-type]
    with watched:
        for i, epoch in enumerate(history.epochs):
            if epoch <= until * (history.total_epochs or 0.0):
                watched.report(epoch, **{name: getattr(history, name)[i] for name in METRICS})
        if until == 1.0:
            watched.finish()
    return watched


def learned(watched: WatchedRun) -> Learned | None:
    assert watched.decision is not None
    assert watched.decision.forecast is not None
    return watched.decision.forecast.learned


def test_the_next_run_learns_of_those_that_ended(tmp_path: Path, runs: list[Run]) -> None:
    shared, log = Population(tmp_path / "runs.db"), tmp_path / "decisions.jsonl"
    settings: dict[str, object] = {"population": shared, "log": log}
    for i, run in enumerate(runs[:3]):
        played(run, run_id=f"r{i}", **settings)
    # One that is told again is not its own teacher, and has not ended any more.
    for run, name in ((runs[0], "r0"), (runs[3], "r3")):
        found = learned(played(run, 0.1, run_id=name, **settings))
        assert found is not None
        assert found.runs == 2
    for line in read_decisions(log):
        assert isinstance(line, LoggedDecision)
        told = line.decision.forecast
        replayed = replay_decision(line, Oracle.load()).forecast
        assert told is not None
        assert replayed is not None
        assert replayed.final == told.final
        assert replayed.learned == told.learned


def test_a_policy_may_switch_it_off(tmp_path: Path, runs: list[Run]) -> None:
    shared = Population(tmp_path / "runs.db")
    off = Policy(name="population", learn=False)
    for i, run in enumerate(runs[:2]):
        played(run, run_id=f"r{i}", population=shared, policy=off)
    assert shared.known("table", Oracle.load().info.sha256) is None
    for i, run in enumerate(runs[:2]):
        played(run, run_id=f"s{i}", population=shared)
    assert learned(played(runs[2], 0.3, run_id="t", population=shared, policy=off)) is None
    assert learned(played(runs[2], 0.3, run_id="u", population=shared)) is not None


def test_another_model_and_a_run_that_left_teach_nothing(tmp_path: Path, runs: list[Run]) -> None:
    shared = Population(tmp_path / "runs.db")
    played(runs[0], run_id="r0", population=shared, model=StandIn())
    played(runs[1], 0.5, run_id="r1", population=shared)  # its `with` ends early
    assert shared.known("table", Oracle.load().info.sha256) is None
    played(runs[2], run_id="r2", population=shared)
    assert shared.known("table", "0" * 64) is None
    found = shared.known("table", Oracle.load().info.sha256)
    assert found is not None
    assert len(found) == 1
    assert shared.known("table", Oracle.load().info.sha256, without="r2") is None


def test_another_process_reads_what_was_taught(tmp_path: Path, runs: list[Run]) -> None:
    shared = Population(tmp_path / "runs.db")
    played(runs[0], run_id="r0", population=shared)
    other = Population(tmp_path / "runs.db")
    digest = Oracle.load().info.sha256
    mine, theirs = shared.known("table", digest), other.known("table", digest)
    assert mine is not None
    assert theirs is not None
    assert mine.to_bytes() == theirs.to_bytes()


def test_where_learning_fails_the_run_is_forecast_all_the_same(
    tmp_path: Path, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Population(tmp_path / "runs.db")
    played(runs[0], run_id="r0", population=shared)

    def fail(*_: object) -> None:
        raise ValueError("made to fail")

    monkeypatch.setattr(Residuals, "learned", fail)
    with pytest.warns(OracleWarning, match="made to fail"):
        watched = played(runs[1], 0.3, run_id="r1", population=shared)
    assert learned(watched) is None
    assert watched.decision is not None
    assert watched.decision.forecast is not None
