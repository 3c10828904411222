"""T16: histories that no map has, and real ones in unusual dress, before the served model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from reliability import ROOT, Result
from serving import MODEL

from bench import support as bench
from oracle.forecast.support import Support
from oracle.history.dataset import read_dataset
from oracle.model.artifact import read_artifact, resolve
from oracle.types import Policy, Run

DATA = ROOT / "tests/data/support"
THRESHOLD = Policy().min_support
REFUSED_AT_LEAST = 0.95
REFUSED_AT_MOST = 0.05


def fuzz_nonsense(folder: Path, n: int) -> Result:
    """Score `n` histories of every kind; below the threshold every policy abstains.

    The mean over kinds fails the check, a kind by itself is told as missed.
    """
    result = Result(bound="-")
    calibration = read_artifact(resolve(MODEL or None)).calibration
    support = Support.from_json(calibration["support"])
    unseen = read_dataset(DATA / "test.csv.gz")
    libraries = read_dataset(DATA / "libraries.csv.gz")
    missed = []

    def judge(
        runs: list[Run], kinds: tuple[bench.Kind, ...], *, nonsense: bool, name: str = ""
    ) -> None:
        shares = []
        for kind in kinds:
            values = bench.scores(support, runs, kind, n, seed=1, nonsense=nonsense)
            shares.append(float(np.mean(values < THRESHOLD)))
            title = name or kind.__name__.replace("_", " ")
            result.seen[title] = f"{shares[-1]:.1%}"
            if not _holds(shares[-1], nonsense=nonsense):
                missed.append(title)
        result.checked += n * len(kinds)
        mean = float(np.mean(shares))
        what = name or ("nonsense" if nonsense else "real runs")
        result.check(_holds(mean, nonsense=nonsense), f"{what}: {mean:.1%} refused")

    judge(unseen, bench.TAUGHT, nonsense=True)
    judge(unseen, bench.REAL, nonsense=False)
    judge(libraries, (bench.as_recorded,), nonsense=False, name="other libraries")
    if missed:
        result.missed = f"{len(missed)} of {len(result.seen)} kinds ({', '.join(missed)})"
    return result


def _holds(refused: float, *, nonsense: bool) -> bool:
    return refused >= REFUSED_AT_LEAST if nonsense else refused <= REFUSED_AT_MOST
