"""Support: how much a history resembles those the network was trained on, 0..1.

A small network tells recorded prefixes from corrupted ones (`oracle.training.support_fit`); its
answer is compared with its answers on recorded runs of tables that it never saw, of histories that
know as much: the score is a conformal p-value, so that about x of all real histories score below x
and a policy with `min_support` x refuses as many. Missing context makes no score lower by itself.
Everything is NumPy and plain numbers; one score costs a few dozen array operations.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from oracle.errors import ArtifactIncompatible, must_be
from oracle.forecast.calibration import array_of
from oracle.history.columns import Array
from oracle.history.features import FEATURES, FEATURES_VERSION, MQE_FLOOR, Float32
from oracle.types import History

#: Layout of the numbers that `oracle.training.support_fit.fit_support` returns.
SUPPORT_VERSION = 1

_AT = {name: i for i, name in enumerate(FEATURES)}
_CHANGES = slice(_AT["mqe_to_previous"], _AT["dead_neuron_ratio_to_previous"] + 1, 5)
_SINCE_FIRST = slice(_AT["mqe_to_first"], _AT["dead_neuron_ratio_to_first"] + 1, 5)
_PLAN_NOW = slice(
    _AT["learning_rate_now"],
    _AT["radius_now"] + 1,
    _AT["radius_now"] - _AT["learning_rate_now"],
)
_INDEX = _AT["index"]
_PROGRESS_KNOWN = _AT["progress_known"]
_SCALE_KNOWN = _AT["mqe_known_scale"]
_MAP_KNOWN = _AT["map_known"]

#: Changes smaller than this are alike to the logarithm.
_SMALL = 1e-4
#: Leading inputs of `describe` that are sizes of changes, taken as logarithms.
_MAGNITUDES = 24
#: A checkpoint left out may lie this far beyond the encoded ones: no run leaps so (log units).
_SPIKE = math.log(3)
#: What each spread beyond the range seen costs: the network itself never sees it (logits).
_OUTSIDE = 5.0
#: Spreads beyond the range that cost nothing: one number a little out of range does not make a
#: run unlike any other.
_SLACK = 1.0

#: A history whose first checkpoint lies beyond this share of its budget has no support: training
#: saw none, and it may be of a counter that went on while the training began anew.
LATEST_FIRST = 0.5

#: Checkpoints at which the next group of calibration begins: 0, 1, 2, 3..4, 5..9, more.
_LENGTHS = (1, 2, 3, 5, 10)
#: Groups of calibration: length, and what is known of progress, scale and map.
GROUPS = (len(_LENGTHS) + 1) * 4
#: Levels at which each group's distribution is kept; fine where policies cut.
KNOT_LEVELS = (
    *(0.0, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07),
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
#: Answers this far below the lowest level have no support at all (logits).
_FALL = 6.0


def described_rows(rows: Float32) -> Float32:
    """The rows [time, feature] of one encoded history that are described.

    These are the checkpoints; the plan, where there is none.
    """
    return rows[1:] if len(rows) > 1 else rows


def describe(rows: Float32) -> Float32:
    """Summarise histories of one length: the last checkpoint of each, and how it came there.

    Args:
        rows: [run, time, feature], as `oracle.history.features.encode` gives them.

    Returns:
        [run, input] float32: the last row and statistics of the path.
    """
    runs, time, _ = rows.shape
    changes = rows[..., _CHANGES]  # 0 in the first row
    since = rows[..., _SINCE_FIRST]
    plan = rows[..., _PLAN_NOW]
    # Late changes, changes, changes of changes | since the first, rises of the plan | turns, rests.
    block = np.zeros((runs, time, 20), np.float32)
    size = np.abs(changes, out=block[..., 3:6])
    block[:, time // 2 :, :3] = size[:, time // 2 :]
    block[..., 9:12] = since
    if time > 1:
        np.subtract(plan[:, 1:], plan[:, :-1], out=block[:, 1:, 12:14])
        if time > 2:
            later, earlier = changes[:, 2:], changes[:, 1:-1]
            np.abs(later - earlier, out=block[:, 2:, 6:9])
            np.less(later * earlier, 0, out=block[:, 2:, 14:17], casting="unsafe")
    np.equal(changes, 0, out=block[..., 17:], casting="unsafe")
    mean = np.add.reduce(block, axis=1)
    mean *= 1 / time
    most = np.maximum.reduce(block[..., :14], axis=1)
    least = np.minimum.reduce(block[..., 9:14], axis=1)
    first = size[:, 1 if time > 1 else 0]
    last = rows[:, -1]
    shape = (since[:, at] for at in (time // 4, time // 2, time * 3 // 4))
    out = np.concatenate(
        (
            *(mean[:, :9], most[:, :9], first, np.abs(since[:, -1])),
            *(mean[:, 9:], most[:, 9:], least, *shape, last),
        ),
        axis=1,
    )
    magnitudes = out[:, :_MAGNITUDES]
    magnitudes += _SMALL
    np.log(magnitudes, out=magnitudes)
    return out


@cache
def _n_inputs() -> int:
    return len(describe(np.zeros((1, 1, len(FEATURES)), np.float32))[0])


def describe_each(encoded: Sequence[Float32]) -> Float32:
    """Summarise histories of any lengths, those of one length together: [run, input]."""
    of_length: dict[int, list[int]] = {}
    for i, rows in enumerate(encoded):
        of_length.setdefault(len(rows), []).append(i)
    groups = list(of_length.values())
    if len(groups) == 1:
        return describe(np.stack(encoded))
    described = np.concatenate([describe(np.stack([encoded[i] for i in same])) for same in groups])
    out: Float32 = np.empty_like(described)
    out[np.concatenate(groups)] = described
    return out


def _hides_spike(rows: Float32, history: History) -> bool:
    """Whether mqe at a checkpoint that was not encoded is far outside the encoded ones."""
    unit = history.context.mqe_of_mean or max(history.mqe[0], 1e-300)
    first, low, high = (
        math.log(min(v / unit, 1e6) + MQE_FLOOR)
        for v in (history.mqe[0], min(history.mqe), max(history.mqe))
    )
    since_first = rows[:, _AT["mqe_to_first"]]
    above, below = high - first - since_first.max(), since_first.min() - (low - first)
    return bool(max(above, below) > _SPIKE)


def _begins_late(history: History) -> bool:
    total = history.total_epochs
    return bool(total and history.epochs and history.epochs[0] > LATEST_FIRST * total)


def group_of(rows: Float32) -> int:
    """Tell the group of calibration that [time, feature] belongs to, 0..GROUPS - 1."""
    last = rows[-1]
    known = 0
    if last[_PROGRESS_KNOWN]:
        known = 1 + (last[_SCALE_KNOWN] > 0) + (last[_MAP_KNOWN] > 0)
    checkpoints = len(rows) if last[_INDEX] > 0 else 0
    return int(bisect(_LENGTHS, checkpoints) * 4 + known)


class Support:
    """The fitted score; `from_json` reads what `fit_support` returned.

    Args:
        mean, spread, low, high: [input] of recorded prefixes.
        hidden, hidden_bias: [input, unit] and [unit].
        out, out_bias: [unit] and a number.
        knots: [group, level] the network's answers to unseen real histories, non-decreasing.
    """

    def __init__(
        self,
        mean: Float32,
        spread: Float32,
        low: Float32,
        high: Float32,
        hidden: Float32,
        hidden_bias: Float32,
        out: Float32,
        out_bias: float,
        knots: Array,
    ) -> None:
        self.mean, self.scale = mean, (1 / spread).astype(np.float32)
        self.low, self.high = low, high
        self.hidden, self.hidden_bias = hidden, hidden_bias
        self.out, self.out_bias = out, out_bias
        self._knots = [[group[0] - _FALL, *group] for group in knots.tolist()]

    @classmethod
    def from_json(cls, numbers: dict[str, Any]) -> Support:
        """Read what `fit_support` returned.

        Raises:
            ArtifactIncompatible: written for another layout.
            ValueError: shapes or numbers that cannot be those of a fitted score.
        """
        found = (numbers.get("version"), numbers.get("features_version"))
        if found != (SUPPORT_VERSION, FEATURES_VERSION):
            raise ArtifactIncompatible(
                must_be(
                    "support",
                    f"of version {SUPPORT_VERSION} for features {FEATURES_VERSION}",
                    found,
                    "Train the oracle again.",
                )
            )
        inputs, units = _n_inputs(), len(numbers["out"])
        one = dict.fromkeys(("mean", "spread", "low", "high"), (inputs,))
        shapes = {**one, "hidden": (inputs, units), "hidden_bias": (units,), "out": (units,)}
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused
            arrays = {
                name: array_of(numbers, name, *shape).astype(np.float32)
                for name, shape in shapes.items()
            }
        knots = array_of(numbers, "knots", GROUPS, len(KNOT_LEVELS) - 1)
        right = {
            "finite in float32": all(np.isfinite(a).all() for a in arrays.values()),
            "of spreads above 0": (arrays["spread"] > 0).all(),
            "of knots that do not fall": (np.diff(knots, axis=1) >= 0).all(),
        }
        if wrong := [rule for rule, holds in right.items() if not holds]:
            raise ValueError(f"support must be {wrong[0]}")
        return cls(**arrays, out_bias=float(array_of(numbers, "out_bias")), knots=knots)

    def answer(self, inputs: Float32) -> Float32:
        """The network's logit of being real for [run, input] descriptions.

        A run's answer is the one that it gets alone, to the last bit.
        """
        inside = inputs.clip(self.low, self.high)
        beyond = np.abs(inputs - inside) * self.scale
        beyond -= _SLACK
        np.maximum(beyond, 0, out=beyond)
        inside -= self.mean
        inside *= self.scale
        # One product a run: how one of all would add its float32 up depends on how many they are.
        h = np.matmul(inside[:, None], self.hidden)
        h += self.hidden_bias
        np.maximum(h, 0, out=h)
        summed = np.matmul(h, self.out)[:, 0]
        logit: Float32 = summed + self.out_bias - _OUTSIDE * beyond.sum(axis=-1)
        return logit

    def score(
        self, encoded: Sequence[Float32], histories: Sequence[History] | None = None
    ) -> list[float]:
        """Support of histories.

        Args:
            encoded: [time, feature] of each, from `oracle.history.features.encode`.
            histories: what they encode; given, checkpoints that were too close together to be
                encoded are looked at too, and where the first one lies.
        """
        if not encoded:
            return []
        encoded = [described_rows(rows) for rows in encoded]
        logits = self.answer(describe_each(encoded)).tolist()
        scores = [
            self._level(logit, group_of(rows)) for logit, rows in zip(logits, encoded, strict=True)
        ]
        for i, history in enumerate(histories or ()):
            hidden = len(history) > len(encoded[i]) and _hides_spike(encoded[i], history)
            if hidden or _begins_late(history):
                scores[i] = 0.0
        return scores

    def _level(self, logit: float, group: int) -> float:
        # Plain numbers: faster than np.interp for one value.
        if logit != logit:  # bisect would take NaN for the highest
            return 0.0
        knots = self._knots[group]
        above = bisect(knots, logit)
        if above == 0:
            return 0.0
        if above == len(knots):
            return 1.0
        low, high = KNOT_LEVELS[above - 1], KNOT_LEVELS[above]
        below = knots[above - 1]
        return float(low + (high - low) * (logit - below) / (knots[above] - below))
