"""Parametric training curves: fast, for tests and demonstrations, never real training dynamics.

A decaying mqe, a noisy topographic error and a dead-neuron ratio that goes either way, each
ending exactly at its final value. Every run says `source=simulated`. The curves are closed
forms plus noise: an error measured on them says nothing about real maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from collector.recorded import nexussom, nexussom_files
from oracle.errors import DatasetError, OracleError, must_be
from oracle.types import MAX_CHECKPOINTS, History, Run, RunContext, Schedule

Floats = npt.NDArray[np.float64]

SOURCE = "simulated"
#: Tables that simulated runs are spread over, each with a scale of its own.
TABLES = 10
#: Most runs of one call.
MAX_RUNS = 1_000_000


@dataclass(frozen=True)
class Ending:
    """Where a simulated run is going.

    Attributes:
        final_*: values of the last checkpoint.
        total_epochs: budget, in the run's own counter.
        population: the runs it is ranked among; None = the table's.
    """

    run_id: str
    dataset: str
    final_mqe: float
    final_topographic_error: float
    final_dead_neuron_ratio: float
    total_epochs: int
    context: RunContext
    population: str | None = None


def simulate(runs: int, seed: int, checkpoints: int = 20) -> Iterator[Run]:
    """Yield simulated runs over TABLES made-up tables, good ones and bad ones.

    A run depends on `seed` and its own number only: the first 10 of 100 are those of 10.

    Args:
        runs: how many, 1..MAX_RUNS.
        seed: 0 or more.
        checkpoints: measurements a run, 2..MAX_CHECKPOINTS.

    Raises:
        OracleError: naming the argument out of its range.
    """
    _check("runs", runs, 1, MAX_RUNS)
    _check("checkpoints", checkpoints, 2, MAX_CHECKPOINTS)
    for index in range(runs):
        rng = np.random.default_rng([seed, index])
        table = index % TABLES
        # The scale belongs to the table, whichever run asks.
        scale = float(np.exp(np.random.default_rng([seed, TABLES, table]).normal()))
        yield towards(_draw(rng, index, f"simulated-{table}", scale), rng, checkpoints)


def simulate_from(
    folder: str | Path, seed: int, checkpoints: int = 20
) -> Iterator[Run | DatasetError]:
    """Yield histories simulated toward the final values of NexusSOM results.

    The final mqe is the last checkpoint's where checkpoints were kept, else best_mqe, the only
    one there is. For a row that names no ending comes the reason.

    Raises:
        DatasetError: where `folder` holds no results.csv.
    """
    _check("checkpoints", checkpoints, 2, MAX_CHECKPOINTS)
    folders = nexussom_files.seed_folders(Path(folder))
    if not folders:
        raise DatasetError(
            f"must hold NexusSOM's {nexussom_files.RESULTS}, but does not.", file=str(folder)
        )
    rows = (row for seed_folder in folders for row in nexussom_files.read_rows(seed_folder))
    for index, row in enumerate(rows):
        if isinstance(row, DatasetError):
            yield row
            continue
        try:
            yield towards(_ending_of(row), np.random.default_rng([seed, index]), checkpoints)
        except DatasetError as error:
            yield error


def towards(ending: Ending, rng: np.random.Generator, checkpoints: int) -> Run:
    """Simulate one history that ends exactly at `ending`."""
    total = ending.total_epochs
    epochs = np.unique(np.geomspace(max(1.0, total / 100), total, checkpoints).round())
    p = epochs / total
    mqe = _course(rng, p, ending.final_mqe * rng.uniform(1.5, 5.0), ending.final_mqe)
    mqe *= 1 + _noise(rng, p, 0.02)
    start = min(1.0, ending.final_topographic_error * rng.uniform(1.0, 4.0) + rng.uniform(0, 0.3))
    topographic = _course(rng, p, start, ending.final_topographic_error) + _noise(rng, p, 0.03)
    dead = _course(rng, p, rng.uniform(0.0, 0.8), ending.final_dead_neuron_ratio)
    dead += _noise(rng, p, 0.02)
    plan = ending.context.schedule
    in_force = {
        name: np.interp(p, plan.progress, values).tolist()
        for name in ("learning_rate", "radius")
        if plan is not None and (values := getattr(plan, name)) is not None
    }
    history = History.parse(
        {
            "run_id": ending.run_id,
            "dataset": ending.dataset,
            "population": ending.population,
            "epochs": epochs.tolist(),
            "mqe": mqe.tolist(),
            "topographic_error": topographic.clip(0, 1).tolist(),
            "dead_neuron_ratio": dead.clip(0, 1).tolist(),
            "total_epochs": float(total),
            "context": ending.context,
            **in_force,
        }
    )
    return Run(
        run_id=ending.run_id,
        source=SOURCE,
        dataset=ending.dataset,
        final_mqe=history.mqe[-1],
        final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
        history=history,
    )


def _course(rng: np.random.Generator, p: Floats, start: float, final: float) -> Floats:
    """Fall or rise exponentially from `start` to exactly `final` at p = 1."""
    rate = rng.uniform(0.5, 8.0)
    left = np.expm1(-rate * (p - 1)) / np.expm1(rate)
    return np.asarray(final + (start - final) * left)


def _noise(rng: np.random.Generator, p: Floats, deviation: float) -> Floats:
    """Draw noise that follows itself and is gone at the end."""
    noise = rng.normal(scale=deviation, size=len(p))
    for i in range(1, len(p)):
        noise[i] += 0.6 * noise[i - 1]
    return np.asarray(noise * np.sqrt(1 - p))


def _draw(rng: np.random.Generator, index: int, dataset: str, mqe_of_mean: float) -> Ending:
    """Draw a configuration and how it ends: the larger the map, the finer and the emptier."""
    rows, cols = (int(v) for v in rng.integers(4, 31, size=2))
    n_samples, n_features = int(rng.integers(100, 2000)), int(rng.integers(2, 30))
    total = int(rng.choice([100, 200, 500, 1000]))
    rate, radius = float(rng.uniform(0.05, 1.0)), float(max(rows, cols) * rng.uniform(0.2, 0.6))
    crowding = rows * cols / n_samples
    fineness = float(np.exp(-0.5 * np.log1p(rows * cols / 10)) + rng.uniform(0, 0.3))
    return Ending(
        run_id=f"simulated-{index}",
        dataset=dataset,
        final_mqe=mqe_of_mean * fineness,
        final_topographic_error=float(rng.beta(1, 8)),
        final_dead_neuron_ratio=float(crowding / (1 + crowding) * rng.uniform(0.2, 1.0)),
        total_epochs=total,
        context=RunContext(
            map_rows=rows,
            map_cols=cols,
            topology="hexagonal" if rng.uniform() < 0.5 else "rectangular",
            neighborhood="gaussian",
            n_samples=n_samples,
            n_features=n_features,
            initialization="random",
            mqe_of_mean=mqe_of_mean,
            total_updates=total * n_samples,
            batch_size=1,
            schedule=Schedule(
                progress=(0.0, 1.0),
                learning_rate=(rate, rate * float(rng.uniform(0.01, 0.3))),
                radius=(radius, 1.0 if radius > 1 else radius),
            ),
        ),
    )


def _ending_of(row: nexussom_files.Row) -> Ending:
    mqe = None
    if row.checkpoints_file.is_file():
        mqe = nexussom_files.read_checkpoints(row)[-1]["mqe"]
    planned = nexussom.planned_iterations(row) or row.number("epochs_ran")
    if not planned:
        raise row.error("epoch_multiplier or epochs_ran must be given: the budget is unknown.")
    return Ending(
        run_id=f"simulated-{row.run_id}"[:64],
        dataset=row.dataset,
        population=row.search,
        final_mqe=row.needed("best_mqe") if mqe is None else float(mqe),
        final_topographic_error=row.final_topographic_error,
        final_dead_neuron_ratio=row.needed("dead_neuron_ratio"),
        total_epochs=int(planned),
        context=nexussom.context_of(row, int(planned)),
    )


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise OracleError(must_be(name, f"within {low}..{high}", value))
