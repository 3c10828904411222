"""Whole forecasts that a model must give again where it is loaded: history in, intervals out.

The networks' own answers are tested when they are opened (`oracle.model.runtime`). Here everything
behind them is: scaling, calibration, the joint score, support. Broken numbers show, as forecasts
that fail or lie elsewhere; rounding of another machine does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from oracle.errors import ArtifactCorrupt, must_be
from oracle.model.manifest import GoldenForecast
from oracle.types import TARGETS, Forecast, History

#: Largest difference that is taken for rounding: of a ratio, or of values as a share of the
#: largest.
TOLERANCE = 0.005

Forecaster = Callable[[Sequence[History]], Sequence[Forecast]]


def record(forecast_many: Forecaster, histories: Sequence[History]) -> tuple[GoldenForecast, ...]:
    """Forecast a few histories and keep the answers."""
    return tuple(
        GoldenForecast(
            history=history,
            final=dict(forecast.final),
            quality=tuple(score.values for score in forecast.quality),
            support=forecast.support,
            will_worsen=forecast.will_worsen,
        )
        for history, forecast in zip(histories, forecast_many(histories), strict=True)
    )


def check(forecast_many: Forecaster, golden: Sequence[GoldenForecast]) -> None:
    """Forecast the same histories again.

    Raises:
        ArtifactCorrupt: if that fails, or an answer is another.
    """
    if not golden:
        return
    try:
        again = record(forecast_many, [one.history for one in golden])
    except Exception as error:  # whatever its numbers lead to, it cannot serve
        reason = f"{type(error).__name__}: {error}"[:200]
        raise ArtifactCorrupt(
            must_be("self-test", "a forecast of each history in golden.json", reason, _ADVICE)
        ) from error
    worst = max(_distance(a, b) for a, b in zip(again, golden, strict=True))
    if not worst <= TOLERANCE:  # nor NaN
        rule = f"within {TOLERANCE:g} of the forecasts in golden.json"
        raise ArtifactCorrupt(must_be("self-test", rule, worst, _ADVICE))


_ADVICE = "The model does not forecast here what it did when it was trained."


def _distance(got: GoldenForecast, expected: GoldenForecast) -> float:
    """The largest difference of any value, mqe as a share of the first."""
    pairs = zip(_rows(got), _rows(expected), strict=True)
    return max(float(np.abs(a - b).max() / max(1.0, np.abs(b).max())) for a, b in pairs)


def _rows(forecast: GoldenForecast) -> list[np.ndarray]:
    unit = np.array([forecast.history.mqe[0] or 1.0, 1.0, 1.0])
    final = [np.array(forecast.final[t]) / u for t, u in zip(TARGETS, unit, strict=True)]
    rest = np.array([forecast.support, forecast.will_worsen])
    return [*final, *map(np.array, forecast.quality), rest]
