"""A short judgement of an oracle on unseen runs: what the trainer prints and the card says.

`oracle evaluate` measures in full; this is the same error and coverage at the same prefixes,
without intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.decision.rules import draw_scores
from oracle.evaluation.accuracy import inside, transform
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import counted
from oracle.history.features import finals_of
from oracle.history.quality_score import lacking, scores_of, weights_of, weights_without
from oracle.types import METRICS, TARGETS, Forecast, Run, Scale

#: Shares of the budget at which forecasts are judged; 0 is the plan alone.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
#: Central intervals whose coverage is measured.
COVERED = (0.5, 0.9)


@dataclass(frozen=True)
class Score:
    """Mean absolute errors and coverage by share of the budget seen.

    Attributes:
        runs, tables: judged on.
        scale: of mqe, in its own error and in the quality score's.
        error: share -> target or "quality" -> oracle's error; NaN where no outcome is defined.
        last_value: share -> error of the quality score when the last value is the forecast; None
            where there is none yet.
        training_mean: its error when the mean quality of the training runs is the forecast.
        coverage: share -> level -> share of outcomes of the quality score inside the oracle's
            central interval, by the randomised transform; empty where no outcome is defined.
    """

    runs: int
    tables: int
    scale: Scale
    error: dict[float, dict[str, float]]
    last_value: dict[float, float | None]
    training_mean: float
    coverage: dict[float, dict[float, float]]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, metadata and manifest."""
        return {
            "runs": self.runs,
            "tables": self.tables,
            "scale": self.scale.value,
            "training_mean": self.training_mean,
            "by_progress": {
                f"{share:g}": {
                    **{name: e if np.isfinite(e) else None for name, e in errors.items()},
                    "last_value": self.last_value[share],
                    "coverage": {f"{k:g}": v for k, v in self.coverage[share].items()},
                }
                for share, errors in self.error.items()
            },
        }

    def __str__(self) -> str:
        lines = [
            f"Mean absolute error on {counted(self.runs, 'unseen run')} of "
            f"{counted(self.tables, 'table')} "
            f"(mqe {self.scale}); training mean {self.training_mean:.4f}:",
            "seen   quality  last value  ratio     mqe  topographic    dead  inside 50 / 90 %",
        ]
        for share, e in self.error.items():
            last = self.last_value[share]
            beside = f"{last:10.4f}  {e['quality'] / last:5.3f}" if last else f"{'-':>10}  {'-':>5}"
            lines.append(
                f"{share:4.0%}   {e['quality']:7.4f}  {beside}"
                f"  {e[TARGETS[0]]:6.4f}  {e[TARGETS[1]]:11.4f}  {e[TARGETS[2]]:.4f}"
                f"  {' / '.join(f'{hit:.1%}' for hit in self.coverage[share].values())}"
            )
        return "\n".join(lines)


def score(oracle: Oracle, runs: Sequence[Run], train: Sequence[Run]) -> Score:
    """Judge `oracle` on `runs`; `train` gives the training mean."""
    relative = all(run.history.context.mqe_of_mean for run in (*runs, *train))
    scale = Scale.RELATIVE if relative else Scale.RAW
    error: dict[float, dict[str, float]] = {}
    last_value: dict[float, float | None] = {}
    coverage: dict[float, dict[float, float]] = {}
    rng = np.random.default_rng(0)
    counted = weights_without(lacking(finals_of(runs).T))

    def quality_of(values: Any, of: Sequence[Run]) -> Any:
        return scores_of(np.asarray(values).T, weights_of(_unit(of, relative), counted))

    middle = _mean(quality_of(finals_of(train), train))
    mean = _mean(np.abs(middle - quality_of(finals_of(runs), runs)))
    for share in SHARES:
        cut = [
            (run, prefix)
            for run in runs
            if run.history.total_epochs and (prefix := run.history.at(share)) is not None
        ]
        if not cut:
            continue
        forecasts = oracle.forecast_many([prefix for _, prefix in cut])
        seen = [run for run, _ in cut]
        median = np.array([[f.median(target) for target in TARGETS] for f in forecasts])
        truth = finals_of(seen)
        true_quality = quality_of(truth, seen)
        unit = _unit(seen, relative)
        weights = weights_of(unit, counted).T
        quality = np.array(
            [_median_quality(f, scale, w) for f, w in zip(forecasts, weights, strict=True)]
        )
        missed = np.abs(median - truth)
        missed[:, 0] /= unit
        error[share] = {t: _mean(missed[:, k]) for k, t in enumerate(TARGETS)}
        error[share]["quality"] = _mean(np.abs(quality - true_quality))
        if share > 0:
            last = np.array([[getattr(p, m)[-1] for m in METRICS] for _, p in cut], np.float64)
            last[np.isnan(truth)] = np.nan  # what is undefined in the end counts for nobody
            last_value[share] = _mean(np.abs(quality_of(last, seen) - true_quality))
        else:
            last_value[share] = None
        coverage[share] = _coverage(forecasts, true_quality, weights, rng)
    tables = len({run.dataset for run in runs})
    return Score(len(runs), tables, scale, error, last_value, mean, coverage)


def _coverage(
    forecasts: Sequence[Forecast], outcomes: Any, weights: Any, rng: np.random.Generator
) -> dict[float, float]:
    """Level -> share of the quality scores [run] inside; an undefined one is left out."""
    drawn = [draw_scores(f, w) for f, w in zip(forecasts, weights, strict=True)]
    pit = np.array(
        [transform(d[:, None], y, rng)[0] for d, y in zip(drawn, outcomes[:, None], strict=True)]
    )
    known = pit[np.isfinite(pit)]
    return {level: float(inside(known, level).mean()) for level in COVERED} if len(known) else {}


def _mean(values: Any) -> float:
    """Mean of what is defined, NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _median_quality(forecast: Any, scale: Scale, weights: Any) -> float:
    """Median of the quality score; of its own weights where a metric dropped out."""
    if not weights.all():
        return float(np.median(draw_scores(forecast, weights)))
    values = forecast.quality_on(scale).values
    return float(values[len(values) // 2])


def _unit(runs: Sequence[Run], relative: bool) -> Any:
    return np.array([run.history.context.mqe_of_mean if relative else 1.0 for run in runs], float)
