"""Recorded runs made up for tests, and a forecaster that knows their ends up to some noise."""

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
    Run,
    RunContext,
    Scale,
)

CHECKPOINTS = 21
SCALE = 2.0


def make_runs(n: int, table: str = "made", seed: int = 0) -> list[Run]:
    """Make `n` decaying runs of one table, each to an end of its own."""
    rng = np.random.default_rng(seed)
    progress = np.linspace(0.0, 1.0, CHECKPOINTS)
    runs = []
    for i in range(n):
        end = np.array([rng.uniform(0.3, 1.2), rng.uniform(0.0, 0.4), rng.uniform(0.0, 0.5)])
        fall = np.exp(-rng.uniform(2, 8) * progress) - np.exp(-8.0)
        columns = [
            np.clip(e * (1 + rise * fall) + 0.002 * rng.standard_normal(CHECKPOINTS), 0, top)
            for e, rise, top in zip(end, (1.0, 0.8, 0.5), (9.0, 1.0, 1.0), strict=True)
        ]
        mqe, topographic, dead = (tuple(column.tolist()) for column in columns)
        history = History(
            run_id=f"{table}-{seed}-{i}",
            dataset=table,
            epochs=tuple((100 * progress).tolist()),
            mqe=mqe,
            topographic_error=topographic,
            dead_neuron_ratio=dead,
            total_epochs=100.0,
            context=RunContext(
                map_rows=8.0,
                map_cols=8.0,
                n_samples=200.0,
                n_features=4.0,
                mqe_of_mean=SCALE,
                total_updates=float(rng.integers(1_000, 50_000)),
            ),
        )
        runs.append(
            Run(
                run_id=f"{table}-{seed}-{i}",
                source="made",
                dataset=table,
                final_mqe=mqe[-1],
                final_topographic_error=topographic[-1],
                final_dead_neuron_ratio=dead[-1],
                history=history,
            )
        )
    return runs


def forecast_of(
    draws: np.ndarray,
    history: History | None = None,
    *,
    progress: float | None = 0.3,
    support: float = 1.0,
    will_worsen: float = 0.0,
    mqe_of_mean: float | None = SCALE,
) -> Forecast:
    """Wrap draws [draw, target] into a forecast."""
    if history is not None:
        progress, mqe_of_mean = history.progress, history.context.mqe_of_mean
    final = np.quantile(draws, LEVELS, axis=0)
    weights = np.array(QUALITY_WEIGHTS)
    return Forecast(
        run_id=history.run_id if history is not None else None,
        progress=progress,
        n_checkpoints=len(history) if history is not None else 5,
        model=ModelInfo(name="made", version="0", sha256="0" * 64),
        final={t: tuple(final[:, k].tolist()) for k, t in enumerate(TARGETS)},
        quality=(
            QualityForecast(
                scale=Scale.RAW,
                weights=QUALITY_WEIGHTS,
                values=tuple(np.quantile(draws @ weights, LEVELS).tolist()),
            ),
        ),
        coverage=0.9,
        support=support,
        will_worsen=will_worsen,
        mqe_of_mean=mqe_of_mean,
    ).with_draws(draws)


class Insider:
    """Forecasts made-up runs from their true ends, with honest noise that shrinks on the way."""

    def __init__(self, runs: Sequence[Run], noise: float = 0.1, n_draws: int = 400) -> None:
        self.ends = {
            run.run_id: np.array([getattr(run, t) for t in TARGETS], dtype=float) for run in runs
        }
        self.noise, self.n_draws = noise, n_draws

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast each history; the same answer for the same history."""
        answers = []
        for history in histories:
            name = history.run_id or ""
            rng = np.random.default_rng([len(history), *name.encode()])
            width = self.noise * (1.0 - (history.progress or 0.0)) * np.array([1.0, 0.3, 0.3])
            middle = self.ends[name] + width * rng.standard_normal(3)
            draws = middle + width * rng.standard_normal((self.n_draws, 3))
            draws = np.clip(draws, 0.0, [np.inf, 1.0, 1.0])
            answers.append(forecast_of(draws, history))
        return answers
