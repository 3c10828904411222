"""Histories, forecasts, outcomes and runs made up for tests, and two forecasters of them.

What is not said is of the same everyday kind everywhere: ratios that stay, a budget of 100 epochs,
an mqe of the mean vector of SCALE. Histories whose very numbers a test computes with stand there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from oracle.types import (
    LEVELS,
    QUALITY_WEIGHTS,
    TARGETS,
    Certificate,
    Forecast,
    History,
    ModelInfo,
    Outcome,
    PopulationPolicy,
    QualityForecast,
    Reference,
    Run,
    RunContext,
    Scale,
)

if TYPE_CHECKING:
    from oracle.server.runs.lessons import Question

CHECKPOINTS = 21
SCALE = 2.0
#: What the forecasts made up here say they are of.
MADE = ModelInfo(name="made", version="0", sha256="0" * 64)


def history_of(mqe: Sequence[float] = (1.0, 0.8, 0.7), **changes: object) -> History:
    """A history with this mqe every ten epochs; `changes` are fields of History."""
    n = len(mqe)
    columns = {
        "run_id": "r-1",
        "epochs": tuple(10.0 * (i + 1) for i in range(n)),
        "mqe": tuple(mqe),
        "topographic_error": (0.2,) * (n - 1) + (0.1,) * (n > 0),
        "dead_neuron_ratio": (0.3,) * (n > 0) + (0.2,) * (n - 1),
        "total_epochs": 100.0,
    }
    return History.parse({**columns, **changes})


def made_outcome(mqe: float = 0.5, *, censored: bool = False, **changes: object) -> Outcome:
    """How a run ended, or was expected to where it was stopped."""
    values = {
        "final_mqe": mqe,
        "final_topographic_error": 0.1,
        "final_dead_neuron_ratio": 0.2,
        "censored": censored,
        "spread": 0.03 if censored else 0.0,
    }
    return Outcome.model_validate(values | changes)


def outcome_of(run_id: str, mqe: float = 0.5, *, censored: bool = False) -> Outcome:
    """How the run of that name ended."""
    return made_outcome(mqe, run_id=run_id, censored=censored)


def outcomes_of(*mqe: float, censored: bool = False) -> tuple[Outcome, ...]:
    """How several runs ended."""
    return tuple(made_outcome(float(m), censored=censored) for m in mqe)


def reference_of(*mqe: float, censored: bool = False, **changes: object) -> Reference:
    """A population whose runs ended so."""
    outcomes = outcomes_of(*mqe, censored=censored)
    return Reference.model_validate({"outcomes": outcomes, "mqe_of_mean": SCALE} | changes)


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
    model: ModelInfo = MADE,
) -> Forecast:
    """Wrap draws [draw, target] into a forecast."""
    if history is not None:
        progress, mqe_of_mean = history.progress, history.context.mqe_of_mean
    final = np.quantile(draws, LEVELS, axis=0)
    scales = [(Scale.RAW, 1.0)]
    if mqe_of_mean is not None:
        scales.append((Scale.RELATIVE, mqe_of_mean))
    return Forecast(
        run_id=history.run_id if history is not None else None,
        progress=progress,
        n_checkpoints=len(history) if history is not None else 5,
        model=model,
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


class StandIn:
    """Expects the last values to stay, give or take 5 %; the same answer for the same history."""

    info = ModelInfo(name="stand-in", version="0", sha256="0" * 64)

    def forecast_each(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast several histories."""
        return [self.forecast(history) for history in histories]

    def answer(self, questions: Sequence[Question]) -> list[Forecast | None]:
        """Answer what the rules of stored runs ask; no run teaches anything."""
        return [self.forecast(q.history) if hasattr(q, "lessons") else None for q in questions]

    def forecast(self, history: History) -> Forecast:
        """Forecast one history."""
        rng = np.random.default_rng(len(history))
        last: tuple[float | None, ...] = (history.context.mqe_of_mean, 0.5, 0.5)  # of a plan
        if history.epochs:
            last = (history.mqe[-1], history.topographic_error[-1], history.dead_neuron_ratio[-1])
        known = np.array([0.0 if value is None else value for value in last])
        draws = np.abs(known * (1 + 0.05 * rng.standard_normal((256, 3))))
        draws[:, 1:] = draws[:, 1:].clip(0, 1)
        return forecast_of(draws, history, model=self.info)


#: The policy that `certificate_of` is of.
CERTIFIED = PopulationPolicy(risk=0.01, control=0.0, learn=False)


def certificate_of(model: ModelInfo, **changes: Any) -> Certificate:
    """A certificate of a model, as if 2,000 tables had proven it."""
    said: dict[str, Any] = {
        "model": model,
        "policy": CERTIFIED,
        "way": "one after another",
        "alpha": 0.01,
        "delta": 0.05,
        "p_value": 0.02,
        "on_average": None,
        "loss": 0.004,
        "saved": 0.5,
        "tables": 2000,
        "runs": 40_000,
        "population_size": 20,
        "checks": (0.0, 0.1),
        "dataset": ("runs.csv", "1" * 64),
        "tested": ((0.01, 0.004, 0.02),),
        "missed": 0.4,
        "unlike": 0.5,
        "created": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Certificate(**said | changes)
