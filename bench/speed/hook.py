"""What watching costs: one report against a bare forecast, and a watched MiniSom training.

    python -m bench.speed.hook [--json] [--rounds 30]

Everything is interleaved in one run and told as ratios and milliseconds of CPU time. Aims: a
whole `report()` at most 4 times the bare forecast; watching a MiniSom run of 20 checkpoints,
metrics aside, under 2 % of its time or 2 ms a checkpoint, whichever is more.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from minisom import MiniSom

from bench.speed.page import enter
from oracle.forecast.forecaster import Oracle
from oracle.history.context import context_of
from oracle.history.metrics import Metrics, measure
from oracle.hook import Population, WatchedRun, policy_for, watch
from oracle.integrations import minisom
from oracle.types import METRICS, Decision, History, Outcome, Policy

UPDATES, CHECKPOINTS = 8000, 20
OUTCOMES = 45


def fill(folder: str, rng: np.random.Generator) -> Population:
    """Make a population of 45 ended runs, every third of them stopped."""
    shared = Population(f"{folder}/runs.db")
    for i in range(OUTCOMES):
        outcome = Outcome(
            run_id=f"r{i}",
            final_mqe=0.2 + rng.random() * 0.5,
            final_topographic_error=rng.random() * 0.4,
            final_dead_neuron_ratio=rng.random() * 0.4,
            censored=i % 3 == 0,
            spread=0.02 if i % 3 == 0 else 0.0,
        )
        shared.end("bench", outcome, mqe_of_mean=1.0)
    return shared


def train(data: np.ndarray, run: WatchedRun | None) -> tuple[float, History | None]:
    """Train a 12x12 map with its metrics; give the CPU seconds without them."""
    som = MiniSom(12, 12, data.shape[1], sigma=4, learning_rate=0.5, random_seed=1)
    start, metrics_s, step = time.process_time(), 0.0, UPDATES // CHECKPOINTS
    for done in minisom.steps(som, data, UPDATES, random_order=True):
        if done % step:
            continue
        before = time.process_time()
        values: Metrics = measure(som.get_weights(), data)
        metrics_s += time.process_time() - before
        if run is not None:
            rate, radius = minisom.in_force(som, done, len(data), UPDATES)
            run.report(done, **values._asdict(), learning_rate=rate, radius=radius)
    history = run._seen.history(run._fixed) if run is not None else None
    return time.process_time() - start - metrics_s, history


def per_call(call: object, rounds: int) -> float:
    """Median CPU milliseconds of a call."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        call()  # type: ignore[operator]
        times.append(time.process_time() - start)
    return float(np.median(times)) * 1e3


def measured(rounds: int) -> dict[str, float]:
    """Measure everything, interleaved."""
    rng, oracle = np.random.default_rng(0), Oracle.load()
    data = rng.normal(size=(500, 10)) * rng.uniform(0.2, 2, 10)
    context = context_of(MiniSom(12, 12, 10, sigma=4), data, num_iteration=UPDATES)
    policy: Policy = policy_for(("score",), control=0.0, risk=1e-9)  # decides, and never stops
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        shared = fill(folder, rng)

        def watched() -> WatchedRun:
            return watch(
                total_epochs=UPDATES, context=context, population=shared,
                population_name="bench", policy=policy, model=oracle,
            )  # fmt: skip

        _, history = train(data, watched())
        assert history is not None  # noqa: S101
        rows = list(zip(history.epochs, *(getattr(history, m) for m in METRICS), strict=True))
        for _ in range(rounds):
            plain, _ = train(data, None)
            with watched() as run:
                seen, _ = train(data, run)
            note("plain_ms", plain * 1e3)
            note("watched_ms", seen * 1e3)
            run = watched()
            for i, (epoch, *values) in enumerate(rows[:10]):
                start = time.process_time()
                decision: Decision = run.report(epoch, **dict(zip(METRICS, values, strict=True)))
                if i == 9:
                    note("report_ms", (time.process_time() - start) * 1e3)
            assert decision.forecast is not None  # noqa: S101
            prefix = run._seen.history(run._fixed)
            note("forecast_ms", per_call(lambda: oracle.forecast(prefix), 5))  # noqa: B023
            run.finish()
        shared.close()
    middle = {name: float(np.median(values)) for name, values in figures.items()}
    cost = max(0.0, middle["watched_ms"] - middle["plain_ms"])
    return middle | {
        "report_over_forecast": middle["report_ms"] / middle["forecast_ms"],
        "watching_share": cost / middle["plain_ms"],
        "watching_ms_a_checkpoint": cost / CHECKPOINTS,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    options = parser.parse_args()
    result = measured(options.rounds)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    told = (
        f"bare forecast, 10 checkpoints   {result['forecast_ms']:8.3f} ms\n"
        f"whole report()                  {result['report_ms']:8.3f} ms   "
        f"{result['report_over_forecast']:.1f} times the forecast (aim: at most 4)\n"
        f"MiniSom, {UPDATES} updates           {result['plain_ms']:8.1f} ms\n"
        f"... watched at {CHECKPOINTS} checkpoints    {result['watched_ms']:8.1f} ms   "
        f"{result['watching_share']:.1%}, {result['watching_ms_a_checkpoint']:.2f} ms a checkpoint "
        "(aim: under 2 % or 2 ms)"
    )
    print(told)
    if options.write_docs:
        enter("python -m bench.speed.hook", told)


if __name__ == "__main__":
    main()
