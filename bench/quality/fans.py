"""The picture of docs/quality.md that shows forecasts narrow as checkpoints come in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oracle.forecast.forecaster import Oracle
from oracle.pictures.style import MUTED, OURS, OURS_TOO, canvas
from oracle.types import Run


def fans(path: Path, model: Oracle, runs: Sequence[Run]) -> None:
    """Draw how the forecast of the final mqe moved and narrowed on five unseen runs."""
    with canvas(path, len(runs), width=3.0, height=3.2) as (_, panels):
        for axes, run in zip(panels, runs, strict=True):
            history = run.history
            budget = history.total_epochs or history.epochs[-1]
            progress = [epoch / budget for epoch in history.epochs]
            seen = [n for n in range(1, len(history) + 1) if progress[n - 1] <= 0.9]
            forecasts = model.forecast_many([history.prefix(n) for n in seen])
            x = [progress[n - 1] for n in seen]
            low, lower, middle, upper, high = zip(
                *(f.final["final_mqe"] for f in forecasts), strict=True
            )
            axes.fill_between(x, low, high, color=OURS_TOO, alpha=0.25, linewidth=0)
            axes.fill_between(x, lower, upper, color=OURS_TOO, alpha=0.5, linewidth=0)
            axes.plot(x, middle, color=OURS)
            axes.plot(progress, history.mqe, ".", color=MUTED, markersize=3)
            axes.axhline(run.final_mqe, color=MUTED, linewidth=0.8, linestyle=":")
            top = max(max(history.mqe[1:]), run.final_mqe) * 1.15
            axes.set(xlim=(0, 1), ylim=(0, top), title=run.dataset, xlabel="share of the run")
        panels[0].set_ylabel("mqe: measured, and its end as forecast")
