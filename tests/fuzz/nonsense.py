"""T16: histories that no map has, and real ones in unusual dress, before the served model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from reliability import ROOT, Result
from serving import MODEL

from bench import support as bench
from oracle.artifact import read_artifact, resolve
from oracle.dataset import read_dataset
from oracle.support import Support
from oracle.types import Policy, Run

DATA = ROOT / "tests/data/support"
THRESHOLD = Policy().min_support
REFUSED_AT_LEAST = 0.95
REFUSED_AT_MOST = 0.05


def fuzz_nonsense(folder: Path, n: int) -> Result:
    """Score `n` histories of every kind; below the threshold every policy abstains."""
    result = Result()
    calibration = read_artifact(resolve(MODEL or None)).calibration
    support = Support.from_json(calibration["support"])
    unseen = read_dataset(DATA / "test.csv.gz")
    libraries = read_dataset(DATA / "libraries.csv.gz")

    def refused(
        runs: list[Run], kinds: tuple[bench.Kind, ...], *, nonsense: bool, name: str = ""
    ) -> list[float]:
        shares = []
        for kind in kinds:
            values = bench.scores(support, runs, kind, n, seed=1, nonsense=nonsense)
            shares.append(float(np.mean(values < THRESHOLD)))
            result.seen[name or kind.__name__.replace("_", " ")] = f"{shares[-1]:.1%}"
        result.checked += n * len(kinds)
        return shares

    no_map_has = refused(unseen, bench.TAUGHT, nonsense=True)
    real = refused(unseen, bench.REAL, nonsense=False)
    other = "other libraries"
    elsewhere = refused(libraries, (bench.as_recorded,), nonsense=False, name=other)
    for shares, right, what in (
        (no_map_has, np.mean(no_map_has) >= REFUSED_AT_LEAST, "nonsense"),
        (real, np.mean(real) <= REFUSED_AT_MOST, "real runs"),
        (elsewhere, np.mean(elsewhere) <= REFUSED_AT_MOST, other),
    ):
        result.check(right, f"{what}: {np.mean(shares):.1%} refused")
    result.bound = "-"
    return result
