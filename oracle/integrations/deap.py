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
behind them, so `finished` leaves them out, and `Watched.finish_promising` trains those to their
end that are worth it. DEAP itself is never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any, TypeVar

from oracle.decision.second_look import Stopped, finish_promising
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
Individual = TypeVar("Individual")


class Forecast(float):
    """A value that was forecast; DEAP weighs values and keeps nothing else of what it is given.

    Attributes:
        spread: half the width of its central 50 % interval.
        run_id: the run that was stopped, where known.
    """

    spread: float
    run_id: str | None

    def __new__(cls, value: float, spread: float = 0.0, run_id: str | None = None) -> Forecast:
        """Take the value as DEAP does, how sure it is, and of which run."""
        forecast = super().__new__(cls, value)
        forecast.spread, forecast.run_id = spread, run_id
        return forecast

    def __mul__(self, weight: float) -> Forecast:
        return Forecast(float(self) * weight, self.spread * abs(weight), self.run_id)

    def __truediv__(self, weight: float) -> Forecast:
        return Forecast(float(self) / weight, self.spread / abs(weight), self.run_id)

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
        parameters: reads an individual as named parameters, as that of a `Screen`; they are each
            run's `config`. None = the genes are, by their number, unless `config` is given.
        settings: of `oracle.watch`, e.g. population, population_size, log, url. The policy is
            `population` for one objective and `pareto` for several, unless one is given.

    Raises:
        InvalidHistory: an objective or a setting that no run of a search can have.
    """

    def __init__(
        self,
        train: Train,
        *,
        objectives: tuple[str, ...] | str = ("score",),
        parameters: ReadGenes | None = None,
        **settings: Any,
    ) -> None:
        self.objectives = names_of(objectives)
        self._train, self._parameters = train, parameters
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
        what it was ranked by. Of equal ones, which selection makes, one is trained for all.

        Returns:
            Those that were trained.
        """
        stopped = _stopped(individuals)
        for alike in stopped:
            self._finished(alike)
        return [first for first, *_ in stopped]

    def finish_promising(
        self,
        individuals: Iterable[Any],
        *,
        k: int | None = None,
        budget: float | None = None,
        least: float | None = None,
    ) -> list[Any]:
        """Train to their end the stopped ones that are worth it, the most promising first.

        Args:
            individuals: all that the search still has: the finished among them are what a stopped
                one must beat.
            k, budget, least: see `oracle.decision.second_look.finish_promising`. Each is trained
                anew, and costs a whole run.

        Returns:
            Those that were trained, in their order, as by `finish`.
        """
        everyone = list(individuals)
        stopped = {str(i): alike for i, alike in enumerate(_stopped(everyone))}
        ended = [one.fitness.values for one in finished(everyone) if one.fitness.values]

        def train(name: str) -> Values | None:
            values = self._finished(stopped[name])
            return None if values.censored else values

        told = [_as_stopped(name, first.fitness.values) for name, (first, *_) in stopped.items()]
        done = finish_promising(told, ended, train, k=k, budget=budget, least=least)
        return [stopped[one.promising.run_id][0] for one in done]

    def _finished(self, alike: list[Any]) -> Values:
        # The run's population learns how it ended.
        forecasts = (value for value in alike[0].fitness.values if isinstance(value, Forecast))
        run_id = next((forecast.run_id for forecast in forecasts), None)
        with trained_anew(self._settings, run_id) as settings:
            values = self._evaluated(alike[0], settings)
        for individual in alike:
            individual.forecast = tuple(float(value) for value in individual.fitness.values)
            assign(individual, values)
        return Values(alike[0].fitness.values)

    def _evaluated(self, individual: Any, settings: dict[str, Any] | None = None) -> Values:
        settings = settings or self._settings
        bound = with_genes(settings, individual, self._parameters, self._problems)
        fitness = fitness_of(self._train(individual, partial(watch, **bound)))
        values = fitness.objectives(self.objectives)
        if not fitness.censored:
            return Values(values)
        spreads = fitness.spreads_of(self.objectives)
        return Values(map(Forecast, values, spreads, repeat(fitness.run_id)))

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


def _stopped(individuals: Iterable[Any]) -> list[list[Any]]:
    """Give the stopped individuals, equal ones together."""
    forecast = (one for one in individuals if _is_forecast(one.fitness.values))
    return twins(forecast, lambda individual: individual)


def _as_stopped(name: str, values: Iterable[float]) -> Stopped:
    own = tuple(values)
    spreads = tuple(getattr(value, "spread", 0.0) for value in own)
    return Stopped(name, tuple(float(value) for value in own), spreads, cost=1.0)


def _is_forecast(values: Iterable[float]) -> bool:
    return any(isinstance(value, Forecast) for value in values)
