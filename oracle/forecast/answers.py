"""From arrays to forecasts: what many runs' answers are, each as the type that users know.

The arrays are checked at once, and the types made of them without checking every number again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from oracle.forecast.calibration import KNOTS, rotated, seed_of, shown
from oracle.forecast.quantiles import between
from oracle.history.columns import Array
from oracle.history.targets import HORIZONS
from oracle.types import (
    LEVELS,
    METRICS,
    QUALITY_WEIGHTS,
    TARGETS,
    Curve,
    Forecast,
    Frozen,
    History,
    Learned,
    ModelInfo,
    QualityForecast,
    Scale,
)

F = TypeVar("F", bound=Frozen)

#: Share of outcomes that the outer levels should hold.
COVERAGE = LEVELS[-1] - LEVELS[0]
#: "Worse" means more than this above the best mqe seen.
WORSE = 1.05
#: A curve tells of the end last.
_ALONG = sorted(range(len(HORIZONS)), key=HORIZONS.__getitem__)
_OF_THE_REST = tuple(HORIZONS[h] for h in _ALONG)


def answers(
    histories: Sequence[History],
    *,
    info: ModelInfo,
    knots: Array,
    quality: Array,
    draws: Sequence[Array],
    support: Sequence[float],
    learned: Sequence[Learned | None],
) -> list[Forecast]:
    """Make the forecasts of runs.

    Args:
        histories: the runs.
        info: of the model that answers.
        knots: [target, horizon, run, knot] calibrated quantiles, raw units.
        quality: [2, run, level] of the quality score, raw and relative.
        draws: of each run joint outcomes [target, draw], raw units.
        support: of each run.
        learned: of each, what runs that ended have changed.

    Raises:
        ValidationError: a forecast is no number.
    """
    levels = shown(knots).take(_ALONG, axis=1)
    make = _valid if np.isfinite(levels).all() and np.isfinite(quality).all() else _checked
    of_runs = _nested(levels.transpose(2, 0, 1, 3))
    raw, relative = map(_nested, quality)
    mqe_knots = knots[0, 0].tolist()
    forecasts = []
    for i, history in enumerate(histories):
        mqe_of_mean = history.context.mqe_of_mean
        along = of_runs[i]
        scores: tuple[QualityForecast, ...] = (_quality(make, Scale.RAW, raw[i]),)
        if mqe_of_mean is not None:
            scores += (_quality(make, Scale.RELATIVE, relative[i]),)
        # P(final mqe <= WORSE * best), read off the calibrated quantiles.
        not_worse = between(WORSE * min(history.mqe), mqe_knots[i], KNOTS) if history.mqe else 1.0
        seen = array("d", history.epochs + history.mqe).tobytes()
        # Before the first checkpoint runs differ by plan and name alone.
        seed = seed_of(seen or history.model_dump_json().encode())
        forecast = make(
            Forecast,
            {
                "run_id": history.run_id,
                "progress": history.progress,
                "n_checkpoints": len(history),
                "model": info,
                "levels": LEVELS,
                "final": {t: metric[-1] for t, metric in zip(TARGETS, along, strict=True)},
                "curve": make(
                    Curve,
                    {"of_the_rest": _OF_THE_REST, **dict(zip(METRICS, along, strict=True))},
                ),
                "quality": scores,
                "coverage": COVERAGE,
                "support": support[i],
                "will_worsen": 1 - not_worse,
                "mqe_of_mean": mqe_of_mean,
                "learned": learned[i],
            },
        )
        forecasts.append(forecast.with_draws(partial(_own, draws[i], seed)))
    return forecasts


def _nested(values: Array) -> list[Any]:
    """Give [run, ...] as tuples in tuples, one a run."""
    parts: list[Any] = values.ravel().tolist()
    for size in reversed(values.shape[1:]):
        parts = list(zip(*[iter(parts)] * size, strict=True))
    return parts


def _own(draws: Array, seed: int) -> Array:
    """Give a run's draws as users have them, [draw, target]."""
    return rotated(draws, seed).T


def _valid(kind: type[F], fields: dict[str, Any]) -> F:
    return kind.of_valid(fields)


def _checked(kind: type[F], fields: dict[str, Any]) -> F:
    return kind(**fields)


def _quality(
    make: Callable[[type[QualityForecast], dict[str, Any]], QualityForecast],
    scale: Scale,
    values: Sequence[float],
) -> QualityForecast:
    fields = {"scale": scale, "weights": QUALITY_WEIGHTS, "values": values}
    return make(QualityForecast, fields)
