"""Measure forecasts on recorded runs: error by prefix, coverage, and stopping at a threshold.

Every run is cut at the same progress for everybody who forecasts it, so all rows of a table
rest on the same prefixes. Intervals come from a bootstrap over tables: runs of one table err
together. Runs that cannot be scored are left out, counted and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.baselines import Baseline
from oracle.dataset import usable
from oracle.errors import DatasetError, must_be
from oracle.features import finals_of
from oracle.recorded import Forecaster
from oracle.types import LEVELS, QUALITY_WEIGHTS, TARGETS, Forecast, History, Policy, Run

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROGRESS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
#: What is scored: the targets, mqe and the quality score also where tables compare.
SCORES = (*TARGETS, "relative_mqe", "quality_raw", "quality_relative")
#: The score that all tables of errors are about, unless said.
MAIN = "quality_relative"
RESAMPLES = 1000
INTERVAL = 0.95
#: Within-table correlations need this many runs of a table.
MIN_RUNS_TO_RANK = 5
ORACLE = "oracle"


@dataclass(frozen=True)
class Scored:
    """Forecasts of every run at every prefix, by everybody.

    Attributes:
        runs: [run], usable and with known finals or NaN.
        progress: [prefix] nominal.
        true: [run, score] outcomes.
        predicted: forecaster -> [prefix, run, score] medians.
        pit: [prefix, run, score] randomised probability integral transform of the oracle.
        excluded: why runs were left out -> how many.
    """

    runs: list[Run]
    progress: tuple[float, ...]
    true: Array
    predicted: dict[str, Array]
    pit: Array
    excluded: dict[str, int]

    @property
    def tables(self) -> npt.NDArray[np.str_]:
        """[run] table names."""
        return np.array([run.dataset for run in self.runs])

    @property
    def sources(self) -> npt.NDArray[np.str_]:
        """[run] source names."""
        return np.array([run.source for run in self.runs])


def score(
    runs: Sequence[Run],
    forecaster: Forecaster,
    baselines: Mapping[str, Baseline] | None = None,
    progress: Sequence[float] = PROGRESS,
    seed: int = 0,
) -> Scored:
    """Forecast every run at every prefix.

    Args:
        runs: recorded to their end; censored, too short and constant ones are left out.
        forecaster: the oracle.
        baselines: fitted on other runs, by name.
        progress: shares of the run to show, 0..1; 1 shows all of it.
        seed: of the randomised transform.

    Raises:
        DatasetError: where no run is left.
    """
    kept, excluded = usable(runs)
    left_out = Counter(excluded)
    whole = [run for run in kept if run.history.total_epochs is not None]
    left_out["unknown total_epochs"] += len(kept) - len(whole)
    first = min(progress)
    shown = [run for run in whole if run.history.until(first) is not None]
    left_out[f"no checkpoint within the first {first:.0%}"] += len(whole) - len(shown)
    if not shown:
        raise DatasetError(
            must_be("dataset", "one usable run at least", 0, f"Left out: {dict(+left_out)}.")
        )
    scales = np.array([run.history.context.mqe_of_mean or np.nan for run in shown])
    finals = finals_of(shown)
    true = with_scores(finals, scales)
    rng = np.random.default_rng(seed)
    names = [ORACLE, *(baselines or {})]
    predicted = {n: np.full((len(progress), *true.shape), np.nan) for n in names}
    pit = np.full((len(progress), *true.shape), np.nan)
    for p, share in enumerate(progress):
        prefixes = [_cut(run.history, share) for run in shown]
        forecasts = forecaster.forecast_many(prefixes)
        for i, forecast in enumerate(forecasts):
            predicted[ORACLE][p, i] = _medians(forecast, scales[i])
            pit[p, i] = _transform(forecast, true[i], scales[i], rng)
        for name, baseline in (baselines or {}).items():
            predicted[name][p] = with_scores(baseline.predict(prefixes), scales)
    return Scored(shown, tuple(progress), true, predicted, pit, dict(+left_out))


def _cut(history: History, share: float) -> History:
    return (history if share >= 1.0 else history.until(share)) or history.prefix(1)


def with_scores(values: Array, scales: Array) -> Array:
    """[..., 3] raw values and their scales [...] -> [..., score], after SCORES."""
    mqe, topographic, dead = (w * values[..., i] for i, w in enumerate(QUALITY_WEIGHTS))
    relative = values[..., 0] / scales
    return np.concatenate(
        [
            values,
            relative[..., None],
            (mqe + topographic + dead)[..., None],
            (QUALITY_WEIGHTS[0] * relative + topographic + dead)[..., None],
        ],
        axis=-1,
    )


def _medians(forecast: Forecast, scale: float) -> Array:
    """[score] medians; of the joint scores from the draws where there are any."""
    values = with_scores(np.array([forecast.median(t) for t in TARGETS]), np.array(scale))
    if forecast.draws is not None:
        joint = with_scores(forecast.draws, np.full(len(forecast.draws), scale))
        values[-2:] = np.median(joint[:, -2:], axis=0)
    return values


def _transform(forecast: Forecast, true: Array, scale: float, rng: np.random.Generator) -> Array:
    """[score] the transform of a forecast, NaN without draws."""
    if forecast.draws is None:
        return np.full(len(SCORES), np.nan)
    return transform(with_scores(forecast.draws, np.full(len(forecast.draws), scale)), true, rng)


def transform(drawn: Array, true: Array, rng: np.random.Generator) -> Array:
    """Randomised probability integral transform: uniform for an honest forecast.

    Where draws tie with the outcome (a ratio that has already settled) the transform is drawn
    uniformly over the tie (Czado, Gneiting & Held, Biometrics 65, 2009).

    Args:
        drawn: [draw, score] of one forecast.
        true: [score] outcomes; where one is NaN its transform is.
        rng: breaks the ties.
    """
    near = 1e-9 * (1.0 + np.abs(true))
    below = (drawn < true - near).mean(axis=0)
    upto = (drawn <= true + near).mean(axis=0)
    result: Array = below + rng.uniform(size=len(true)) * (upto - below)
    result[~np.isfinite(true)] = np.nan
    return result


def inside(pit: Array, level: float) -> Bools:
    """[value] whether an outcome lies within the central interval, by its transform."""
    return np.asarray(np.abs(pit - 0.5) <= level / 2)


# -- figures ----------------------------------------------------------------------------------


def measures(true: Array, predicted: Array, tables: npt.NDArray[np.str_]) -> dict[str, float]:
    """Score forecasts [run] against outcomes [run].

    Returns:
        mae, rmse, r2, pearson, and spearman within tables (mean, weighted by runs); NaN where
        undefined, e.g. a correlation of constants.
    """
    known = np.isfinite(true) & np.isfinite(predicted)
    x, y, tables = true[known], predicted[known], tables[known]
    if not len(x):
        return dict.fromkeys(("n", "mae", "rmse", "r2", "pearson", "spearman"), np.nan)
    error = y - x
    spread = ((x - x.mean()) ** 2).sum()
    return {
        "n": float(len(x)),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": float(1 - (error**2).sum() / spread) if spread > 0 else np.nan,
        "pearson": correlation(x, y),
        "spearman": _within_tables(x, y, tables),
    }


def correlation(x: Array, y: Array) -> float:
    """Pearson's r; NaN where one side is constant."""
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def _within_tables(x: Array, y: Array, tables: npt.NDArray[np.str_]) -> float:
    total, weight = 0.0, 0
    for table in np.unique(tables):
        mine = tables == table
        if mine.sum() >= MIN_RUNS_TO_RANK:
            rho = correlation(_ranks(x[mine]), _ranks(y[mine]))
            if np.isfinite(rho):
                total, weight = total + rho * int(mine.sum()), weight + int(mine.sum())
    return total / weight if weight else np.nan


