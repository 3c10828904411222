"""NexusSOM's result folders: results.csv and one training_checkpoints.json an individual.

    RESULTS/seed_42/results.csv
    RESULTS/seed_42/individuals/UID/csv/training_checkpoints.json
    RESULTS/csv/training_data.npy, ignore_mask.csv      (where the table was kept)

What must be known to read them right: best_mqe is the lowest mqe of the training and not the
final one, so the label is the last checkpoint's mqe; that checkpoint lies up to 3 % before the
end; topographic error and dead neurons in results.csv were measured at the end. A run that was
stopped shows only by `epochs_ran` being below the planned iterations. Penalised runs are as
real as any other. Rows of one file may differ in width, because the header is written once.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.history.context import mqe_of_mean as measure_mqe_of_mean
from oracle.history.files import Line, csv_lines, not_a_number, number_of, read_text
from oracle.integrations.nexussom import PLAN_POINTS, decay, share, updates
from oracle.integrations.nexussom_front import is_marked
from oracle.types import CHECKPOINT, History, Run, RunContext, Schedule, explain
from oracle.types import FloatArray as Floats
from oracle.types.context import Topology
from oracle.types.end_of_run import WHOLE_FROM

RESULTS = "results.csv"
CHECKPOINTS = "training_checkpoints.json"
#: Beyond this a logged number is a defect; it keeps counts and their ratios finite.
LARGEST = 1e15
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


@dataclass(frozen=True)
class Row:
    """One line of results.csv.

    Attributes:
        folder: the seed folder.
        line: line number in the file, 1 = header.
        search: name of the evolutionary run, the same for all of its rows.
        cells: column -> text.
    """

    folder: Path
    line: int
    search: str
    cells: Mapping[str, str]

    @property
    def uid(self) -> str:
        """NexusSOM's name of the configuration, unique within one search."""
        return self.cells["uid"].strip()

    @property
    def run_id(self) -> str:
        """Name of the run, unique over searches."""
        return f"{self.search}-{_name(self.uid, 40)}"

    @property
    def dataset(self) -> str:
        """Name of the table."""
        return _dataset(self.folder, self.cells)

    def number(self, *columns: str) -> float | None:
        """Read the first of `columns` that holds a value; None where none does.

        Raises:
            DatasetError: naming file, row and column where it is not a finite number.
        """
        for column in columns:
            text = (self.cells.get(column) or "").strip()
            if not text:
                continue
            value = number_of(text)
            if value is None:
                raise self.error(not_a_number(column, text, "a finite number"), column)
            return value
        return None

    def needed(self, column: str) -> float:
        """Read a column that must hold a number."""
        value = self.number(column)
        if value is None:
            raise self.error(f"`{column}` must be given, but is empty.", column)
        return value

    def error(self, message: str, column: str | None = None) -> DatasetError:
        """Name this row in an error."""
        return DatasetError(message, file=str(self.folder / RESULTS), row=self.line, column=column)

    @property
    def final_topographic_error(self) -> float:
        """The topographic error at the end, free of NexusSOM's penalty factor."""
        plain = self.needed("topographic_error")
        raw = self.number("raw_topographic_error")
        # raw_ is rounded to 8 digits; older versions multiplied the other by the penalty.
        return plain if raw is None or abs(plain - raw) < 1e-7 else raw

    @property
    def checkpoints_file(self) -> Path:
        """Where the individual's checkpoints are, if it was told to keep them."""
        return self.folder / "individuals" / self.uid / "csv" / CHECKPOINTS


def seed_folders(path: Path) -> list[Path]:
    """Find the folders with a results.csv at or below `path`, in order of their names."""
    found = []
    for folder, below, files in os.walk(path):
        # Thousands of individuals, none of which holds a results.csv.
        below[:] = sorted(d for d in below if d != "individuals")
        if RESULTS in files:
            found.append(Path(folder))
    return found


