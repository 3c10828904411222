"""The evolutionary algorithms of two libraries, each spending a search's budget."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import optuna
from deap import base, creator, tools
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.termination import NoTermination

from bench.ea.search import GENES, OBJECTIVES, SEARCHES, UPDATES, Search, parameters_of
from bench.ea.stopping import Train, by_oracle, by_pruner, unwatched
from oracle.forecast.forecaster import Oracle
from oracle.integrations.pymoo import WatchedProblem
from oracle.search.screen import screen

POPULATION = 12
#: Times as many of the first generation, and of the offspring, as the oracle then chooses from.
SCREENED = (25, 5)


def evolve(search: Search, train: Train, most: tuple[int, int] = (1, 1)) -> None:
    """DEAP: (mu + lambda) with tournaments, blend crossover and Gaussian steps.

    Args:
        search: its budget and its record.
        train: a run.
        most: times as many of the first generation, and of the offspring, are drawn as are
            trained; the oracle chooses.
    """
    rng = random.Random(search.seed)
    random.seed(search.seed)  # DEAP's operators draw from the global generator
    if not hasattr(creator, "Lowest"):
        creator.create("Lowest", base.Fitness, weights=(-1.0,))
        creator.create("Genome", list, fitness=creator.Lowest)

    def evaluated(genomes: list[Any]) -> Iterator[Any]:
        for genome in genomes:
            if search.left:
                genome.fitness.values = (train(genome).score(),)
                yield genome

    def chosen(genomes: list[Any]) -> list[Any]:
        many = len(genomes) > POPULATION
        return screened(search, POPULATION, genomes) if many else genomes

    first = range(most[0] * POPULATION)
    drawn = [creator.Genome(rng.random() for _ in range(GENES)) for _ in first]
    parents = list(evaluated(chosen(drawn)))
    while search.left:
        children = []
        while len(children) < most[1] * POPULATION:
            pair = [creator.Genome(g) for g in tools.selTournament(parents, 2, tournsize=3)]
            tools.cxBlend(*pair, alpha=0.3)
            for child in pair:
                tools.mutGaussian(child, mu=0.0, sigma=0.15, indpb=0.4)
                child[:] = [min(1.0, max(0.0, gene)) for gene in child]
            children += pair
        parents = tools.selBest(parents + list(evaluated(chosen(children))), POPULATION)


def nsga2(search: Search, train: Train) -> None:
    """pymoo: NSGA-II on OBJECTIVES."""
    problem = WatchedProblem(
        lambda genes, _: train(genes), objectives=OBJECTIVES, n_var=GENES, xl=0.0, xu=1.0
    )
    algorithm = NSGA2(pop_size=POPULATION)
    algorithm.setup(problem, termination=NoTermination(), seed=search.seed, verbose=False)
    while search.left:
        offspring = algorithm.ask()
        for individual in offspring:
            if search.left:
                Evaluator().eval(problem, individual)
        if search.left:
            algorithm.tell(infills=offspring)


@cache
def shipped() -> Oracle:
    """Load the oracle once a process."""
    return Oracle.load()


def screened(search: Search, keep: int, drawn: list[Any]) -> list[Any]:
    """Keep of the genomes that were drawn those that the oracle expects most of."""
    candidates = [parameters_of(genes) for genes in drawn]
    best = screen(search.table, candidates, keep, budget=UPDATES, oracle=shipped())
    return [drawn[i] for i in best]


def run(
    kind: str, judge: str, table: str, seed: int, budget: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Run one search and give its journal entry."""
    search = Search(table, seed, SEARCHES[kind], budget)
    with tempfile.TemporaryDirectory() as folder:
        trains: dict[str, Callable[[], Train]] = {
            "none": lambda: unwatched(search),
            "oracle": lambda: by_oracle(search, folder, settings),
            "screened": lambda: by_oracle(search, folder, settings),
            "median": lambda: by_pruner(search, optuna.pruners.MedianPruner(n_startup_trials=8)),
            "halving": lambda: by_pruner(
                search, optuna.pruners.SuccessiveHalvingPruner(min_resource=UPDATES // 20)
            ),
        }
        if kind == "single":
            evolve(search, trains[judge](), SCREENED if judge == "screened" else (1, 1))
        else:
            nsga2(search, trains[judge]())
    return {"kind": kind, "judge": judge, "table": table, "seed": seed, **vars(search.trace)}
