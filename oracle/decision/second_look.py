"""A second look: which stopped runs are worth training to their end, in which order, and how many.

A stopped run stands for its end by its forecast: a median and a spread of each objective. To finish
it is worth what the front of finished runs would gain, in hypervolume; of one objective that is how
far below the best it ends. The expected gain against its cost gives the order; what was found
changes what the others are worth, so every run is chosen anew. The last one is reached where the
chance of any gain, for each whole run's worth of epochs, is too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral, Real
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from oracle.decision.hypervolume import MAX_OBJECTIVES, box_of, gains, hypervolume, nondominated
from oracle.decision.ranking import QUARTILE_SD
from oracle.errors import InvalidHistory, must_be
from oracle.history.quality_score import common_scale, same_scale, scores_among
from oracle.types import METRICS, FloatArray, ParetoPolicy, Policy

#: Chance of a better one, for each whole run's worth of epochs, below which nothing is finished:
#: of one objective, and of several, whose front may gain in many places. Chosen by
#: `python -m bench.second_look --choose` on random tables of their own.
LEAST, LEAST_OF_SEVERAL = 0.05, 0.3
#: A front gains where its hypervolume grows by more than this share, as for the pareto policy.
EPSILON = ParetoPolicy().epsilon
DRAWS = 500


class Stopped(NamedTuple):
    """A stopped run, as its forecast stands for it.

    Attributes:
        run_id: its name.
        medians: of each objective, all minimised; NaN or infinite where it is not known.
        spreads: half the width of the central 50 % interval of each.
        cost: rest of its budget, as a share of it.
    """

    run_id: str
    medians: tuple[float, ...]
    spreads: tuple[float, ...]
    cost: float


#: Stopped runs, and name -> objectives of those that went to their end.
Ends = tuple[list[Stopped], dict[str, tuple[float, ...]]]


class Ended(NamedTuple):
    """A run that has ended, as populations keep it.

    Attributes:
        run_id: its name.
        values: after METRICS, raw units; the medians of its forecast where it was stopped. NaN or
            None where undefined.
        stopped: it was.
        spread: of its score, where it was stopped; see `Outcome`.
        spreads: of its values.
        mqe_of_mean: scale of its table, where known.
        cost: of finishing it, as a share of its budget.
    """

    run_id: str
    values: tuple[float | None, float | None, float | None]
    stopped: bool
    spread: float
    spreads: tuple[float, ...]
    mqe_of_mean: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Promising:
    """What finishing a stopped run is worth.

    Attributes:
        run_id: its name.
        p_better: P(it ends better than all finished runs), of several objectives P(the volume of
            their front gains more than EPSILON).
        gain: expected: of one objective in its own units, of several the hypervolume, in units of
            the box between the best and the worst values seen.
        cost: rest of its budget, as a share of it.
    """

    run_id: str
    p_better: float
    gain: float
    cost: float

    @property
    def chance(self) -> float:
        """P(better) for each whole run's worth of epochs."""
        return self.p_better / self.cost


class Finished(NamedTuple):
    """A stopped run that was trained to its end.

    Attributes:
        promising: what it was expected to be worth.
        forecast: its objectives as it was ranked by.
        final: as it ended; None where the training gave none.
    """

    promising: Promising
    forecast: tuple[float, ...]
    final: tuple[float, ...] | None


def ends_of(runs: Sequence[Ended], policy: Policy) -> Ends:
    """Read the ends of a population's runs as a second look needs them.

    Args:
        runs: of one population; those of another table are left out.
        policy: by which they were ranked; it tells the objectives.

    Returns:
        The stopped ones, and name -> objectives of the others.
    """
    scale = common_scale(one.mqe_of_mean for one in runs)
    runs = [one for one in runs if same_scale(one.mqe_of_mean, scale)]
    values = np.array([one.values for one in runs], dtype=np.float64).reshape(-1, 3).T
    scores = scores_among(values, [scale] * len(runs), policy.quality_weights)
    known = {**dict(zip(METRICS, values, strict=True)), "score": scores}
    asked = policy.objectives if isinstance(policy, ParetoPolicy) else ("score",)
    wanted = [name for name in asked if name in known]
    if not wanted:
        return [], {}
    points = np.stack([known[name] for name in wanted], axis=1)
    spreads = [
        tuple(
            dict(zip(METRICS, one.spreads, strict=False)).get(name, one.spread) for name in wanted
        )
        for one in runs
    ]
    ends = list(zip(runs, map(tuple, points.tolist()), spreads, strict=True))
    return (
        [Stopped(one.run_id, at, width, one.cost) for one, at, width in ends if one.stopped],
        {one.run_id: at for one, at, _ in ends if not one.stopped},
    )


