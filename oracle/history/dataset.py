"""Datasets of runs, as CSV or Parquet: read, write, split.

One row a run: run_id, source, dataset, final_mqe, final_topographic_error,
final_dead_neuron_ratio, censored, training_history (the History as JSON, context included).
Beside it NAME_metadata.json tells counts, sources, seed, digest and the command.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, FiniteFloat, ValidationError

from oracle.errors import DatasetError, must_be
from oracle.history import parquet
from oracle.history.files import Line, check_file, csv_lines, not_a_number
from oracle.history.tables import role_of
from oracle.types import TARGETS, History, Run, explain

COLUMNS = ("run_id", "source", "dataset", *TARGETS, "censored", "training_history")
#: How the name of a dataset ends.
SUFFIXES = (".csv", ".csv.gz", parquet.SUFFIX)
TRUE, FALSE = ("true", "1"), ("false", "0", "")


def iter_dataset(path: str | Path) -> Iterator[Run]:
    """Yield the runs of a dataset, `.csv`, `.csv.gz` or `.parquet`.

    Raises:
        DatasetError: names file, row (1 = header) and column, the rule and what came.
    """
    path = Path(path)
    check_file(path)
    packed = path.suffix == parquet.SUFFIX
    yield from _rows(parquet.parquet_lines(path) if packed else csv_lines(path), str(path))


def read_dataset(path: str | Path) -> list[Run]:
    """Read a whole dataset; see `iter_dataset`."""
    return list(iter_dataset(path))


def check_named(path: str | Path, field: str) -> None:
    """Refuse a name that no dataset is written under, before any work is done.

    Raises:
        DatasetError: naming `field` and the endings that there are.
    """
    if not Path(path).name.endswith(SUFFIXES):
        raise DatasetError(must_be(field, "a path ending in .csv, .csv.gz or .parquet", str(path)))


def write_dataset(path: str | Path, runs: Iterable[Run], metadata: dict[str, Any]) -> None:
    """Write a dataset and NAME_metadata.json, each atomically.

    The old file stays whole until the new one is complete on disk.

    Args:
        path: `.csv`, `.csv.gz`, or `.parquet` (which needs pyarrow).
        runs: written in the given order.
        metadata: the command, the seed and whatever else tells where the runs came from.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    sources: Counter[str] = Counter()
    tables: Counter[str] = Counter()
    censored = 0

    def rows() -> Iterator[list[str]]:
        nonlocal censored
        for run in runs:
            sources[run.source] += 1
            tables[run.dataset] += 1
            censored += run.censored
            yield _row(run)

    packed = path.suffix == parquet.SUFFIX
    content = parquet.parquet_bytes(path, COLUMNS, list(rows())) if packed else _csv(path, rows())
    facts = {
        "runs": sum(sources.values()),
        "censored": censored,
        "sources": dict(sorted(sources.items())),
        "tables": len(tables),
        "sha256": hashlib.sha256(content).hexdigest(),
        **metadata,
    }
    _write_atomically(path, content)
    _write_atomically(
        metadata_path(path), (json.dumps(facts, indent=2, sort_keys=True) + "\n").encode()
    )


