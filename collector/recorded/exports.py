"""Runs that other tools tracked: tables of checkpoints, and exports of W&B, MLflow and TensorBoard.

    run,epoch,qe,te                              a row a checkpoint, columns of any name
    "Step","fast - mqe","fast - mqe__MIN",...    a chart of Weights & Biases, a column a run
    run_id,key,value,step,timestamp              MLflow's metrics.csv, a row a value
    mlruns/EXPERIMENT/RUN/metrics/mqe            MLflow's folders
    run-fast-tag-mqe.csv: Wall time,Step,Value   TensorBoard, a file a run and metric; JSON likewise
    fast/events.out.tfevents...                  TensorBoard's own files

Each is values by run, step and metric, and they are read together: a run may have a file a metric.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from collector.recorded.found import Home, Names, first_free, stem_of
from oracle.errors import DatasetError, must_be
from oracle.history.files import csv_lines, read_text
from oracle.history.records import (
    FIELDS,
    NO_ROWS,
    Records,
    RunOfRecords,
    columns_of,
    is_nothing,
    no_column,
)
from oracle.types import CHECKPOINT, run_id_of

Row = Mapping[str, Any]


class Point(NamedTuple):
    """One value of a metric."""

    step: Any
    metric: str
    value: Any


#: What one row tells of a run: its name, None where its home names it; fields, or a point; what
#: else it says.
Told = tuple[Any, Row | Point, Row]
Shape = Callable[[Row], Iterable[Told]]

#: A file that TensorBoard's page saves; `/` in names is `_` there.
_TENSORBOARD = re.compile(r"run-(?P<run>.+)-tag-(?P<metric>.+)")
_TENSORBOARD_COLUMNS = ["wall time", "step", "value"]
#: A column of a W&B chart; where points were merged two more stand beside it.
_CHART = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<merged>__MIN|__MAX)?")
#: What MLflow and others call the name of a metric in a row of its own.
_KEYS = ("key", "metric", "tag")
#: TensorBoard's own files; the name goes on with time and host.
EVENTS = "events.out.tfevents."
#: What a run's parameters may tell, and what its metrics: they stand at a step already.
_PARAMS = tuple(name for name in FIELDS if name not in ("run_id", *CHECKPOINT))
_METRICS = tuple(name for name in FIELDS if name not in ("run_id", "epochs"))
#: Runs that a note names.
_SHOWN = 10
#: MLflow's mark of a run that ended by itself.
_FINISHED = "3"


class Exports:
    """Gathers the runs of exported files.

    Args:
        named: field -> column or metric, see `oracle.history.records`.

    Attributes:
        named: as given.
        read: field -> the columns or metrics that it was read from.
        left: metrics that were not read.
        skipped: rows that could not be read.
        left_out: rows that are no checkpoints, a sentence a run.
        cut_short: runs that did not end by themselves, as far as their tool says.
        open_ended: runs whose end is not known, since their last rows have no mqe.
        names: for the runs without one, of all files that are read together.
        invented: run that came without a name -> what it may be called.
        files: run -> a file that holds it.
    """

    def __init__(self, named: Mapping[str, str] | None = None) -> None:
        self.named = dict(named or {})
        self._records = Records()
        self._nameless: dict[Hashable, list[tuple[Home, Path, int | None, Row | Point, Row]]] = {}
        self._cut_short: set[Hashable] = set()
        self._points: dict[str, dict[str, list[tuple[Path, int | None, Point]]]] = {}
        self.read: dict[str, set[str]] = {}
        self.left: set[str] = set()
        self.skipped: list[DatasetError] = []
        self.left_out: list[str] = []
        self.cut_short: set[str] = set()
        self.open_ended: list[str] = []
        self.names = Names()
        self.invented: dict[str, list[str]] = {}
        self.files: dict[str, Path] = {}

    def runs(self, **known: Any) -> Iterator[RunOfRecords]:
        """Yield every run; `known` are fields for runs that do not say them."""
        self._add_nameless()
        self._add_points()
        for run in self._records.runs(**known):
            if not isinstance(run.history, DatasetError):
                if run.left_out:
                    self.left_out.append(f"run {run.name}: {run.left_out}")
                if run.is_open:
                    self.open_ended.append(run.name)
            yield run

    def _add_nameless(self) -> None:
        """Enter the runs without a name, now that the others have theirs."""
        taken, numbers = {run_id_of(name) for name in self.files}, Counter[str]()
        for key, rows in self._nameless.items():
            names = self.names.of(rows[0][0])
            name = first_free(names, taken, numbers)
            taken.add(run_id_of(name))
            self.invented[name] = names
            if key in self._cut_short:
                self.cut_short.add(name)
            for _, path, number, values, others in rows:
                self._enter(name, path, number, values, others)
        self._nameless.clear()

    def _add_points(self) -> None:
        """Enter the metrics of each run, now that all are known: several may fit a field."""
        for name, metrics in self._points.items():
            file = next(iter(metrics.values()))[0][0]
            try:
                columns = columns_of(list(metrics), self.named, _METRICS)
            except DatasetError as error:
                message = f"run {name}: {error}"
                self._records.refuse(name, DatasetError(message, file=str(file)))
                continue
            self._note(columns)
            self.left |= {*metrics} - {*columns.values()}
            for field, metric in columns.items():
                for path, number, point in metrics[metric]:
                    values = {"epochs": point.step, field: point.value}
                    self._records.add(name, values, str(path), number)
        self._points.clear()

    def as_dict(self) -> dict[str, Any]:
        """Tell how it was read, as JSON values."""
        read = {name: sorted(columns) for name, columns in sorted(self.read.items())}
        return {
            "read_as": read,
            "not_read": sorted(self.left),
            "left_out": self.left_out,
            "open_ended": self.open_ended,
        }

    def notes(self) -> list[str]:
        """Tell how it was read, a line each."""
        others = {n: c for n, c in self.as_dict()["read_as"].items() if c != [n]}
        lines = [f"{name} read from {', '.join(columns)}" for name, columns in others.items()]
        if self.left:
            lines.append(f"metrics not read: {', '.join(sorted(self.left)[:10])}")
        if self.left_out:
            lines.append(f"rows without mqe left out, of {len(self.left_out)} runs")
            lines += [f"  {told}" for told in _first(self.left_out)]
        if self.open_ended:
            lines.append(
                f"no mqe in the last rows, so the final one is not known: {len(self.open_ended)} "
                f"kept as censored: {', '.join(_first(self.open_ended))}"
            )
        return lines

    def add_csv(self, path: Path) -> None:
        """Read a CSV of any of the kinds.

        Raises:
            DatasetError: it is of none, has no rows, or has several columns that may be meant; the
                message names them.
        """
        lines = csv_lines(path)
        header = next(lines, None)
        names = [] if header is None else [cell.strip() for cell in header.cells]
        shape, home = self._shape(path, names), _home(path, names)
        number = 0
        for number, cells in lines:
            if len(cells) == len(names):
                self._add(path, number, shape(dict(zip(names, cells, strict=True))), home)
            else:
                message = must_be("row", f"{len(names)} cells wide", len(cells))
                self.skipped.append(DatasetError(message, file=str(path), row=number))
        if not number:
            raise DatasetError(NO_ROWS, file=str(path))

    def add_json(self, path: Path, rows: Sequence[Any]) -> None:
        """Take objects as the rows of a CSV, or TensorBoard's lists [wall time, step, value].

        Raises:
            DatasetError: as `add_csv`.
        """
        if isinstance(rows[0], list):
            rows = [dict(zip(_TENSORBOARD_COLUMNS, row, strict=True)) for row in rows]
        names = list(dict.fromkeys(name for row in rows for name in row))
        shape, home = self._shape(path, names), _home(path, names)
        for number, row in enumerate(rows, 1):
            self._add(path, number, shape(row), home)

    def add_mlflow(self, folder: Path) -> None:
        """Read the folder of one MLflow run: metrics/, params/ and meta.yaml."""
        meta = read_text(folder / "meta.yaml", "YAML")
        told = folder / "tags" / "mlflow.runName"
        name = (read_text(told, "text").strip() if told.is_file() else "") or folder.name
        home = Home(folder.resolve(), name, folder.parent)  # MLflow lets runs share a name
        if (status := re.search(r"^status: *(\d+)", meta, re.MULTILINE)) and status[1] != _FINISHED:
            self._cut_short.add(home.key)
        params = {p.name: read_text(p, "text") for p in _files(folder / "params")}
        tags = [t for t in _files(folder / "tags") if not t.name.startswith("mlflow.")]
        columns = columns_of(list(params), self.named, _PARAMS, folder)
        others = {**_without(params, columns), **{t.name: read_text(t, "text") for t in tags}}
        known = {field: params[column] for field, column in columns.items()}
        self._add(folder, None, [(None, known, others)], home)
        for file in _files(folder / "metrics"):
            metric = str(file.relative_to(folder / "metrics"))
            for number, line in enumerate(read_text(file, "text").splitlines(), 1):
                _, value, step, *_ = [*line.split(), "", "", ""]
                self._add(file, number, [(None, Point(step, metric, value), {})], home)

    def add_events(self, path: Path, root: Path) -> None:
        """Read one of TensorBoard's own files; its folder below `root` names the run.

        Raises:
            ModuleNotFoundError: TensorBoard is not installed.
        """
        home = Home.of_folder(path.parent)
        if path.parent != root:
            home = Home(home.key, str(path.parent.relative_to(root)), root)
        for number, (metric, step, value) in enumerate(_scalars(path), 1):
            self._add(path, number, [(None, Point(step, metric, value), {})], home)

    def _shape(self, path: Path, names: Sequence[str]) -> Shape:
        """Tell how the rows of a table with these columns are meant."""
        plain = {name.lower(): name for name in names}
        found = {n: m for n in names if n not in self.named.values() and (m := _CHART.fullmatch(n))}
        columns = columns_of([n for n in names if n not in found], self.named, file=path)
        step, run = columns.get("epochs"), columns.get("run_id", "")
        charts = {n: m for n, m in found.items() if not m["merged"]}
        key = next((plain[k] for k in _KEYS if k in plain), None)
        if _are_tensorboards(names):
            metric = _saved_by_tensorboard(path)[1]
            at, value = plain["step"], plain["value"]
            return lambda row: [(None, Point(row[at], metric, row[value]), {})]
        if step is None:
            raise DatasetError(no_column("epochs", names), file=str(path))
        if key is not None and "value" in plain:
            value = plain["value"]
            return lambda row: [
                (row.get(run), Point(row.get(step), str(row.get(key)), row.get(value)), {})
            ]
        if "mqe" in columns:
            self._note(columns)
            return lambda row: [
                (row.get(run), {f: row.get(c) for f, c in columns.items()}, _without(row, columns))
            ]
        if charts:
            if twice := [n for n in charts if names.count(n) > 1]:
                rule, advice = "of runs with a name each", "Rename one in the header."
                raise DatasetError(must_be("chart", rule, twice[0], advice), file=str(path))
            # An empty cell is a step of another run.
            return lambda row: [
                (m["run"], Point(row.get(step), m["metric"], row.get(n)), {})
                for n, m in charts.items()
                if not is_nothing(row.get(n))
            ]
        raise DatasetError(no_column("mqe", names), file=str(path))

    def _note(self, columns: Mapping[str, str]) -> None:
        for name, column in columns.items():
            self.read.setdefault(name, set()).add(column)

    def _add(self, path: Path, number: int | None, told: Iterable[Told], home: Home) -> None:
        for run, values, others in told:
            if name := "" if run is None else str(run).strip():
                self._enter(name, path, number, values, others)
            else:
                rows = self._nameless.setdefault(home.key, [])
                rows.append((home, path, number, values, others))

    def _enter(
        self, name: str, path: Path, number: int | None, values: Row | Point, others: Row
    ) -> None:
        self.files.setdefault(name, path)
        if isinstance(values, Point):
            points = self._points.setdefault(name, {}).setdefault(values.metric, [])
            points.append((path, number, values))
        elif values or others:
            self._records.add(name, values, str(path), number, others)


def _home(path: Path, columns: Sequence[str]) -> Home:
    """Tell what the rows of a table are called by that do not name their run."""
    return _saved_by_tensorboard(path)[0] if _are_tensorboards(columns) else Home.of_file(path)


def _saved_by_tensorboard(path: Path) -> tuple[Home, str]:
    """Tell whose metric a file is, and which."""
    stem = stem_of(path)
    if (match := _TENSORBOARD.fullmatch(stem)) is None:  # renamed: the folder is the run
        return Home.of_folder(path.parent), stem
    run, metric = match["run"], match["metric"]
    return Home((path.parent.resolve(), run), run, path.parent), metric


def _are_tensorboards(columns: Sequence[str]) -> bool:
    return sorted(name.lower() for name in columns) == sorted(_TENSORBOARD_COLUMNS)


def mlflow_runs(folder: Path) -> list[Path]:
    """Find the folders of MLflow's runs at or below `folder`."""
    found = [
        meta.parent for meta in folder.rglob("meta.yaml") if (meta.parent / "metrics").is_dir()
    ]
    return sorted(found)


