"""Recorded histories of any origin -> runs: what can be read is read, the rest is told.

A reader yields runs, and for whatever it leaves out the error that says why. `ingest` gathers
them; a further origin is one more reader. Nothing is padded, nothing is invented.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collector import nexussom
from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.history.context import mqe_of_mean as measure_mqe_of_mean
from oracle.history.dataset import iter_dataset
from oracle.history.files import read_text
from oracle.history.sample_table import read_table
from oracle.types import History, Run, explain

Reader = Iterable[Run | DatasetError]

#: One value tells nothing of a course.
MIN_CHECKPOINTS = 2
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
DATASET_SUFFIXES = (".csv", ".csv.gz")


@dataclass
class Report:
    """What was read and what was not.

    Attributes:
        sources: runs read by source.
        censored: runs read that were stopped early.
        tables: runs read by table.
        skipped: one sentence for each run left out.
        final_progress: lowest and highest progress of a finished run's last checkpoint.
        without_total: runs without total_epochs, taken to end with their last checkpoint.
    """

    sources: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    censored: int = 0
    skipped: list[str] = field(default_factory=list)
    final_progress: tuple[float, float] | None = None
    without_total: int = 0

    @property
    def runs(self) -> int:
        """How many runs were read."""
        return self.sources.total()

    def add(self, run: Run) -> None:
        """Count a run that was read."""
        self.sources[run.source] += 1
        self.tables[run.dataset] += 1
        self.censored += run.censored
        progress = run.history.progress
        if progress is None:
            self.without_total += 1
        elif not run.censored:
            low, high = self.final_progress or (progress, progress)
            self.final_progress = min(low, progress), max(high, progress)

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "runs": self.runs,
            "censored": self.censored,
            "sources": dict(sorted(self.sources.items())),
            "tables": dict(sorted(self.tables.items())),
            "final_progress": self.final_progress,
            "without_total_epochs": self.without_total,
            "skipped": self.skipped,
        }


def ingest(readers: Iterable[Reader]) -> tuple[list[Run], Report]:
    """Gather the runs of all readers; the first of two runs with one run_id counts.

    Raises:
        DatasetError: where a dataset file is broken: half of a dataset is not the dataset.
    """
    runs: dict[str, Run] = {}
    report = Report()
    for item in (item for reader in readers for item in reader):
        if isinstance(item, DatasetError):
            report.skipped.append(str(item))
        elif item.run_id in runs:
            report.skipped.append(f"run {item.run_id}: was read already, run_id must be unique.")
        elif len(item.history) < MIN_CHECKPOINTS:
            rule = must_be("epochs", f"{MIN_CHECKPOINTS} checkpoints or more", len(item.history))
            report.skipped.append(f"run {item.run_id}: {rule}")
        else:
            runs[item.run_id] = item
            report.add(item)
    return list(runs.values()), report


def reader_of(
    path: str | Path,
    *,
    topology: nexussom.Topology | None = None,
    mqe_of_mean: float | None = None,
) -> Reader:
    """Choose how to read `path`.

    Args:
        path: a NexusSOM result folder (or any folder above some), its results.csv, a dataset
            CSV, a JSON file with a history, a list of them or one a line, or a folder of such.
        topology: of NexusSOM's maps where their results do not name it.
        mqe_of_mean: quantization error of the mean of the one table all runs are of.

    Raises:
        DatasetError: where there is nothing that can be read.
    """
    path = Path(path)
    if path.is_dir():
        folders = nexussom.seed_folders(path)
        if folders:
            return _chain(
                nexussom.read_runs(f, topology=topology, mqe_of_mean=mqe_of_mean) for f in folders
            )
        files = sorted(f for f in path.iterdir() if f.suffix in JSON_SUFFIXES and f.is_file())
        if files:
            return _with_scale(_chain(map(read_json, files)), mqe_of_mean)
        raise DatasetError(
            f"must hold NexusSOM's {nexussom.RESULTS} or histories as JSON, but holds neither.",
            file=str(path),
        )
    if not path.exists():
        raise DatasetError("must be a file or folder, but there is none.", file=str(path))
    if path.name == nexussom.RESULTS:
        return nexussom.read_runs(path.parent, topology=topology, mqe_of_mean=mqe_of_mean)
    if path.name.endswith(DATASET_SUFFIXES):
        return _with_scale(iter_dataset(path), mqe_of_mean)
    if path.suffix in JSON_SUFFIXES:
        return _with_scale(read_json(path), mqe_of_mean)
    raise DatasetError(
        must_be("path", "a folder, .csv, .csv.gz, .json or .jsonl", path.name), file=str(path)
    )


def read_json(path: str | Path) -> Iterator[Run | DatasetError]:
    """Yield the histories of a JSON file: one, a list, or one a line.

    The final values are those of the last checkpoint. A history that was not seen to its end is
    censored (`History.is_whole`); without total_epochs it is taken to be whole.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except DatasetError as error:
        yield error
        return
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:  # too deep, or a number of 5,000 digits
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or (path.suffix == ".json" and not _is_json(lines[0][1])):
            yield DatasetError(f"must be valid JSON, but: {error}.", file=str(path))
            return
        single, items = False, lines
    else:
        single = not isinstance(whole, list)
        items = (
            [(0, json.dumps(whole))]
            if single
            else [(n, json.dumps(item)) for n, item in enumerate(whole, 1)]
        )
        if not single and whole and isinstance(whole[0], dict) and "iteration" in whole[0]:
            yield DatasetError(
                "holds one NexusSOM run without its final values. "
                f"Give the folder which holds its {nexussom.RESULTS}.",
                file=str(path),
            )
            return
    for number, item in items:
        try:
            yield run_of(item, default_id=_name(path.stem, "" if single else f"-{number}"))
        except InvalidHistory as error:
            yield DatasetError(str(error), file=str(path), row=None if single else number)


