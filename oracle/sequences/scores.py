"""How far forecasts are off, and how far off those are that cost nothing: the naive ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.series import Array, Series
from oracle.sequences.windows import Int, Windows


class Score(NamedTuple):
    """Errors over all windows and steps, in the series' own units.

    Attributes:
        mse, rmse, mae: mean squared error, its root, mean absolute error.
        r2: 1 - squared error over the spread of what came; NaN where nothing spreads.
    """

    mse: float
    rmse: float
    mae: float
    r2: float


def score(forecast: Array, outcome: Array) -> Score:
    """Compare forecasts with what came, of any one shape.

    >>> score(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    Score(mse=0.5, rmse=0.7071067811865476, mae=0.5, r2=-1.0)
    """
    if forecast.shape != outcome.shape:
        raise InvalidSeries(must_be("forecast", f"of shape {outcome.shape}", forecast.shape))
    error = forecast - outcome
    mse = float(np.mean(error**2))
    spread = float(np.mean((outcome - outcome.mean()) ** 2))
    r2 = 1 - mse / spread if spread > 0 else float("nan")
    return Score(mse, mse**0.5, float(np.mean(np.abs(error))), r2)


def naive(series: Series, windows: Windows) -> dict[str, Array]:
    """Forecasts that anybody has, name -> [window, horizon], each from what a window's end knows.

    `last value` stays; `seasonal last value` is that of one season before (of more, where the
    horizon is longer); `exponential smoothing` is Holt-Winters', additive, its three rates fitted
    before the first window's end and its states carried on. The seasonal ones are left out where
    a series has no period or does not reach so far back, the last one also where statsmodels is
    not installed.
    """
    origin = windows.start + windows.length - 1  # the last step that is known
    ahead = np.arange(1, windows.horizon + 1)
    target = series.target
    made = {"last value": np.repeat(target[origin][:, None], windows.horizon, axis=1)}
    period = series.period
    if period is not None:
        back = _season_before(origin, ahead, period)
        if back.min() >= 0:
            made["seasonal last value"] = target[back]
    smoothed = _exponential_smoothing(target, period, origin, ahead)
    if smoothed is not None:
        made["exponential smoothing"] = smoothed
    return made


def _season_before(origin: Int, ahead: Int, period: int) -> Int:
    """[window, horizon] index of the last known step in the same place of the season."""
    return np.asarray(origin[:, None] + ahead - period * -(-ahead // period))


def _exponential_smoothing(
    target: Array, period: int | None, origin: Int, ahead: Int
) -> Array | None:
    try:
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel
    except ModuleNotFoundError:
        return None
    first = int(origin.min()) + 1
    season = period if period is not None and 2 <= period <= first // 2 else None
    if first < 10 + 2 * ((season or 2) // 2):  # what the first states are estimated from
        return None
    options: dict[str, Any] = {"error": "add", "trend": "add", "initialization_method": "heuristic"}
    if season is not None:
        options |= {"seasonal": "add", "seasonal_periods": season}
    fitted = ETSModel(target[:first], **options).fit(disp=False)
    states = ETSModel(target, **options).smooth(fitted.params).states
    level, trend = states[origin, 0], states[origin, 1]
    forecast = level[:, None] + trend[:, None] * ahead
    if season is not None:
        forecast = forecast + states[_season_before(origin, ahead, season), 2]
    return np.asarray(forecast, np.float64)
