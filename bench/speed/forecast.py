"""What a whole forecast costs beside its network: `python -m bench.speed.forecast [--write-docs]`.

The shipped default on histories of ten checkpoints, one thread: alone, sixteen together, and ten
thousand in one call. Times are CPU time, taken in turn; a figure is the median over rounds, a ratio
that of one round's.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import numpy as np

from bench.speed.page import enter
from oracle.forecast.forecaster import Oracle
from oracle.history.features import encode
from oracle.model.artifact import read_artifact, resolve
from oracle.model.runtime import open_artifact
from oracle.types import History

CHECKPOINTS, TOGETHER, MANY = 10, 16, 10_000


def history(i: int = 0) -> History:
    """One of many runs: a plan, and ten checkpoints."""
    steps = range(1, CHECKPOINTS + 1)
    return History.parse(
        {
            "epochs": [20 * n for n in steps],
            "mqe": [(1 + 1e-4 * i) / n for n in steps],
            "topographic_error": [0.1] * CHECKPOINTS,
            "dead_neuron_ratio": [0.2 / n for n in steps],
            "total_epochs": 1000,
            "context": {
                "map_rows": 12, "map_cols": 12, "n_samples": 569, "n_features": 30,
                "mqe_of_mean": 1.3 + 1e-4 * i,
                "schedule": {"progress": [0, 1], "learning_rate": [0.9, 0.01], "radius": [6, 1]},
            },
        }
    )  # fmt: skip


def seconds(call: Callable[[], object], times: int) -> float:
    """CPU time of one call, median over `times`."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        call()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)


def measured(rounds: int, many: int) -> dict[str, float]:
    """Measure everything, in turn; microseconds."""
    artifact = read_artifact(resolve(None))
    oracle, session = Oracle(artifact), open_artifact(artifact)
    histories = [history(i) for i in range(many)]
    rows = encode(histories[0])[None]
    length = np.array([rows.shape[1]], np.int32)
    calls: dict[str, tuple[Callable[[], object], int, int]] = {
        "network": (lambda: session.run(rows, length), 200, 1),
        "forecast alone": (lambda: oracle.forecast(histories[0]), 100, 1),
        "16 together, each": (lambda: oracle.forecast_many(histories[:TOGETHER]), 10, TOGETHER),
        f"{many:,} at once, each": (lambda: oracle.forecast_many(histories), 1, many),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (call, times, n) in calls.items():
            taken[name].append(1e6 * seconds(call, times) / n)
    figures = {name: statistics.median(values) for name, values in taken.items()}
    pairs = zip(taken["forecast alone"], taken["network"], strict=True)
    return figures | {"forecast alone / network": statistics.median(a / b for a, b in pairs)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    figures = measured(args.rounds, MANY)
    aims = {"forecast alone / network": 2.0, f"{MANY:,} at once, each": 80.0}
    told = [
        f"{name:28}{value:10.1f}" + (f"   aim <= {aims[name]:g}" if name in aims else " us")
        for name, value in figures.items()
    ]
    told.append(f"{'others waiting for the CPUs':28}{os.getloadavg()[0]:10.1f}")
    print("\n".join(told))
    if args.write_docs:
        enter("python -m bench.speed.forecast", "\n".join(told))


if __name__ == "__main__":
    main()
