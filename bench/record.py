"""The record of the shipped oracle: error on the test tables before and during a run.

    python -m bench.record --train-seconds 5400 --saved 61.2

appends a row to docs/record.md. CI holds the shipped oracle to the last row's error on the small
part of the test runs that stands in tests/data (`tests/contract/test_record.py`), so that no
commit costs accuracy unseen.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oracle import Oracle
from oracle.history.dataset import read_dataset
from oracle.history.quality_score import scores_of, weights_of
from oracle.history.targets import finals_of
from oracle.types import Run, Scale

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "record.md"
#: Every test run, and the few that CI reads.
ALL, FEW = ROOT / "data" / "test.csv.gz", ROOT / "tests" / "data" / "record.csv.gz"
SHARES = (0.0, 0.1, 0.2)


def errors(oracle: Oracle, runs: Sequence[Run], shares: Sequence[float] = SHARES) -> list[float]:
    """Mean absolute error of the quality score's median, by the share of the run that is seen.

    Args:
        oracle: forecasts.
        runs: whole, of known scale.
        shares: 0 = the plan alone.
    """
    found = []
    for share in shares:
        cut = [(run, run.history.at(share)) for run in runs]
        kept = [(run, history) for run, history in cut if history is not None]
        units = np.array([run.history.context.mqe_of_mean or np.nan for run, _ in kept])
        truth = scores_of(finals_of([run for run, _ in kept]).T, weights_of(units))
        medians = [
            quality.values[forecast.levels.index(0.5)]
            for forecast in oracle.forecast_many([history for _, history in kept])
            if (quality := forecast.quality_on(Scale.RELATIVE)) is not None
        ]
        found.append(float(np.nanmean(np.abs(np.array(medians) - truth))))
    return found


def last_row() -> dict[str, float]:
    """Read what CI holds the oracle to: share -> error on the few runs."""
    row = PAGE.read_text().strip().splitlines()[-1].strip("|").split("|")
    return {f"{s:g}": float(cell) for s, cell in zip(SHARES, row[2].split("/"), strict=True)}


def main() -> None:
    """Append a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-seconds", type=int, required=True, help="of one core")
    parser.add_argument("--saved", type=float, required=True, help="percent at 1 %% lost, in step")
    given = parser.parse_args()
    oracle = Oracle.load(ROOT / "models" / "shipped-default")
    whole, few = (errors(oracle, read_dataset(path)) for path in (ALL, FEW))
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout.strip()
    row = [
        commit,
        "/".join(f"{e:.4f}" for e in whole),
        "/".join(f"{e:.4f}" for e in few),
        f"{given.saved:.1f}",
        str(given.train_seconds),
        oracle.info.sha256[:12],
    ]
    with PAGE.open("a") as page:
        page.write("| " + " | ".join(row) + " |\n")


if __name__ == "__main__":
    main()
