"""How an oracle does on unseen runs, in short: what the trainer prints and the card says.

`oracle evaluate` measures in full; this is the same error and coverage at the same prefixes,
without intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.evaluation.baselines import LastValue
from oracle.evaluation.intervals import Array
from oracle.evaluation.scored import QUALITY, SCORES, inside, score_runs, with_scores
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import counted
from oracle.history.quality_score import weights_without
from oracle.history.targets import finals_of
from oracle.types import TARGETS, Run, Scale

#: Shares of the budget at which forecasts are judged; 0 is the plan alone.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
#: Central intervals whose coverage is measured.
COVERED = (0.5, 0.9)


@dataclass(frozen=True)
class Summary:
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


def summarise(oracle: Oracle, runs: Sequence[Run], train: Sequence[Run]) -> Summary:
    """Judge `oracle` on `runs`; `train` gives the training mean."""
    relative = all(run.history.context.mqe_of_mean for run in (*runs, *train))
    scale = Scale.RELATIVE if relative else Scale.RAW
    scored = score_runs(runs, {"oracle": oracle}, {"last": LastValue()}, SHARES)
    mqe, quality = ("relative_mqe" if relative else TARGETS[0]), QUALITY[scale]
    columns = dict(zip((*TARGETS, "quality"), (mqe, *TARGETS[1:], quality), strict=True))
    error: dict[float, dict[str, float]] = {}
    last_value: dict[float, float | None] = {}
    coverage: dict[float, dict[float, float]] = {}

    def missed(name: str, p: int, column: str) -> float:
        at = SCORES.index(column)
        return _mean(np.abs(scored.predicted[name][p, :, at] - scored.true[:, at]))

    for p, share in enumerate(SHARES):
        if np.isnan(scored.predicted["oracle"][p]).all():
            continue  # no run was known so early
        error[share] = {name: missed("oracle", p, column) for name, column in columns.items()}
        last_value[share] = missed("last", p, quality) if share > 0 else None
        pit = scored.pit[p, :, SCORES.index(quality)]
        known = pit[np.isfinite(pit)]
        coverage[share] = (
            {level: float(inside(known, level).mean()) for level in COVERED} if len(known) else {}
        )
    scales = [run.history.context.mqe_of_mean or np.nan for run in train]
    weights = weights_without(scored.without)
    trained = with_scores(finals_of(train), np.array(scales, np.float64), weights)
    middle = _mean(trained[:, SCORES.index(quality)])
    mean = _mean(np.abs(scored.true[:, SCORES.index(quality)] - middle))
    tables = len({run.dataset for run in runs})
    return Summary(len(runs), tables, scale, error, last_value, mean, coverage)


def _mean(values: Array) -> float:
    """Mean of what is defined, NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
