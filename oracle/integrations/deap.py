"""DEAP: an `evaluate` whose runs are watched, for one objective or several.

    def train(individual, watch):
        som, data, n = ...
        return minisom.train(som, data, n, watch=watch)         # or a loop of one's own

    evaluate = Watched(train, objectives=("score",), population="runs.db")
    toolbox.register("evaluate", evaluate)
    best = OnlyFinished(tools.HallOfFame(1))
    population, _ = algorithms.eaMuPlusLambda(..., halloffame=best)
    print(evaluate.summary(), finished(population), best[0])

A stopped individual's fitness is its forecast, so selection ranks it where it would have come
out. Its values are marked as `Forecast`s, which DEAP's own algorithms carry along; no map stands
behind them, so `finished` leaves them out, and `Watched.finish` trains them to their end. DEAP
itself is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from oracle.hook import WatchedRun, watch
from oracle.hook.fitness import Fitness, names_of
from oracle.hook.search import settings_of, summary_of
from oracle.hook.warn_once import Problems

Train = Callable[[Any, Callable[..., WatchedRun]], WatchedRun | Fitness]
Individual = TypeVar("Individual")


class Forecast(float):
    """A value that was forecast; DEAP weighs values and keeps nothing else of what it is given."""

    def __mul__(self, weight: float) -> Forecast:
        return Forecast(float(self) * weight)

    def __truediv__(self, weight: float) -> Forecast:
        return Forecast(float(self) / weight)

    __rmul__ = __mul__


class Values(tuple[float, ...]):
    """The values of an individual's objectives, as DEAP wants them."""

    @property
    def censored(self) -> bool:
        """Whether the run was stopped and the values are a forecast."""
        return _is_forecast(self)


class Watched:
    """Evaluate individuals by trainings under watch; can be sent to worker processes.

    Args:
        train: takes the individual and a `watch` with the search's settings bound, trains, and
            returns the watched run or its fitness.
        objectives: what is minimised, after METRICS, or `score`; every weight of the
            individual's fitness must be negative.
        settings: of `oracle.watch`, e.g. population, population_size, log, url. The policy is
            `population` for one objective and `pareto` for several, unless one is given.

    Raises:
        InvalidHistory: an objective or a setting that no run of a search can have.
    """

    def __init__(
        self, train: Train, *, objectives: tuple[str, ...] | str = ("score",), **settings: Any
    ) -> None:
        self.objectives = names_of(objectives)
        self._train = train
        self._settings = settings_of(self.objectives, settings)
        self._problems = Problems()

    def __call__(self, individual: Any) -> Values:
        """Train one individual and give its objectives in order."""
        weights = getattr(getattr(individual, "fitness", None), "weights", None) or ()
        if any(weight > 0 for weight in weights):
            message = f"fitness weights must be negative, lower is better, but got {weights}."
            self._problems.note("weights", message)
        values = self._evaluated(individual)
        with suppress(AttributeError):  # a mark of its own, where it is evaluated in this process
            individual.censored = values.censored
        return values

    def finish(self, individuals: Iterable[Any]) -> list[Any]:
        """Train the stopped ones of a front, or of any individuals, to their end.

        Each takes its final values as its fitness, without the mark; `individual.forecast` keeps
        what it was ranked by.

        Returns:
            Those that were trained.
        """
        stopped = [one for one in individuals if _is_forecast(one.fitness.values)]
        for individual in stopped:
            individual.forecast = tuple(float(value) for value in individual.fitness.values)
            # Every stop is let run on: the run's population learns how it ended.
            assign(individual, self._evaluated(individual, control=1.0))
        return stopped

    def _evaluated(self, individual: Any, **settings: Any) -> Values:
        run = self._train(individual, partial(watch, **{**self._settings, **settings}))
        fitness = run.fitness() if isinstance(run, WatchedRun) else run
        kind = Forecast if fitness.censored else float
        return Values(kind(value) for value in fitness.objectives(self.objectives))

    def summary(self) -> str:
        """Tell in a line a population how the search went, by the file its workers share."""
        return summary_of(self._settings)


class OnlyFinished:
    """A hall of fame, or Pareto front, of maps alone: for `halloffame=` of DEAP's algorithms.

    Args:
        hall: DEAP's own, e.g. `tools.ParetoFront()`.
    """

    def __init__(self, hall: Any) -> None:
        self.hall = hall

    def update(self, population: Iterable[Any]) -> None:
        """Show it the finished individuals of a population."""
        self.hall.update(finished(population))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.hall)

    def __len__(self) -> int:
        return len(self.hall)

    def __getitem__(self, at: Any) -> Any:
        return self.hall[at]


def assign(individual: Any, values: Values) -> None:
    """Give an individual its fitness and a mark of its own, `individual.censored`."""
    individual.fitness.values = values
    individual.censored = values.censored


def finished(individuals: Iterable[Individual]) -> list[Individual]:
    """Leave out the stopped individuals: what they might have reached is no map anybody holds.

    `Watched.finish` trains them to their end instead.
    """
    return [one for one in individuals if not _is_forecast(one.fitness.values)]  # type: ignore[attr-defined]


def _is_forecast(values: Iterable[float]) -> bool:
    return any(isinstance(value, Forecast) for value in values)