def run_of(text: str, default_id: str, source: str = "json") -> Run:
    """Make a run of a history as JSON text, or of a run with its `history` inside.

    Raises:
        InvalidHistory: naming every field, its rule and what came.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidHistory(f"must be valid JSON, but: {error}.") from None
    if isinstance(fields, dict) and "history" in fields:
        try:
            return Run.model_validate(fields)
        except ValidationError as error:
            raise InvalidHistory(explain(error)) from None
    history = History.parse(text)
    return Run(
        run_id=history.run_id or default_id,
        source=source,
        dataset=history.dataset or "unknown",
        final_mqe=history.mqe[-1],
        final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
        censored=history.total_epochs is not None and not history.is_whole,
        history=history,
    )


def mqe_of_mean_of(path: str | Path) -> float:
    """Compute mqe_of_mean of a table as the map saw it: a CSV of numbers, with or without header.

    Raises:
        DatasetError: naming the row and column that is no number.
    """
    scale = measure_mqe_of_mean(read_table(path).values)
    if scale is None:
        raise DatasetError("must have rows that differ, but all are equal.", file=str(path))
    return scale


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _with_scale(reader: Reader, mqe_of_mean: float | None) -> Iterator[Run | DatasetError]:
    """Fill in mqe_of_mean where a run has none."""
    for item in reader:
        if (
            mqe_of_mean is None
            or isinstance(item, DatasetError)
            or item.history.context.mqe_of_mean is not None
        ):
            yield item
            continue
        context = item.history.context.model_copy(update={"mqe_of_mean": mqe_of_mean})
        history = item.history.model_copy(update={"context": context})
        yield item.model_copy(update={"history": history})


def _chain(readers: Iterable[Reader]) -> Iterator[Run | DatasetError]:
    for reader in readers:
        yield from reader


def _name(stem: str, ending: str) -> str:
    """Make a run_id of a file's name."""
    clean = re.sub(r"[^A-Za-z0-9._-]", "_", stem).strip(".") or "run"
    return clean[: 64 - len(ending)] + ending