def most_promising(
    stopped: Sequence[Stopped], finished: Sequence[Sequence[float]]
) -> list[Promising]:
    """Order stopped runs by expected gain against cost, the best first.

    Args:
        stopped: of one population; those with an objective that is not known are left out.
        finished: objectives of its finished runs; may be empty: then every run is a gain.

    Raises:
        InvalidHistory: more objectives than hypervolumes are computed of, or lengths that differ.
    """
    stopped = [one for one in stopped if np.isfinite(one.medians).all()]
    if not stopped:
        return []
    medians = np.array([one.medians for one in stopped], dtype=np.float64)
    n = medians.shape[1]
    if n > MAX_OBJECTIVES:
        raise InvalidHistory(must_be("objectives", f"at most {MAX_OBJECTIVES}", n))
    ends = np.array(list(finished), dtype=np.float64).reshape(-1, n)
    ends = ends[np.isfinite(ends).all(axis=1)]
    best, span, corner = box_of(np.concatenate([medians, ends]))
    front = nondominated((ends - best) / span)
    widths = np.nan_to_num([one.spreads for one in stopped]) / QUARTILE_SD
    drawn = np.maximum(medians[:, None] + widths[:, None] * _normal(n), 0.0)  # [run, draw, ...]
    gain = gains(((drawn - best) / span).reshape(-1, n), front, corner).reshape(len(stopped), -1)
    unit, bar = (float(span[0]), 0.0) if n == 1 else (1.0, EPSILON * hypervolume(front, corner))
    told = [
        Promising(one.run_id, float((of > bar).mean()), unit * float(of.mean()), _cost(one))
        for one, of in zip(stopped, gain, strict=True)
    ]
    return sorted(told, key=lambda one: (-one.gain / one.cost, one.run_id))


def worth_finishing(
    stopped: Sequence[Stopped], finished: Sequence[Sequence[float]], least: float | None = None
) -> list[Promising]:
    """Give those that are worth their cost, the best first; arguments as `finish_promising`'s."""
    if least is None:
        several = any(len(one.medians) > 1 for one in stopped)
        least = LEAST_OF_SEVERAL if several else LEAST
    told = most_promising(stopped, finished)
    return [one for one in told if one.gain > 0 and one.chance >= least]


def finish_promising(
    stopped: Sequence[Stopped],
    finished: Sequence[Sequence[float]],
    train: Callable[[str], Sequence[float] | None],
    *,
    k: int | None = None,
    budget: float | None = None,
    least: float | None = None,
) -> list[Finished]:
    """Train the most promising stopped runs to their end, one after another.

    Args:
        stopped, finished: of one population, as in `most_promising`.
        train: trains the run of this name to its end and gives its objectives, None where it has
            none.
        k: runs that are trained at most.
        budget: whole runs' worth of epochs that is spent at most.
        least: chance of a better one, for each whole run's worth of epochs, below which nothing is
            trained; None = LEAST or LEAST_OF_SEVERAL, 0 leaves it to `k` and `budget`.

    Returns:
        Those that were trained, in their order.

    Raises:
        InvalidHistory: `k`, `budget` or `least` cannot be.
    """
    check_bounds(k, budget, least)
    left, ends, done = {one.run_id: one for one in stopped}, list(finished), list[Finished]()
    rest = np.inf if budget is None else float(budget)
    while k is None or len(done) < k:
        worth = worth_finishing(list(left.values()), ends, least)
        chosen = next((one for one in worth if one.cost <= rest), None)
        if chosen is None:
            break
        rest -= chosen.cost
        final = train(chosen.run_id)
        told = None if final is None else tuple(float(value) for value in final)
        done.append(Finished(chosen, left.pop(chosen.run_id).medians, told))
        if told is not None:
            ends.append(told)
    return done


def check_bounds(k: object, budget: object, least: object) -> None:
    """Refuse bounds that no second look can have.

    Raises:
        InvalidHistory: naming it.
    """
    if k is not None and (isinstance(k, bool) or not isinstance(k, Integral) or int(k) < 1):
        advice = "Leave it out, and as many are finished as are worth it."
        raise InvalidHistory(must_be("k", "a whole number from 1 on", k, advice))
    if budget is not None and not _within(budget, 0.0, above=True):
        raise InvalidHistory(must_be("budget", "a number of whole runs above 0", budget))
    if least is not None and not _within(least, 0.0):
        raise InvalidHistory(must_be("least", "a chance from 0 on", least))


def _within(value: object, low: float, *, above: bool = False) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return (float(value) > low if above else float(value) >= low) and float(value) < np.inf


def _cost(one: Stopped) -> float:
    return min(1.0, max(one.cost, 0.01))


@lru_cache(maxsize=4)
def _normal(n: int) -> FloatArray:
    """[draw, objective] standard normal quantiles, each column in an order of its own."""
    normal = NormalDist()
    grid = np.array([normal.inv_cdf((d + 0.5) / DRAWS) for d in range(DRAWS)])
    rng = np.random.default_rng(19)
    table = np.stack([rng.permutation(grid) for _ in range(n)], axis=1)
    table.setflags(write=False)
    return table
