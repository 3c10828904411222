"""Measure forecasts on recorded runs: error by prefix, coverage, and stopping at a threshold.

All rows of a table rest on the same prefixes. Intervals come from a bootstrap over tables: runs of
one table err together. Within a single table they are over its runs and tell nothing of other
tables. Runs that cannot be scored are left out, counted and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oracle.errors import DatasetError, must_be
from oracle.evaluation.baselines import Baseline
from oracle.evaluation.intervals import Array, Names, clusters_of, interval, mean_of, measures
from oracle.evaluation.recorded_runs import Forecaster
from oracle.evaluation.scored import SCORES, Bools, Scored, inside, score_runs
from oracle.history.dataset import listed, usable
from oracle.history.missing import untold
from oracle.history.quality_score import among_best
from oracle.types import LEVELS, PopulationPolicy, Run, ThresholdPolicy

#: Shares of the run shown: 0 is the plan alone, 1 all of it.
PROGRESS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
#: The score that all tables of errors are about, unless said.
MAIN = "quality_relative"
ORACLE = "oracle"
#: What is screened for: the best share of each table's runs; shares that a forecast leaves out.
BEST, LEFT_OUT = 0.1, (0.3, 0.5)
#: Fewer runs of a table than this have no best tenth.
MIN_RUNS_TO_SCREEN = 10


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
        progress: shares of the run to show, 0..1: 0 the plan alone, which is left out where a
            run's mqe_of_mean is unknown; 1 all of it.
        seed: of the randomised transform.

    Raises:
        DatasetError: where no run is left.
    """
    kept, excluded = usable(runs)
    left_out = Counter(excluded)
    whole = [run for run in kept if run.history.total_epochs is not None]
    left_out["unknown total_epochs"] += len(kept) - len(whole)
    first = min((share for share in progress if share > 0), default=1.0)
    shown = [run for run in whole if run.history.at(first) is not None]
    left_out[f"no checkpoint within the first {first:.0%}"] += len(whole) - len(shown)
    if not shown:
        raise DatasetError(
            must_be("dataset", "one usable run at least", 0, f"Left out: {listed(left_out)}.")
        )
    scored = score_runs(shown, {ORACLE: forecaster}, baselines or {}, progress, seed)
    return replace(scored, excluded=dict(+left_out))


def main_score(scored: Scored) -> str:
    """The score that tables and pictures are about: relative where any scale is known."""
    known = np.isfinite(scored.true[:, SCORES.index(MAIN)]).any()
    return MAIN if known else "quality_raw"


def errors(scored: Scored, which: str = MAIN, only: Bools | None = None) -> list[dict[str, Any]]:
    """Tabulate every forecaster at every prefix for one score, with intervals.

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
                clusters = clusters_of(tables[known])
                row["mae_interval"] = interval(mean_of, per_run, clusters)
                row |= _against_last(scored, p, rows, s, known, error, clusters)
            result.append(row)
    return result


def _against_last(
    scored: Scored, p: int, rows: Bools, s: int, known: Bools, error: Array, clusters: Names
) -> dict[str, Any]:
    """MAE as a ratio to the last value's, where that was scored and there is one."""
    last = scored.predicted.get("last")
    if last is None or not scored.progress[p]:
        return {}
    theirs = np.abs(last[p, rows, s] - scored.true[rows, s])[known]
    if not theirs.sum() > 0:
        return {}
    both = np.stack([error, theirs], axis=1)
    return {
        "ratio_to_last": float(error.sum() / theirs.sum()),
        "ratio_interval": interval(mean_of, both, clusters),
    }


def screenings(scored: Scored) -> list[dict[str, Any]]:
    """What is lost of the best runs when the worst by forecast are left out, table by table.

    Before the first checkpoint it is what a search loses that never starts them.

    Returns:
        A row a forecaster, prefix and share left out: `lost` of the truly best runs, with its
        interval; none where no table has MIN_RUNS_TO_SCREEN runs.
    """
    s = SCORES.index(main_score(scored))
    result = []
    for name, predicted in scored.predicted.items():
        for p, share in enumerate(scored.progress):
            for out in LEFT_OUT:
                per_run, tables = _screened(scored, predicted[p, :, s], scored.true[:, s], out)
                if not len(per_run):
                    continue
                row: dict[str, Any] = {"forecaster": name, "progress": share, "left_out": out}
                row["n"], row["best"] = len(per_run), int(per_run[:, 1].sum())
                row["lost"] = float(per_run[:, 0].sum() / per_run[:, 1].sum())
                row["lost_interval"] = interval(mean_of, per_run, clusters_of(tables))
                result.append(row)
    return result


