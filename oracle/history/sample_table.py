"""A table of samples as a file, as its owner has it: what the maps of a search are trained on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from oracle.errors import DatasetError, must_be
from oracle.history.files import Line, csv_lines, not_a_number, number_of
from oracle.types import FloatArray

#: A first line of numbers is a header where each is so many times as large as any number below.
FAR_LARGER = 10.0
#: Rows that the guess looks at.
ROWS_TO_GUESS = 200
#: With fewer columns 0, 1, ... may as well be a sample of whole numbers.
MIN_COLUMNS_TO_GUESS = 4


@dataclass(frozen=True)
class SampleTable:
    """The numbers of a file.

    Attributes:
        values: [sample, feature], finite.
        names: of the columns; none where the file has no header.
        notes: how the file was taken, for its owner to check.
    """

    values: FloatArray
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        rows, columns = self.values.shape
        return f"{rows} x {columns}; {'; '.join(self.notes)}"


def read_table(
    path: str | Path, *, header: bool | None = None, without: Collection[str] = ()
) -> SampleTable:
    """Read a CSV of numbers.

    Args:
        path: the file; see `oracle.history.files`.
        header: whether the first line names the columns; None = to be told from the file.
        without: names of columns that the maps do not see.

    Raises:
        DatasetError: naming the row and column of what is no number, or that the first line may
            be either.
    """
    file = str(path)
    lines = list(csv_lines(path))
    if not lines:
        raise DatasetError("must hold a row of numbers, but holds none.", file=file)
    width = len(lines[0].cells)
    for number, cells in lines:
        if len(cells) != width:
            message = must_be("row", f"{width} cells wide", len(cells))
            raise DatasetError(message, file=file, row=number)
    if header is None:
        header = _is_header(lines, file)
    names = [cell.strip() for cell in lines[0].cells] if header else []
    rows = lines[header:]
    if not rows:
        raise DatasetError("must hold a row of numbers, but holds none.", file=file)
    missing = [name for name in without if name not in names]
    if missing:
        rule = f"of the columns {', '.join(names) or '(there is no header)'}"
        raise DatasetError(must_be("without", rule, missing[0]), file=file)
    notes = [f"first line taken as {'the header' if header else 'data'}: {_shown(lines[0].cells)}"]
    left = [c for c in range(width) if not (header and names[c] in without)]
    if header and not names[0] and _counts([row.cells[0] for row in rows]):
        left.remove(0)
        notes.append("first column left out: it has no name and counts the rows")
    notes += [
        f"column {names[c]} counts the rows: --without {names[c]} leaves it out"
        for c in (left if header else ())
        if len(rows) > 1 and _counts([row.cells[c] for row in rows])
    ]
    values = np.array([[_value(row, c, names, file) for c in left] for row in rows])
    return SampleTable(values, tuple(names[c] for c in left) if header else (), tuple(notes))


def _is_header(lines: Sequence[Line], file: str) -> bool:
    """Tell whether the first line names the columns."""
    first = [cell.strip() for cell in lines[0].cells]
    numbers = [number_of(cell) for cell in first]
    known = [number for number in numbers if number is not None]
    if not known or (first[0] == "" and len(known) == len(first) - 1 > 0):
        return True  # pandas leaves the name of its index empty
    if len(known) < len(first) or len(first) < 2 or len(lines) < 2:
        return False
    if any(b <= a for a, b in pairwise(known)):
        return False
    body = [[number_of(cell) for cell in line.cells] for line in lines[1 : 1 + ROWS_TO_GUESS]]
    below = np.array(body, dtype=float)  # None becomes NaN
    if not np.isfinite(below).all():
        return False
    if min(known) > FAR_LARGER * np.abs(below).max():
        return True  # years, wavelengths
    if not _counts(first):
        return False
    if not (below == below.round()).all() or len(first) >= MIN_COLUMNS_TO_GUESS:
        return True  # 0, 1, 2, ... as pandas names columns
    rule = "told to be a header or data (--header or --no-header)"
    raise DatasetError(must_be("first line", rule, _shown(first)), file=file, row=1)


def _counts(cells: Sequence[str]) -> bool:
    """Whether cells count up from 0 or 1."""
    if not all(re.fullmatch(r"\d+", cell.strip()) for cell in cells):
        return False
    start = int(cells[0])
    return start in (0, 1) and all(int(cell) == start + i for i, cell in enumerate(cells))


def _value(row: Line, column: int, names: Sequence[str], file: str) -> float:
    cell = row.cells[column]
    value = number_of(cell)
    if value is None:
        name = names[column] if names else "cell"
        message = str(not_a_number(name or "cell", cell, "a finite number"))
        if names and name:
            message += f" --without '{name}' leaves the column out."
        raise DatasetError(message, file=file, row=row.number, column=str(column + 1))
    return value


def _shown(cells: Sequence[str], most: int = 6) -> str:
    return ", ".join(cells[:most]) + (", ..." if len(cells) > most else "")
