"""DEAP: an `evaluate` whose runs are watched, for one objective or several.

    def train(individual, watch):
        som, data, n = ...
        return minisom.train(som, data, n, watch=watch)         # or a loop of one's own

    toolbox.register("evaluate", Watched(train, objectives=("score",), population="runs.db"))

A stopped individual's fitness is its forecast, so selection ranks it where it would have come
out. The mark stands at the individual, `censored`; where workers of other processes evaluate,
`assign` puts it there. After the search `finish` trains the stopped members
of a front to their end. DEAP itself is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from oracle.hook import WatchedRun, policy_for, watch
from oracle.hook.fitness import Fitness
from oracle.hook.warn_once import Problems

Train = Callable[[Any, Callable[..., WatchedRun]], WatchedRun | Fitness]


class Values(tuple[float, ...]):
    """The values of an individual's objectives, as DEAP wants them, with their mark.

    Attributes:
        censored: the run was stopped and the values are a forecast.
    """

    censored: bool


class Watched:
    """Evaluate individuals by trainings under watch; can be sent to worker processes.

    Args:
        train: takes the individual and a `watch` with the search's settings bound, trains, and
            returns the watched run or its fitness.
        objectives: what is minimised, after METRICS, or `score`; every weight of the
            individual's fitness must be negative.
        settings: of `oracle.watch`, e.g. population, population_size, log, url. The policy is
            `population` for one objective and `pareto` for several, unless one is given.
    """

    def __init__(
        self, train: Train, *, objectives: tuple[str, ...] = ("score",), **settings: Any
    ) -> None:
        self.objectives = tuple(objectives)
        self._train = train
        self._settings = {"policy": policy_for(self.objectives), **settings}
        self._problems = Problems()

    def __call__(self, individual: Any) -> Values:
        """Train one individual and give its objectives in order."""
        weights = getattr(getattr(individual, "fitness", None), "weights", None) or ()
        if any(weight > 0 for weight in weights):
            message = f"fitness weights must be negative, lower is better, but got {weights}."
            self._problems.note("weights", message)
        values = self._evaluated(individual)
        with suppress(AttributeError):  # DEAP's own algorithms take the values without the mark
            individual.censored = values.censored
        return values

    def finish(self, individuals: Iterable[Any]) -> list[Any]:
        """Train the stopped ones of a front, or of any individuals, to their end.

        Each takes its final values as its fitness, without the mark; `individual.forecast` keeps
        what it was ranked by.

        Returns:
            Those that were trained.
        """
        stopped = [one for one in individuals if getattr(one, "censored", False)]
        for individual in stopped:
            individual.forecast = tuple(individual.fitness.values)
            # Every stop is let run on: the run's population learns how it ended.
            assign(individual, self._evaluated(individual, control=1.0))
        return stopped

    def _evaluated(self, individual: Any, **settings: Any) -> Values:
        run = self._train(individual, partial(watch, **{**self._settings, **settings}))
        fitness = run.fitness() if isinstance(run, WatchedRun) else run
        values = Values(fitness.objectives(self.objectives))
        values.censored = fitness.censored
        return values


def assign(individual: Any, values: Values) -> None:
    """Give an individual its fitness and its mark: `individual.censored`."""
    individual.fitness.values = values
    individual.censored = values.censored
