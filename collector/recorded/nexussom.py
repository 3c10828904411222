"""NexusSOM's result folders read as runs: what its files mean.

What must be known to read them right: best_mqe is the lowest mqe of the training and not the
final one, so the label is the last checkpoint's mqe; that checkpoint lies up to 3 % before the
end; topographic error and dead neurons in results.csv were measured at the end. A run that was
stopped shows only by `epochs_ran` being below the planned iterations. Penalised runs are as
real as any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from collector.recorded.nexussom_files import (
    LARGEST,
    Row,
    kept_mqe_of_mean,
    read_checkpoints,
    read_rows,
)
from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.integrations.nexussom import PLAN_POINTS, decay, share, updates
from oracle.integrations.nexussom_front import is_marked
from oracle.types import CHECKPOINT, History, Run, RunContext, Schedule, explain
from oracle.types import FloatArray as Floats
from oracle.types.context import Topology
from oracle.types.end_of_run import WHOLE_FROM

#: A reconstructed schedule further from a logged value than this is not the run's own.
PLAN_TOLERANCE = 1e-6
#: NexusSOM's evolutionary runs fix map_type to hex and do not write it down.
DEFAULT_TOPOLOGY: Topology = "odd-r"
#: How NexusSOM's maps are named, by itself and by people -> the grid; its hexagons have odd rows
#: shifted (`cube_coords`).
TOPOLOGIES: dict[str, Topology] = {
    "hex": "odd-r", "hexagonal": "odd-r", "odd-r": "odd-r",
    "square": "rectangular", "rectangular": "rectangular",
}  # fmt: skip


def read_runs(
    folder: Path, *, topology: Topology | None = None, mqe_of_mean: float | None = None
) -> Iterator[Run | DatasetError]:
    """Yield the runs of one seed folder, or why one is left out.

    Args:
        folder: holds results.csv and individuals/.
        topology: of maps whose row does not name a map_type (default: odd-r, its hexagons).
        mqe_of_mean: of the table as the map saw it; computed where the table was kept.
    """
    if mqe_of_mean is None:
        mqe_of_mean = kept_mqe_of_mean(folder)
    for row in read_rows(folder):
        if isinstance(row, DatasetError):
            yield row
            continue
        try:
            yield run_of(row, topology=topology, mqe_of_mean=mqe_of_mean)
        except DatasetError as error:
            yield error


def run_of(row: Row, *, topology: Topology | None = None, mqe_of_mean: float | None = None) -> Run:
    """Read one individual.

    Raises:
        DatasetError: naming the file and what is missing or wrong in it.
    """
    checkpoints = read_checkpoints(row)
    last = checkpoints[-1]
    planned = planned_iterations(row)
    if last["progress"] > 0:
        whole = last["iteration"] / last["progress"]
        if not whole < LARGEST:
            rule = f"such that iteration / progress is below {LARGEST:g}"
            message = must_be("progress of the last checkpoint", rule, last["progress"])
            raise DatasetError(message, file=str(row.checkpoints_file))
        planned = round(whole)
    if planned is None:
        raise row.error("epoch_multiplier or ds_n_samples must be given: the budget is unknown.")
    ran = row.needed("epochs_ran")
    context = context_of(row, planned, checkpoints, topology=topology, mqe_of_mean=mqe_of_mean)
    try:
        history = History.of_rows(
            [[c.get(name) for name in ("iteration", *CHECKPOINT[1:])] for c in checkpoints],
            run_id=row.run_id,
            dataset=row.dataset,
            population=row.search,
            total_epochs=float(planned),
            context=context,
        )
    except InvalidHistory as error:
        raise DatasetError(str(error), file=str(row.checkpoints_file)) from None
    finals = {
        "final_topographic_error": row.final_topographic_error,
        "final_dead_neuron_ratio": row.needed("dead_neuron_ratio"),
    }
    for column, value in finals.items():
        if not 0 <= value <= 1:
            raise row.error(must_be(column, "within 0..1", value), column.removeprefix("final_"))
    # A watched search marks what it stopped; without the mark it shows by what is missing.
    stopped = ran < planned or is_marked(row.cells)
    if not stopped and last["iteration"] < WHOLE_FROM * planned:
        raise row.error(
            f"must have an mqe from {WHOLE_FROM:.0%} of the run on to end with, but the "
            "last one is mid-run. Set checkpoint_every_mqe: true in NexusSOM."
        )
    return Run(
        run_id=row.run_id,
        source="nexussom",
        dataset=row.dataset,
        final_mqe=history.mqe[-1],
        censored=stopped,
        history=history,
        **finals,
    )


def planned_iterations(row: Row) -> int | None:
    """Count the iterations planned, each a batch of samples; None where it is not known.

    Raises:
        DatasetError: naming the row, of a number that cannot be.
    """
    n_samples, multiplier = row.number("ds_n_samples"), row.number("epoch_multiplier")
    if n_samples is None or multiplier is None:
        return None
    if not 0 <= (planned := n_samples * multiplier) < LARGEST:
        rule = must_be("ds_n_samples * epoch_multiplier", f"within 0..{LARGEST:g}", planned)
        raise row.error(rule, "epoch_multiplier")
    return int(planned)


def context_of(
    row: Row,
    planned: int,
    checkpoints: Sequence[Mapping[str, Any]] = (),
    *,
    topology: Topology | None = None,
    mqe_of_mean: float | None = None,
) -> RunContext:
    """Gather what was known of the run before it began.

    The schedule follows from the configuration; the end radius, which NexusSOM fixes and does
    not write down, from the radius logged last. A column that does not agree with every logged
    value (a controller steered the run) is left out.
    """
    named = TOPOLOGIES.get((row.cells.get("map_type") or "").strip())
    try:
        return RunContext(
            map_rows=row.number("map_m"),
            map_cols=row.number("map_n"),
            topology=named or topology or DEFAULT_TOPOLOGY,
            neighborhood="gaussian",
            n_samples=row.number("ds_n_samples"),
            n_features=_n_features(row),
            initialization="random",
            mqe_of_mean=mqe_of_mean,
            total_updates=_planned_updates(row, planned),
            batch_size=1,  # an iteration takes a batch, but updates after each of its samples
            schedule=_schedule(row, planned, checkpoints),
        )
    except ValidationError as error:
        raise row.error(explain(error)) from None


def _n_features(row: Row) -> float | None:
    """Count the columns that the map sees: NexusSOM masks the table's id."""
    active, all_ = row.number("ds_n_active_dimensions"), row.number("ds_n_dimensions")
    if active is not None or all_ is None:
        return active
    return all_ - (1 if row.number("ds_has_primary_id") else 0)


