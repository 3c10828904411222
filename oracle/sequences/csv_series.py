"""A user's own series: any numeric column of a CSV file, with or without a column of times.

The form of the Numenta anomaly benchmark (`timestamp,value`) reads without being told anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from oracle.errors import DatasetError, must_be
from oracle.history.files import Line, csv_lines, not_a_number, number_of
from oracle.sequences.series import Series

#: Names of a column of times, where none is given.
TIME_NAMES = ("timestamp", "time", "datetime", "date", "t")
#: Equal steps may differ by so much of a step: times are written with few digits.
SAME_STEP = 1e-3


def read_series(
    path: str | Path,
    column: str | None = None,
    *,
    time_column: str | None = None,
    inputs: Sequence[str] = (),
    period: int | None = None,
) -> Series:
    """Read one column of a CSV file as a series, others beside it as further inputs.

    With or without a header (then the columns are called column_1, column_2, ...); encodings,
    separators and packing as `oracle.history.files` reads them.

    Args:
        path: the file.
        column: what is forecast; None where the file has one numeric column beside the times.
        time_column: numbers or ISO dates in equal steps; None takes a column of such a name
            (timestamp, time, ...), else the rows count as equal steps.
        inputs: further columns that the network may read, never forecast.
        period: steps of a season, where the user knows one.

    Raises:
        DatasetError: names file, row and column: a missing column, text, NaN or a gap, times that
            do not rise in equal steps, fewer than two rows.
    """
    file = str(path)
    if not Path(path).is_file():
        raise DatasetError("must be an existing file, but there is none.", file=file)
    header, rows = _rows(file)
    time_column = time_column or next((h for h in header if h.lower() in TIME_NAMES), None)
    column = column or _only_numeric(header, rows[0], time_column, file)
    wanted = [column, *(name for name in inputs if name != column)]
    for name in [*wanted, *([time_column] if time_column else [])]:
        if name not in header:
            rule = f"one of {', '.join(header)}"
            raise DatasetError(must_be("column", rule, name), file=file)
    values = np.array(
        [[_number(row, header.index(name), name, file) for name in wanted] for row in rows]
    )
    if len(values) < 2:
        raise DatasetError(must_be("rows", "2 at least", len(values)), file=file)
    times = None
    if time_column is not None:
        at = header.index(time_column)
        times = tuple(row.cells[at].strip() for row in rows)
        _check_times(times, rows, time_column, file)
    return Series(Path(path).name.split(".")[0], values, tuple(wanted), period=period, time=times)


def _rows(file: str) -> tuple[list[str], list[Line]]:
    """Header and rows, all equally wide."""
    lines = list(csv_lines(file))
    if not lines:
        raise DatasetError(must_be("rows", "2 at least", 0), file=file)
    header = [cell.strip() for cell in lines[0].cells]
    if all(number_of(cell) is not None for cell in header):
        header = [f"column_{i}" for i in range(1, len(header) + 1)]
    else:
        lines = lines[1:]
    if double := next((h for h in header if header.count(h) > 1), None):
        raise DatasetError(must_be("header", "unlike names", double), file=file, row=1)
    for number, cells in lines:
        if len(cells) != len(header):
            message = must_be("row", f"{len(header)} cells", len(cells))
            raise DatasetError(message, file=file, row=number)
    if not lines:
        raise DatasetError(must_be("rows", "2 at least", 0), file=file)
    return header, lines


def _only_numeric(header: list[str], first: Line, time_column: str | None, file: str) -> str:
    numeric = [
        name
        for name, cell in zip(header, first.cells, strict=True)
        if name != time_column and number_of(cell) is not None
    ]
    if len(numeric) != 1:
        advice = "Say which is to be forecast."
        message = must_be("column", f"one of {', '.join(header)}", None, advice)
        raise DatasetError(message, file=file)
    return numeric[0]


def _number(row: Line, at: int, column: str, file: str) -> float:
    value = number_of(row.cells[at])
    if value is None:
        message = not_a_number("value", row.cells[at], "a finite number")
        raise DatasetError(message, file=file, row=row.number, column=column)
    return value


def _check_times(times: Sequence[str], rows: Sequence[Line], column: str, file: str) -> None:
    """Refuse times that cannot be read, or that do not rise in equal steps."""
    read = [_seconds(cell) for cell in times]
    for row, cell, value in zip(rows, times, read, strict=True):
        if value is None:
            message = must_be("time", "a number or an ISO date", cell)
            raise DatasetError(message, file=file, row=row.number, column=column)
    steps = np.diff(np.array(read, np.float64))
    usual = float(np.median(steps))
    odd = np.flatnonzero(~(np.abs(steps - usual) <= SAME_STEP * abs(usual)) | (steps <= 0))
    if len(odd):
        at = int(odd[0]) + 1
        rule = f"{usual:g} after the row before, as most are"
        advice = "Fill the gap or sort the rows; without the column of times, rows are equal steps."
        message = must_be("time", rule, times[at], advice)
        raise DatasetError(message, file=file, row=rows[at].number, column=column)


def _seconds(cell: str) -> float | None:
    value = number_of(cell)
    if value is not None:
        return value
    try:
        time = datetime.fromisoformat(cell)
    except ValueError:
        return None
    # Where no zone is told there are no clock changes: this machine's zone is not the file's.
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
