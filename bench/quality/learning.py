"""What ended runs teach the forecast of the next one: errors and coverage with and without them.

    python -m bench.quality.learning data/populations.csv.gz         # late runs of searches
    python -m bench.quality.learning data/test.csv.gz --known 0 40   # runs of a table in any order
    python -m bench.quality.learning data/populations.csv.gz --replay 100    # ... and what it saves

Every table is a population. Runs that are asked about were never among the known; those of
`populations` are the last of a narrow search, and whoever ended before them is known.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from oracle.evaluation.recorded_runs import at_checks, by_table
from oracle.evaluation.recorded_runs import populations as cut
from oracle.evaluation.replay import COLUMNS, Setting, by_decide, outcome_of_run, replay
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import Residuals
from oracle.history.dataset import read_dataset, usable
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.types import LEVELS, PopulationPolicy, Run, Scale

SHARES = (0.0, 0.1, 0.2, 0.5)
KNOWN = (0, 5, 20, 40, 80)
#: Runs of each table that are asked about.
ASKED = 12
MIDDLE = LEVELS.index(0.5)


def populations(
    runs: Sequence[Run], rng: np.random.Generator
) -> Iterator[tuple[list[Run], list[Run]]]:
    """Give of each table the runs that are asked about, and the others, the latest first."""
    tables: dict[str, list[Run]] = {}
    for run in runs:
        tables.setdefault(run.dataset, []).append(run)
    for name, own in sorted(tables.items()):
        searched = name.startswith("populations-")
        pool = own[len(own) // 2 :] if searched else own
        if len(pool) < ASKED + 5:
            continue
        order = rng.permutation(len(pool))
        asked = [pool[i] for i in order[:ASKED]]
        others = [pool[i] for i in order[ASKED:]]
        yield asked, others + (own[: len(own) // 2][::-1] if searched else [])


def measure(
    oracle: Oracle, runs: Sequence[Run], known: Sequence[int], seed: int = 0
) -> dict[tuple[float, int], np.ndarray]:
    """Forecast runs with so many others known.

    Returns:
        (share, known) -> [run, 6]: error of the score's median, whether its 90 % and its 50 %
        interval held it, the median, the score, and the number of its table.
    """
    found: dict[tuple[float, int], list[tuple[float, ...]]] = {}
    rng = np.random.default_rng(seed)
    for table, (asked, others) in enumerate(tqdm(list(populations(runs, rng)), unit="table")):
        taught = [
            oracle.residuals(run.history, outcome_of_run(run)) for run in others[: max(known)]
        ]
        lessons = [one for one in taught if one is not None]
        for n in known:
            if n > len(lessons):
                continue
            pool = Residuals.of(lessons[:n]) if n else None
            for share in SHARES:
                seen = [(run, h) for run in asked if (h := run.history.at(share)) is not None]
                forecasts = oracle.forecast_many([h for _, h in seen], [pool] * len(seen))
                for (run, history), forecast in zip(seen, forecasts, strict=True):
                    scale = history.context.mqe_of_mean
                    quality = forecast.quality_on(Scale.RELATIVE)
                    if scale is None or quality is None:
                        continue
                    true = float(scores_of(finals_of([run])[0], weights_of(scale)))
                    low, lower, middle, upper, high = quality.values
                    held = low <= true <= high, lower <= true <= upper
                    entry = abs(middle - true), *held, middle, true, table
                    found.setdefault((share, n), []).append(entry)
    return {key: np.array(value, np.float64) for key, value in found.items()}


def rank(entries: np.ndarray) -> float:
    """Give the mean over tables of Spearman's correlation of median and score within the table."""
    _, _, _, middle, true, table = entries.T
    within = [spearmanr(middle[table == one], true[table == one]).statistic for one in set(table)]
    return float(np.nanmean(within))


def table_of(found: dict[tuple[float, int], np.ndarray]) -> str:
    """Give errors and ranks beside those of the same runs with none known, and what was held."""
    lines = [
        "| seen | known | Q MAE | none known | change | in 90 % | in 50 % | rank | none known |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for share, n in sorted(found):
        error, wide, narrow = found[share, n].mean(axis=0)[:3]
        # Tables with fewer runs have no row of more known ones.
        same = found[share, 0][np.isin(found[share, 0][:, 5], found[share, n][:, 5])]
        without = same.mean(axis=0)[0]
        lines.append(
            f"| {share:.0%} | {n} | {error:.4f} | {without:.4f} | {error / without - 1:+.1%} | "
            f"{wide:.0%} | {narrow:.0%} | {rank(found[share, n]):.3f} | {rank(same):.3f} |"
        )
    return "\n".join(lines)


def replayed(oracle: Oracle, runs: Sequence[Run], size: int) -> str:
    """Replay populations of so many runs, one after another, by the default risk."""
    policy = PopulationPolicy(control=0.0)
    ways = {
        Setting("learns nothing"): by_decide(policy),
        Setting("learns of ended runs"): by_decide(policy, oracle),
    }
    tables, _ = by_table(runs, size)
    seen = (p for table in tables for p in cut(at_checks(table, oracle), size))
    counts = replay(tqdm(seen, unit="population"), ways)
    lines = ["| | epochs saved | compute saved | good runs lost |", "|---|---|---|---|"]
    for setting, of in zip(counts.settings, counts.counts, strict=True):
        total = dict(zip(COLUMNS, of.sum(axis=0), strict=True))
        saved, compute = total["saved"] / total["runs"], total["compute_saved"] / total["compute"]
        lost = f"{total['lost']:.0f} of {total['good']:.0f}"
        lines.append(f"| {setting.policy} | {saved:.1%} | {compute:.1%} | {lost} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--known", type=int, nargs="+", default=list(KNOWN))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--skip", type=int, default=0, help="tables that the kernel was fitted on")
    parser.add_argument("--replay", type=int, metavar="N", help="replay populations of N runs")
    options = parser.parse_args()
    runs, _ = usable(read_dataset(options.dataset))
    skipped = sorted({run.dataset for run in runs})[: options.skip]
    runs = [run for run in runs if run.dataset not in skipped]
    oracle = Oracle.load(options.model)
    if options.replay is not None:
        print(replayed(oracle, runs, options.replay))
        return
    print(table_of(measure(oracle, runs, sorted({0, *options.known}))))


if __name__ == "__main__":
    main()