def event_files(folder: Path) -> list[Path]:
    """Find TensorBoard's own files at or below `folder`."""
    return sorted(folder.rglob(f"{EVENTS}*"))


def _first(told: Sequence[str]) -> list[str]:
    return [*told[:_SHOWN], *([f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else [])]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _without(row: Row, columns: Mapping[str, str]) -> Row:
    read = set(columns.values())
    return {name: value for name, value in row.items() if name not in read}


def _scalars(path: Path) -> Iterator[tuple[str, int, float]]:
    """Yield (tag, step, value) of an event file up to its end, or to where it is torn.

    Each record is its length (8 bytes), a checksum (4), an Event, a checksum (4).
    """
    from tensorboard.compat.proto.event_pb2 import Event

    with path.open("rb") as file:
        while len(head := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", head[:8])
            body = file.read(length + 4)
            if len(body) < length + 4:
                return
            event = Event.FromString(body[:-4])
            for value in event.summary.value:
                if (number := _scalar(value)) is not None:
                    yield value.tag, event.step, number


def _scalar(value: Any) -> float | None:
    """Give the number of a summary's value: a plain one, or TensorFlow 2's tensor of one."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if value.metadata.plugin_data.plugin_name != "scalars":
        return None
    tensor = value.tensor
    for numbers in (tensor.float_val, tensor.double_val):
        if numbers:
            return float(numbers[0])
    form = {4: "<f", 8: "<d"}.get(len(tensor.tensor_content))
    return None if form is None else float(struct.unpack(form, tensor.tensor_content)[0])
