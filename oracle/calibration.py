"""From the network's quantiles to honest ones, and to joint draws of the three finals.

Two corrections are learned on runs of tables that the network never saw:

- conformal offsets, one for each target, level and stretch of progress: the level-quantile of
  (outcome - quantile) / spread, added back in units of the same spread (one-sided CQR; Romano,
  Patterson & Candes 2019, doi:10.48550/arXiv.1905.03222). Tails beyond the network's outer levels
  are knots of the same kind.
- the empirical rank copula of the outcomes (Schefzik, Thorarinsdottir & Gneiting 2013,
  doi:10.1214/13-STS443): how the three finals err together.

The quality score, P(good) and P(gain) all come from the same few hundred joint draws.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oracle.features import Array
from oracle.quantiles import between
from oracle.types import HEAD_LEVELS, LEVELS, TARGETS

#: Levels beyond the head, reached from its outermost ones by conformal offsets alone.
LOW_TAIL = (0.0005, 0.002)
HIGH_TAIL = (0.998, 0.9995)
KNOTS = (*LOW_TAIL, *HEAD_LEVELS, *HIGH_TAIL)
#: Progress at which offsets are learned; linear between. Unknown progress has its own.
STRETCHES = (0.02, 0.06, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
#: Smallest spread, in change units: (log mqe, topographic error, dead-neuron ratio).
MIN_SPREAD = (0.005, 0.002, 0.002)
#: Joint draws of one forecast. Risks of 0.01 rest on ten of them.
DRAWS = 1024

_HEAD = np.array([0] * len(LOW_TAIL) + [*range(len(HEAD_LEVELS))] + [-1] * len(HIGH_TAIL))
_LOW, _HIGH = HEAD_LEVELS.index(0.25), HEAD_LEVELS.index(0.75)
_SHOWN = np.array([KNOTS.index(level) for level in LEVELS])
_MIN_SPREAD = np.array(MIN_SPREAD)


def spread_of(quantiles: Array) -> Array:
    """Width of the central half, [..., 3, level] -> [..., 3], in change units."""
    spread: Array = np.maximum(quantiles[..., _HIGH] - quantiles[..., _LOW], _MIN_SPREAD)
    return spread


@dataclass(frozen=True)
class Calibration:
    """What was learned on held-out tables; plain numbers.

    Attributes:
        offsets: [stretch, target, knot] in units of the spread.
        offsets_unknown: [target, knot] where progress is unknown.
        ranks: [draw, target] uniform ranks of the copula.
    """

    offsets: Array
    offsets_unknown: Array
    ranks: Array

    def knots(self, quantiles: Array, progress: float | None) -> Array:
        """Correct the network's quantiles and extend them into the tails.

        Args:
            quantiles: [3, len(HEAD_LEVELS)] in change space, non-decreasing.
            progress: 0..1, None where unknown.

        Returns:
            [3, len(KNOTS)] in change space, non-decreasing.
        """
        offsets = self.offsets_at(progress)
        knots = offsets * spread_of(quantiles)[:, None]
        knots += quantiles.take(_HEAD, axis=1)
        knots.sort(axis=1)
        return knots

    def offsets_at(self, progress: float | None) -> Array:
        """Offsets [target, knot] at `progress`, linear between the stretches."""
        if progress is None:
            return self.offsets_unknown
        return between_stretches(self.offsets, progress)

    def draws(self, knots: Array, seed: int) -> Array:
        """Draw jointly, in change space: [3, draw], the same for the same seed.

        The ranks are rotated by the seed, so that two runs are not drawn in step.
        """
        first = seed % len(self.ranks)
        below, above, share = self._places
        drawn = knots.take(above)
        low = knots.take(below)
        drawn -= low
        drawn *= share
        drawn += low
        return np.concatenate((drawn[:, first:], drawn[:, :first]), axis=1)

    @cached_property
    def _places(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Array]:
        """Where each rank lies: the knots around it (of all targets in a row), the share between.

        All [target, draw]. Ranks never change, so that no draw searches for its knots again.
        """
        levels, ranks = np.array(KNOTS), np.clip(self.ranks.T, KNOTS[0], KNOTS[-1])
        below = np.minimum(np.searchsorted(levels, ranks, side="right") - 1, len(KNOTS) - 2)
        share = (ranks - levels[below]) / (levels[below + 1] - levels[below])
        below += len(KNOTS) * np.arange(len(TARGETS))[:, None]
        return below, below + 1, share

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, rounded to what matters."""
        return {
            "knots": list(KNOTS),
            "stretches": list(STRETCHES),
            "offsets": np.round(self.offsets, 5).tolist(),
            "offsets_unknown": np.round(self.offsets_unknown, 5).tolist(),
            "ranks": np.round(self.ranks, 5).tolist(),
        }

    @classmethod
    def from_json(cls, numbers: dict[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: where levels, stretches or shapes are not this version's.
        """
        if tuple(numbers["knots"]) != KNOTS or tuple(numbers["stretches"]) != STRETCHES:
            raise ValueError("calibration was made for other levels or stretches")
        made = cls(
            np.asarray(numbers["offsets"], np.float64),
            np.asarray(numbers["offsets_unknown"], np.float64),
            np.asarray(numbers["ranks"], np.float64),
        )
        one = (len(TARGETS), len(KNOTS))
        right = (
            made.offsets.shape == (len(STRETCHES), *one)
            and made.offsets_unknown.shape == one
            and made.ranks.ndim == 2
            and made.ranks.shape[1] == len(TARGETS)
            and all(np.isfinite(a).all() for a in (made.offsets, made.offsets_unknown, made.ranks))
        )
        if not right:
            raise ValueError("calibration has arrays of the wrong shape")
        return made


def shown(knots: Array) -> Array:
    """Pick LEVELS from knots, [..., knot] -> [..., level]."""
    levels: Array = knots[..., _SHOWN]
    return levels


def seed_of(history_json: bytes) -> int:
    """A seed that depends on the history alone."""
    return int.from_bytes(hashlib.blake2b(history_json, digest_size=4).digest(), "little")


def fit_calibration(
    quantiles: Array,
    outcomes: Array,
    progress: Array,
    progress_known: npt.NDArray[np.bool_],
    seed: int = 0,
) -> Calibration:
    """Learn offsets and copula from forecasts on tables held out from training.

    Args:
        quantiles: [example, 3, level] the network's, change space.
        outcomes: [example, 3] change that came, NaN where undefined.
        progress: [example] true progress of each prefix, 0..1.
        progress_known: [example] whether the network was told it.
        seed: of the randomised ranks.
    """
    base = quantiles[..., _HEAD]
    spread = spread_of(quantiles)[..., None]
    score = (outcomes[..., None] - base) / spread  # [example, 3, knot]
    offsets, unknown = learn_offsets(score, progress, progress_known)
    partial = Calibration(offsets, unknown, np.full((1, len(TARGETS)), 0.5))
    rng = np.random.default_rng(seed)
    whole = np.isfinite(outcomes).all(axis=1) & progress_known & (progress < 0.75)
    rows = rng.permutation(np.flatnonzero(whole))
    pits = np.array(
        [
            [
                pit(outcomes[i, k], knots[k], KNOTS, rng)
                for knots in [partial.knots(quantiles[i], progress[i])]
                for k in range(len(TARGETS))
            ]
            for i in rows[: 8 * DRAWS]
        ]
    )
    return Calibration(offsets, unknown, _copula(pits, rng))


def between_stretches(offsets: Array, progress: float) -> Array:
    """Offsets [stretch, ...] read at `progress`, linear between the stretches."""
    x = between(progress, STRETCHES, range(len(STRETCHES)))
    low = min(int(x), len(STRETCHES) - 2)
    return np.asarray((1 - x + low) * offsets[low] + (x - low) * offsets[low + 1])


def learn_offsets(
    surprise: Array, progress: Array, progress_known: npt.NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Learn conformal offsets for each stretch, and for unknown progress.

    Args:
        surprise: [example, target, knot] (outcome - quantile) / spread, NaN where undefined.
        progress: [example] true progress.
        progress_known: [example] whether the forecast was told it.

    Returns:
        [stretch, target, knot] and [target, knot].
    """
    known = progress_known.astype(float)
    stretches = [_offsets(surprise, _near(progress, i) * known) for i in range(len(STRETCHES))]
    return np.stack(stretches), _offsets(surprise, 1 - known)


def pit(outcome: float, knots: Array, levels: tuple[float, ...], rng: np.random.Generator) -> float:
    """Randomised probability integral transform of an outcome under piecewise linear quantiles.

    Where the outcome equals quantiles (an atom, as an unchanged dead-neuron ratio), it is uniform
    over the levels they span (Czado, Gneiting & Held 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    """
    low = int(np.searchsorted(knots, outcome, side="left"))
    high = int(np.searchsorted(knots, outcome, side="right"))
    if low < high:  # equals the knots low..high-1
        first = levels[low] if low > 0 else 0.0
        last = levels[high - 1] if high < len(knots) else 1.0
        return float(rng.uniform(first, last)) if last > first else float(first)
    if low == 0:
        return float(rng.uniform(0.0, levels[0]))
    if low == len(knots):
        return float(rng.uniform(levels[-1], 1.0))
    share = (outcome - knots[low - 1]) / (knots[low] - knots[low - 1])
    return float(levels[low - 1] + share * (levels[low] - levels[low - 1]))


def _near(progress: Array, stretch: int) -> Array:
    """Weight of each example for one stretch: 1 at it, 0 at the next ones."""
    at = np.interp(progress, STRETCHES, np.arange(len(STRETCHES)))
    weight: Array = np.maximum(0.0, 1 - np.abs(at - stretch))
    return weight


def _offsets(score: Array, weight: Array) -> Array:
    """Weighted level-quantiles of the scores, [3, knot]; 0 where nothing can be learned."""
    out = np.zeros(score.shape[1:])
    for k in range(score.shape[1]):
        use = (weight > 0.05) & np.isfinite(score[:, k, 0])
        if use.sum() < 50:
            continue
        w = weight[use]
        for j, level in enumerate(KNOTS):
            values = score[use, k, j]
            order = np.argsort(values)
            share = (np.cumsum(w[order]) - 0.5 * w[order]) / w.sum()
            out[k, j] = np.interp(level, share, values[order])
    return out


def _copula(pits: Array, rng: np.random.Generator) -> Array:
    """[example, 3] PIT values -> DRAWS rows of ranks with exactly uniform margins."""
    rows = pits[rng.choice(len(pits), DRAWS, replace=len(pits) < DRAWS)]
    ranks = np.empty_like(rows)
    for k in range(rows.shape[1]):
        order = np.lexsort((rng.random(DRAWS), rows[:, k]))
        ranks[order, k] = (np.arange(DRAWS) + 0.5) / DRAWS
    return ranks
