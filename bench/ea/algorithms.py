"""The evolutionary algorithms of two libraries, each spending a search's budget."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from deap import base, creator, tools
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.termination import NoTermination

from bench.ea.libraries import GENES
from bench.ea.pace import pace_s
from bench.ea.search import OBJECTIVES, SEARCHES, Search
from bench.ea.stopping import Train, by_oracle, by_pruner, unwatched
from bench.ea.surrogates import forest, genome, tpe
from oracle.integrations.pymoo import WatchedProblem
from oracle.search.pymoo import screened
from oracle.search.screen import Screen

POPULATION = 12
#: Times as many of the first generation, and of the offspring, as the oracle then chooses from.
SCREENED = (25, 5)
#: Who has the oracle choose all that is trained, by what it learns of the search's runs.
CHOOSING = ("screened", "tpe, screened")


def evolve(search: Search, train: Train, screen: Screen | None = None) -> None:
    """DEAP: (mu + lambda) with tournaments, blend crossover and Gaussian steps.

    Args:
        search: its budget and its record.
        train: a run.
        screen: chooses of generations drawn larger, SCREENED times as large; None = none are.
    """
    most = SCREENED if screen is not None else (1, 1)
    rng = random.Random(search.seed)
    random.seed(search.seed)  # DEAP's operators draw from the global generator
    if not hasattr(creator, "Lowest"):
        creator.create("Lowest", base.Fitness, weights=(-1.0,))
        creator.create("Genome", list, fitness=creator.Lowest)

    def evaluated(genomes: list[Any]) -> Iterator[Any]:
        for one in genomes:
            if search.left:
                one.fitness.values = (train(one).score(),)
                yield one

    def chosen(genomes: list[Any]) -> list[Any]:
        return genomes if screen is None else screen.best(genomes, POPULATION)

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


def nsga2(search: Search, train: Train, screen: Screen | None = None) -> None:
    """pymoo: NSGA-II on OBJECTIVES; a `screen` chooses of generations drawn larger."""
    problem = WatchedProblem(
        lambda genes, _: train(genes), objectives=OBJECTIVES, n_var=GENES, xl=0.0, xu=1.0
    )
    algorithm = NSGA2(pop_size=POPULATION)
    if screen is not None:
        screened(algorithm, screen, first=SCREENED[0], later=SCREENED[1])
    algorithm.setup(problem, termination=NoTermination(), seed=search.seed, verbose=False)
    while search.left:
        offspring = algorithm.ask()
        for individual in offspring:
            if search.left:
                Evaluator().eval(problem, individual)
        if search.left:
            algorithm.tell(infills=offspring)


def screen_of(
    search: Search, population: str, read: Callable[[Any], Sequence[float]] = list
) -> Screen:
    """Give what chooses among the candidates of a search; `read` makes a genome of one."""
    wanted = ("quality",) if len(search.objectives) == 1 else search.objectives
    return Screen(
        search.table,
        lambda one: search.library.parameters(read(one)),
        library=search.library.name,
        objectives=wanted,
        budget=search.library.updates,
        population=population,
    )


def suggested(search: Search, screen: Screen) -> list[list[float]]:
    """Give a first generation: the best forecast of one drawn larger."""
    rng = random.Random(search.seed)
    drawn = [[rng.random() for _ in range(GENES)] for _ in range(SCREENED[0] * POPULATION)]
    return screen.best(drawn, POPULATION)


def run(
    library: str,
    kind: str,
    judge: str,
    table: str,
    seed: int,
    budget: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Run one search and give its journal entry."""
    before = pace_s()
    search = Search(library, table, seed, SEARCHES[kind], budget)
    with tempfile.TemporaryDirectory() as folder:
        _begin(search, judge, f"{folder}/runs.db", settings)
    about = {"library": library, "kind": kind, "judge": judge, "table": table, "seed": seed}
    return {**about, **vars(search.trace), "pace_s": round((before + pace_s()) / 2, 5)}


def _begin(search: Search, judge: str, population: str, settings: Mapping[str, Any]) -> None:
    """Run the search of this judge to the end of its budget."""

    def watched() -> Train:
        return by_oracle(search, population, {**settings, "screened": judge in CHOOSING})

    several = len(search.objectives) > 1
    match judge:
        case "none" | "oracle":
            train = unwatched(search) if judge == "none" else watched()
            (nsga2 if several else evolve)(search, train)
        case "screened" if several:
            nsga2(search, watched(), screen_of(search, population))
        case "screened":
            evolve(search, watched(), screen_of(search, population))
        case "median":
            evolve(search, by_pruner(search, optuna.pruners.MedianPruner(n_startup_trials=8)))
        case "halving":
            rung = max(1, search.library.steps(len(search.data)) // 20)
            pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=rung)
            evolve(search, by_pruner(search, pruner))
        case "tpe":
            tpe(search, unwatched(search))
        case "tpe, oracle":
            tpe(search, watched())
        case "tpe, screened":
            tpe(search, watched(), screen_of(search, population, genome))
        case "forest":
            forest(search, unwatched(search))
        case "forest, oracle":
            forest(search, watched())
        case "forest, screened":
            forest(search, watched(), suggested(search, screen_of(search, population)))
        case _:
            raise ValueError(f"nobody is called {judge}")
