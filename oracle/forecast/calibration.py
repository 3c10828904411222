"""From the network's quantiles to honest ones, and to joint draws of the three finals.

Two corrections are learned on runs of tables that the network never saw:

- conformal offsets, one for each target, level, stretch of progress and class of what is known
  (`oracle.forecast.knowledge`): the level-quantile of
  (outcome - quantile) / spread, added back in units of the same spread (one-sided CQR; Romano,
  Patterson & Candes 2019, doi:10.48550/arXiv.1905.03222). Tails beyond the network's outer levels
  are knots of the same kind. A ratio that ends at exactly 0 or 1 says only that the change went
  that far at least, for forecasts are clipped there: such outcomes are drawn from the forecast
  beyond the bound, and the offsets learned again (after censored regression quantiles, Powell
  1986, doi:10.1016/0304-4076(86)90016-3).
- the empirical rank copula of the outcomes (Schefzik, Thorarinsdottir & Gneiting 2013,
  doi:10.1214/13-STS443): how the three finals err together.

The quality score, P(good) and P(gain) all come from the same few hundred joint draws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oracle.forecast.knowledge import KNOWLEDGE, learn_by_knowledge
from oracle.forecast.quantiles import between
from oracle.forks import cached_property
from oracle.history.columns import Array
from oracle.history.targets import HORIZONS, OUTPUTS
from oracle.types import HEAD_LEVELS, LEVELS, TARGETS

#: Levels beyond the head, reached from its outermost ones by conformal offsets alone.
LOW_TAIL = (0.0005, 0.002)
HIGH_TAIL = (0.998, 0.9995)
KNOTS = (*LOW_TAIL, *HEAD_LEVELS, *HIGH_TAIL)
#: Smallest spread, in change units: (log mqe, topographic error, dead-neuron ratio).
MIN_SPREAD = (0.005, 0.002, 0.002) * len(HORIZONS)
#: Joint draws of one forecast. Risks of 0.01 rest on ten of them.
DRAWS = 1024
#: Times the offsets are learned where outcomes lie at a bound; more change no figure.
ROUNDS = 5
#: No calibration can learn a larger offset, in spreads: mqe changes by no factor of e^5,000.
LARGEST_OFFSET = 1e6
#: What separates an outcome from a bound that it is at: changes are float32 in training.
AT_BOUND = 1e-6

_HEAD = np.array([0] * len(LOW_TAIL) + [*range(len(HEAD_LEVELS))] + [-1] * len(HIGH_TAIL))
_LOW, _HIGH = HEAD_LEVELS.index(0.25), HEAD_LEVELS.index(0.75)
_SHOWN = np.array([KNOTS.index(level) for level in LEVELS])
_MIN_SPREAD = np.array(MIN_SPREAD)


def spread_of(quantiles: Array) -> Array:
    """Width of the central half, [..., output, level] -> [..., output], in change units."""
    spread: Array = np.maximum(quantiles[..., _HIGH] - quantiles[..., _LOW], _MIN_SPREAD)
    return spread


@dataclass(frozen=True)
class Calibration:
    """What was learned on held-out tables; plain numbers.

    Attributes:
        offsets: [knowledge, output, knot] in units of the spread.
        ranks: [draw, target] uniform ranks of the copula.
    """

    offsets: Array
    ranks: Array

    def knots(self, quantiles: Array, knowledge: Array) -> Array:
        """Correct the network's quantiles and extend them into the tails.

        Args:
            quantiles: [run, output, len(HEAD_LEVELS)] in change space, non-decreasing.
            knowledge: [run, len(KNOWLEDGE)] from `oracle.forecast.knowledge.weights_of`.

        Returns:
            [output, run, len(KNOTS)] in change space, non-decreasing.
        """
        knots = (knowledge @ self._table).reshape(-1, OUTPUTS, len(KNOTS))
        knots *= spread_of(quantiles)[..., None]
        knots += quantiles.take(_HEAD, axis=2)
        knots.sort(axis=2)
        return np.asarray(knots.transpose(1, 0, 2))

    @cached_property
    def _table(self) -> Array:
        return self.offsets.reshape(len(self.offsets), -1)

    def draws(self, knots: Array) -> Array:
        """Draw jointly: [3, run, knot] -> [3, run, draw] in change space.

        Every run is drawn from the same ranks in the same order; see `rotated`.
        """
        return np.asarray(knots @ self._weights)

    @cached_property
    def _weights(self) -> Array:
        """What each knot weighs in each draw, [target, knot, draw].

        A draw lies between the two knots around its rank. Ranks never change, so drawing is one
        product of matrices for any number of runs.
        """
        weights = np.zeros((len(TARGETS), len(KNOTS), len(self.ranks)))
        levels, ranks = np.array(KNOTS), np.clip(self.ranks.T, KNOTS[0], KNOTS[-1])
        below = np.minimum(np.searchsorted(levels, ranks, side="right") - 1, len(KNOTS) - 2)
        share = (ranks - levels[below]) / (levels[below + 1] - levels[below])
        target, draw = np.indices(below.shape)
        weights[target, below, draw] = 1 - share
        weights[target, below + 1, draw] = share
        return weights

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, rounded to what matters."""
        return {
            "knots": list(KNOTS),
            "knowledge": list(KNOWLEDGE),
            "offsets": np.round(self.offsets, 4).tolist(),
            "ranks": np.round(self.ranks, 5).tolist(),
        }

    @classmethod
    def from_json(cls, numbers: dict[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: where levels, classes of knowledge or shapes are not this version's.
        """
        if tuple(numbers["knots"]) != KNOTS or tuple(numbers["knowledge"]) != KNOWLEDGE:
            raise ValueError("calibration was made for other levels or classes of knowledge")
        made = cls(
            offsets_of(numbers, len(KNOWLEDGE), OUTPUTS, len(KNOTS)),
            array_of(numbers, "ranks", DRAWS, len(TARGETS)),
        )
        if not ((made.ranks >= 0) & (made.ranks <= 1)).all():
            raise ValueError("`ranks` must be within 0..1")
        return made


def offsets_of(numbers: Mapping[str, Any], *shape: int) -> Array:
    """Read the offsets of a calibration.

    Raises:
        ValueError: as `array_of`, and where one lies beyond all that a calibration can learn: the
            golden forecasts see a few of them only.
    """
    offsets = array_of(numbers, "offsets", *shape)
    if not (np.abs(offsets) <= LARGEST_OFFSET).all():
        raise ValueError(f"`offsets` must be within {LARGEST_OFFSET:g} spreads")
    return offsets


def array_of(numbers: Mapping[str, Any], name: str, *shape: int) -> Array:
    """Read an array of a calibration.

    Raises:
        ValueError: where it is missing, of another shape, or holds anything but finite numbers.
    """
    try:
        array = np.array(numbers[name], np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"`{name}` must hold {' x '.join(map(str, shape)) or 1} finite numbers")
    return array


def rotated(draws: Array, seed: int) -> Array:
    """Rotate the draws [..., draw] of one run by its seed: no two runs are drawn in step."""
    first = seed % draws.shape[-1]
    return np.concatenate((draws[..., first:], draws[..., :first]), axis=-1)


def shown(knots: Array) -> Array:
    """Pick LEVELS from knots, [..., knot] -> [..., level]."""
    return knots.take(_SHOWN, axis=-1)


def seed_of(history: bytes) -> int:
    """A seed that depends on the history alone."""
    return int.from_bytes(hashlib.blake2b(history, digest_size=4).digest(), "little")


def fit_calibration(
    quantiles: Array,
    outcomes: Array,
    knowledge: Array,
    early: npt.NDArray[np.bool_],
    bounds: tuple[Array, Array],
    ways: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
) -> Calibration:
    """Learn offsets and copula from forecasts on tables held out from training.

    Args:
        quantiles: [example, output, level] the network's, change space.
        outcomes: [example, output] change that came, NaN where undefined.
        knowledge: [example, len(KNOWLEDGE)] what was known, as it will be served.
        early: [example] whether the copula learns from it.
        bounds: smallest and largest change that was possible, [example, output] each, from
            `oracle.history.features.change_bounds`.
        ways: [example] how each run was trained, see `learn_by_knowledge`.
        seed: of the draws beyond the bounds and the randomised ranks.
    """
    base = quantiles[..., _HEAD]
    spread = spread_of(quantiles)[..., None]
    at_bound = [np.abs(outcomes - bound) < AT_BOUND for bound in bounds]  # NaN is at none
    rng = np.random.default_rng(seed)
    drawn = outcomes
    for _ in range(ROUNDS if np.any(at_bound) else 1):
        surprise = (drawn[..., None] - base) / spread  # [example, output, knot]
        offsets = learn_by_knowledge(surprise, knowledge, KNOTS, ways)
        partial = Calibration(offsets, np.full((1, len(TARGETS)), 0.5))
        knots = partial.knots(quantiles, knowledge)
        drawn = _drawn_beyond(outcomes, at_bound, knots, rng)
    known = np.asarray(np.isfinite(drawn[:, : len(TARGETS)]))
    # A target without any outcome is drawn independently of the others.
    learned = np.flatnonzero(known.any(axis=0))
    rows = rng.permutation(np.flatnonzero(known[:, learned].all(axis=1) & early))
    rows = rows[: 8 * DRAWS]
    pits = np.array(
        [
            [
                pit(drawn[i, k], knots[k, i], KNOTS, rng) if k in learned else rng.uniform()
                for k in range(len(TARGETS))
            ]
            for i in rows
        ]
    )
    return Calibration(offsets, _copula(pits, rng))


def _drawn_beyond(
    outcomes: Array,
    at_bound: Sequence[npt.NDArray[np.bool_]],
    knots: Array,
    rng: np.random.Generator,
) -> Array:
    """Draw outcomes at a bound from the forecast at or beyond it; the others stay.

    Args:
        outcomes: [example, output].
        at_bound: whether each is at its lower, and at its upper bound.
        knots: [output, example, knot] the forecasts, in change space: they know no bounds.
        rng: source of the draws.
    """
    drawn = outcomes.copy()
    for upper, where in enumerate(at_bound):
        for i, k in zip(*np.nonzero(where), strict=True):
            forecast = knots[k, i].tolist()
            level = between(outcomes[i, k], forecast, KNOTS)
            if upper and level < KNOTS[-1]:
                drawn[i, k] = between(rng.uniform(level, 1.0), KNOTS, forecast)
            elif not upper and level > KNOTS[0]:
                drawn[i, k] = between(rng.uniform(0.0, level), KNOTS, forecast)
    return drawn


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


def _copula(pits: Array, rng: np.random.Generator) -> Array:
    """[example, 3] PIT values -> DRAWS rows of ranks with exactly uniform margins."""
    rows = pits[rng.choice(len(pits), DRAWS, replace=len(pits) < DRAWS)]
    ranks = np.empty_like(rows)
    for k in range(rows.shape[1]):
        order = np.lexsort((rng.random(DRAWS), rows[:, k]))
        ranks[order, k] = (np.arange(DRAWS) + 0.5) / DRAWS
    return ranks
