"""Optuna's samplers and pymoo's algorithms draw several times; the best forecast is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.population import Population
from pymoo.core.problem import ElementwiseProblem
from pymoo.optimize import minimize

from oracle import Screen
from oracle.errors import InvalidSearch
from oracle.forecast.forecaster import Oracle
from oracle.search.optuna import ScreenedSampler
from oracle.search.pymoo import screened

DATA = np.random.default_rng(5).normal(size=(200, 4)) * np.array([3, 2, 1, 0.3])
SPACE = {"sigma": FloatDistribution(0.4, 4.0), "learning_rate": FloatDistribution(0.02, 1.0)}


@pytest.fixture(scope="module")
def chooses() -> Screen:
    return Screen(DATA, objectives="mqe", budget=3_000, oracle=Oracle.load())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def objective(trial: optuna.Trial) -> float:
    sigma = trial.suggest_float("sigma", 0.4, 4.0)
    trial.suggest_float("learning_rate", 0.02, 1.0)
    return sigma + trial.suggest_float("other", 0.0, 1.0)  # the sampler's alone


@pytest.mark.parametrize(
    "sampler",
    [
        optuna.samplers.TPESampler(seed=1),
        optuna.samplers.TPESampler(seed=1, multivariate=True),
        optuna.samplers.RandomSampler(seed=1),
    ],
    ids=["tpe", "multivariate", "random"],
)
def test_any_sampler_trains_the_best_forecast_of_its_draws(
    sampler: optuna.samplers.BaseSampler, chooses: Screen
) -> None:
    ours = ScreenedSampler(SPACE, chooses, sampler, first=20, later=3)
    study = optuna.create_study(sampler=ours)
    study.optimize(objective, n_trials=13)
    drawn = [trial.params for trial in study.trials]
    assert all(set(one) == {"sigma", "learning_rate", "other"} for one in drawn)
    # By mqe a small radius is best: of twenty draws nearly the smallest is taken.
    assert np.mean([one["sigma"] for one in drawn[:10]]) < 1.2
    plain = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    plain.optimize(objective, n_trials=10)
    assert np.mean([trial.params["sigma"] for trial in plain.trials]) > 1.6


def test_one_draw_is_the_samplers_own(chooses: Screen) -> None:
    found = []
    for sampler in (
        optuna.samplers.RandomSampler(seed=3),
        ScreenedSampler(SPACE, chooses, optuna.samplers.RandomSampler(seed=3), first=1, later=1),
    ):
        study = optuna.create_study(sampler=sampler)
        study.optimize(objective, n_trials=4)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1]
    with pytest.raises(InvalidSearch, match="`later`"):
        ScreenedSampler(SPACE, chooses, later=0)


class Problem(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
    """Counts what is trained."""

    def __init__(self) -> None:
        super().__init__(n_var=2, n_obj=2, xl=[0.4, 0.02], xu=[4.0, 1.0])
        self.asked: list[np.ndarray] = []

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.asked.append(np.array(x))
        out["F"] = [x[0], -x[1]]


def test_pymoo_trains_as_many_as_it_did(chooses: Screen) -> None:
    by_row = Screen(
        DATA, lambda x: {"sigma": x[0], "learning_rate": x[1]},
        objectives=("mqe", "topographic_error"), budget=3_000, oracle=Oracle.load(),
    )  # fmt: skip
    plain, ours = Problem(), Problem()
    minimize(plain, NSGA2(pop_size=8), ("n_gen", 3), seed=1)
    minimize(ours, screened(NSGA2(pop_size=8), by_row, first=10, later=3), ("n_gen", 3), seed=1)
    assert len(ours.asked) == len(plain.asked) == 24
    first = [Problem(), Problem()]
    by_mqe = Screen(
        DATA, lambda x: {"sigma": x[0], "learning_rate": x[1]},
        objectives="mqe", budget=3_000, oracle=Oracle.load(),
    )  # fmt: skip
    minimize(first[0], NSGA2(pop_size=8), ("n_gen", 1), seed=1)
    minimize(first[1], screened(NSGA2(pop_size=8), by_mqe, first=10), ("n_gen", 1), seed=1)
    means = [np.mean([x[0] for x in one.asked]) for one in first]
    assert means[1] < 0.7 * means[0]
    with pytest.raises(InvalidSearch, match="`first`"):
        screened(NSGA2(), by_mqe, first=0)
    with pytest.raises(InvalidSearch, match="`algorithm` must be screened once"):
        screened(screened(NSGA2(), by_mqe), by_mqe)
    with pytest.raises(InvalidSearch, match="draws a first generation and mates"):
        screened(object(), by_mqe)


GIVEN = np.column_stack([np.linspace(0.6, 3, 8), np.linspace(0.1, 0.9, 8)])


@pytest.fixture(scope="module")
def by_row() -> Screen:
    return Screen(
        DATA, lambda x: {"sigma": x[0], "learning_rate": x[1]},
        objectives="mqe", budget=3_000, oracle=Oracle.load(),
    )  # fmt: skip


@pytest.mark.parametrize("given", [GIVEN, Population.new("X", GIVEN)], ids=["rows", "individuals"])
def test_a_first_generation_that_is_given_is_trained_as_it_is(given: Any, by_row: Screen) -> None:
    problem = Problem()
    algorithm = screened(NSGA2(pop_size=8, sampling=given), by_row, first=10, later=3)
    minimize(problem, algorithm, ("n_gen", 2), seed=1)
    assert np.array_equal(problem.asked[:8], GIVEN)
    assert len(problem.asked) == 16


def test_a_sampling_may_be_a_function(by_row: Screen) -> None:
    problem, drawn = Problem(), []

    def sampling(problem: Problem, n_samples: int, **settings: Any) -> Population:
        drawn.append(n_samples)
        return Population.new("X", np.resize(GIVEN, (n_samples, 2)))

    algorithm = screened(NSGA2(pop_size=4, sampling=sampling), by_row, first=2)
    minimize(problem, algorithm, ("n_gen", 1), seed=1)
    assert drawn == [8]
    assert len(problem.asked) == 4
