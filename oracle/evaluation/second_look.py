"""A second look replayed: what finishing the most promising stopped runs finds, and costs.

Every recorded run was trained to its end, so that finishing one is reading how it ended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from oracle.decision.hypervolume import box_of, hypervolume
from oracle.decision.rules import spreads_of
from oracle.decision.second_look import Stopped, finish_promising
from oracle.evaluation.recorded_runs import Array, RecordedRuns
from oracle.evaluation.replay import Ended, Stops
from oracle.history.targets import finals_of
from oracle.types import METRICS, TARGETS


class SecondLook(NamedTuple):
    """What a search holds at its end, by finished maps alone.

    Attributes:
        epochs: share of all runs' budgets that was used, where the finished ones go on from their
            stop.
        anew: the same where they are trained anew.
        finished: runs of the population that were stopped and then finished.
        rank: of the best finished run among all of the population, 0 = the best there is; of
            several objectives NaN.
        found: quality score of the best finished run less that of the best there is; of several
            objectives the share of the whole front's hypervolume that is missing.
    """

    epochs: float
    anew: float
    finished: int
    rank: float
    found: float


def look_again(
    population: RecordedRuns,
    ended: Stops | Ended,
    objectives: tuple[str, ...] = ("score",),
    *,
    k: int | None = None,
    budget: float | None = None,
    least: float | None = None,
    again: bool = True,
) -> SecondLook:
    """Finish the most promising of the stopped runs of a recorded population.

    Args:
        population: runs recorded to their end.
        ended: where each was stopped.
        objectives: what the search minimises: `score`, or names after METRICS.
        k, budget, least: as in `finish_promising`.
        again: False = nothing is finished.
    """
    at = ended.at if isinstance(ended, Ended) else ended
    spent = np.array([*population.checks, 1.0])[at]
    values = _finals(population, objectives)
    whole = at == population.n_checks
    stopped = [
        _stopped(population, i, int(at[i]), objectives, 1.0 - float(spent[i]))
        for i in np.flatnonzero(~whole).tolist()
    ]
    done = (
        finish_promising(
            stopped, values[whole].tolist(), lambda name: tuple(values[int(name)]),
            k=k, budget=budget, least=least,
        )
        if again
        else []
    )  # fmt: skip
    again_from_start = sum(1.0 - one.promising.cost for one in done)
    for one in done:
        spent[int(one.promising.run_id)] = 1.0
        whole[int(one.promising.run_id)] = True
    rank, found = _found(values, whole)
    epochs = float(spent.mean())
    anew = epochs + again_from_start / population.n_runs
    return SecondLook(epochs, anew, len(done), rank, found)


def _finals(population: RecordedRuns, objectives: tuple[str, ...]) -> Array:
    """[run, objective] as they ended."""
    if objectives == ("score",):
        return population.final[:, None]
    return finals_of(population.runs)[:, [METRICS.index(name) for name in objectives]]


def _stopped(
    population: RecordedRuns, run: int, check: int, objectives: tuple[str, ...], cost: float
) -> Stopped:
    if objectives == ("score",):
        median, spread = population.medians[check, run], population.spreads[check, run]
        return Stopped(str(run), (float(median),), (float(spread),), cost)
    forecast = population.forecasts[check][run]
    if forecast is None:
        nothing = (np.nan,) * len(objectives)
        return Stopped(str(run), nothing, nothing, cost)
    spreads = dict(zip(METRICS, spreads_of(forecast), strict=True))
    target = dict(zip(METRICS, TARGETS, strict=True))
    medians = tuple(forecast.median(target[name]) for name in objectives)
    return Stopped(str(run), medians, tuple(spreads[name] for name in objectives), cost)


def _found(values: Array, whole: np.ndarray) -> tuple[float, float]:
    if values.shape[1] == 1:
        all_of_them = values[:, 0]
        best = all_of_them[whole].min() if whole.any() else all_of_them.max()
        return float((all_of_them < best).sum()), float(best - all_of_them.min())
    best, span, corner = box_of(values)
    points = (values - best) / span
    there_is = hypervolume(points, corner)
    return np.nan, 1.0 - hypervolume(points[whole], corner) / there_is
