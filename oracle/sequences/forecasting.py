"""Forecasts of a series: one step, several at once, and rolled out from a first window.

Networks see scaled windows; here everything is in the series' own units, so that any forecaster
can be scored beside the naive ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.cells import Floats
from oracle.sequences.scores import Score, naive, score
from oracle.sequences.series import Array, Series
from oracle.sequences.windows import Order, Scale, Scaling, Split, Windows, cut, split
from oracle.types import HEAD_LEVELS

#: Windows [window, length, feature] -> forecasts [window, horizon], or [window, horizon, level];
#: a network's of scaled values, a `Forecaster` in the series' own units.
Network = Callable[[Floats], Floats]
Forecaster = Callable[[Array], Array]


@dataclass(frozen=True)
class Task:
    """A series ready to be learned: windows, split, scaling.

    Attributes:
        series: in its own units.
        split: of its windows, in its own units.
        scaling: fitted on the points of training.
        centre: whether each window's first feature is taken from its own mean.
    """

    series: Series
    split: Split
    scaling: Scaling
    centre: bool = False

    @classmethod
    def of(
        cls,
        series: Series,
        length: int,
        horizon: int = 1,
        *,
        share: float = 0.8,
        order: Order = "chronological",
        scale: Scale = "standard",
        centre: bool = False,
        seed: int = 0,
    ) -> Task:
        """Cut, split and scale; see `oracle.sequences.windows`.

        Raises:
            InvalidSeries: the series is too short, or constant where training sees it.
        """
        made = split(cut(series.values, length, horizon), len(series), share, order, seed)
        return cls(series, made, Scaling.fit(series, made.train_points, scale), centre)

    @property
    def movable(self) -> npt.NDArray[np.bool_]:
        """[time] points that training reads and no test window holds: these may be corrected."""
        first = int(self.split.test.start.min())
        return np.asarray(self.split.train_points & (np.arange(len(self.series)) < first))

    def inputs(self, x: Array) -> Array:
        """Windows [..., length, feature] -> scaled, and centred."""
        scaled = self.scaling.apply(x)
        if self.centre:
            scaled[..., 0] -= self._middle(scaled)
        return scaled

    def targets(self, windows: Windows) -> Array:
        """What follows each window, as the network shall give it: [window, horizon]."""
        y = (windows.y - self.scaling.shift[0]) / self.scaling.scale[0]
        return np.asarray(y - self._middle(self.scaling.apply(windows.x)) if self.centre else y)

    def forecaster(self, network: Network) -> Forecaster:
        """Wrap a network on scaled windows to forecast in the series' own units."""

        def forecast(x: Array) -> Array:
            scaled = self.scaling.apply(x)
            middle = self._middle(scaled) if self.centre else np.zeros((len(x), 1))
            made = np.asarray(network(self.inputs(x)), np.float64)
            return self.scaling.invert(made + middle.reshape(-1, *[1] * (made.ndim - 1)))

        return forecast

    @staticmethod
    def _middle(scaled: Array) -> Array:
        """Mean of the first feature over each window, [..., 1]."""
        return np.asarray(scaled[..., 0].mean(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Evaluation:
    """Forecasts of the test windows, scored.

    Attributes:
        forecast: [window, horizon], the median where quantiles are forecast.
        scores: "model" and the naive forecasts -> errors.
        quantiles: [window, horizon, level] where they are forecast.
        coverage: share of outcomes inside the 90 % interval.
        pinball: mean pinball loss over levels, in the series' own units.
    """

    forecast: Array
    scores: dict[str, Score]
    quantiles: Array | None = None
    coverage: float | None = None
    pinball: float | None = None


def evaluate(task: Task, forecaster: Forecaster) -> Evaluation:
    """Score a forecaster on the test windows, beside the naive forecasts."""
    windows = task.split.test
    made = forecaster(windows.x)
    quantiles = coverage = loss = None
    if made.ndim == 3:
        from oracle.forecast.quantiles import pinball

        quantiles, made = made, made[..., len(HEAD_LEVELS) // 2]
        low, high = (quantiles[..., HEAD_LEVELS.index(level)] for level in (0.05, 0.95))
        coverage = float(np.mean((low <= windows.y) & (windows.y <= high)))
        loss = float(pinball(windows.y, quantiles, HEAD_LEVELS).mean())
    scores = {"model": score(made, windows.y)}
    for name, forecast in naive(task.series, windows).items():
        scores[name] = score(forecast, windows.y)
    return Evaluation(made, scores, quantiles, coverage, loss)


def roll_out(forecaster: Forecaster, first: Array, steps: int) -> Array:
    """Let a forecaster go on from one window, reading its own forecasts.

    Each time the first step of its forecast (its median) becomes the window's last.

    Args:
        forecaster: in the series' own units.
        first: [length, 1] window that is known.
        steps: to forecast, at least 1.

    Returns:
        [steps].

    Raises:
        InvalidSeries: the series has further inputs, whose future nobody knows.
    """
    if first.shape[1] != 1:
        advice = "The future of further inputs is not known."
        raise InvalidSeries(must_be("inputs", "left out of a roll-out", first.shape[1] - 1, advice))
    if steps < 1:
        raise InvalidSeries(must_be("steps", "at least 1", steps))
    window = np.array(first, np.float64)
    made = np.empty(steps)
    for i in range(steps):
        forecast = forecaster(window[None])
        made[i] = forecast[0, 0] if forecast.ndim == 2 else forecast[0, 0, forecast.shape[-1] // 2]
        window = np.concatenate([window[1:], made[i].reshape(1, 1)])
    return made
