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
from typing import Any, NamedTuple, TypeGuard

from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.history.columns import kept_of
from oracle.history.files import csv_lines, not_a_number, number_of, read_text
from oracle.types import CHECKPOINT, MAX_CHECKPOINTS, History, RunContext

#: A history of the longest kind takes less than this.
MAX_HISTORY_CHARS = 4_000_000
_CONTEXT = tuple(n for n in RunContext.model_fields if n not in ("schedule", "geometry"))
_TEXTS = ("run_id", "dataset", "population", "topology", "neighborhood", "initialization")
#: All that a column may hold: of the run once, of each of its checkpoints, and of its context.
FIELDS = ("run_id", "dataset", "population", "total_epochs", *CHECKPOINT, *_CONTEXT)
#: How others name a field, the surest first.
_USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "run_id": ("run", "run_name", "name", "uid"),
    "dataset": ("table",),
    "population": ("search", "sweep"),
    "total_epochs": ("n_epochs", "num_epochs", "max_epochs", "num_iteration", "budget"),
    "epochs": ("epoch", "iteration", "step", "global_step"),
    "mqe": ("quantization_error", "quantisation_error", "mean_quantization_error", "qe"),
    "topographic_error": ("topo_error", "te"),
    "dead_neuron_ratio": ("dead_ratio", "dead"),
    "learning_rate": ("lr",),
    "radius": ("sigma",),
}
#: How tables write whether.
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
#: How tables write that a value is undefined or unknown.
_NOTHING = ("", "nan", "na", "n/a", "null", "none", "-")


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


def columns_of(header: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Tell which column holds which field: the one that was named, else one of a usual name.

    Args:
        header: names of the columns.
        named: field -> column, where the reader knows better.

    Returns:
        field -> column, of the fields that are there.
    """
    plain: dict[str, str] = {}
    for column in header:
        plain.setdefault(_plain(column), column)
    found: dict[str, str] = {}
    for name in FIELDS:
        names = [named[name]] if name in named else [name, *_USUAL_NAMES.get(name, ())]
        for wanted in names:
            match = wanted if wanted in header else plain.get(_plain(wanted), "")
            if match and match not in found.values():
                found[name] = match
                break
    return found


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
    try:
        if text.lstrip()[:1] in ("{", "[", ""):
            return History.parse(_of_ours(text, named or {}, total_epochs))
        return _only_run(path, named or {}, total_epochs)
    except InvalidHistory as error:
        raise InvalidHistory(f"{path}: {error}") from None


def _of_ours(text: str, named: Mapping[str, str], total_epochs: float | None) -> str:
    """Give the members of a JSON object the names of our fields, and as many values as we keep."""
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        if isinstance(found, dict):
            fields = {column: name for name, column in named.items()}
            item = {str(fields.get(name, name)): value for name, value in found.items()}
            if item.get("total_epochs") is None:
                item["total_epochs"] = total_epochs
            return json.dumps(shortened(item))
    return text


def shortened(item: dict[str, Any]) -> dict[str, Any]:
    """Leave out of a history of more than MAX_CHECKPOINTS what a forecast cannot tell apart."""
    epochs, total = item.get("epochs"), item.get("total_epochs")
    if not isinstance(epochs, list) or len(epochs) <= MAX_CHECKPOINTS:
        return item
    if not all(_is_number(epoch) for epoch in epochs) or any(a >= b for a, b in pairwise(epochs)):
        return item  # and let it be refused
    kept = kept_of(epochs, total if _is_number(total) else None)
    return {
        name: [value[i] for i in kept]
        if isinstance(value, list) and len(value) == len(epochs)
        else value
        for name, value in item.items()
    }


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    """

    name: str
    history: History | DatasetError
    config: Mapping[str, str]


@dataclass
class _Gathered:
    """What the rows of one run say; `file` holds the first of them."""

    file: str
    config: dict[str, str | None] = field(default_factory=dict)
    once: dict[str, Any] = field(default_factory=dict)
    rows: dict[float, dict[str, float]] = field(default_factory=dict)
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
            if not _is_nothing(other):
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

    def runs(self, **known: Any) -> Iterator[RunOfRecords]:
        """Yield every run's history.

        Args:
            known: fields for runs that do not say them, e.g. total_epochs.
        """
        for name, run in self._runs.items():
            config = {k: v for k, v in run.config.items() if v is not None}
            yield RunOfRecords(name, run.fault or _history(name, run, known), config)


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
    for name, value in values.items():
        if name == "run_id" or _is_nothing(value):
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
        if row:
            raise _Fault("`epochs` must be given, but is empty.", "epochs")
        return
    seen = run.rows.setdefault(row["epochs"], {})
    for name, value in row.items():
        if seen.setdefault(name, value) != value:
            rule = f"one value at an epoch ({seen[name]:g} at {row['epochs']:g})"
            advice = "Two runs? Give each a name, in a column run_id."
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


def _is_nothing(value: Any) -> bool:
    return value is None or str(value).strip().lower() in _NOTHING


class _Fault(Exception):
    """A message and the field that it is about."""
