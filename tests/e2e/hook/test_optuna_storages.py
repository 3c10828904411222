"""Trials in the storages of Optuna: picked up, tried again, dense, of earlier versions."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from made_up import StandIn
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState
from serving import free_port
from studies import EPOCHS, RANDOM, pruner

from oracle.hook import Population
from oracle.integrations import optuna_trials
from oracle.integrations.optuna import (
    HISTORY,
    OraclePruner,
    best_trials,
    finished,
    report,
    watched,
)

pytestmark = pytest.mark.usefixtures("quiet")


def storages(tmp_path: Path) -> dict[str, Callable[[], Any]]:
    return {
        "sqlite": lambda: optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/s.db"),
        "journal": lambda: JournalStorage(JournalFileBackend(f"{tmp_path}/s.log")),
        "memory": optuna.storages.InMemoryStorage,
    }


@pytest.fixture
def over_grpc(tmp_path: Path) -> Iterator[Any]:
    """A storage that is served to workers of other machines."""
    pytest.importorskip("grpc")
    from optuna.storages._grpc.server import make_server  # what run_grpc_proxy_server runs

    port = free_port()
    server = make_server(storages(tmp_path)["sqlite"](), "localhost", port)
    server.start()
    proxy = optuna.storages.GrpcStorageProxy(host="localhost", port=port)
    proxy.wait_server_ready(timeout=60)
    yield proxy
    proxy.close()
    server.stop(None).wait()


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_trials_of_a_storage_over_grpc_are_judged(over_grpc: Any) -> None:
    study = optuna.create_study(storage=over_grpc, study_name="s", pruner=pruner())
    for _ in range(3):
        trial = study.ask()
        told_by(trial, range(50, 1050, 50))
        trial.should_prune()
        study.tell(trial, 0.5)
    trial = study.ask()
    told_by(trial, range(50, 450, 50), mqe=5.0)
    trial.should_prune()
    assert not study.pruner.problems.counts  # type: ignore[attr-defined]
    assert rows_of(study.trials[-1]) == [*range(50, 450, 50)]
    judged = study.pruner.judged(study)  # type: ignore[attr-defined]
    assert judged._decided[trial._trial_id].progress == 0.4


def told_by(trial: optuna.Trial, epochs: Any, mqe: float = 0.5) -> None:
    for epoch in epochs:
        report(trial, epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1,
               total_epochs=1000)  # fmt: skip


def rows_of(trial: Any) -> list[float]:
    return [row[0] for row in trial.user_attrs[HISTORY]["rows"]]


@pytest.mark.parametrize("kind", ["sqlite", "journal", "memory"])
def test_a_trial_picked_up_again_is_judged(kind: str, tmp_path: Path) -> None:
    storage = storages(tmp_path)[kind]()
    study = optuna.create_study(storage=storage, study_name="s", pruner=pruner())
    trial = study.ask()
    told_by(trial, range(50, 250, 50))
    # Another process loads the study, and the map saved at 150.
    fresh = pruner(objectives=("mqe",))
    loaded = optuna.load_study(storage=storage, study_name="s", pruner=fresh)
    again = optuna.Trial(loaded, trial._trial_id)
    told_by(again, range(200, 400, 50), mqe=0.4)
    again.should_prune()
    assert not fresh.problems.counts
    assert rows_of(again) == [50, 100, 150, 200, 250, 300, 350]
    assert [row[1] for row in again.user_attrs[HISTORY]["rows"]] == [0.5] * 3 + [0.4] * 4
    assert fresh.judged(loaded)._decided[trial._trial_id].progress == 0.35


@pytest.mark.parametrize("inherit", [False, True])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_tried_again_is_judged_by_itself(inherit: bool, tmp_path: Path) -> None:
    # Only a storage with heartbeats calls it by itself.
    storage = storages(tmp_path)["sqlite"]()
    study = optuna.create_study(storage=storage, study_name="s", pruner=pruner())
    dead = study.ask()
    told_by(dead, range(50, 550, 50))
    study.tell(dead, state=TrialState.FAIL)
    kind = getattr(optuna.storages, "RetryHeartbeatStaleTrialCallback", None)
    kind = kind or optuna.storages.RetryFailedTrialCallback  # its name before 4.9
    retry = kind(inherit_intermediate_values=inherit)
    retry(study, study.trials[0])
    again = study.ask()
    assert HISTORY in again.user_attrs
    assert not again.should_prune()
    told_by(again, (50, 100), mqe=0.3)
    again.should_prune()
    assert rows_of(again) == [50, 100]
    decided = study.pruner.judged(study)._decided  # type: ignore[attr-defined]
    assert decided[again._trial_id].progress == 0.1
    assert not study.pruner.problems.counts  # type: ignore[attr-defined]


def test_reports_may_be_as_many_as_one_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    storing = optuna.Trial.set_user_attr
    monkeypatch.setattr(
        optuna.Trial, "set_user_attr", lambda *a: (written.append(a[0]), storing(*a))[1]
    )
    one = pruner(objectives=("mqe",))
    study = optuna.create_study(pruner=one)
    counted_from = {0: range(5000), 1: range(1, 5001)}
    for start, epochs in counted_from.items():
        trial = study.ask()
        written.clear()
        for epoch in epochs:
            report(trial, epoch, mqe=5000 - epoch, topographic_error=0.1, dead_neuron_ratio=0.1,
                   total_epochs=5000)  # fmt: skip
        assert 95 <= len(written) <= 105
        assert rows_of(trial)[-1] == epochs[-1]  # what the trial ended with is there
        assert len(rows_of(trial)) <= 100
        assert not trial.should_prune()
        assert one.judged(study)._decided[trial._trial_id].progress == (4999 + start) / 5000
    assert not one.problems.counts


def test_plain_values_may_be_as_many_as_one_likes() -> None:
    asked = []

    class Counting(StandIn):
        def forecast(self, history: Any) -> Any:
            asked.append(len(history))
            return super().forecast(history)

    one = OraclePruner(model=Counting(), total_epochs=2000)  # type: ignore[arg-type]
    trial = optuna.create_study(pruner=one).ask()
    for step in range(1, 2001):
        trial.report(1 / step, step)
        assert not trial.should_prune()
    assert not one.problems.counts
    assert 95 <= len(asked) <= 102
    assert max(asked) <= 100


@pytest.mark.parametrize("kind", ["sqlite", "journal", "memory"])
def test_numbers_of_numpy_do_in_every_storage(kind: str, tmp_path: Path) -> None:
    one = pruner(total_epochs=np.int64(10))
    study = optuna.create_study(storage=storages(tmp_path)[kind](), pruner=one)
    trial = study.ask()
    report(
        trial,
        np.int32(1),
        mqe=np.float32(0.5),
        topographic_error=np.float64(0.1),
        dead_neuron_ratio=np.array(0.1),
        radius=np.int8(2),
        total_epochs=np.int64(10),
    )
    assert not trial.should_prune()
    assert not one.problems.counts


def test_forecasts_are_left_out_of_what_is_finished(tmp_path: Path) -> None:
    names = ("mqe", "topographic_error")
    study = optuna.create_study(directions=["minimize"] * 2, sampler=RANDOM(2), study_name="two")
    shared = Population(tmp_path / "runs.db")

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        settings = {"population": shared, "model": StandIn(), "control": 0}
        x = trial.suggest_float("x", 0, 1)
        with watched(trial, names, total_epochs=EPOCHS, **settings) as run:
            for epoch in range(1, EPOCHS + 1):
                if run.report(
                    epoch, mqe=x + 0.1, topographic_error=0.5 - x / 3, dead_neuron_ratio=0.1
                ).stop:
                    break
        return run.fitness().objectives(names)

    study.optimize(objective, n_trials=20)
    # A forecast that would dominate everybody: no map stands behind it.
    ghost = optuna.trial.create_trial(values=[0.0, 0.0], user_attrs={"censored": True})
    study.add_trial(ghost)
    assert [t.values for t in study.best_trials] == [[0.0, 0.0]]
    assert len(finished(study)) == shared.tally("two").finished
    front = best_trials(study)
    assert len(front) >= 2
    assert not any(t.user_attrs["censored"] for t in front)
    assert all(
        not all(a <= b for a, b in zip(other.values, t.values, strict=True)) or other is t
        for t in front
        for other in finished(study)
    )
    assert "two: " in shared.summary()


def test_one_objective_has_its_best_finished_trial() -> None:
    study = optuna.create_study(direction="maximize")
    assert best_trials(study) == []
    for value, censored in ((1.0, False), (3.0, True), (2.0, False), (math.nan, False)):
        state = TrialState.COMPLETE if math.isfinite(value) else TrialState.FAIL
        attributes = {"censored": censored}
        values = value if math.isfinite(value) else None
        study.add_trial(optuna.trial.create_trial(value=values, user_attrs=attributes, state=state))
    assert [t.value for t in best_trials(study)] == [2.0]


def test_old_storages_are_read() -> None:
    one = pruner(objectives=("mqe",))
    trial = optuna.create_study(pruner=one).ask()
    old = {"rows": [(10.0, 0.5, 0.1, 0.1, None, None)], "total_epochs": 100, "context": {}}
    trial.set_user_attr(HISTORY, old)  # before the trial's number was kept
    told_by(trial, (20,))
    assert rows_of(trial) == [10, 20]
    assert optuna_trials.HISTORY == "oracle_history"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not trial.should_prune()