def _schedule(row: Row, planned: int, checkpoints: Sequence[Mapping[str, Any]]) -> Schedule | None:
    if planned < 2:
        return None
    growth = row.number("growth_g")
    growth = math.nan if growth is None else growth
    progress = np.linspace(0, 1, PLAN_POINTS)
    columns = {}
    for name, kind, start, end in (
        (
            "learning_rate",
            row.cells.get("lr_decay_type") or "",
            row.number("start_learning_rate"),
            row.number("end_learning_rate"),
        ),
        ("radius", row.cells.get("radius_decay_type") or "", _start_radius(row), None),
    ):
        logged = np.array(
            [(c["iteration"], c[name]) for c in checkpoints if c.get(name) is not None], dtype=float
        ).reshape(-1, 2)
        if end is None:
            end = row.number(f"end_{name}")
        if end is None and start is not None:
            end = _end_reached(kind, start, planned, growth, logged)
        if start is None or end is None:
            continue
        at = decay(kind, logged[:, 0], planned, start, end, growth)
        if np.allclose(at, logged[:, 1], rtol=PLAN_TOLERANCE, atol=0):
            times = np.minimum(progress * planned, planned - 1)
            values = decay(kind, times, planned, start, end, growth)
            if np.isfinite(values).all() and (values >= 0).all():
                columns[name] = values.tolist()
    return Schedule.model_validate({"progress": progress.tolist(), **columns}) if columns else None


def _start_radius(row: Row) -> float | None:
    ratio, m, n = (row.number(c) for c in ("start_radius_init_ratio", "map_m", "map_n"))
    return None if ratio is None or m is None or n is None else ratio * max(m, n)


def _end_reached(
    kind: str, start: float, planned: int, growth: float, logged: Floats
) -> float | None:
    """Solve the decay for its end from the value logged last, [checkpoint, (iteration, value)]."""
    if kind == "static":
        return start
    if not len(logged):
        return None
    value = float(logged[-1, 1])
    if kind == "step-down":
        return value
    done = float(share(kind, logged[-1:, 0], planned, growth)[0])
    return start + (value - start) / done if done > 0 else None


def _planned_updates(row: Row, planned: int) -> float | None:
    """Count the samples that all batches of the plan take."""
    names = ("ds_n_samples", "num_batches", "start_batch_percent", "end_batch_percent")
    n_samples, sections, start, end = (row.number(name) for name in names)
    if n_samples is None or sections is None or start is None or end is None:
        return None
    growth = row.number("growth_g")
    kind = row.cells.get("batch_growth_type")
    growth = math.nan if growth is None else growth
    return updates(int(n_samples), int(sections), planned, kind, start, end, growth)
