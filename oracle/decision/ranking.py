"""P(a run ends among the best of its population), from joint draws; NumPy only.

What counts as good is frozen at the moment of the question: finished runs stand with their
values, stopped and live ones with draws of their forecast. Runs still to come are taken as
exchangeable with those seen, so the bar is soft while few have been seen and needs no
arbitrary warm-up. Scores are quality scores on one scale: lower is better.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from oracle.forks import Lock
from oracle.history.quality_score import n_good
from oracle.types import FloatArray

#: Half the width of a normal's central 50 % interval, in standard deviations.
QUARTILE_SD = 0.6744897501960817
#: Weights of a bar below this are not worth a partition.
NEGLIGIBLE = 1e-7


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


@lru_cache(maxsize=4096)
def places(n_seen: int, size: int | None, good: float) -> FloatArray:
    """Return P(exactly h of the population's good runs are among the `n_seen` seen), by h.

    Hypergeometric for a population of known `size`, binomial for an open-ended one.

    Args:
        n_seen: runs seen, the one in question included, >= 1.
        size: runs the population will have; taken as `n_seen` where that is more.
        good: share of the population that counts as good, 0..1.

    Returns:
        [h] probabilities, h = 0..n_seen, sum 1.
    """
    weights = np.zeros(n_seen + 1)
    if size is None:
        for h in range(n_seen + 1):
            log_p = _log_choose(n_seen, h) + h * math.log(good) + (n_seen - h) * math.log1p(-good)
            weights[h] = math.exp(log_p)
    else:
        size = max(size, n_seen)
        best = n_good(size, good)
        for h in range(max(0, best - (size - n_seen)), min(best, n_seen) + 1):
            weights[h] = math.exp(
                _log_choose(n_seen, h)
                + _log_choose(size - n_seen, best - h)
                - _log_choose(size, best)
            )
    weights /= weights.sum()
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=4096)
def chance_by_rank(n_seen: int, size: int | None, good: float) -> FloatArray:
    """Return P(a run is good | `better` of the seen runs are better than it), by `better`.

    Args and source as `places`: the run at rank r is good where at least r of the population's
    good runs are among the seen.

    Returns:
        [better] probabilities, better = 0..n_seen-1, non-increasing.
    """
    tail = np.cumsum(places(n_seen, size, good)[::-1])[::-1]
    chance = np.clip(tail[1:], 0.0, 1.0)
    chance.setflags(write=False)
    return chance


def _standard_draws(n_runs: int, n_draws: int) -> npt.NDArray[np.float32]:
    """[run, draw] standard normal quantiles, each row in an order of its own, the same always."""
    rows = 64 * math.ceil(n_runs / 64)  # tables of a few sizes serve every count of runs
    return _standard_table(rows, n_draws)[:n_runs]


def _orders(n_runs: int, n_draws: int) -> npt.NDArray[np.int64]:
    """[run, draw] one order of the draws for each run, the same always."""
    return _order_table(64 * math.ceil(n_runs / 64), n_draws)[:n_runs]


@lru_cache(maxsize=16)
def _order_table(n_runs: int, n_draws: int) -> npt.NDArray[np.int64]:
    orders: npt.NDArray[np.int64] = np.argsort(_standard_draws(n_runs, n_draws), axis=1)
    orders.setflags(write=False)
    return orders


def _standard_table(n_runs: int, n_draws: int) -> npt.NDArray[np.float32]:
    return _growing_table(n_draws).rows(n_runs)


class _GrowingTable:
    """Rows of a table are the same however many were asked for: it grows, and is made once."""

    def __init__(self, n_draws: int) -> None:
        normal = NormalDist()
        levels = ((d + 0.5) / n_draws for d in range(n_draws))
        self._grid = np.array([normal.inv_cdf(level) for level in levels], dtype=np.float32)
        self._rng = np.random.default_rng(20)
        self._table = np.empty((0, n_draws), dtype=np.float32)
        self._lock = Lock()

    def rows(self, n: int) -> npt.NDArray[np.float32]:
        """Give the first `n` rows."""
        with self._lock:
            there = len(self._table)
            if there < n:
                more = max(n, 2 * there) - there
                rows = [self._rng.permutation(self._grid) for _ in range(more)]
                self._table = np.concatenate([self._table, rows])
                self._table.setflags(write=False)
            return self._table[:n]


@lru_cache(maxsize=16)
def _growing_table(n_draws: int) -> _GrowingTable:
    return _GrowingTable(n_draws)


def p_good(
    draws: FloatArray,
    values: FloatArray,
    spreads: FloatArray,
    size: int | None,
    good: float,
) -> float:
    """Return P(the run ends among the best share `good` of its population).

    Args:
        draws: [draw] quality scores of the run in question.
        values: [outcome] quality scores of the other runs; medians where not finished.
        spreads: [outcome] half the width of the central 50 % interval; 0 where finished.
        size: runs the population will have, None = open-ended.
        good: share that counts as good.
    """
    chance = chance_by_rank(len(values) + 1, size, good)
    # Whatever cannot be better than the worst draw is nowhere counted.
    near = values - 4.0 / QUARTILE_SD * spreads < draws.max()
    known = spreads == 0.0
    better = np.sort(values[near & known]).searchsorted(draws)
    # Each keeps the random numbers of its place, whichever others are near: `decide` is monotone.
    open_ones = np.flatnonzero(near & ~known)
    if len(open_ones):
        # Single precision and a narrow sum: a third of the time, no rank changed that matters.
        sure, middle = draws.astype(np.float32), values[open_ones].astype(np.float32)
        sd = (spreads[open_ones] / QUARTILE_SD).astype(np.float32)
        theirs = sd[:, None] * _standard_draws(len(values), len(draws))[open_ones]
        theirs += middle[:, None]
        better = better + (theirs < sure).sum(axis=0, dtype=np.uint16)
    return float(chance[better].mean())


class JointRanking:
    """A generation in step, ranked by its members' draws.

    Each run is compared with the bar the others set: at every draw the h-th best of them.
    Own draws and bars are independent, so every draw meets every bar: n x n pairs resolve
    the tail that a working risk of a few percent lives in.

    Args:
        draws: [run, draw] quality scores, in any order within a row.
        values, spreads: [outcome] as in `p_good`, runs outside the generation.
        size: runs the population will have, None = those seen.
        good: share that counts as good.
    """

    def __init__(
        self,
        draws: FloatArray,
        values: FloatArray,
        spreads: FloatArray,
        size: int | None,
        good: float,
    ) -> None:
        n_runs, n_draws = draws.shape
        n_seen = n_runs + len(values)
        # Orders of their own, so that draws made from the same random numbers are not paired.
        self._own = np.take_along_axis(draws, _orders(n_runs, n_draws), axis=1)
        table = _standard_draws(n_seen, n_draws)[n_runs:]
        others = values[:, None] + (spreads / QUARTILE_SD)[:, None] * table
        field = np.ascontiguousarray(np.concatenate([self._own, others]).T)  # [draw, seen]
        weights = places(n_seen, n_seen if size is None else size, good)
        used = [h for h in range(1, n_seen + 1) if weights[h] > NEGLIGIBLE]
        kth = sorted({k for h in used for k in (h - 1, h) if k < n_seen})
        ordered = np.partition(field, kth, axis=1) if kth else field
        #: Everybody seen is good.
        self._sure = 1.0 if n_seen == 1 else float(sum(weights[h] for h in used if h >= n_seen))
        #: Weight, h-th best and the one after it, and the h-th best sorted.
        self._bars = [
            (weights[h], ordered[:, h - 1], ordered[:, h], np.sort(ordered[:, h - 1]))
            for h in used
            if h < n_seen
        ]

    def p_good(self, i: int) -> float:
        """Return P(run `i` ends among the best share of the population)."""
        own = self._own[i]
        best, p = own.min(), 0.0
        for weight, inner, outer, bar in self._bars:
            if best > bar[-1]:
                continue
            within = own <= inner
            # The h-th best of the others: one further out where the run itself is within.
            mine = np.sort(np.where(within, outer, inner)) if within.any() else bar
            beaten = len(own) - mine.searchsorted(own)  # bars at or above each draw
            p += weight * beaten.mean() / len(own)
        return float(min(max(p + self._sure, 0.0), 1.0))


def p_good_jointly(
    draws: FloatArray,
    values: FloatArray,
    spreads: FloatArray,
    size: int | None,
    good: float,
) -> FloatArray:
    """Return P(good) of each run of a generation, [run]; arguments as `JointRanking`'s."""
    ranking = JointRanking(draws, values, spreads, size, good)
    return np.array([ranking.p_good(i) for i in range(len(draws))])
