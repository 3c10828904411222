"""Checkpoints one a row, as tables of runs have them, and the histories that they make.

Nobody's columns are named as ours: the usual names are known, any other is named by its reader
(`mqe=error_q`). Rows of one run may stand in any order, and in several files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.history.columns import kept_of, shortened
from oracle.history.files import csv_lines, not_a_number, number_of, read_text
from oracle.types import CHECKPOINT, MAX_CHECKPOINTS, History, RunContext

#: A history of the longest kind takes less than this.
MAX_HISTORY_CHARS = 4_000_000
_CONTEXT = tuple(n for n in RunContext.model_fields if n not in ("schedule", "geometry"))
_TEXTS = ("run_id", "dataset", "population", "topology", "neighborhood", "initialization")
#: All that a column may hold: of the run once, of each of its checkpoints, and of its context.
FIELDS = ("run_id", "dataset", "population", "total_epochs", *CHECKPOINT, *_CONTEXT)
#: How others name a field.
_USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "run_id": ("run", "run_name", "name", "uid"),
    "dataset": ("table",),
    "population": ("search", "sweep"),
    "total_epochs": ("n_epochs", "num_epochs", "max_epochs", "num_iteration", "budget"),
    "epochs": ("epoch", "iteration"),
    "mqe": ("quantization_error", "quantisation_error", "mean_quantization_error", "qe"),
    "topographic_error": ("topo_error", "te"),
    "dead_neuron_ratio": ("dead_ratio", "dead"),
    "learning_rate": ("lr",),
    "radius": ("sigma",),
}
#: What trackers count by themselves: it counts where a training has no counter of its own.
_TRACKERS_NAMES = {"epochs": ("step", "global_step")}
NO_ROWS = "must have rows below its header, but has none."
#: How tables write whether.
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
#: How tables write that a value is unknown, or undefined.
_NOTHING = ("", "na", "n/a", "null", "none", "-")
_SHOWN = 10  # epochs that a message names


def named_columns(texts: Iterable[str]) -> dict[str, str]:
    """Read `field=column` pairs, several of them separated by commas.

    >>> named_columns(["mqe=quantization error,epochs=t", "run_id=a,b"])
    {'mqe': 'quantization error', 'epochs': 't', 'run_id': 'a,b'}

    Raises:
        DatasetError: no pair, or an unknown field.
    """
    named = {}
    for text in texts:
        for pair in re.split(r",(?=\s*\w+\s*=)", text):
            name, _, column = (part.strip() for part in pair.partition("="))
            if not column:
                raise DatasetError(must_be("--columns", "FIELD=COLUMN", pair))
            if name not in FIELDS:
                raise DatasetError(must_be("--columns", f"of the fields {', '.join(FIELDS)}", name))
            named[name] = column
    return named


def columns_of(
    header: Sequence[str],
    named: Mapping[str, str],
    fields: Iterable[str] = FIELDS,
    file: str | Path = "",
) -> dict[str, str]:
    """Tell which column holds which field: the one that was named, else its own, else a usual one.

    Args:
        header: names of the columns.
        named: field -> column, where the reader knows better.
        fields: that are looked for.
        file: for a message.

    Returns:
        field -> column, of the fields that are there.

    Raises:
        DatasetError: several columns fit a field.
    """
    found: dict[str, str] = {}
    for name in fields:
        own = named.get(name, name)
        usual = () if name in named else _USUAL_NAMES.get(name, ())
        others = () if name in named else _TRACKERS_NAMES.get(name, ())
        free = [column for column in header if column not in found.values()]
        fits = (
            [column for column in free if column == own]
            or [column for column in free if _plain(column) in map(_plain, (own, *usual))]
            or [column for column in free if _plain(column) in others]
        )
        if len(fits) > 1:
            raise DatasetError(_several(name, fits), file=str(file))
        if fits:
            found[name] = fits[0]
    return found


def _several(field: str, fits: Sequence[str]) -> str:
    """Say that several columns fit a field, and how to tell which is meant."""
    if len(set(fits)) == 1:
        rule, came = "in a column with a name of its own", f"{len(fits)} of the name {fits[0]}"
        return must_be(field, rule, came, f"Rename one and give --columns {field}=COLUMN.")
    came, advice = " and ".join(fits[:5]), f"Say which it is with --columns {field}=COLUMN."
    return must_be(field, "in one column", came, advice)


def _plain(column: str) -> str:
    """`Train/Quantization Error` -> `quantization_error`, whatever a tracker puts before it."""
    name = re.split(r"[/.]", column.strip().lower())[-1]
    return re.sub(r"[^a-z0-9]+", "_", name).strip("_")


def no_column(field: str, header: Sequence[str]) -> str:
    """Say that a field has no column, and how to name it."""
    there = ", ".join(header[:20]) or "none"
    return (
        f"must have a column of `{field}`, but has {there}. "
        f"Say which it is with --columns {field}=COLUMN."
    )


def read_history(
    path: str | Path, named: Mapping[str, str] | None = None, total_epochs: float | None = None
) -> History:
    """Read one history, as JSON or as a CSV of one run with a row a checkpoint.

    Args:
        path: the file; see `oracle.history.files`.
        named: field -> column of a CSV, or member of the JSON.
        total_epochs: budget, where the file does not say it.

    Raises:
        InvalidHistory: what it holds is no history; the message names the file.
        DatasetError: the file cannot be read.
    """
    text = read_text(path, "JSON or CSV", MAX_HISTORY_CHARS)
    if not text.strip():
        message = "must hold a history, as JSON or as a CSV with a row a checkpoint, but is empty."
        raise DatasetError(message, file=str(path))
    try:
        if text.lstrip()[:1] in ("{", "["):
            return History.parse(_of_ours(text, named or {}, total_epochs))
        return _only_run(path, named or {}, total_epochs)
    except InvalidHistory as error:
        raise InvalidHistory(f"{path}: {error}") from None


def _of_ours(text: str, named: Mapping[str, str], total_epochs: float | None) -> str:
    """Give the members of a JSON object the names of our fields, and as many values as we keep."""
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict):
            item = renamed(found, {name: at for name, at in named.items() if at in found})
            if item.get("total_epochs") is None:
                item["total_epochs"] = total_epochs
            return json.dumps(shortened(item))
    return text


def renamed(item: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Give members of a JSON object the names of our fields; what had such a name is not meant.

    Args:
        item: the object.
        columns: field -> member, of those that are there.
    """
    names = {column: name for name, column in columns.items()}
    return {names.get(n, n): value for n, value in item.items() if n in names or n not in columns}


