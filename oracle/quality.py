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

from oracle.calibration import KNOTS, STRETCHES, between_stretches, learn_offsets
from oracle.features import Array
from oracle.quantiles import quantiles_of
from oracle.types import QUALITY_WEIGHTS

#: Smallest spread of the score, in its own units.
MIN_SPREAD = 0.002

_LOW, _HIGH = KNOTS.index(0.25), KNOTS.index(0.75)
_WEIGHTS = np.array(QUALITY_WEIGHTS)


def score_knots(scores: Array) -> tuple[Array, float]:
    """Read the score's distribution off its draws: values at KNOTS, and the spread."""
    base = quantiles_of(scores, KNOTS)
    return base, max(float(base[_HIGH] - base[_LOW]), MIN_SPREAD)


@dataclass(frozen=True)
class QualityCalibration:
    """Offsets of the score's quantiles, in units of its spread.

    Attributes:
        offsets: [stretch, knot].
        offsets_unknown: [knot] where progress is unknown.
    """

    offsets: Array
    offsets_unknown: Array

    def adjust(self, draws: Array, unit: float, progress: float | None) -> tuple[Array, Array]:
        """Move joint draws so that their quality score is calibrated.

        Each draw moves along the metrics in proportion to how much they vary, so that a metric
        that is settled stays where it is.

        Args:
            draws: [draw, 3], raw units.
            unit: of mqe inside the score: mqe_of_mean, or 1 where it is unknown.
            progress: 0..1, None where unknown.

        Returns:
            The draws [draw, 3] and their scores [draw].
        """
        weights = _WEIGHTS / (unit, 1.0, 1.0)
        score = draws @ weights
        base, spread = score_knots(score)
        offsets = (
            self.offsets_unknown if progress is None else between_stretches(self.offsets, progress)
        )
        wanted = np.maximum.accumulate(base + offsets * spread)
        change = np.interp(score, base, wanted - base)
        part = weights * _std(draws)
        total = part.sum()
        if total > 0:
            moved = np.multiply.outer(part / total / weights, change)  # [3, draw]
            moved += draws.T
            np.maximum(moved, 0.0, out=moved)
            np.minimum(moved[1:], 1.0, out=moved[1:])
            draws = moved.T
            score = draws @ weights
        return draws, score

    def to_json(self) -> dict[str, Any]:
        """As plain numbers."""
        return {
            "offsets": np.round(self.offsets, 5).tolist(),
            "offsets_unknown": np.round(self.offsets_unknown, 5).tolist(),
        }

    @classmethod
    def from_json(cls, numbers: dict[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises:
            ValueError: where the shapes are not this version's.
        """
        made = cls(
            np.asarray(numbers["offsets"], np.float64),
            np.asarray(numbers["offsets_unknown"], np.float64),
        )
        shapes = (made.offsets.shape, made.offsets_unknown.shape)
        if shapes != ((len(STRETCHES), len(KNOTS)), (len(KNOTS),)):
            raise ValueError("quality calibration has arrays of the wrong shape")
        if not (np.isfinite(made.offsets).all() and np.isfinite(made.offsets_unknown).all()):
            raise ValueError("quality calibration has numbers that are not finite")
        return made


def _std(draws: Array) -> Array:
    """Standard deviation of each column: np.std without its overhead."""
    rows = draws.T
    rows = rows - (np.add.reduce(rows, axis=1) / len(draws))[:, None]
    return np.asarray(np.sqrt(np.vecdot(rows, rows) / len(draws)))


def fit_quality(
    examples: Iterable[tuple[Array, Array, float]],
    progress: Array,
    progress_known: npt.NDArray[np.bool_],
) -> QualityCalibration:
    """Learn the offsets on held-out runs.

    Args:
        examples: draws [draw, 3], outcome [3] and unit of each prefix.
        progress: [example] true progress.
        progress_known: [example] whether the forecast was told it.
    """
    surprise = np.array([_surprise(*example) for example in examples])[:, None, :]
    return QualityCalibration(
        *(o[..., 0, :] for o in learn_offsets(surprise, progress, progress_known))
    )


def _surprise(draws: Array, outcome: Array, unit: float) -> Array:
    """(outcome - quantile) / spread of the score, at KNOTS."""
    weights = _WEIGHTS / (unit, 1.0, 1.0)
    base, spread = score_knots(draws @ weights)
    return np.asarray((outcome @ weights - base) / spread)
