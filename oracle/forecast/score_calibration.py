"""The joint quality score's own calibration, on top of its parts'.

Margins that are each honest do not make their weighted sum honest: what hangs together in one
regime does not in another. So the score of the joint draws is compared with outcomes on held-out
tables once more, and the draws are moved until its distribution is right. P(good) and P(gain)
rest on these draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from oracle.forecast.calibration import KNOTS, offsets_of
from oracle.forecast.knowledge import KNOWLEDGE, learn_by_knowledge
from oracle.forecast.quantiles import quantiles_of
from oracle.history.columns import Array
from oracle.history.quality_score import scores_of, scores_of_draws, weights_of

#: Smallest spread of the score, in its own units.
MIN_SPREAD = 0.002

_LOW, _HIGH = KNOTS.index(0.25), KNOTS.index(0.75)


def score_knots(scores: Array) -> tuple[Array, Array]:
    """Read each run's distribution off its draws [run, draw].

    Returns:
        [run, knot] values at KNOTS, and the spread [run, 1].
    """
    base = quantiles_of(scores, KNOTS)
    return base, np.maximum(base[:, [_HIGH]] - base[:, [_LOW]], MIN_SPREAD)


@dataclass(frozen=True)
class QualityCalibration:
    """Offsets of the score's quantiles, in units of its spread.

    Attributes:
        offsets: [knowledge, knot].
    """

    offsets: Array

    def adjust(self, draws: Array, unit: Array, knowledge: Array) -> Array:
        """Move joint draws so that their quality score is calibrated.

        Each draw moves along the metrics in proportion to how much they vary, so that a metric
        that is settled stays where it is. So does a ratio drawn at exactly 0 or 1: many runs end
        there, and a little beside it none does.

        Args:
            draws: [3, run, draw], raw units.
            unit: [run] of mqe inside the score: mqe_of_mean, or 1 where it is unknown.
            knowledge: [run, len(KNOWLEDGE)] from `oracle.forecast.knowledge.weights_of`.

        Returns:
            The draws [3, run, draw].
        """
        weights = weights_of(unit)
        score = scores_of_draws(draws, weights)[:, 0]
        base, spread = score_knots(score)
        change = knowledge @ self.offsets
        change *= spread
        change += base
        np.maximum.accumulate(change, axis=1, out=change)
        change -= base
        for i, scores in enumerate(score):
            score[i] = np.interp(scores, base[i], change[i])
        share = _std(draws)
        total = (weights * share).sum(axis=0)
        share /= np.where(total > 0, total, 1.0)  # all 0 where nothing varies
        moved = share[:, :, None] * score
        ratios, now = draws[1:], moved[1:]
        now *= (ratios > 0.0) & (ratios < 1.0)
        moved += draws
        np.maximum(moved[0], 0.0, out=moved[0])
        now.clip(0.0, 1.0, out=now)
        return moved

    def to_json(self) -> dict[str, Any]:
        """As plain numbers."""
        return {"offsets": np.round(self.offsets, 5).tolist()}

    @classmethod
    def from_json(cls, numbers: dict[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: where the shape is not this version's, or a number cannot be.
        """
        return cls(offsets_of(numbers, len(KNOWLEDGE), len(KNOTS)))


def _std(draws: Array) -> Array:
    """Standard deviation along the last axis: np.std without its overhead."""
    n = draws.shape[-1]
    rows = draws - np.add.reduce(draws, axis=-1, keepdims=True) / n
    squares = np.vecdot(rows, rows)
    squares /= n
    return np.asarray(np.sqrt(squares, out=squares))


def fit_quality(
    examples: Iterable[tuple[Array, Array, Array]],
    knowledge: Array,
    ways: npt.NDArray[np.int64] | None = None,
) -> QualityCalibration:
    """Learn the offsets on held-out runs; 0 where there are none with every outcome.

    Args:
        examples: draws [3, run, draw], outcomes [3, run] and units [run] of prefixes, in parts.
        knowledge: [example, len(KNOWLEDGE)] what was known of each.
        ways: [example] how each run was trained, see `learn_by_knowledge`.
    """
    none = np.empty((0, len(KNOTS)))
    surprise = np.concatenate([none, *(_surprise(*part) for part in examples)])[:, None, :]
    return QualityCalibration(learn_by_knowledge(surprise, knowledge, KNOTS, ways)[:, 0])


def _surprise(draws: Array, outcome: Array, unit: Array) -> Array:
    """(outcome - quantile) / spread of the scores, at KNOTS: [run, knot]."""
    weights = weights_of(unit)
    base, spread = score_knots(scores_of_draws(draws, weights)[:, 0])
    return np.asarray((scores_of(outcome, weights)[:, None] - base) / spread)