def _only_run(path: str | Path, named: Mapping[str, str], total_epochs: float | None) -> History:
    lines = csv_lines(path)
    header = [cell.strip() for cell in next(lines).cells]
    columns = columns_of(header, named)
    for name in ("epochs", "mqe"):
        if name not in columns:
            raise InvalidHistory(no_column(name, header))
    records = Records()
    for number, cells in lines:
        row = dict(zip(header, cells, strict=False))
        values = {name: row.get(column) for name, column in columns.items()}
        records.add(str(values.get("run_id") or Path(path).stem), values, str(path), number)
    runs = list(records.runs(total_epochs=total_epochs))
    if not runs:
        raise InvalidHistory(NO_ROWS)
    if len(runs) != 1:
        rule, advice = "of one run", "`oracle collect ingest` reads many."
        raise InvalidHistory(must_be("the file", rule, f"{len(runs)} runs", advice))
    found = runs[0].history
    if isinstance(found, DatasetError):
        raise found
    return found


class RunOfRecords(NamedTuple):
    """One run, or why it cannot be read.

    Attributes:
        name: as its rows have it, any text.
        config: what its rows say besides, the same in all of them: settings, tags.
        left_out: which of its rows are no checkpoints, for want of an mqe; "" where all are.
        is_open: whether its last rows are among these, so that nobody knows how it ended.
    """

    name: str
    history: History | DatasetError
    config: Mapping[str, str]
    left_out: str = ""
    is_open: bool = False


@dataclass
class _Gathered:
    """What the rows of one run say; `file` holds the first of them, `nan` epochs of such an mqe."""

    file: str
    config: dict[str, str | None] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    rows: dict[float, dict[str, float]] = field(default_factory=dict)
    nan: set[float] = field(default_factory=set)
    fault: DatasetError | None = None


class Records:
    """Gathers rows by run and epoch; a fault in a row spoils its run and no other."""

    def __init__(self) -> None:
        self._runs: dict[str, _Gathered] = {}

    def add(
        self,
        run: str,
        values: Mapping[str, Any],
        file: str,
        row: int | None = None,
        others: Mapping[str, Any] | None = None,
    ) -> None:
        """Take one row.

        Args:
            run: name of the run, any text.
            values: field -> text, number or None.
            file, row: where it stands, for a message.
            others: what else the row says, name -> value.
        """
        gathered = self._runs.setdefault(run, _Gathered(file))
        for name, other in (others or {}).items():
            if not _is_unknown(other):
                text = str(other).strip()
                # What changes from row to row is no setting.
                gathered.config[name] = text if gathered.config.get(name, text) == text else None
        if gathered.fault is not None:
            return
        try:
            _take(gathered, values)
        except _Fault as fault:
            message, column = fault.args
            gathered.fault = DatasetError(
                f"run {run}: {message}", file=file, row=row, column=column
            )

    def refuse(self, run: str, fault: DatasetError) -> None:
        """Say why a run cannot be read, whatever its rows hold."""
        self._runs.setdefault(run, _Gathered(fault.file)).fault = fault

    def runs(self, **known: Any) -> Iterator[RunOfRecords]:
        """Yield every run's history.

        Args:
            known: fields for runs that do not say them, e.g. total_epochs.
        """
        for name, run in self._runs.items():
            config = {k: v for k, v in run.config.items() if v is not None}
            tail = _tail(run)
            history: History | DatasetError
            if run.fault is not None:
                history = run.fault
            elif nan := [epoch for epoch in tail if epoch in run.nan]:
                history = DatasetError(
                    f"run {name}: `mqe` must be a number to the end, but is nan from epoch "
                    f"{nan[0]:g} on: a map that diverged has no final values. Leave the cell empty "
                    "where it was not measured.", file=run.file
                )  # fmt: skip
            else:
                history = _history(name, run, known)
            yield RunOfRecords(name, history, config, _left_out(run), bool(tail))


