"""The files of NexusSOM's result folders: results.csv, each individual's checkpoints, the table.

    RESULTS/seed_42/results.csv
    RESULTS/seed_42/individuals/UID/csv/training_checkpoints.json
    RESULTS/csv/training_data.npy, ignore_mask.csv      (where the table was kept)

Rows of one results.csv may differ in width, because the header is written once; a configuration
that was evaluated again has overwritten its checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oracle.errors import DatasetError, must_be
from oracle.history.context import mqe_of_mean
from oracle.history.files import Line, csv_lines, not_a_number, number_of, read_text

RESULTS = "results.csv"
CHECKPOINTS = "training_checkpoints.json"
#: Beyond this a logged number is a defect; it keeps counts and their ratios finite.
LARGEST = 1e15


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
            DatasetError: naming file, row and column where it is not a finite number, or beyond
                LARGEST.
        """
        for column in columns:
            text = (self.cells.get(column) or "").strip()
            if not text:
                continue
            value = number_of(text)
            if value is None or abs(value) >= LARGEST:
                rule = f"a finite number below {LARGEST:g} in size"
                raise self.error(not_a_number(column, text, rule), column)
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
                or not 0 <= value < LARGEST  # neither is NaN
            ):
                rule = f"a number from 0 to below {LARGEST:g}"
                message = must_be(f"{key} of checkpoint {number}", rule, value)
                raise DatasetError(message, file=str(file))
    return checkpoints


def kept_mqe_of_mean(folder: Path) -> float | None:
    """Compute mqe_of_mean from the table that NexusSOM keeps beside a search, if it did."""
    for place in (folder, folder.parent):
        table, mask = place / "csv" / "training_data.npy", place / "csv" / "ignore_mask.csv"
        if table.is_file():
            try:
                data = np.load(table, allow_pickle=False).astype(float)
                ignored = None
                if mask.is_file():
                    ignored = np.loadtxt(mask, delimiter=",", dtype=str, ndmin=2) == "True"
                return mqe_of_mean(data, ignored)
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
