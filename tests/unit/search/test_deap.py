"""DEAP's own algorithms draw several times through the toolbox; the best forecast is trained."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from deap import algorithms, base, creator, tools

from oracle import Screen
from oracle.errors import InvalidSearch
from oracle.forecast.forecaster import Oracle
from oracle.search.deap import screened

DATA = np.random.default_rng(5).normal(size=(200, 4)) * np.array([3, 2, 1, 0.3])
LOW, HIGH = (0.4, 0.02), (4.0, 1.0)


@pytest.fixture(scope="module")
def chooses() -> Screen:
    return Screen(
        DATA, lambda genes: {"sigma": genes[0], "learning_rate": genes[1]},
        objectives="mqe", budget=3_000, oracle=Oracle.load(),
    )  # fmt: skip


@pytest.fixture
def toolbox() -> Iterator[Any]:
    creator.create("Least", base.Fitness, weights=(-1.0,))
    creator.create("Genes", list, fitness=creator.Least)
    made = base.Toolbox()
    made.register("genes", lambda: creator.Genes(map(random.uniform, LOW, HIGH)))
    made.register("population", tools.initRepeat, list, made.genes)
    made.register("mate", tools.cxSimulatedBinaryBounded, eta=15.0, low=LOW, up=HIGH)
    made.register("mutate", tools.mutPolynomialBounded, eta=20.0, low=LOW, up=HIGH, indpb=0.5)
    made.register("select", tools.selTournament, tournsize=2)
    yield made
    del creator.Least, creator.Genes


@pytest.mark.parametrize("name", ["eaSimple", "eaMuPlusLambda"])
def test_its_algorithms_train_as_many_as_they_did(name: str, toolbox: Any, chooses: Screen) -> None:
    asked: list[list[float]] = []

    def evaluate(genes: list[float]) -> tuple[float]:
        asked.append(list(genes))
        return (genes[0],)

    toolbox.register("evaluate", evaluate)
    more = {"mu": 6, "lambda_": 6} if name == "eaMuPlusLambda" else {}
    first: list[float] = []
    trained: list[int] = []
    for with_screen in (False, True):
        if with_screen:
            assert screened(toolbox, chooses, first=10, later=3) is toolbox
        random.seed(1)
        asked.clear()
        population = toolbox.population(n=6)
        first.append(float(np.mean([genes[0] for genes in population])))
        getattr(algorithms, name)(
            population, toolbox, cxpb=0.5, mutpb=0.4, ngen=3, verbose=False, **more
        )
        trained.append(len(asked))
        assert all(LOW[0] <= s <= HIGH[0] and LOW[1] <= r <= HIGH[1] for s, r in asked)
    assert 6 < trained[1] <= 24  # one a child, however many were drawn
    assert first[1] < 0.7 * first[0]


def test_children_are_the_best_forecast_of_several(toolbox: Any, chooses: Screen) -> None:
    parents = toolbox.population(n=2)
    kept = [list(genes) for genes in parents]
    drawn: list[list[float]] = []

    def mate(one: list[float], other: list[float]) -> tuple[list[float], list[float]]:
        one[0] = other[0] = 0.5 + len(drawn)
        drawn.extend((list(one), list(other)))
        return one, other

    toolbox.register("mate", mate)
    screened(toolbox, chooses, later=4)
    children = toolbox.mate(*map(toolbox.clone, parents))
    assert len(drawn) == 8
    assert [list(genes) for genes in parents] == kept
    assert [list(child) for child in children] == chooses.best(drawn, 2)
    assert all(isinstance(child, creator.Genes) for child in children)


@pytest.mark.parametrize("bound", [{"args": (6,)}, {"n": 6}, {}], ids=["place", "name", "asked"])
def test_a_population_may_have_its_size_bound(
    bound: dict[str, Any], toolbox: Any, chooses: Screen
) -> None:
    settings = dict(bound)
    toolbox.register(
        "population", tools.initRepeat, list, toolbox.genes, *settings.pop("args", ()), **settings
    )
    ask = {} if bound else {"n": 6}
    random.seed(1)
    plain = [genes[0] for _ in range(5) for genes in toolbox.population(**ask)]
    screened(toolbox, chooses, first=10)
    ours = [genes[0] for genes in toolbox.population(**ask)]
    assert len(ours) == 6
    assert np.mean(ours) < 0.7 * np.mean(plain)
    if "n" in bound:
        assert len(toolbox.population(n=3)) == 3


def test_what_cannot_be_is_told(toolbox: Any, chooses: Screen) -> None:
    with pytest.raises(InvalidSearch, match="`later`"):
        screened(toolbox, chooses, later=0)
    with pytest.raises(InvalidSearch, match="`mate` or `mutate`"):
        screened(base.Toolbox(), chooses)
    with pytest.raises(InvalidSearch, match="screened once"):
        screened(screened(toolbox, chooses), chooses)
