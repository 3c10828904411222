"""Studies of Optuna that hold a trial nobody can read, are run by threads, or are maximised."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import optuna
import pytest
from made_up import StandIn
from studies import EPOCHS, RANDOM, pruner

from oracle.errors import InvalidHistory, OracleWarning
from oracle.integrations import optuna as integration
from oracle.integrations.optuna import HISTORY, OraclePruner, report
from oracle.integrations.optuna_finish import finish_promising
from oracle.integrations.optuna_study import JudgedStudy
from oracle.types import Forecast, History

pytestmark = pytest.mark.usefixtures("quiet")


def plain(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", 0.1, 1)
    for step in range(1, EPOCHS + 1):
        trial.report(x + 1 / step, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x + 1 / EPOCHS


def trained_longer(trial: optuna.Trial) -> None:
    for step in range(1, 3 * EPOCHS):
        trial.report(0.5, step)


def beyond_all_bounds(trial: optuna.Trial) -> None:
    trial.report(0.5, 1)
    trial.report(1e200, 2)


def of_a_later_version(trial: optuna.Trial) -> None:
    rows = [[1.0, 0.5, 0.1, 0.1, None, None]]
    context = {"what_later_versions_know": 1}
    told = {"trial": trial.number, "rows": rows, "total_epochs": EPOCHS, "context": context}
    trial.set_user_attr(HISTORY, told)


def something_else(trial: optuna.Trial) -> None:
    trial.set_user_attr(HISTORY, "mine")


@pytest.mark.parametrize(
    "spoil", [trained_longer, beyond_all_bounds, of_a_later_version, something_else]
)
@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
@pytest.mark.filterwarnings("ignore:Trial .* has already been")
def test_a_trial_that_cannot_be_read_spoils_no_other(spoil: Any, state: str) -> None:
    one = pruner(objectives="mqe", total_epochs=EPOCHS)
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1))
    trial = study.ask()
    spoil(trial)
    ended = optuna.trial.TrialState[state]
    study.tell(trial, 0.5 if state == "COMPLETE" else None, state=ended)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", OracleWarning)
        study.optimize(plain, n_trials=30)
        assert "of 31 trials pruned" in one.summary()
        finish_promising(study, plain, k=1)
    assert sum(t.state.name == "PRUNED" for t in study.trials) > 5
    assert [str(w.message) for w in told if "could not read how trial 0 ended" in str(w.message)]
    assert one.problems.counts["ended"] == 1
    assert set(one.problems.counts) <= {"ended", "missing_metric"}


def test_a_report_beyond_the_budget_is_told_and_not_kept() -> None:
    one = pruner(objectives="mqe")
    trial = optuna.create_study(pruner=one).ask()
    told = {"topographic_error": 0.1, "dead_neuron_ratio": 0.1, "total_epochs": 95}
    for epoch in range(10, 110, 10):
        report(trial, epoch, mqe=0.5, **told)  # the last is a step beyond it
    assert not one.problems.counts
    with pytest.warns(
        OracleWarning, match=r"`epoch` must be at most total_epochs \(95\).* got 110"
    ):
        report(trial, 110, mqe=0.5, **told)
    report(trial, 120, mqe=0.5, **told)
    assert [row[0] for row in trial.user_attrs[HISTORY]["rows"]] == list(range(10, 110, 10))
    assert one.problems.counts == {"epoch": 2}
    report(trial, 60, mqe=0.4, **told)  # resumed from an earlier map
    assert [row[0] for row in trial.user_attrs[HISTORY]["rows"]] == [10, 20, 30, 40, 50, 60]
    assert one.problems.counts == {"epoch": 2}


def test_threads_judge_a_study_one_at_a_time() -> None:
    inside: list[int] = []

    class Counting(StandIn):
        def forecast(self, history: History) -> Forecast:
            inside.append(threading.get_ident())
            time.sleep(0.002)
            assert set(inside) == {threading.get_ident()}, "two threads judge one study"
            inside.pop()
            return super().forecast(history)

    one = OraclePruner(objectives="mqe", model=Counting(), total_epochs=EPOCHS)  # type: ignore[arg-type]
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1))
    study.optimize(plain, n_trials=24, n_jobs=4)
    assert not one.problems.counts
    assert sum(t.state.name == "PRUNED" for t in study.trials) > 3


def test_threads_share_what_is_known_of_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(JudgedStudy):
        def __init__(self, *args: Any, **settings: Any) -> None:
            time.sleep(0.05)
            super().__init__(*args, **settings)

    monkeypatch.setattr(integration, "JudgedStudy", Slow)
    one, seen = pruner(), list[JudgedStudy]()
    study = optuna.create_study(pruner=one)
    threads = [threading.Thread(target=lambda: seen.append(one.judged(study))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(judged) for judged in seen}) == 1
    assert len(one.summary().splitlines()) == 1


@pytest.mark.parametrize("with_pruner", [True, False])
def test_a_maximised_study_has_its_largest_as_best_and_is_not_finished(with_pruner: bool) -> None:
    one = pruner(objectives="mqe", total_epochs=EPOCHS)
    study = optuna.create_study(direction="maximize", pruner=one if with_pruner else None)
    for value in (0.5, 0.1, 0.9):
        study.add_trial(optuna.trial.create_trial(value=value))
    assert "best 0.9 (trial 2, whole)" in one.summary(study)
    with pytest.raises(
        InvalidHistory, match=r"`study` must be minimised, .* Minimise the negative"
    ):
        finish_promising(study, plain)
