"""The pruner inside real studies of Optuna: what it follows, prunes, tells and leaves alone."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from studies import EPOCHS, RANDOM, pruner

from oracle.errors import InvalidHistory, OracleWarning
from oracle.integrations.optuna import (
    OraclePruner,
    report,
)
from oracle.types import Policy

pytestmark = pytest.mark.usefixtures("quiet")


def trains(
    value: Callable[[float, float], float], scale: float = 1.0, te: Callable[[float], float] = float
) -> Callable[[optuna.Trial], float]:
    """An objective: maps whose mqe levels off at x, and what a study makes of (mqe, te)."""

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.1, 1)
        for epoch in range(1, EPOCHS + 1):
            mqe = scale * x * (1 + 0.3 * math.exp(-epoch))
            report(
                trial,
                epoch,
                mqe=mqe,
                topographic_error=te(x),
                dead_neuron_ratio=0.1,
                total_epochs=EPOCHS,
                context={"mqe_of_mean": 2.0 * scale},
            )
            if trial.should_prune():
                raise optuna.TrialPruned
        return value(mqe, te(x))

    return objective


def states(study: optuna.Study) -> str:
    return "".join(t.state.name[0] for t in study.trials)


def search(one: OraclePruner, objective: Callable[[optuna.Trial], float], n: int = 30) -> str:
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1), study_name="same")
    study.optimize(objective, n_trials=n)
    return states(study)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_pruner_that_is_used_again_begins_anew(factor: float) -> None:
    shared = pruner()
    first = search(shared, trains(lambda mqe, te: mqe))
    again = search(shared, trains(lambda mqe, te: mqe, scale=factor))
    assert again == search(pruner(), trains(lambda mqe, te: mqe, scale=factor))
    assert 5 <= first.count("P") < 30
    assert not shared.problems.counts


def test_studies_of_one_storage_and_one_pruner_stay_apart(tmp_path: Path) -> None:
    shared, seen = pruner(), []
    for name, factor in (("a", 1.0), ("b", 1e4)):
        study = optuna.create_study(
            storage=f"sqlite:///{tmp_path}/s.db", study_name=name, pruner=shared, sampler=RANDOM(1)
        )
        study.optimize(trains(lambda mqe, te: mqe, scale=factor), n_trials=12)
        seen.append(study)
    for study in seen:
        assert f"study {study.study_name}: " in shared.summary(study)
        assert 0 < states(study).count("P") < 10
        assert len(shared.judged(study)._ended) == 12


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (lambda mqe, te: mqe, min),
        (lambda mqe, te: te, max),
        (lambda mqe, te: 3 * te + 1, max),  # goes with it, but is not the same
    ],
    ids=["mqe", "topographic error", "of the topographic error"],
)
def test_the_studys_objective_is_followed(
    value: Callable[[float, float], float], kept: Callable[..., float]
) -> None:
    """mqe and topographic error pull in opposite directions, as they do in small maps."""
    one = pruner()
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=3))
    study.optimize(trains(value, te=lambda x: 1 - x), n_trials=40)
    assert states(study).count("P") >= 5
    assert study.best_params["x"] == kept(t.params["x"] for t in study.trials)
    assert not one.problems.counts


def test_a_trial_that_has_converged_is_not_pruned_but_may_end_with_its_value() -> None:
    weights = (1.0, 0.0, 0.0)
    policy = Policy(name="population", weights=weights, converged=0.5, converged_risk=0.2)
    one = pruner(policy=policy.model_copy(update={"control": 0.0}), total_epochs=EPOCHS)
    ended = []

    def objective(trial: optuna.Trial) -> float:
        for epoch in range(1, EPOCHS + 1):
            report(trial, epoch, mqe=0.5, total_epochs=EPOCHS, context={"mqe_of_mean": 2.0})
            assert not trial.should_prune()
            if one.has_converged(trial):
                break
        ended.append(epoch)
        return 0.5

    study = optuna.create_study(pruner=one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OracleWarning)  # two metrics are missing
        study.optimize(objective, n_trials=3)
    assert ended == [2, 2, 2]
    assert states(study) == "CCC"
    assert not one.has_converged(optuna.trial.FixedTrial({}))  # type: ignore[arg-type]


def test_an_objective_may_be_named() -> None:
    one = pruner(objectives=("topographic_error",))
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=3))
    study.optimize(trains(lambda mqe, te: te, te=lambda x: 1 - x), n_trials=30)
    assert study.best_params["x"] == max(t.params["x"] for t in study.trials)
    assert study.trials[0].intermediate_values[10] == pytest.approx(1 - study.trials[0].params["x"])
    for wrong in (("mqe", "topographic_error"), ("silhouette",)):
        with pytest.raises(InvalidHistory, match="`objectives` must be one"):
            pruner(objectives=wrong)


def test_a_policy_may_be_named_as_in_the_hook() -> None:
    assert pruner(policy="population")._policy == Policy(name="population")
    with pytest.raises(InvalidHistory, match="`policy` must be threshold, population, pareto"):
        pruner(policy="populaton")
    for total in (0, -1, math.nan, "many"):
        with pytest.raises(InvalidHistory, match="`total_epochs` must be a finite number > 0"):
            pruner(total_epochs=total)
    with pytest.raises(InvalidHistory, match="map_rows"):
        pruner(context={"map_rows": -1})


def test_an_objective_of_its_own_is_not_pruned_and_told_once() -> None:
    one = pruner()
    rng = np.random.default_rng(0)
    with pytest.warns(OracleWarning, match="goes with none of the metrics") as told:
        assert search(one, trains(lambda mqe, te: rng.random())) == "C" * 30
    assert len(told) == 1
    assert "nothing was pruned, mostly because" in one.summary()


def test_what_was_told_of_one_study_is_told_of_another() -> None:
    one = pruner()
    rng = np.random.default_rng(0)
    for n in (1, 2):
        with pytest.warns(OracleWarning, match="goes with none of the metrics") as told:
            search(one, trains(lambda mqe, te: rng.random()))
        assert len(told) == 1
        assert one.problems.counts["objective"] >= n


def test_a_report_that_does_not_fit_is_told_once_a_study_whatever_prunes_it() -> None:
    for _ in range(2):
        study = optuna.create_study(pruner=optuna.pruners.NopPruner())
        bad = {"mqe": -1, "topographic_error": 0.1, "dead_neuron_ratio": 0.1}
        with pytest.warns(OracleWarning, match="`mqe` must be"):
            report(study.ask(), 1, **bad)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report(study.ask(), 1, **bad)


def test_a_policy_that_ranks_by_something_else_is_told_once() -> None:
    one = pruner(policy=Policy(name="population", weights=(0, 1, 0)))
    with pytest.warns(OracleWarning, match=r"does not go with what .* \(Kendall's tau -") as told:
        search(one, trains(lambda mqe, te: mqe, te=lambda x: 1 - x))
    assert len(told) == 1


@pytest.mark.parametrize(
    "values",
    [{"mqe": None}, {"mqe": math.nan}, {"mqe": "much"}, {"epoch": -1}, {"context": {"no": 1}},
     {"topographic_error": 7}],
    ids=str,
)  # fmt: skip
def test_a_report_that_does_not_fit_raises_nothing(values: dict[str, Any]) -> None:
    one = pruner()
    trial = optuna.create_study(pruner=one).ask()
    sound = {"epoch": 1, "mqe": 0.5, "topographic_error": 0.1, "dead_neuron_ratio": 0.1}
    with pytest.warns(OracleWarning):
        report(trial, **{**sound, **values})
    assert one.problems.counts.total() == 1
    assert not trial.should_prune()
    report(optuna.trial.FixedTrial({}), **sound)  # type: ignore[arg-type]


def test_what_keeps_a_study_from_being_judged_is_said_once() -> None:
    def plain(trial: optuna.Trial) -> float:
        for step in range(5):
            trial.report(0.5, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return 0.5

    one = pruner()
    study = optuna.create_study(pruner=one)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        study.optimize(plain, n_trials=10)
    first, second = (str(w.message) for w in told)
    assert "nothing is pruned without `total_epochs`, of `report` or of the pruner" in first
    assert "none of 9 trials was ever judged, mostly because `total_epochs` is unknown" in second
    assert set(one.problems.counts) == {"no_progress", "never_judged"}


def test_the_summary_tells_how_each_study_went() -> None:
    one = pruner()
    assert one.summary() == "no study was judged: did its trials ask `should_prune`?"
    study = optuna.create_study(pruner=one, sampler=RANDOM(seed=1), study_name="first")
    study.optimize(trains(lambda mqe, te: mqe), n_trials=30)
    n = states(study).count("P")
    best = study.best_trial
    assert one.summary(study) == one.summary()
    assert f"study first: {n} of 30 trials pruned, " in one.summary()
    assert f"best {best.value:.4g} (trial {best.number}, whole)" in one.summary()
    few = optuna.create_study(pruner=one, study_name="second")
    few.optimize(trains(lambda mqe, te: mqe), n_trials=2)
    assert "nothing was pruned, mostly because the population has 1 of the 3" in one.summary(few)
    assert len(one.summary().splitlines()) == 2


def test_it_goes_to_other_processes_without_what_it_saw() -> None:
    one = pruner(objectives="mqe", n_trials=30)
    search(one, trains(lambda mqe, te: mqe))
    copy = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert copy.objective == "mqe"
    assert search(copy, trains(lambda mqe, te: mqe)) == search(one, trains(lambda mqe, te: mqe))
