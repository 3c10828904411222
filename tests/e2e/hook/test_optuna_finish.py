"""Optuna's second look trains the very trial that it chose, whatever else the study holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from made_up import StandIn
from optuna.distributions import FloatDistribution
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import TrialState, create_trial

from oracle.hook import Population
from oracle.integrations.optuna import CENSORED, FINISHES, SPREADS, OraclePruner, watched
from oracle.integrations.optuna_finish import finish_promising

pytestmark = pytest.mark.usefixtures("quiet")

STORAGES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda path: None,
    "sqlite": lambda path: f"sqlite:///{path}/s.db",
    "journal": lambda path: JournalStorage(JournalFileBackend(f"{path}/s.log")),
}


def study_of(storage: Any = None, **settings: Any) -> optuna.Study:
    """A study of two whole trials, and of two that were stopped and are forecast to be best."""
    study = optuna.create_study(storage=storage, **settings)
    for x, stopped in ((5.0, False), (6.0, False), (1.0, True), (2.0, True)):
        attributes = {CENSORED: stopped, **({SPREADS: [0.5]} if stopped else {})}
        space = {"x": FloatDistribution(0, 10)}
        study.add_trial(
            create_trial(value=x, params={"x": x}, distributions=space, user_attrs=attributes)
        )
    return study


def objective(trial: optuna.Trial) -> float:
    trial.set_user_attr(CENSORED, False)
    return trial.suggest_float("x", 0, 10)


def waiting(study: optuna.Study) -> list[Any]:
    trials = study.get_trials(states=(TrialState.WAITING,))
    return [trial.system_attrs["fixed_params"] for trial in trials]


@pytest.mark.parametrize("kind", STORAGES)
def test_the_queue_of_a_study_waits_on(kind: str, tmp_path: Path) -> None:
    study = study_of(STORAGES[kind](tmp_path))
    study.enqueue_trial({"x": 9.0})  # left over, as of a plan of `suggest`
    new = finish_promising(study, objective, k=1)
    assert [(trial.params["x"], trial.user_attrs[FINISHES]) for trial in new] == [(1.0, 2)]
    assert waiting(study) == [{"x": 9.0}]
    new = finish_promising(study, objective, least=0)
    assert [trial.params["x"] for trial in new] == [2.0]
    assert finish_promising(study, objective, least=0) == []
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4 + ["WAITING"] + [
        "COMPLETE"
    ] * 2
    study.optimize(objective, n_trials=1)
    assert waiting(study) == []


def test_a_trial_whose_training_failed_is_offered_again() -> None:
    study = study_of()

    def fails(trial: optuna.Trial) -> float:
        raise MemoryError

    def prunes(trial: optuna.Trial) -> float:
        trial.set_user_attr(CENSORED, True)
        raise optuna.TrialPruned

    with pytest.raises(MemoryError):
        finish_promising(study, fails, k=1)
    assert finish_promising(study, prunes, k=1) == []
    study.enqueue_trial({"x": 1.0}, user_attrs={FINISHES: 2})  # as earlier versions left it
    (new,) = finish_promising(study, objective, k=1)
    assert (new.params["x"], new.user_attrs[FINISHES]) == (1.0, 2)


def test_a_trial_that_another_worker_finishes_is_left_to_it() -> None:
    study = study_of()
    study.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={FINISHES: 2}))
    new = finish_promising(study, objective, least=0)
    assert [trial.user_attrs[FINISHES] for trial in new] == [3]


def test_a_sampler_that_has_tried_all_may_end_the_study() -> None:
    study = study_of(sampler=optuna.samplers.GridSampler({"x": [5.0]}))
    study.optimize(objective, n_trials=1)
    (new,) = finish_promising(study, objective, k=1)
    assert new.params["x"] == 1.0


@pytest.mark.parametrize("pruner", [None, OraclePruner(objectives="mqe", model=StandIn())])
@pytest.mark.parametrize("objectives", [("mqe",), ("mqe", "topographic_error")])
def test_watched_trials_that_were_left_by_pruning_are_finished(
    tmp_path: Path, objectives: tuple[str, ...], pruner: OraclePruner | None
) -> None:
    settings = {"population": tmp_path / "runs.db", "model": StandIn(), "control": 0}

    def prunes(trial: optuna.Trial) -> tuple[float, ...]:
        x = trial.suggest_float("x", 0, 1)
        with watched(trial, objectives, total_epochs=10, dataset="t", **settings) as run:
            for epoch in range(1, 11):
                told = run.report(
                    epoch, mqe=0.2 + x, topographic_error=0.5 - x / 3, dead_neuron_ratio=0.1
                )
                if told.stop:
                    raise optuna.TrialPruned
        return run.fitness().objectives(objectives)

    study = optuna.create_study(
        directions=["minimize"] * len(objectives),
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=pruner,
    )
    study.optimize(prunes, n_trials=20)
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    assert pruned
    assert all(trial.user_attrs[CENSORED] for trial in pruned)
    assert all(len(trial.user_attrs[SPREADS]) == len(objectives) for trial in pruned)
    new = finish_promising(study, prunes, k=1, least=0)
    assert [trial.state.name for trial in new] == ["COMPLETE"]
    of = study.trials[new[0].user_attrs[FINISHES]]
    assert (of.state, of.params) == (TrialState.PRUNED, new[0].params)
    members = Population(tmp_path / "runs.db").members(study.study_name)
    assert len(members) == 20  # under its own name, not beside the stopped one


def test_a_watched_training_that_breaks_still_raises_what_broke_it(tmp_path: Path) -> None:
    study = optuna.create_study()
    trial = study.ask()
    with pytest.raises(ZeroDivisionError), watched(trial, population=tmp_path / "runs.db"):
        raise ZeroDivisionError
    assert trial.user_attrs[CENSORED]