def read_rows(folder: Path) -> Iterator[Row | DatasetError]:
    """Yield the rows of a results.csv, or why one cannot be read.

    A configuration that was evaluated again has overwritten its checkpoints: its last row counts.

    Raises:
        DatasetError: where the file has no header or no column `uid`.
    """
    file = folder / RESULTS
    # Not strict: a row torn within quotes is one row lost, not the file.
    (_, header), *lines = list(csv_lines(file, strict=False)) or [Line(1, [])]
    header = [name.strip() for name in header]
    if "uid" not in header:
        raise DatasetError("must have the column uid, but it is missing.", file=str(file), row=1)
    # The first row holds the time it took: it tells one search from every other.
    digest = hashlib.sha256("\n".join(lines[0][1]).encode()).hexdigest()[:8] if lines else ""
    rows: list[Row | DatasetError] = []
    latest: dict[str, int] = {}
    for line, cells in lines:
        if len(cells) != len(header):
            message = must_be("row", f"{len(header)} cells wide", len(cells))
            rows.append(DatasetError(message, file=str(file), row=line))
            continue
        by_name = dict(zip(header, cells, strict=True))
        row = Row(folder, line, f"{_name(_dataset(folder, by_name), 20)}-{digest}", by_name)
        latest[row.uid] = line
        rows.append(row)
    for row_or_error in rows:
        if isinstance(row_or_error, Row) and (now := latest[row_or_error.uid]) != row_or_error.line:
            yield row_or_error.error(f"was evaluated again in row {now}, which is read instead.")
        else:
            yield row_or_error


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
        mqe_of_mean = _kept_mqe_of_mean(folder)
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
        planned = round(last["iteration"] / last["progress"])
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


def read_checkpoints(row: Row) -> list[dict[str, Any]]:
    """Read an individual's checkpoints, at least two.

    Raises:
        DatasetError: where there are none or the file is damaged.
    """
    file = row.checkpoints_file
    needed = ("iteration", "progress", "mqe", "topographic_error", "dead_neuron_ratio")
    optional = ("learning_rate", "radius")
    try:
        checkpoints = json.loads(read_text(file))
    except FileNotFoundError:
        why = (row.cells.get("penalty_reason") or "").strip()
        raise row.error(
            "must have checkpoints, but there are none"
            + (f" ({why})." if why else ". Set save_checkpoints in NexusSOM.")
        ) from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"must be valid JSON, but: {error}.", file=str(file)) from None
    if not isinstance(checkpoints, list) or len(checkpoints) < 2:
        raise DatasetError(
            "must hold a list of 2 checkpoints or more. "
            "Set checkpoint_every_mqe: true in NexusSOM.",
            file=str(file),
        )
    for number, checkpoint in enumerate(checkpoints):
        for key in (*needed, *optional):
            value = checkpoint.get(key) if isinstance(checkpoint, dict) else None
            if value is None and key in optional:
                continue
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not -LARGEST < value < LARGEST  # neither is NaN
            ):
                message = must_be(f"{key} of checkpoint {number}", "a finite number", value)
                raise DatasetError(message, file=str(file))
    return checkpoints


def planned_iterations(row: Row) -> int | None:
    """Count the iterations planned, each a batch of samples; None where it is not known."""
    n_samples, multiplier = row.number("ds_n_samples"), row.number("epoch_multiplier")
    return None if n_samples is None or multiplier is None else int(n_samples * multiplier)


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


def _kept_mqe_of_mean(folder: Path) -> float | None:
    """Compute mqe_of_mean from the table that NexusSOM keeps beside a search, if it did."""
    for place in (folder, folder.parent):
        table, mask = place / "csv" / "training_data.npy", place / "csv" / "ignore_mask.csv"
        if table.is_file():
            try:
                data = np.load(table, allow_pickle=False).astype(float)
                ignored = None
                if mask.is_file():
                    ignored = np.loadtxt(mask, delimiter=",", dtype=str, ndmin=2) == "True"
                return measure_mqe_of_mean(data, ignored)
            except (OSError, ValueError) as error:
                raise DatasetError(
                    f"must be the table that NexusSOM wrote, but: {error}.", file=str(table)
                ) from None
    return None


def _dataset(folder: Path, cells: Mapping[str, str]) -> str:
    return (cells.get("dataset_name") or "").strip() or folder.resolve().parent.name or "nexussom"


def _name(text: str, longest: int) -> str:
    """Make a part of a run_id of any text."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:longest]
