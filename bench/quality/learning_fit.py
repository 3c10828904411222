"""Fit the kernel by which ended runs teach the next one; prints it for oracle.forecast.residuals.

    python -m bench.quality.learning_fit data/populations.csv.gz --tables 50

The marginal likelihood of the deviations of 50 runs of each search is maximised: of every second
one its early runs, which are spread over the whole space, of the others half early and half late
ones. Length scales are told as factors of those that are there now.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from tqdm import tqdm

from oracle.evaluation.recorded_runs import Array
from oracle.evaluation.replay import outcome_of_run
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import KERNELS, PARTS, REACH, SHARES, Residuals
from oracle.history.dataset import read_dataset, usable
from oracle.types import TARGETS, Run

RUNS, STEPS = 50, 15
#: Shares that are fitted, the first by a kernel of its own.
FITTED = (0.0, 0.05, 0.1, 0.3, 0.7)
#: What pulls each logarithm back to where it began.
PENALTY = 0.05


class Case(NamedTuple):
    """Runs of one search at one share.

    Attributes:
        first: before the first checkpoint.
        squared: [part, run, run] distances.
        deviations: [run, target].
    """

    first: bool
    squared: Array
    deviations: Array


def cases(oracle: Oracle, runs: Sequence[Run], tables: int) -> list[Case]:
    """Gather what is fitted to."""
    rng = np.random.default_rng(0)
    names = sorted({run.dataset for run in runs})[:tables]
    found = []
    for number, name in enumerate(tqdm(names, unit="table")):
        own = [run for run in runs if run.dataset == name]
        early, late = own[: len(own) // 2], own[len(own) // 2 :]
        some = [early[i] for i in rng.permutation(len(early))]
        if number % 2 == 0:
            some = [*some[: RUNS // 2], *(late[i] for i in rng.permutation(len(late)))]
        taught = [oracle.residuals(run.history, outcome_of_run(run)) for run in some[:RUNS]]
        all_ = Residuals.of([one for one in taught if one is not None])
        for share in FITTED:
            at = SHARES.index(share)
            z = all_.deviations[:, at].astype(np.float64)
            known = np.isfinite(z).all(axis=1) & np.isfinite(all_.inputs[:, at]).all(axis=1)
            inputs = all_.inputs[known, at].astype(np.float64)
            apart = [
                ((inputs[:, None, columns] - inputs[None, :, columns]) ** 2).sum(axis=-1)
                for columns in PARTS.values()
            ]
            found.append(Case(share == 0.0, np.array(apart), z[known]))
    return found


def unexplained(numbers: Array, start: Array, found: Sequence[Case]) -> float:
    """Negative logarithm of the marginal likelihood, and the penalty.

    Args:
        numbers: logarithms: table, near, far and the noise of each target before the first
            checkpoint; the same after; REACH - 1; a factor of each part's length scale.
        start: where they began.
        found: from `cases`.
    """
    total = PENALTY * float(((numbers - start) ** 2).sum())
    n = 3 + len(TARGETS)
    reach, factors = 1 + np.exp(numbers[2 * n]), np.exp(-2 * numbers[2 * n + 1 :])
    for case in found:
        table, near, far, *noise = np.exp(numbers[:n] if case.first else numbers[n : 2 * n])
        squared = np.tensordot(factors, case.squared, 1)
        common = table + near * np.exp(-squared / 2) + far * np.exp(-squared / (2 * reach**2))
        for target, own in enumerate(noise):
            lower = np.linalg.cholesky(common + own * np.eye(len(common)))
            whitened = solve_triangular(lower, case.deviations[:, target], lower=True)
            total += 0.5 * float(whitened @ whitened) + float(np.log(np.diag(lower)).sum())
    return total


def main() -> None:
    """Print the kernel that explains the deviations best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--tables", type=int, default=50)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    runs, _ = usable(read_dataset(options.dataset))
    found = cases(Oracle.load(), runs, options.tables)
    present = [v for k in KERNELS for v in (k.table, k.near, k.far, *k.noise)]
    start = np.log([*present, REACH - 1, *np.ones(len(PARTS))])
    settings = {"maxiter": options.steps}
    best = minimize(unexplained, start, (start, found), method="L-BFGS-B", options=settings)
    numbers, n = np.exp(best.x).round(4).tolist(), 3 + len(TARGETS)
    for first in (0, n):
        table, near, far, *noise = numbers[first : first + n]
        print(f"Kernel({table}, {near}, {far}, {tuple(noise)})")
    print(f"REACH = {1 + numbers[2 * n]:.3f}")
    for part, factor in zip(PARTS, numbers[2 * n + 1 :], strict=True):
        print(f"length scale of {part}: times {factor}")


if __name__ == "__main__":
    main()
