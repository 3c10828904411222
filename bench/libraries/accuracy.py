"""How far the oracle errs on a library's runs, and what a part of the context is worth to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oracle.evaluation.told_less import without
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.types import METRICS, TARGETS, FloatArray, Forecast, Policy, Run

ROOT = Path(__file__).parents[2]
#: Shares of a run at which it is forecast, and the one that says what a field is worth.
SHARES = (0.1, 0.2, 0.5)
SHARE = 0.2
MIN_SUPPORT = Policy().min_support
#: What is told or left out, of PARTS; and recorded runs that say what it is worth.
WORTHY = ("plan", "kind", "table", "geometry", "sizes")
RECORD = "tests/data/record.csv.gz"


def judged(runs: list[Run], oracle: Oracle) -> dict[str, Any]:
    """Forecast the runs with what was read alone; errors are of the relative quality score."""
    found: dict[str, Any] = {}
    runs = [run for run in runs if np.isfinite(finals_of([run])).all()]
    for share in SHARES:
        cuts = [cut for run in runs if (cut := run.history.until(share)) is not None]
        kept = [run for run in runs if run.history.until(share) is not None]
        if not cuts:
            continue
        true = _scores(finals_of(kept), kept)
        forecasts = oracle.forecast_many(cuts)
        error = np.abs(_medians(forecasts, kept) - true)
        last = _scores([[getattr(cut, metric)[-1] for metric in METRICS] for cut in cuts], kept)
        bounds = np.array([
            (quality.values[0], quality.values[-1]) if quality else (np.nan, np.nan)
            for forecast in forecasts
            for quality in [forecast.quality_on("relative")]
        ])  # fmt: skip
        found[f"{share:g}"] = {
            "error": float(error.mean()),
            "last": float(np.nanmean(np.abs(last - true))),
            "inside": float(((bounds[:, 0] <= true) & (true <= bounds[:, 1])).mean()),
            "abstains": float(np.mean([f.support < MIN_SUPPORT for f in forecasts])),
        }
    return found


def worth(oracle: Oracle) -> dict[str, float]:
    """What the error is times what it was, where a part is left out: on recorded test runs."""
    runs = [run for run in read_dataset(ROOT / RECORD) if not run.censored]
    cuts = [(run, cut) for run in runs if (cut := run.history.until(SHARE))]
    kept = [run for run, _ in cuts]
    true = _scores(finals_of(kept), kept)

    def error(parts: tuple[str, ...]) -> float:
        told = [without(cut, parts) for _, cut in cuts]
        return float(np.abs(_medians(oracle.forecast_many(told), kept) - true).mean())

    whole = error(())
    return {part: error((part,)) / whole for part in WORTHY}


def _scores(values: Any, runs: Sequence[Run]) -> FloatArray:
    """Give the relative quality score of values [run, 3], each on its run's scale."""
    units = np.array([run.history.context.mqe_of_mean or 1.0 for run in runs])
    return scores_of(np.array(values, np.float64).T, weights_of(units))


def _medians(forecasts: Sequence[Forecast], runs: Sequence[Run]) -> FloatArray:
    return _scores([[f.median(target) for target in TARGETS] for f in forecasts], runs)
