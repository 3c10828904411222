"""Forecasts that others made, of a service or a model of the caller's own: is there sense in them.

A value may be of the right type and still no forecast. Whoever ends a run reads it, so it is
checked before it is believed.
"""

from __future__ import annotations

from itertools import pairwise

from oracle.errors import InvalidHistory, must_be
from oracle.types import METRICS, TARGETS, Forecast
from oracle.types.fields import MAX_MQE


def check_forecast(forecast: Forecast) -> None:
    """Check what a run's end is told by.

    Raises:
        InvalidHistory: naming what makes no sense.
    """
    levels = forecast.levels
    rising = all(0.0 < level < 1.0 for level in levels) and _rise(levels, strictly=True)
    if not rising or 0.5 not in levels:
        rule = "increasing within 0..1, .5 among them"
        raise InvalidHistory(must_be("forecast.levels", rule, levels))
    for target, metric in zip(TARGETS, METRICS, strict=True):
        values, most = forecast.final.get(target, ()), _most(metric)
        within = all(0.0 <= value <= most for value in values)
        if len(values) != len(levels) or not within or not _rise(values):
            rule = f"{len(levels)} values, none falling, within 0..{most:g}"
            raise InvalidHistory(must_be(f"forecast.final.{target}", rule, values))
    for quality in forecast.quality:
        if len(quality.values) != len(levels):
            rule = f"{len(levels)} values"
            raise InvalidHistory(must_be("forecast.quality", rule, quality.values))
    curve = forecast.curve
    if curve is None:
        return
    for name in METRICS:
        shape = [len(row) for row in getattr(curve, name)]
        if shape != [len(levels)] * len(curve.of_the_rest):
            rule = f"{len(levels)} values at each share of the rest"
            raise InvalidHistory(must_be(f"forecast.curve.{name}", rule, shape))


def _most(metric: str) -> float:
    return MAX_MQE if metric == METRICS[0] else 1.0


def _rise(values: tuple[float, ...], *, strictly: bool = False) -> bool:
    return all(a < b or (a == b and not strictly) for a, b in pairwise(values))
