"""A forecaster for tests of what surrounds one: it expects the last values to stay, roughly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.types import (
    LEVELS,
    QUALITY_WEIGHTS,
    TARGETS,
    Forecast,
    History,
    ModelInfo,
    QualityForecast,
    Scale,
)


class StandIn:
    """Forecast the last values with 5 % spread; the same answer for the same history."""

    info = ModelInfo(name="stand-in", version="0", sha256="0" * 64)

    def forecast_each(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast several histories."""
        return [self.forecast(history) for history in histories]

    def forecast(self, history: History) -> Forecast:
        """Forecast one history."""
        rng = np.random.default_rng(len(history))
        last: tuple[float | None, ...] = (history.context.mqe_of_mean, 0.5, 0.5)  # of a plan
        if history.epochs:
            last = (history.mqe[-1], history.topographic_error[-1], history.dead_neuron_ratio[-1])
        known = np.array([0.0 if value is None else value for value in last])
        draws = np.abs(known * (1 + 0.05 * rng.standard_normal((256, 3))))
        draws[:, 1:] = draws[:, 1:].clip(0, 1)
        final = np.quantile(draws, LEVELS, axis=0)
        scales = [(Scale.RAW, 1.0)]
        if history.context.mqe_of_mean is not None:
            scales.append((Scale.RELATIVE, history.context.mqe_of_mean))
        return Forecast(
            run_id=history.run_id,
            progress=history.progress,
            n_checkpoints=len(history),
            model=self.info,
            final={t: tuple(final[:, k].tolist()) for k, t in enumerate(TARGETS)},
            quality=tuple(
                QualityForecast(
                    scale=scale,
                    weights=QUALITY_WEIGHTS,
                    values=tuple(
                        np.quantile(draws @ (np.array(QUALITY_WEIGHTS) / [unit, 1, 1]), LEVELS)
                    ),
                )
                for scale, unit in scales
            ),
            coverage=0.9,
            support=1.0,
            will_worsen=0.0,
            mqe_of_mean=history.context.mqe_of_mean,
        ).with_draws(draws)