def _ranks(values: Array) -> Array:
    """Ranks with ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Array = (ends - (counts - 1) / 2)[inverse]
    return mean


def interval(
    statistic: Callable[[Array], Array],
    per_run: Array,
    clusters: npt.NDArray[np.str_],
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap a statistic of per-run sums over clusters.

    Args:
        statistic: [resample, column] sums -> [resample].
        per_run: [run, column] what is summed.
        clusters: [run] table of each run.
        seed: of the resampling.

    Returns:
        lower and upper end of the central 95 %.
    """
    names, index = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), per_run.shape[1]))
    np.add.at(sums, index, per_run)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    values = statistic(weights @ sums)
    low, high = np.nanquantile(values, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def main_score(scored: Scored) -> str:
    """The score that tables and pictures are about: relative where any scale is known."""
    known = np.isfinite(scored.true[:, SCORES.index(MAIN)]).any()
    return MAIN if known else "quality_raw"


def _main_column(scored: Scored) -> int:
    return SCORES.index(main_score(scored))


def errors(scored: Scored, which: str = MAIN, only: Bools | None = None) -> list[dict[str, Any]]:
    """Tabulate every forecaster at every prefix for one score, with intervals by table.

    Args:
        scored: the forecasts.
        which: one of SCORES.
        only: [run] restrict to these, e.g. of one source.
    """
    s = SCORES.index(which)
    rows = np.ones(len(scored.runs), dtype=bool) if only is None else only
    tables, true = scored.tables[rows], scored.true[rows, s]
    result = []
    for name, predicted in scored.predicted.items():
        for p, share in enumerate(scored.progress):
            guess = predicted[p, rows, s]
            known = np.isfinite(true) & np.isfinite(guess)
            row: dict[str, Any] = {"forecaster": name, "score": which, "progress": share}
            row |= measures(true, guess, tables)
            if known.any():
                error = np.abs(guess - true)[known]
                per_run = np.stack([error, np.ones_like(error)], axis=1)
                row["mae_interval"] = interval(lambda t: t[:, 0] / t[:, 1], per_run, tables[known])
                row |= _against_last(scored, p, rows, s, known, error, tables[known])
            result.append(row)
    return result


def _against_last(
    scored: Scored,
    p: int,
    rows: Bools,
    s: int,
    known: Bools,
    error: Array,
    tables: npt.NDArray[np.str_],
) -> dict[str, Any]:
    """MAE as a ratio to the last value's, where that was scored."""
    last = scored.predicted.get("last")
    if last is None:
        return {}
    theirs = np.abs(last[p, rows, s] - scored.true[rows, s])[known]
    if not theirs.sum() > 0:
        return {}
    low, high = interval(lambda t: t[:, 0] / t[:, 1], np.stack([error, theirs], axis=1), tables)
    return {"ratio_to_last": float(error.sum() / theirs.sum()), "ratio_interval": (low, high)}


def coverages(scored: Scored, levels: Sequence[float] = (0.5, 0.9)) -> list[dict[str, Any]]:
    """Share of outcomes within the central intervals, by score and prefix, with intervals."""
    result = []
    for s, which in enumerate(SCORES):
        for p, share in enumerate(scored.progress):
            values = scored.pit[p, :, s]
            known = np.isfinite(values)
            if not known.any() or share >= 1.0:
                continue
            row: dict[str, Any] = {"score": which, "progress": share, "n": int(known.sum())}
            for level in levels:
                hit = inside(values[known], level).astype(np.float64)
                per_run = np.stack([hit, np.ones_like(hit)], axis=1)
                row[f"coverage_{level:.0%}"] = float(hit.mean())
                row[f"coverage_{level:.0%}_interval"] = interval(
                    lambda t: t[:, 0] / t[:, 1], per_run, scored.tables[known]
                )
            result.append(row)
    return result


def stopping(scored: Scored, policy: Policy | None = None) -> list[dict[str, Any]]:
    """Classify runs as beyond the policy's threshold by forecast and by outcome.

    The raw score at `policy.threshold`; where all runs end on one side of it, precision and
    recall say nothing, and the row says so. The median of the main score, which has both
    classes by construction, stands beside it.
    """
    policy = policy or Policy()
    result = []
    for which, threshold in (
        ("quality_raw", policy.threshold),
        (main_score(scored), float(np.nanmedian(scored.true[:, _main_column(scored)]))),
    ):
        s = SCORES.index(which)
        for p, share in enumerate(scored.progress):
            true, guess = scored.true[:, s], scored.predicted[ORACLE][p, :, s]
            known = np.isfinite(true) & np.isfinite(guess)
            bad, stop = true[known] > threshold, guess[known] > threshold
            hits = int((bad & stop).sum())
            result.append(
                {
                    "score": which,
                    "threshold": threshold,
                    "progress": share,
                    "n": int(known.sum()),
                    "bad": int(bad.sum()),
                    "both_classes": bool(bad.any() and not bad.all()),
                    "accuracy": float((bad == stop).mean()) if known.any() else None,
                    "precision": hits / int(stop.sum()) if stop.any() else None,
                    "recall": hits / int(bad.sum()) if bad.any() else None,
                }
            )
    return result


def report(scored: Scored) -> dict[str, Any]:
    """Gather every figure of an evaluation, ready for JSON."""
    main = main_score(scored)
    by_table = {str(t): errors(scored, main, scored.tables == t) for t in np.unique(scored.tables)}
    by_source = {
        str(t): errors(scored, main, scored.sources == t) for t in np.unique(scored.sources)
    }
    constant = [
        which for s, which in enumerate(SCORES) if np.nanmax(scored.true[:, s], initial=-np.inf)
        == np.nanmin(scored.true[:, s], initial=np.inf)
    ]  # fmt: skip
    found: dict[str, Any] = {
        "runs": len(scored.runs),
        "tables": len(by_table),
        "sources": sorted(by_source),
        "excluded": scored.excluded,
        "constant_outcomes": constant,
        "levels": LEVELS,
        "errors": [row for which in SCORES for row in errors(scored, which)],
        "by_table": by_table,
        "by_source": by_source,
        "coverage": coverages(scored),
        "stopping": stopping(scored),
    }
    cleaned: dict[str, Any] = _no_nan(found)
    return cleaned


def _no_nan(value: Any) -> Any:
    """NaN is no JSON: None stands for undefined."""
    if isinstance(value, dict):
        return {key: _no_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
