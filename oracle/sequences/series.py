"""Series whose answers are known: what lies under the noise, and what no forecast can beat.

Generators are seeded and need NumPy alone. The noise is Gaussian and drawn anew for every point,
so whoever knew the clean series and the past would still err by it: its variance is the least
mean squared error of any forecast, its deviation times sqrt(2 / pi) the least mean absolute one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from oracle.errors import InvalidSeries, must_be

Array = npt.NDArray[np.float64]

#: Points that the generators make; a longer series tells a small network nothing new.
MAX_POINTS = 10_000


@dataclass(frozen=True)
class Series:
    """A series of one or more features at equal steps; the first feature is what is forecast.

    Attributes:
        name: for tables and pictures.
        values: [time, feature], finite.
        features: [feature] names.
        clean: [time] first feature without its noise, where it is known.
        noise: standard deviation of that noise, None where it is unknown.
        period: steps of its season, for the seasonal naive forecast; None where it has none.
        time: [time] as the user wrote it, None where steps have no names.
    """

    name: str
    values: Array
    features: tuple[str, ...] = ("value",)
    clean: Array | None = None
    noise: float | None = None
    period: int | None = None
    time: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.features):
            rule = f"[time, {len(self.features)}], one column for each of features"
            raise InvalidSeries(must_be("values", rule, self.values.shape))
        bad = np.argwhere(~np.isfinite(self.values))
        if len(bad):
            step, feature = (int(i) for i in bad[0])
            where = f"values[{step}, {self.features[feature]}]"
            value = float(self.values[step, feature])
            raise InvalidSeries(must_be(where, "a finite number", value, "Fill or cut the gap."))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def target(self) -> Array:
        """[time] what is forecast."""
        return self.values[:, 0]

    @property
    def least_mse(self) -> float | None:
        """Mean squared error of a forecaster that knows the clean series."""
        return None if self.noise is None else self.noise**2

    @property
    def least_mae(self) -> float | None:
        """Mean absolute error of a forecaster that knows the clean series."""
        return None if self.noise is None else self.noise * math.sqrt(2 / math.pi)


def sine(points: int = 1000, periods: float = 5.0, noise: float = 0.05, seed: int = 0) -> Series:
    """A sine of amplitude 1 with Gaussian noise.

    Clean: sin(t), `points` values of t evenly from 0 to 2 pi `periods`, both ends included.
    No forecast errs less than noise^2 on average.

    Args:
        points: 20..10,000.
        periods: whole sines; at least four points each.
        noise: standard deviation, at least 0.
        seed: of the noise.

    Raises:
        InvalidSeries: a value out of range.
    """
    _within("points", points, 20, MAX_POINTS)
    _within("periods", periods, 0.1, points / 4)
    _within("noise", noise, 0.0, math.inf)
    clean = np.sin(np.linspace(0.0, 2 * np.pi * periods, points))
    period = round((points - 1) / periods)
    return _noisy("sine", clean, noise, period if period < points else None, seed)


def seasonal(points: int = 1000, noise: float = 1.0, seed: int = 0) -> Series:
    """A trend with two seasons: 0.02 t + 10 sin(2 pi t / 50) + 5 sin(2 pi t / 25) + N(0, noise).

    With noise 1 no forecast errs less than 1 (squared) or .80 (absolute) on average.

    Args:
        points: 500..10,000.
        noise: standard deviation, at least 0.
        seed: of the noise.

    Raises:
        InvalidSeries: a value out of range.
    """
    _within("points", points, 500, MAX_POINTS)
    _within("noise", noise, 0.0, math.inf)
    t = np.arange(points, dtype=np.float64)
    clean = 0.02 * t + 10 * np.sin(2 * np.pi * t / 50) + 5 * np.sin(2 * np.pi * t / 25)
    return _noisy("seasonal", clean, noise, 50, seed)


def with_spikes(series: Series, share: float = 0.02, height: float = 6.0, seed: int = 0) -> Series:
    """Add single spikes to the first feature, up or down; the clean series stays what it was.

    Args:
        series: any.
        share: of the points that get one, 0..1.
        height: in standard deviations of the first feature.
        seed: of their places and signs.

    Raises:
        InvalidSeries: a value out of range.
    """
    _within("share", share, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    hit = rng.choice(len(series), round(share * len(series)), replace=False)
    values = series.values.copy()
    values[hit, 0] += height * series.target.std() * rng.choice((-1.0, 1.0), len(hit))
    # What a spike adds no forecast foresees, but it is no Gaussian noise of a known deviation.
    return replace(series, name=f"{series.name} with spikes", values=values, noise=None)


def _noisy(name: str, clean: Array, noise: float, period: int | None, seed: int) -> Series:
    values = clean + noise * np.random.default_rng(seed).standard_normal(len(clean))
    return Series(name, values[:, None], clean=clean, noise=noise, period=period)


def _within(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        rule = f"within {low:g}..{high:,g}" if math.isfinite(high) else f"at least {low:g}"
        raise InvalidSeries(must_be(field, rule, value))