def _csv(path: Path, rows: Iterable[list[str]]) -> bytes:
    buffer = io.BytesIO()
    # mtime=0: the same runs give the same bytes.
    packed = gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) if path.suffix == ".gz" else buffer
    text = io.TextIOWrapper(packed, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    text.flush()
    text.detach()
    if packed is not buffer:
        packed.close()
    return buffer.getvalue()


def command_line() -> str:
    """Give this process's command as metadata tells it: passwords in URLs masked."""
    program = Path(sys.argv[0]).name.replace("__main__.py", "oracle")
    masked = (re.sub(r"://([^:/@]*):.*@", r"://\1:***@", word) for word in sys.argv[1:])
    return " ".join([program, *masked])


def metadata_path(path: str | Path) -> Path:
    """`data/NAME.csv.gz` -> `data/NAME_metadata.json`."""
    path = Path(path)
    name = path.name.removesuffix(".gz").removesuffix(".csv").removesuffix(parquet.SUFFIX)
    return path.with_name(f"{name}_metadata.json")


class _Weights(BaseModel):
    weights: dict[str, FiniteFloat] = {}


def read_weights(path: str | Path) -> dict[str, float]:
    """Read how many runs each control run stands for, run_id -> weight, from the metadata.

    Raises:
        DatasetError: the metadata beside the dataset is not as `write_dataset` writes it.
    """
    file = metadata_path(path)
    if not file.is_file():
        return {}
    try:
        return _Weights.model_validate_json(file.read_bytes()).weights
    except ValidationError as error:
        raise DatasetError(explain(error), file=str(file)) from None


@dataclass(frozen=True)
class Split:
    """Runs by use; no run, and where there are enough no table, in two of them.

    Attributes:
        by: "table" where whole tables are held out, else "run".
        excluded: why runs were left out -> how many; never silently trained on.
    """

    train: list[Run]
    calibrate: list[Run]
    test: list[Run]
    by: str
    excluded: dict[str, int]


def counted(n: int, noun: str) -> str:
    """Say a number of runs, tables or the like.

    >>> counted(1, "table"), counted(2800, "run")
    ('1 table', '2,800 runs')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(excluded: Mapping[str, int]) -> str:
    """Say why runs were left out, and how many.

    >>> listed({"censored": 5, "constant mqe": 1}), listed({})
    ('5 runs (censored), 1 run (constant mqe)', 'nothing')
    """
    found = (f"{counted(count, 'run')} ({why})" for why, count in excluded.items() if count)
    return ", ".join(found) or "nothing"


#: Fewer tables than this cannot spare whole ones for calibration and test.
MIN_TABLES_TO_HOLD_OUT = 8
#: A history needs a prefix and something left to forecast.
MIN_CHECKPOINTS = 3


def usable(runs: Iterable[Run]) -> tuple[list[Run], dict[str, int]]:
    """Leave out what must not be trained or scored on, counted by reason.

    An mqe that never changes was not measured. A ratio may well stand still within one run: on
    small tables, and where every neuron is used, a hundredth of all real runs show it. That a
    ratio was not measured only shows over many runs: see `constant_outcomes`.
    """
    kept, excluded = [], Counter[str]()
    for run in runs:
        mqe = run.history.mqe
        if run.censored:
            excluded["censored"] += 1
        elif len(mqe) < MIN_CHECKPOINTS:
            excluded[f"fewer than {MIN_CHECKPOINTS} checkpoints"] += 1
        elif len(set(mqe)) == 1:
            excluded["constant mqe"] += 1
        else:
            kept.append(run)
    return kept, dict(excluded)


def constant_outcomes(runs: Sequence[Run]) -> dict[str, int]:
    """Find the targets that end the same in every run: nothing can be learned of them.

    Returns:
        target -> runs that have this outcome; targets that no run has are not among them.

    Raises:
        DatasetError: where the final mqe is one of them, without which there is no forecast.
    """
    found = {}
    for target in TARGETS:
        known = [value for run in runs if (value := getattr(run, target)) is not None]
        if known and len(set(known)) == 1:
            found[target] = len(known)
    if TARGETS[0] in found:
        rule = "different in some of the training runs"
        came = f"{runs[0].final_mqe:g} in all {len(runs)}"
        raise DatasetError(must_be(TARGETS[0], rule, came, "Record how each run ended."))
    return found


def without_outcomes(runs: Iterable[Run], targets: Collection[str]) -> list[Run]:
    """The same runs, with these outcomes undefined."""
    undefined = dict.fromkeys(targets)
    return [run.model_copy(update=undefined) if targets else run for run in runs]


def split_runs(
    runs: Sequence[Run], seed: int = 0, shares: tuple[float, float] = (0.15, 0.15)
) -> Split:
    """Split 70/15/15 into train, calibrate and test, by table where there are enough.

    Tables that `oracle.history.tables.ROLES` names keep their role. Of the others whole tables are
    drawn for calibrate and test; with fewer than MIN_TABLES_TO_HOLD_OUT tables it is by run.

    Raises:
        DatasetError: where too few usable runs are left for three parts.
    """
    kept, excluded = usable(runs)
    if len(kept) < 10:
        raise DatasetError(
            must_be(
                "dataset",
                "at least 10 usable runs",
                len(kept),
                f"Left out: {listed(excluded)}. Collect more runs.",
            )
        )
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Run]] = {"train": [], "calibrate": [], "test": []}
    free: list[Run] = []
    for run in kept:
        role = role_of(run.dataset)
        (parts[role] if role else free).append(run)
    if len({run.dataset for run in kept}) < MIN_TABLES_TO_HOLD_OUT or not _enough(parts, free):
        by, free = "run", kept
        parts = {"train": [], "calibrate": [], "test": []}
        order = rng.permutation(len(free))
        first, second = (round(s * len(free)) for s in shares)
        parts["calibrate"] = [free[i] for i in order[:first]]
        parts["test"] = [free[i] for i in order[first : first + second]]
        parts["train"] = [free[i] for i in order[first + second :]]
        return Split(**parts, by=by, excluded=excluded)
    by_table: dict[str, list[Run]] = {}
    for run in free:
        by_table.setdefault(run.dataset, []).append(run)
    names = sorted(by_table)
    want = {"calibrate": shares[0] * len(kept), "test": shares[1] * len(kept)}
    for i in rng.permutation(len(names)):
        part = next((p for p in want if len(parts[p]) < want[p]), "train")
        parts[part].extend(by_table[names[i]])
    return Split(**parts, by="table", excluded=excluded)


def _enough(parts: dict[str, list[Run]], free: list[Run]) -> bool:
    """Whether every part gets runs: from the named roles, or drawn from unnamed tables."""
    spare = len({run.dataset for run in free}) >= MIN_TABLES_TO_HOLD_OUT
    return all(parts[p] or spare for p in parts)


def _rows(lines: Iterator[Line], file: str) -> Iterator[Run]:
    header = [cell.strip() for cell in next(lines, Line(1, [])).cells]
    missing = [c for c in COLUMNS if c not in header]
    if missing:
        found = f"{', '.join(missing)} is missing"
        if len(missing) == len(COLUMNS):
            found = f"the file begins with {', '.join(header[:3])!r}: it is no readable dataset"
        raise DatasetError(
            f"must have the columns {', '.join(COLUMNS)}, but {found}. "
            "`oracle collect ingest` makes a dataset of other files.",
            file=file,
            row=1,
        )
    index = {c: header.index(c) for c in COLUMNS}
    for row, cells in lines:
        if len(cells) != len(header):
            raise DatasetError(
                must_be("row", f"{len(header)} cells wide", len(cells)), file=file, row=row
            )
        yield _run({c: cells[i] for c, i in index.items()}, file, row)


def _run(cells: dict[str, str], file: str, row: int) -> Run:
    finals: dict[str, float | None] = {}
    for target in TARGETS:
        cell = cells[target].strip()
        try:
            finals[target] = float(cell) if cell else None
        except ValueError:
            raise DatasetError(
                not_a_number(target, cell), file=file, row=row, column=target
            ) from None
    flag = cells["censored"].strip().lower()
    if flag not in TRUE + FALSE:
        raise DatasetError(
            must_be("censored", "true or false", flag), file=file, row=row, column="censored"
        )
    try:
        history = History.model_validate_json(cells["training_history"])
    except ValidationError as error:
        raise DatasetError(explain(error), file=file, row=row, column="training_history") from None
    try:
        return Run.model_validate(
            {
                "run_id": cells["run_id"],
                "source": _name(cells["source"]),
                "dataset": _name(cells["dataset"]),
                "censored": flag in TRUE,
                "history": history,
                **finals,
            }
        )
    except ValidationError as error:
        raise DatasetError(explain(error), file=file, row=row) from None


def _row(run: Run) -> list[str]:
    finals = [getattr(run, t) for t in TARGETS]
    return [
        run.run_id,
        _cell(run.source),
        _cell(run.dataset),
        *("" if v is None else repr(v) for v in finals),
        str(run.censored),
        run.history.model_dump_json(exclude_none=True),
    ]


#: What makes spreadsheets take a cell for a formula, and run it.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def _cell(name: str) -> str:
    """Write a name as a cell that is text to a spreadsheet; `_name` reads it."""
    return f"'{name}" if _FORMULA.match(name) else name


def _name(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _write_atomically(path: Path, content: bytes) -> None:
    """Write beside the target, fsync, rename: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file into an OSError that names none: a write on a full disk does not say where."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise
