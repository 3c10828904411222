"""Equal individuals of DEAP and pymoo, of which one is trained for all; and infeasible ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from deap import base, creator
from pymoo.core.population import Population as Individuals

from oracle.hook import Fitness
from oracle.integrations.deap import Forecast, Values, Watched, assign
from oracle.integrations.pymoo import WatchedProblem, best
from oracle.integrations.twins import twins

creator.create("LowestOfMapping", base.Fitness, weights=(-1.0,))
creator.create("Mapping", dict, fitness=creator.LowestOfMapping)


class OfOnesOwn:
    """An individual that is no sequence."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        self.fitness = creator.LowestOfMapping()

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    __iter__ = None


def test_equal_genes_are_together() -> None:
    def together(*genes: Any) -> list[int]:
        return [len(alike) for alike in twins(genes, lambda one: one)]

    assert together([1, 2], [1, 3], [1, 2]) == [2, 1]
    assert together({"a": 1, 2: 3}, {2: 3, "a": 1}, {"a": 2, 2: 3}) == [2, 1]
    assert together(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == [2]
    assert (
        together([[1], [2]], [[1], [2]], {"a": []}, 1.0, None, memoryview(bytearray(1))) == [1] * 6
    )  # cannot be compared at once
    same = [1, 2]
    assert together(same, same) == [1]


@pytest.mark.parametrize("end", ["finish", "finish_promising"])
@pytest.mark.parametrize("made", [lambda sigma: creator.Mapping(sigma=sigma), OfOnesOwn])
def test_individuals_of_deap_that_are_no_lists_are_told_apart(
    made: Callable[[float], Any], end: str
) -> None:
    trained = []

    def train(individual: Any, watch: Any) -> Fitness:
        trained.append(individual["sigma"])
        return Fitness(individual["sigma"], 0.1, 0.1, censored=False)

    evaluate = Watched(train, objectives="mqe")
    everyone = [made(sigma) for sigma in (0.3, 0.9, 2.0)]
    for one in everyone:
        assign(one, Values([Forecast(0.5, 0.4)]))
    done = getattr(evaluate, end)([*everyone, everyone[0]])  # selection keeps one twice
    assert len(done) == len(trained) > 0
    assert set(trained) <= {0.3, 0.9, 2.0}
    for one in done:
        assert one.fitness.values == (one["sigma"],)
        assert one.forecast == (0.5,)


def problem_of(trained: list[float]) -> WatchedProblem:
    def train(x: Any, watch: Any) -> Fitness:
        trained.append(float(x[0]))
        return Fitness(float(x[0]), 0.1, 0.1, censored=False)

    return WatchedProblem(train, objectives="mqe", n_var=1, xl=0.0, xu=4.0)


@pytest.mark.parametrize("end", ["finish", "finish_promising"])
def test_pymoo_trains_one_of_equal_individuals_for_all(end: str) -> None:
    trained: list[float] = []
    problem = problem_of(trained)
    marks = np.array([True, True, False, False, True])
    everyone = Individuals.new(
        "X", np.array([[0.5], [0.5], [2.0], [0.5], [0.5]]),
        "F", np.array([[0.2], [0.3], [0.9], [0.6], [0.2]]),
        "censored", marks, "spreads", np.full((5, 1), 0.1),
    )  # fmt: skip
    problem.evaluated, asked = everyone, everyone[:4]
    done = getattr(problem, end)(asked)
    assert trained == [0.5]
    assert [one is everyone[0] for one in done] == [True]
    assert everyone.get("F")[:, 0].tolist() == [0.5, 0.5, 0.9, 0.6, 0.5]  # that of a map stays
    assert not any(everyone.get("censored"))
    assert everyone[3].get("forecast") is None
    assert len(getattr(problem, end)(asked)) == 0


def test_what_breaks_a_constraint_is_not_best_nor_finished() -> None:
    trained: list[float] = []
    problem = problem_of(trained)
    everyone = Individuals.new(
        "X", np.array([[1.0], [2.0], [0.1], [1.5]]), "F", np.array([[0.2], [1.9], [0.1], [1.5]]),
        "G", np.array([[1.0], [-1.0], [1.0], [-1.0]]),
        "censored", np.array([False, False, True, True]), "spreads", np.full((4, 1), 0.1),
    )  # fmt: skip
    assert best(everyone).get("X").tolist() == [[2.0]]
    assert len(best(everyone[:1])) == 0
    assert problem.finish_promising(everyone).get("X").tolist() == [[1.5]]
    assert trained == [1.5]
    assert best(everyone).get("X").tolist() == [[1.5]]
