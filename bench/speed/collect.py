"""Runs per second per core: the compiled core against MiniSom: `python -m bench.speed.collect`.

The same runs on both: online, Gaussian, with the same first weights, order, decays, checkpoints
and table; the maps end bit for bit the same. MiniSom is measured by its own three metrics. In turn,
one thread, CPU time; the ratio is the median over runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from minisom import MiniSom

from bench.speed.page import enter
from collector.fast_som import FastSom
from collector.presets import run_one
from collector.random_tables import random_table
from collector.schedules import schedule

CHECKPOINTS = 30
TARGET = 8.0


def minisom_run(som: MiniSom, data: np.ndarray, order: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Train with MiniSom's updates, measure with MiniSom's metrics."""
    measured, total = [], len(order)
    for begin, end in zip((0, *at[:-1]), at, strict=True):
        for t in range(begin, end):
            som.update(data[order[t]], som.winner(data[order[t]]), t, total)
        response = som.activation_response(data)
        dead = 1 - np.count_nonzero(response) / response.size
        measured.append((som.quantization_error(data), som.topographic_error(data), dead))
    return np.array(measured)


def fast_run(weights: np.ndarray, data: np.ndarray, order: np.ndarray, at: np.ndarray,
             rate: float, radius: float) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Do the same with the compiled core."""
    total = len(order)
    step = np.arange(total)
    rates = schedule("asymptotic_decay", step.astype(float), total, rate)
    radii = schedule("asymptotic_decay", step.astype(float), total, radius)
    som, measured = FastSom(weights), []
    for begin, end in zip((0, *at[:-1]), at, strict=True):
        som.online(data, order[begin:end], step[begin:end], rates, radii)
        measured.append(som.measure(data))
    return np.array(measured), som.weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    runs = args.runs
    rng = np.random.default_rng(0)
    run_one(0, 0, {"preset": "pretraining"})  # compiles
    theirs, ours = [], []
    for number in range(-1, runs):
        data = random_table(rng, max_rows=600)
        side = int(rng.integers(6, 16))
        total = int(len(data) * rng.uniform(1, 6))
        order = rng.integers(0, len(data), total)
        at = np.unique(np.linspace(1, total, CHECKPOINTS).astype(int))
        som = MiniSom(side, side, data.shape[1], side / 3, 0.5, random_seed=number + 1)
        weights = som.get_weights().copy()
        begin = time.process_time()
        expected = minisom_run(som, data, order, at)
        middle = time.process_time()
        got, trained = fast_run(weights, data, order, at, 0.5, side / 3)
        end = time.process_time()
        if not np.array_equal(trained, som.get_weights()):
            raise SystemExit("the maps differ: this compares different work")
        np.testing.assert_allclose(got[:, [0, 2]], expected[:, [0, 2]], rtol=1e-9, atol=1e-12)
        if number >= 0:  # the first pair warms both up
            theirs.append(middle - begin)
            ours.append(end - middle)
    ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
    begin = time.process_time()
    for index in range(5 * runs):
        run_one(index, 1, {"preset": "pretraining"})
    made = 5 * runs / (time.process_time() - begin)
    told = (
        f"the same {runs} runs, {CHECKPOINTS} checkpoints each, runs a second a core:\n"
        f"  MiniSom with its own metrics {runs / sum(theirs):8.2f}\n"
        f"  compiled core                {runs / sum(ours):8.2f}\n"
        f"  ratio, median over runs      {ratio:7.0f}x   (target {TARGET:.0f}x)\n"
        f"preset pretraining, tables and records included: {made:.0f} runs a second a core"
    )
    print(told)
    if args.write_docs:
        enter("python -m bench.speed.collect", told)


if __name__ == "__main__":
    main()
