"""A user's own series: any numeric column of a CSV file, with or without a column of times.

The form of the Numenta anomaly benchmark (`timestamp,value`) reads without being told anything.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from oracle.errors import DatasetError, must_be
from oracle.sequences.series import Series

#: Names of a column of times, where none is given.
TIME_NAMES = ("timestamp", "time", "datetime", "date", "t")
MAX_BYTES = 200_000_000
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

    Commas, semicolons or tabs; with or without a header; plain or gzip; UTF-8 or UTF-16.

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
    path = Path(path)
    header, rows = _rows(path)
    time_column = time_column or next((h for h in header if h.lower() in TIME_NAMES), None)
    if column is None:
        numeric = [h for i, h in enumerate(header) if h != time_column and _is_number(rows[0][i])]
        if len(numeric) != 1:
            rule = f"named: {', '.join(header)}"
            raise DatasetError(must_be("column", rule, None), file=str(path))
        column = numeric[0]
    wanted = [column, *(name for name in inputs if name != column)]
    for name in [*wanted, *([time_column] if time_column else [])]:
        if name not in header:
            rule = f"one of {', '.join(header)}"
            raise DatasetError(must_be("column", rule, name), file=str(path))
    first_row = 1 + (header != _unnamed(len(header)))
    values = np.array(
        [
            [_number(row[header.index(name)], path, i, name) for name in wanted]
            for i, row in enumerate(rows, first_row)
        ]
    )
    if len(values) < 2:
        raise DatasetError(must_be("rows", "2 at least", len(values)), file=str(path))
    times = None
    if time_column is not None:
        times = tuple(row[header.index(time_column)].strip() for row in rows)
        _check_times(times, path, first_row, time_column)
    return Series(path.name.split(".")[0], values, tuple(wanted), period=period, time=times)


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows, all equally wide; empty lines are left out."""
    if not path.is_file():
        raise DatasetError("must be an existing file, but there is none.", file=str(path))
    if path.stat().st_size > MAX_BYTES:
        rule = f"{MAX_BYTES:,} bytes at most"
        raise DatasetError(must_be("size", rule, path.stat().st_size), file=str(path))
    data = path.read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = max(",;\t", key=head.count)
        rows = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
            if any(cell.strip() for cell in row)
        ]
    except (csv.Error, UnicodeDecodeError, EOFError, OSError) as error:
        raise DatasetError(f"must be a readable CSV, but: {error}.", file=str(path)) from None
    if not rows:
        raise DatasetError(must_be("rows", "2 at least", 0), file=str(path))
    if all(_is_number(cell) for cell in rows[0]):
        header = _unnamed(len(rows[0]))
    else:
        header, *rows = rows
        if len(set(header)) != len(header):
            double = next(h for h in header if header.count(h) > 1)
            raise DatasetError(must_be("header", "unlike names", double), file=str(path), row=1)
    for i, row in enumerate(rows, 2):
        if len(row) != len(header):
            message = must_be("row", f"{len(header)} cells", len(row))
            raise DatasetError(message, file=str(path), row=i)
    if not rows:
        raise DatasetError(must_be("rows", "2 at least", 0), file=str(path))
    return header, rows


def _unnamed(columns: int) -> list[str]:
    """Names of the columns of a file without a header."""
    return [f"column_{i}" for i in range(1, columns + 1)]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _number(cell: str, path: Path, row: int, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        advice = "Fill the gap, or cut the series there."
        message = must_be("value", "a finite number", cell, advice)
        raise DatasetError(message, file=str(path), row=row, column=column)
    return value


def _check_times(times: Sequence[str], path: Path, first_row: int, column: str) -> None:
    """Refuse times that cannot be read, or that do not rise in equal steps."""
    read = [_seconds(cell) for cell in times]
    for i, value in enumerate(read):
        if value is None:
            message = must_be("time", "a number or an ISO date", times[i])
            raise DatasetError(message, file=str(path), row=first_row + i, column=column)
    steps = np.diff(np.array(read, np.float64))
    usual = float(np.median(steps))
    odd = np.flatnonzero(~(np.abs(steps - usual) <= SAME_STEP * abs(usual)) | (steps <= 0))
    if len(odd):
        at = int(odd[0]) + 1
        rule = f"{usual:g} after the row before, as most are"
        advice = "Fill the gap or sort the rows; without the column of times, rows are equal steps."
        message = must_be("time", rule, times[at], advice)
        raise DatasetError(message, file=str(path), row=first_row + at, column=column)


def _seconds(cell: str) -> float | None:
    if _is_number(cell):
        return float(cell)
    try:
        return datetime.fromisoformat(cell).timestamp()
    except ValueError:
        return None
