"""pymoo: a problem whose evaluations are watched trainings, for one objective or several.

    def train(x, watch):
        som, data, n = ...
        return minisom.train(som, data, n, watch=watch)         # or a loop of one's own

    problem = WatchedProblem(train, objectives=("mqe", "topographic_error"), n_var=3,
                             xl=[4, .1, 1], xu=[20, 1., 8], settings={"population": "runs.db"})
    result = minimize(problem, NSGA2(pop_size=20), ("n_gen", 10))
    print(problem.summary())
    problem.finish_promising()        # train stopped ones to their end that are worth it
    for solution in best(problem.evaluated):
        print(solution.X, solution.F)

A stopped individual's F is its forecast, so survival ranks it where it would have come out.
`result.F` holds forecasts too; `finished` and `best` leave them out. Forecasts push finished maps
out of `result.pop`, the last generation: `problem.evaluated` has all that were ever trained.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from pymoo.core.population import Population
from pymoo.core.problem import ElementwiseProblem
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from oracle.decision.second_look import Stopped, finish_promising
from oracle.errors import InvalidHistory, must_be
from oracle.hook import WatchedRun, watch
from oracle.hook.fitness import Fitness, names_of
from oracle.hook.search import (
    ReadGenes,
    fitness_of,
    settings_of,
    summary_of,
    trained_anew,
    with_genes,
)
from oracle.hook.warn_once import Problems
from oracle.integrations.twins import twins

Train = Callable[[Any, Callable[..., WatchedRun]], WatchedRun | Fitness]


class WatchedProblem(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
    """Evaluate solutions by trainings under watch.

    Args:
        train: takes the variables and a `watch` with the search's settings bound, trains, and
            returns the watched run or its fitness.
        objectives: what is minimised, after METRICS, or `score`.
        parameters: reads the variables as named parameters, as that of a `Screen`; they are each
            run's `config`. None = the variables are, unless `config` is given.
        settings: of `oracle.watch`, e.g. policy, population, log, url. The policy is
            `population` for one objective and `pareto` for several, unless one is given.
        problem: of pymoo's Problem: n_var, xl, xu, vars, constraints and so on.

    Attributes:
        evaluated: every individual of the search so far, in order.

    Raises:
        InvalidHistory: an objective or a setting that no run of a search can have.
    """

    def __init__(
        self,
        train: Train,
        *,
        objectives: tuple[str, ...] | str = ("score",),
        parameters: ReadGenes | None = None,
        settings: dict[str, Any] | None = None,
        **problem: Any,
    ) -> None:
        self.objectives = names_of(objectives)
        if misplaced := problem.keys() & signature(watch).parameters.keys():
            advice = "pymoo takes any keyword, and drops it."
            told = ", ".join(sorted(misplaced))
            raise InvalidHistory(must_be(told, "given within `settings`", told, advice))
        super().__init__(n_obj=len(self.objectives), **problem)
        self._train, self._parameters, self._problems = train, parameters, Problems()
        self._settings = settings_of(self.objectives, settings or {})
        self.evaluated = Population.empty()

    def do(self, X: Any, return_values_of: Any, *args: Any, **kwargs: Any) -> Any:
        """Evaluate as pymoo does, wherever its runner trains, and keep what came of it."""
        out = super().do(X, return_values_of, *args, **kwargs)
        names = ("F", "G", "H", "censored", "spreads", "run_id")
        told = [part for name in names if out.get(name) is not None for part in (name, out[name])]
        self.evaluated = Population.merge(self.evaluated, Population.new("X", X, *told))
        return out

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        fitness = self._fitness(x)
        out["F"] = list(fitness.objectives(self.objectives))
        out["censored"] = fitness.censored
        out["spreads"] = list(fitness.spreads_of(self.objectives))
        out["run_id"] = fitness.run_id

    def finish(self, population: Population) -> Population:
        """Train the stopped individuals of a front, or of any population, to their end.

        Each takes its final values as F, without the mark; `individual.get("forecast")` keeps what
        it was ranked by. Of equal ones, and of their likes in `evaluated`, one is trained for all.

        Returns:
            Those that were trained.
        """
        stopped = self._stopped(population)
        for alike in stopped:
            self._finished(alike)
        return Population.create(*(first for first, *_ in stopped))

    def finish_promising(
        self,
        population: Population | None = None,
        *,
        k: int | None = None,
        budget: float | None = None,
        least: float | None = None,
    ) -> Population:
        """Train to their end the stopped individuals that are worth it, the most promising first.

        Args:
            population: those to choose from, the infeasible left out; the finished among them are
                what a stopped one must beat. None = all that were evaluated.
            k, budget, least: see `oracle.decision.second_look.finish_promising`. Each is trained
                anew, and costs a whole run.

        Returns:
            Those that were trained, in their order, as by `finish`.
        """
        population = self.evaluated if population is None else population
        feasible = _those(population, lambda one: one.feas)
        stopped = {str(i): alike for i, alike in enumerate(self._stopped(feasible))}
        told = [
            Stopped(name, tuple(first.F), _spreads(first), cost=1.0)
            for name, (first, *_) in stopped.items()
        ]
        ended = [tuple(individual.F) for individual in finished(feasible)]

        def train(name: str) -> tuple[float, ...] | None:
            self._finished(stopped[name])
            first = stopped[name][0]
            return None if first.get("censored") else tuple(first.F)

        done = finish_promising(told, ended, train, k=k, budget=budget, least=least)
        return Population.create(*(stopped[one.promising.run_id][0] for one in done))

    def _stopped(self, population: Population) -> list[list[Any]]:
        """Give its stopped individuals, equal ones together, and those of `evaluated` with them."""
        own, kept = (
            [one for one in some if one.get("censored")] for some in (population, self.evaluated)
        )
        asked = {id(one) for one in own}
        together = twins([*own, *kept], lambda individual: individual.X)
        return [alike for alike in together if id(alike[0]) in asked]

    def _finished(self, alike: list[Any]) -> None:
        # The run's population learns how it ended.
        with trained_anew(self._settings, alike[0].get("run_id")) as settings:
            fitness = self._fitness(alike[0].X, settings)
        for one in alike:
            one.set("forecast", one.F)
            one.F = np.array(fitness.objectives(self.objectives), dtype=float)
            one.set("censored", fitness.censored)

    def _fitness(self, x: Any, settings: dict[str, Any] | None = None) -> Fitness:
        settings = settings or self._settings
        bound = with_genes(settings, x, self._parameters, self._problems)
        return fitness_of(self._train(x, partial(watch, **bound)))

    def summary(self) -> str:
        """Tell in a line a population how the search went, by the file its workers share."""
        return summary_of(self._settings)


def _spreads(individual: Any) -> tuple[float, ...]:
    spreads = individual.get("spreads")  # none where another problem evaluated it
    return (0.0,) * len(individual.F) if spreads is None else tuple(spreads)


def _those(population: Population, are: Callable[[Any], Any]) -> Population:
    return population[np.array([bool(are(individual)) for individual in population], dtype=bool)]


def finished(population: Population) -> Population:
    """Leave out the stopped individuals: what they might have reached is no map anybody holds.

    `WatchedProblem.finish` trains them to their end instead.
    """
    return _those(population, lambda one: not one.get("censored"))


def best(population: Population) -> Population:
    """Give the Pareto front, or the best, of the finished individuals that are feasible."""
    maps = _those(finished(population), lambda one: one.feas)
    if not len(maps):
        return maps
    front = NonDominatedSorting().do(maps.get("F"), only_non_dominated_front=True)
    return maps[front]
