"""Datasets as Parquet: the columns, and the rules, of the CSV. Needs pyarrow.

A row is handed on as the cells of a CSV, so that one reader checks both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from oracle.errors import DatasetError
from oracle.history.files import Line

SUFFIX = ".parquet"
#: Rows that are held at once.
_BATCH = 1_000


def parquet_lines(path: Path) -> Iterator[Line]:
    """Yield the rows of a Parquet file as cells of text, the names of its columns first.

    Raises:
        DatasetError: it is no Parquet, or pyarrow is not installed.
    """
    arrow, parquet = _pyarrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            yield Line(1, names)
            row = 1
            for batch in file.iter_batches(_BATCH):
                columns = [batch.column(i).to_pylist() for i in range(len(names))]
                for cells in zip(*columns, strict=True):
                    row += 1
                    yield Line(row, [_cell(cell) for cell in cells])
    except arrow.ArrowException as error:
        told = str(error).splitlines()[0].rstrip(".")
        raise DatasetError(
            f"must be a readable Parquet file, but: {told}.", file=str(path)
        ) from None


def parquet_bytes(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Write cells of text as Parquet: numbers and truths as such, the same cells the same bytes.

    Args:
        path: where it will stand, for the message.
        columns: their names; `final_*` hold numbers, `censored` truths.
        rows: cells as in the CSV.

    Raises:
        DatasetError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow(path)
    arrays = []
    for i, name in enumerate(columns):
        cells = [row[i] for row in rows]
        if name.startswith("final_"):
            numbers = [float(cell) if cell else None for cell in cells]
            arrays.append(arrow.array(numbers, arrow.float64()))
        elif name == "censored":
            arrays.append(arrow.array([cell == "True" for cell in cells], arrow.bool_()))
        else:
            arrays.append(arrow.array(cells, arrow.string()))
    buffer = BytesIO()
    parquet.write_table(arrow.table(arrays, names=list(columns)), buffer, compression="zstd")
    return buffer.getvalue()


def _cell(value: Any) -> str:
    """Write a value as the CSV has it; what is missing is an empty cell."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _pyarrow(path: Path) -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise DatasetError(
            "needs pyarrow, which is not installed. `pip install pyarrow`, or use .csv.gz.",
            file=str(path),
        ) from None
    return pyarrow, pyarrow.parquet