def _screened(scored: Scored, guess: Array, true: Array, out: float) -> tuple[Array, Names]:
    """[run, 2] whether each is a best one that is left out, and whether it is a best one."""
    parts, tables = [np.empty((0, 2))], [np.empty(0, np.str_)]
    known = np.isfinite(true) & np.isfinite(guess)
    for table in np.unique(scored.tables[known]):
        mine = known & (scored.tables == table)
        count = int(mine.sum())
        if count < MIN_RUNS_TO_SCREEN:
            continue
        best = among_best(true[mine], BEST)
        dropped = np.zeros(count, dtype=bool)
        dropped[np.argsort(guess[mine], kind="stable")[count - int(out * count) :]] = True
        parts.append(np.stack([best & dropped, best], axis=1).astype(np.float64))
        tables.append(np.full(count, table))
    return np.concatenate(parts), np.concatenate(tables)


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
                    mean_of, per_run, clusters_of(scored.tables[known])
                )
            result.append(row)
    return result


def refusals(scored: Scored, policy: PopulationPolicy | None = None) -> list[dict[str, Any]]:
    """Share of forecasts that a policy refuses to judge by: unlike all that was trained."""
    least = (policy or PopulationPolicy()).min_support
    return [
        {"progress": share, "n": len(known), "no_support": float((known < least).mean())}
        for share, row in zip(scored.progress, scored.support, strict=True)
        if share < 1.0 and len(known := row[np.isfinite(row)])
    ]


def stopping(scored: Scored, policy: ThresholdPolicy | None = None) -> list[dict[str, Any]]:
    """Classify runs as beyond the policy's threshold by forecast and by outcome.

    The raw score at `policy.threshold`; where all runs end on one side of it, precision and
    recall say nothing, and the row says so. The median of the main score, which has both
    classes by construction, stands beside it.
    """
    policy = policy or ThresholdPolicy()
    result = []
    for which, threshold in (
        ("quality_raw", policy.threshold),
        (main_score(scored), None),
    ):
        s = SCORES.index(which)
        if not np.isfinite(scored.true[:, s]).any():
            continue  # a metric that is undefined in every run
        if threshold is None:
            threshold = float(np.nanmedian(scored.true[:, s]))
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

    def by(names: Names) -> dict[str, list[dict[str, Any]]]:
        return {
            str(name): [row for which in SCORES for row in errors(scored, which, names == name)]
            for name in np.unique(names)
        }

    by_table, by_source = by(scored.tables), by(scored.sources)
    constant = [
        which for s, which in enumerate(SCORES) if np.nanmax(scored.true[:, s], initial=-np.inf)
        == np.nanmin(scored.true[:, s], initial=np.inf)
    ]  # fmt: skip
    found: dict[str, Any] = {
        "runs": len(scored.runs),
        "tables": len(by_table),
        "sources": sorted(by_source),
        "excluded": scored.excluded,
        "untold": [part._asdict() for part in untold(run.history.context for run in scored.runs)],
        "constant_outcomes": constant,
        "main_score": main_score(scored),
        "intervals_over": "tables" if len(by_table) > 1 else "runs of one table",
        "levels": LEVELS,
        "errors": [row for which in SCORES for row in errors(scored, which)],
        "by_table": by_table,
        "by_source": by_source,
        "coverage": coverages(scored),
        "refused": refusals(scored),
        "screening": screenings(scored),
        "stopping": stopping(scored),
    }
    if scored.without:
        found["quality_without"] = scored.without
    cleaned: dict[str, Any] = _no_nan(found)
    return cleaned


def _no_nan(value: Any) -> Any:
    """NaN is no JSON: None stands for undefined."""
    if isinstance(value, dict):
        return {key: _no_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
