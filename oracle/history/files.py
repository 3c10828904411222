"""Files that people bring, read in this one place: text of any encoding, CSV of any separator.

Spreadsheets write a byte order mark, UTF-16, semicolons, tabs and empty lines, PowerShell and .NET
a mark before JSON, and gzip comes under any name. What cannot be read is said as what it is.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO

from oracle.errors import DatasetError, Message, must_be

#: One cell may hold a whole history; csv's default limit of 128 KiB is too small for 1,000 points.
MAX_CELL_CHARS = 4_000_000
#: Separators in the order they are looked for: a file of semicolons may have decimal commas.
SEPARATORS = "\t;,"

_GZIP = b"\x1f\x8b"
#: Byte order marks; UTF-32's begins as UTF-16's does.
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
#: How files begin that are no text -> what they are, what to do.
_NO_TEXT = (
    (b"PK\x03\x04", "an Excel workbook or another ZIP file", "Save the sheet as CSV."),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "Save the sheet as CSV."),
    (b"SQLite format 3\x00", "a SQLite database", "--store reads a service's."),
    (b"PAR1", "a Parquet file", "Save it as CSV."),
    (b"\x89HDF", "an HDF5 file", "Save the table as CSV."),
    (b"\x93NUMPY", "a NumPy file", "Save it as CSV, by numpy.savetxt with delimiter=','."),
)
#: Excel's own way to name the separator, a line before the header.
_EXCEL_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)


class Line(NamedTuple):
    """One row of a CSV that holds anything.

    Attributes:
        number: of the line of the file that it ends in, 1 = the first.
        cells: its texts.
    """

    number: int
    cells: list[str]


@contextmanager
def open_text(path: str | Path, kind: str = "CSV") -> Iterator[TextIO]:
    """Open a text file of any encoding, packed by gzip or not, whatever its name says.

    Args:
        path: the file.
        kind: what it should be, for the message.

    Raises:
        DatasetError: it is no text, or of an encoding that cannot be told.
        OSError: it cannot be opened.
    """
    file = str(path)
    with Path(path).open("rb") as packed:
        try:
            is_gzip = packed.peek(2)[:2] == _GZIP
            buffered = io.BufferedReader(gzip.GzipFile(fileobj=packed)) if is_gzip else packed
            encoding = _encoding(buffered.peek(64)[:64], file, kind)
            with io.TextIOWrapper(buffered, encoding=encoding, newline="") as text:
                yield text
        except UnicodeError as error:
            advice = 'Save it as UTF-8 (Excel: "CSV UTF-8").'
            raise DatasetError(
                f"must be a readable {kind}, but: {error}. {advice}", file=file
            ) from None
        except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
            raise DatasetError(f"must be a readable {kind}, but: {error}.", file=file) from None


def check_file(path: Path) -> None:
    """Refuse what has nothing to read.

    Raises:
        DatasetError: there is no such file, it is a folder, or it is empty.
    """
    came = "there is none"
    if path.is_file():
        if path.stat().st_size:
            return
        came = "it is empty"
    elif path.is_dir():
        came = "it is a folder"
    raise DatasetError(f"must be an existing file with rows, but {came}.", file=str(path))


def read_text(path: str | Path, kind: str = "JSON", most: int | None = None) -> str:
    """Read a whole text file of `most` characters, None = any number; see `open_text`."""
    with open_text(path, kind) as text:
        if most is None:
            return text.read()
        found = text.read(most + 1)
        if len(found) > most:
            message = must_be("length", f"{most} characters at most", "more")
            raise DatasetError(message, file=str(path))
        return found


def csv_lines(path: str | Path, *, strict: bool = True) -> Iterator[Line]:
    """Yield the rows of a CSV that hold anything, the header among them.

    Args:
        path: cells separated by commas, semicolons or tabs, as those of its first line are.
        strict: a quote that is never closed is an error; else it makes a row that is too short.

    Raises:
        DatasetError: it is no CSV.
    """
    csv.field_size_limit(MAX_CELL_CHARS)
    with open_text(path) as text:
        before, first = 0, ""
        for first in text:
            if first.strip() and not _EXCEL_SEPARATOR.fullmatch(first.strip()):
                break
            before += 1
        reader = csv.reader(chain([first], text), delimiter=separator_of(first), strict=strict)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield Line(before + reader.line_num, cells)


def separator_of(line: str) -> str:
    """Tell what separates the cells of a line: the first of SEPARATORS outside quotes."""
    for separator in SEPARATORS:
        if len(next(csv.reader([line], delimiter=separator), [])) > 1:
            return separator
    return SEPARATORS[-1]


def number_of(cell: str) -> float | None:
    """Read a cell as a finite number; None where it is none.

    >>> number_of(" 1e3 "), number_of("0,5"), number_of("nan")
    (1000.0, None, None)
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def not_a_number(field: str, cell: str, rule: str = "a number") -> Message:
    """Say that a cell is no number, and what to do about a spreadsheet's way to write one.

    >>> print(not_a_number("mqe", "0,25"))
    `mqe` must be a number, but got '0,25'. Write decimals with a point, not a comma.
    """
    advice = ""
    if re.fullmatch(r"[+-]?[\d.]*,\d+(e[+-]?\d+)?", cell.strip(), re.IGNORECASE):
        advice = "Write decimals with a point, not a comma."
    elif re.fullmatch(r"[\d.,]+\s*%", cell.strip()):
        advice = "Write a share as a number, 0.25 for 25 %."
    return must_be(field, rule, cell, advice)


def _encoding(head: bytes, file: str, kind: str) -> str:
    for begin, what, advice in _NO_TEXT:
        if head.startswith(begin):
            raise DatasetError(f"must be a readable {kind}, but is {what}. {advice}", file=file)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) > 1 and (head[0] == 0) != (head[1] == 0):  # UTF-16 without its mark
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8"
