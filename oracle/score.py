"""A short judgement of an oracle on unseen runs: what the trainer prints and the card says.

`oracle evaluate` measures in full; this is the same error at the same prefixes, without intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.features import finals_of
from oracle.forecaster import Oracle
from oracle.types import METRICS, QUALITY_WEIGHTS, TARGETS, Run, Scale

#: Shares of the budget at which forecasts are judged.
SHARES = (0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Score:
    """Mean absolute errors by share of the budget seen.

    Attributes:
        runs, tables: judged on.
        scale: of mqe, in its own error and in the quality score's.
        error: share -> target or "quality" -> oracle's error.
        last_value: share -> error of the quality score when the last value is the forecast.
        training_mean: its error when the mean quality of the training runs is the forecast.
    """

    runs: int
    tables: int
    scale: Scale
    error: dict[float, dict[str, float]]
    last_value: dict[float, float]
    training_mean: float

    def as_dict(self) -> dict[str, Any]:
        """For `--json`, metadata and manifest."""
        return {
            "runs": self.runs,
            "tables": self.tables,
            "scale": self.scale.value,
            "training_mean": self.training_mean,
            "by_progress": {
                f"{share:g}": {**errors, "last_value": self.last_value[share]}
                for share, errors in self.error.items()
            },
        }

    def __str__(self) -> str:
        lines = [
            f"Mean absolute error on {self.runs} unseen runs of {self.tables} tables "
            f"(mqe {self.scale}); training mean {self.training_mean:.4f}:",
            "seen   quality  last value  ratio     mqe  topographic  dead",
        ]
        for share, e in self.error.items():
            last = self.last_value[share]
            lines.append(
                f"{share:4.0%}   {e['quality']:7.4f}  {last:10.4f}  {e['quality'] / last:5.3f}"
                f"  {e[TARGETS[0]]:6.4f}  {e[TARGETS[1]]:11.4f}  {e[TARGETS[2]]:.4f}"
            )
        return "\n".join(lines)


def score(oracle: Oracle, runs: Sequence[Run], train: Sequence[Run]) -> Score:
    """Judge `oracle` on `runs`; `train` gives the training mean."""
    relative = all(run.history.context.mqe_of_mean for run in (*runs, *train))
    scale = Scale.RELATIVE if relative else Scale.RAW
    error: dict[float, dict[str, float]] = {}
    last_value: dict[float, float] = {}
    middle = np.mean(_quality(finals_of(train), train, relative))
    outcomes = _quality(finals_of(runs), runs, relative)
    mean = float(np.mean(np.abs(middle - outcomes)))
    for share in SHARES:
        cut = [
            (run, prefix)
            for run in runs
            if run.history.total_epochs and (prefix := run.history.until(share)) is not None
        ]
        if not cut:
            continue
        forecasts = oracle.forecast_many([prefix for _, prefix in cut])
        seen = [run for run, _ in cut]
        median = np.array([[f.median(target) for target in TARGETS] for f in forecasts])
        quality = np.array([_median_quality(f.quality_on(scale)) for f in forecasts])
        last = np.array([[getattr(p, m)[-1] for m in METRICS] for _, p in cut], dtype=np.float64)
        truth = finals_of(seen)
        true_quality = _quality(truth, seen, relative)
        unit = np.ones_like(truth)
        unit[:, 0] = _unit(seen, relative)
        by_target = np.nanmean(np.abs(median - truth) / unit, axis=0)
        error[share] = dict(zip(TARGETS, map(float, by_target), strict=True))
        error[share]["quality"] = float(np.mean(np.abs(quality - true_quality)))
        last_value[share] = float(np.mean(np.abs(_quality(last, seen, relative) - true_quality)))
    tables = len({run.dataset for run in runs})
    return Score(len(runs), tables, scale, error, last_value, mean)


def _median_quality(forecast: Any) -> float:
    return float(forecast.values[len(forecast.values) // 2])


def _unit(runs: Sequence[Run], relative: bool) -> Any:
    return np.array([run.history.context.mqe_of_mean if relative else 1.0 for run in runs], float)


def _quality(values: Any, runs: Sequence[Run], relative: bool) -> Any:
    """[run, 3] -> [run]; a metric that is undefined counts nothing."""
    weights = np.array([QUALITY_WEIGHTS] * len(runs))
    weights[:, 0] /= _unit(runs, relative)
    return (np.nan_to_num(np.asarray(values, float)) * weights).sum(axis=1)
