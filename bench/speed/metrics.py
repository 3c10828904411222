"""Speed of `oracle.measure` against MiniSom's own three metrics: `python -m bench.speed.metrics`.

Both run on one thread, in turn, in one process; the ratio is the median over rounds. MiniSom's
three are quantization_error, topographic_error and activation_response (dead neurons). The last
column is what the table's shape costs, which `context_of` reads once a run, in calls of `measure`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from minisom import MiniSom

from oracle.history.geometry import geometry_of
from oracle.history.metrics import measure

SIDE = 20
#: (samples, features) of each table.
SIZES = ((200, 10), (1_000, 10), (1_000, 64), (10_000, 10), (10_000, 64))
TARGET = 40.0


#: Calls of `measure` for one of MiniSom's, which is that much longer.
CALLS = 20


def seconds(call: Callable[[], object], calls: int = 1) -> float:
    """CPU time of one call, mean of `calls`: waiting for a busy machine does not count."""
    begin = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - begin) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{SIDE}x{SIDE} map, CPU ms, target {TARGET:.0f}x")
    print(f"{'samples':>8} {'features':>8} {'MiniSom':>9} {'measure':>9} {'ratio':>7} {'shape':>6}")
    for samples, features in SIZES:
        data = np.random.default_rng(0).normal(size=(samples, features))
        som = MiniSom(SIDE, SIDE, features, sigma=3, random_seed=0)
        som.random_weights_init(data)
        som.train(data, 2_000)
        weights = som.get_weights()

        def theirs(som: MiniSom = som, data: np.ndarray = data) -> None:
            som.quantization_error(data)
            som.topographic_error(data)
            som.activation_response(data)

        def ours(weights: np.ndarray = weights, data: np.ndarray = data) -> None:
            measure(weights, data)

        def shape(data: np.ndarray = data) -> None:
            geometry_of(data, SIDE * SIDE)

        ours()
        times = [
            (seconds(theirs), seconds(ours, CALLS), seconds(shape, CALLS)) for _ in range(rounds)
        ]
        slow, fast, _ = (statistics.median(column) for column in zip(*times, strict=True))
        ratio, calls = (statistics.median(t[i] / t[j] for t in times) for i, j in ((0, 1), (2, 1)))
        print(
            f"{samples:8} {features:8} {slow * 1e3:9.1f} {fast * 1e3:9.2f} "
            f"{ratio:6.0f}x {calls:6.1f}"
        )


if __name__ == "__main__":
    main()