def _tail(run: _Gathered) -> list[float]:
    """Which epochs lie after the last mqe, where one more was due by then.

    Some log mqe with every tenth row: as many rows as usual lie between two are no loss.
    """
    epochs = sorted(run.rows)
    at = [i for i, epoch in enumerate(epochs) if "mqe" in run.rows[epoch]]
    tail = epochs[at[-1] + 1 :] if at else epochs
    between = sorted(b - a - 1 for a, b in pairwise(at)) or [0]
    return tail if len(tail) > between[(len(between) - 1) // 2] else []


def _left_out(run: _Gathered) -> str:
    lacking = [
        f"{'nan' if epoch in run.nan else 'empty'} at {epoch:g}"
        for epoch in sorted(run.rows)
        if "mqe" not in run.rows[epoch]
    ]
    told = ", ".join(lacking[:_SHOWN] + ["..."] * (len(lacking) > _SHOWN))
    return f"{len(lacking)} of {len(run.rows)}, mqe is {told}" if told else ""


def _history(name: str, run: _Gathered, known: Mapping[str, Any]) -> History | DatasetError:
    rows = [run.rows[epoch] for epoch in sorted(run.rows) if "mqe" in run.rows[epoch]]
    if not rows:
        message = f"run {name}: `mqe` must be given at an epoch, but never is."
        return DatasetError(message, file=run.file)
    fields = {k: v for k, v in run.once.items() if k not in _CONTEXT}
    context = {k: v for k, v in run.once.items() if k in _CONTEXT}
    table = [[row.get(column) for column in CHECKPOINT] for row in rows]
    known = {**known, **fields, "context": context}
    if len(table) > MAX_CHECKPOINTS:
        kept = kept_of([row["epochs"] for row in rows], known.get("total_epochs"))
        table = [table[i] for i in kept]
    try:
        return History.of_rows(table, **known)
    except InvalidHistory as error:
        return DatasetError(f"run {name}: {error}", file=run.file)


def _take(run: _Gathered, values: Mapping[str, Any]) -> None:
    """Enter a row's values; the same value may come twice, another one may not."""
    row: dict[str, float] = {}
    has_nan = _is_nan(values.get("mqe"))
    for name, value in values.items():
        if name == "run_id" or _is_unknown(value):
            continue
        if name in CHECKPOINT:
            row[name] = _number(name, value)
            continue
        once: Any = str(value).strip() if name in _TEXTS else None
        if once is None:
            once = _flag(name, value) if name == "toroidal" else _number(name, value)
        if run.once.setdefault(name, once) != once:
            rule = f"the same in all rows of a run ({run.once[name]})"
            raise _Fault(must_be(name, rule, once), name)
    if "epochs" not in row:
        if row or has_nan:
            raise _Fault("`epochs` must be given, but is empty.", "epochs")
        return
    seen = run.rows.setdefault(row["epochs"], {})
    if has_nan:
        run.nan.add(row["epochs"])
    for name, value in row.items():
        if seen.setdefault(name, value) != value:
            rule = f"one value at an epoch ({seen[name]:g} at {row['epochs']:g})"
            advice = "Two runs? Say which column tells them apart: --columns run_id=COLUMN."
            raise _Fault(must_be(name, rule, value, advice), name)


def _flag(name: str, value: Any) -> bool:
    try:
        return _FLAGS[str(value).strip().lower().removesuffix(".0")]
    except KeyError:
        raise _Fault(must_be(name, "true or false", value), name) from None


def _number(name: str, value: Any) -> float:
    found = number_of(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _Fault(not_a_number(name, str(value)), name)
    return float(found)


def is_nothing(value: Any) -> bool:
    """Tell whether a cell is empty, whatever a tool writes there; nan is a value."""
    return value is None or str(value).strip().lower() in _NOTHING


def _is_unknown(value: Any) -> bool:
    return is_nothing(value) or _is_nan(value)


def _is_nan(value: Any) -> bool:
    return str(value).strip().lower().lstrip("+-") == "nan"


class _Fault(Exception):
    """A message and the field that it is about."""
