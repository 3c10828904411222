"""A series as windows: so many steps in, so many out; split by time or at random; scaled.

Of 1,000 points, 50 in and 1 out, there are 950 windows: 1000 - 50 - 1 + 1. Loops that end at
`len - length - horizon` give 949 and leave out the last target; nothing here does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.series import Array, Series

Int = npt.NDArray[np.int64]

HORIZONS = (1, 100)
Scale = Literal["standard", "minmax"]
Order = Literal["chronological", "shuffled"]


@dataclass(frozen=True)
class Windows:
    """Windows over one series.

    Attributes:
        x: [window, length, feature] inputs.
        y: [window, horizon] what follows of the first feature (many-to-one); with `every_step`
            [window, length, horizon], what follows each step of the window (many-to-many).
        start: [window] index of the first input in the series.
    """

    x: Array
    y: Array
    start: Int

    def __len__(self) -> int:
        return len(self.x)

    @property
    def length(self) -> int:
        """Steps in."""
        return int(self.x.shape[1])

    @property
    def horizon(self) -> int:
        """Steps out."""
        return int(self.y.shape[-1])

    def take(self, rows: Int) -> Windows:
        """Some of the windows."""
        return Windows(self.x[rows], self.y[rows], self.start[rows])


def cut(values: Array, length: int, horizon: int = 1, *, every_step: bool = False) -> Windows:
    """Cut every window of a series: points - length - horizon + 1 of them.

    Args:
        values: [time, feature]; the first feature is what is forecast.
        length: steps in, at least 1.
        horizon: steps out, 1..100.
        every_step: a target at every step of the window, not only after its last one.

    Raises:
        InvalidSeries: the series is too short for one window, or the horizon out of range.

    >>> len(cut(np.zeros((1000, 1)), 50))
    950
    """
    if not HORIZONS[0] <= horizon <= HORIZONS[1]:
        raise InvalidSeries(must_be("horizon", f"within {HORIZONS[0]}..{HORIZONS[1]}", horizon))
    if length < 1:
        raise InvalidSeries(must_be("length", "at least 1", length))
    count = len(values) - length - horizon + 1
    if count < 1:
        rule = f"at least {length + horizon} points (length {length}, horizon {horizon})"
        raise InvalidSeries(must_be("series", rule, len(values), "Give more, or shorter windows."))
    start = np.arange(count)
    x = values[start[:, None] + np.arange(length)]
    ahead = np.arange(1, horizon + 1)
    if every_step:
        after = start[:, None, None] + np.arange(length)[:, None] + ahead
    else:
        after = start[:, None] + length - 1 + ahead
    return Windows(x, values[after, 0], start)


@dataclass(frozen=True)
class Split:
    """Windows for training and for the test.

    Attributes:
        train, test: the parts.
        train_points: [point] bool, which points of the series training may see; what scales and
            what corrects looks at these alone.
    """

    train: Windows
    test: Windows
    train_points: npt.NDArray[np.bool_]


def split(
    windows: Windows,
    points: int,
    share: float = 0.8,
    order: Order = "chronological",
    seed: int = 0,
) -> Split:
    """Split windows into a training and a test part.

    Chronological: the first `share` of the windows train; of the others those are tested whose
    targets all lie behind the last target of training, so with horizon h the h - 1 between are
    left out. No test target was ever seen. Shuffled: windows drawn at random, as the lecture has
    it; a test window then overlaps training windows, and its targets stand among their inputs: it
    measures interpolation, not forecasting.

    Args:
        windows: of `cut`.
        points: length of the series.
        share: of the windows for training, above 0 and below 1.
        order: chronological or shuffled.
        seed: of the shuffle.

    Raises:
        InvalidSeries: a part would be empty.
    """
    if not 0 < share < 1:
        raise InvalidSeries(must_be("share", "above 0 and below 1", share))
    n = int(share * len(windows) + 1e-9)  # 2000 / 2500 of 2500 are 2000
    if order == "shuffled":
        rows = np.random.default_rng(seed).permutation(len(windows))
        first, rest = np.sort(rows[:n]), np.sort(rows[n:])
    elif order == "chronological":
        first, rest = np.arange(n), np.arange(n + windows.horizon - 1, len(windows))
    else:
        raise InvalidSeries(must_be("order", "chronological or shuffled", order))
    if not len(first) or not len(rest):
        rule = "enough for a training and a test part"
        raise InvalidSeries(must_be("windows", rule, len(windows), "Give a longer series."))
    seen = np.zeros(points, bool)
    reach = np.arange(windows.length + windows.horizon)
    seen[windows.start[first][:, None] + reach] = True
    return Split(windows.take(first), windows.take(rest), seen)


@dataclass(frozen=True)
class Scaling:
    """Shift and scale of each feature, learned on the points of training alone.

    Attributes:
        shift, scale: [feature]; scaled = (value - shift) / scale.
    """

    shift: Array
    scale: Array

    @classmethod
    def fit(cls, series: Series, points: npt.NDArray[np.bool_], kind: Scale) -> Scaling:
        """Learn the scaling.

        Args:
            series: whose values are scaled.
            points: [time] which of them training may see.
            kind: standard (mean 0, deviation 1) or minmax (0..1).

        Raises:
            InvalidSeries: a feature is constant there, or `kind` unknown.
        """
        seen = series.values[points]
        if kind == "standard":
            shift, scale = seen.mean(axis=0), seen.std(axis=0)
        elif kind == "minmax":
            shift, scale = seen.min(axis=0), np.ptp(seen, axis=0)
        else:
            raise InvalidSeries(must_be("scale", "standard or minmax", kind))
        constant = np.flatnonzero(scale <= 1e-12 * np.maximum(1.0, np.abs(shift)))
        if len(constant):
            feature = int(constant[0])
            raise InvalidSeries(
                must_be(
                    series.features[feature],
                    "different from point to point where training sees it",
                    float(seen[0, feature]),
                    "A constant series has nothing to forecast.",
                )
            )
        return cls(shift, scale)

    def apply(self, values: Array) -> Array:
        """[..., feature] in the series' own units -> scaled."""
        return np.asarray((values - self.shift) / self.scale)

    def invert(self, target: Array) -> Array:
        """[...] scaled values of the first feature -> its own units."""
        return np.asarray(target * self.scale[0] + self.shift[0])
