"""Recorded histories of any origin -> runs: what can be read is read, the rest is told.

A reader yields runs, and for whatever it leaves out the error that says why. `ingest` gathers
them; a further origin is one more reader. Nothing is padded, nothing is invented.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from collector.recorded import nexussom, nexussom_files
from collector.recorded.exports import EVENTS, Exports, event_files, mlflow_runs
from collector.recorded.found import Found, Reader, first_free
from collector.recorded.json_runs import ending, read_json
from oracle.errors import DatasetError, must_be
from oracle.history.context import mqe_of_mean
from oracle.history.dataset import COLUMNS, iter_dataset, read_weights
from oracle.history.files import Line, csv_lines
from oracle.history.sample_table import SampleTable
from oracle.types import Run, run_id_of
from oracle.types.context import Topology

Items = Iterable[Found | DatasetError]

#: One value tells nothing of a course.
MIN_CHECKPOINTS = 2
JSON_SUFFIXES = (".json", ".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv")


@dataclass(frozen=True)
class Known:
    """What the caller knows of runs that do not say it themselves.

    Attributes:
        topology: of NexusSOM's maps.
        dataset: name of the one table that all runs are of.
        total_epochs: budget of each run, in the unit of its epochs.
        mqe_of_mean, n_samples, n_features: of the table, as the maps saw it.
    """

    topology: Topology | None = None
    dataset: str | None = None
    total_epochs: float | None = None
    mqe_of_mean: float | None = None
    n_samples: float | None = None
    n_features: float | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of a history that has none."""
        told = {"dataset": self.dataset, "total_epochs": self.total_epochs}
        return {name: value for name, value in told.items() if value is not None}

    def with_table(self, table: SampleTable, file: str) -> Known:
        """Learn what there is to know of the table, as the maps saw it.

        Raises:
            DatasetError: all of its rows are equal.
        """
        scale = mqe_of_mean(table.values)
        if scale is None:
            raise DatasetError("must have rows that differ, but all are equal.", file=file)
        n_samples, n_features = map(float, table.values.shape)
        return replace(self, mqe_of_mean=scale, n_samples=n_samples, n_features=n_features)

    def complete(self, items: Items) -> Iterator[Found | DatasetError]:
        """Fill in what a run's context lacks of the table."""
        told = {name: getattr(self, name) for name in ("mqe_of_mean", "n_samples", "n_features")}
        for item in items:
            if isinstance(item, DatasetError):
                yield item
                continue
            run, context = item.run, item.run.history.context
            lacks = {n: v for n, v in told.items() if v is not None and getattr(context, n) is None}
            context = context.model_copy(update=lacks)
            history = run.history.model_copy(update={"context": context})
            yield item._replace(run=run.model_copy(update={"history": history})) if lacks else item


@dataclass
class Report:
    """What was read and what was not.

    Attributes:
        sources: runs read by source.
        censored: runs read that were stopped early.
        tables: runs read by table.
        skipped: one sentence for each run left out.
        reasons: the same without place and name -> how many.
        again: runs that were read already, by an earlier path.
        given: run_id -> the name and settings that the run came with.
        weights: run_id -> runs that it stands for, of runs that stand for others.
        final_progress: lowest and highest progress of a finished run's last checkpoint.
        without_total: runs without total_epochs, taken to end with their last checkpoint.
    """

    sources: Counter[str] = field(default_factory=Counter)
    tables: Counter[str] = field(default_factory=Counter)
    censored: int = 0
    skipped: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    again: int = 0
    given: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    final_progress: tuple[float, float] | None = None
    without_total: int = 0

    @property
    def runs(self) -> int:
        """How many runs were read."""
        return self.sources.total()

    def add(self, run: Run, found: Found) -> None:
        """Count a run that was read."""
        if found.given is not None:
            self.given[run.run_id] = found.given
        self.weigh(run.run_id, found)
        self.sources[run.source] += 1
        self.tables[run.dataset] += 1
        self.censored += run.censored
        progress = run.history.progress
        if progress is None:
            self.without_total += 1
        elif not run.censored:
            low, high = self.final_progress or (progress, progress)
            self.final_progress = min(low, progress), max(high, progress)

    def weigh(self, run_id: str, found: Found) -> None:
        """Note how many runs it stands for, the first time that this is said."""
        if found.weight != 1.0:
            self.weights.setdefault(run_id, found.weight)

    def skip(self, error: DatasetError) -> None:
        """Note what was left out."""
        self.skipped.append(str(error))
        self.reasons[re.sub(r"^run \S+: ", "", str(error.message))] += 1

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON values."""
        return {
            "runs": self.runs,
            "censored": self.censored,
            "sources": dict(sorted(self.sources.items())),
            "tables": dict(sorted(self.tables.items())),
            "final_progress": self.final_progress,
            "without_total_epochs": self.without_total,
            "read_already": self.again,
            "skipped": self.skipped,
        }


def ingest(readers: Iterable[Iterable[Run | DatasetError]]) -> tuple[list[Run], Report]:
    """Gather the runs of all readers.

    A run that came with its name keeps it, and the first of two counts: one of the same history
    was read already, one of another is skipped. Runs without a name take what is free.

    Raises:
        DatasetError: where a dataset file is broken: half of a dataset is not the dataset.
    """
    report = Report()
    found = list(_long_enough(readers, report))
    kept: dict[str, Found] = {}
    like: dict[Hashable, list[str]] = {}  # by what was measured
    runs: dict[int, Run] = {}
    numbers = Counter[str]()
    for at in sorted(range(len(found)), key=lambda at: bool(found[at].names)):
        one = found[at]
        alike = like.setdefault(one.measured, [])
        if same := [name for name in alike if _may_be_called(one, name)]:
            report.again += 1
            report.weigh(same[0], one)
        elif one.names or one.run.run_id not in kept:
            names = one.names or (one.run.run_id,)
            name = run_id_of(first_free(names, kept, numbers))
            kept[name], runs[at] = one, one.called(name)
            alike.append(name)
            report.add(runs[at], one)
        else:
            report.skip(_another(one, kept[one.run.run_id]))
    return [runs[at] for at in sorted(runs)], report


def _may_be_called(one: Found, name: str) -> bool:
    """Tell whether a name is that of a run, or one that it could have got."""
    if not one.names:
        return name == one.run.run_id
    base = run_id_of(one.names[0])
    return (
        name in map(run_id_of, one.names)
        or re.fullmatch(rf"{re.escape(base)}-\d+", name) is not None
    )


def _long_enough(
    readers: Iterable[Iterable[Run | DatasetError]], report: Report
) -> Iterator[Found]:
    """Yield what was found, and report the rest."""
    for reader in readers:
        for item in (reader if isinstance(reader, Reader) else Reader.of(reader)).found:
            if isinstance(item, DatasetError):
                report.skip(item)
            elif (length := len(item.run.history)) < MIN_CHECKPOINTS:
                rule = must_be("epochs", f"{MIN_CHECKPOINTS} checkpoints or more", length)
                report.skip(DatasetError(f"run {item.run.run_id}: {rule}"))
            else:
                yield item


def _another(one: Found, kept: Found) -> DatasetError:
    """Say that two histories have one name."""
    place = f"That in {kept.place}" if kept.place else "The first"
    advice = f"{place} is kept: give this run another run_id, or read it into a file of its own."
    rule = must_be("run_id", "the name of one run alone", "another history", advice)
    return DatasetError(f"run {one.run.run_id}: {rule}", file=one.place)


def readers_of(
    paths: Iterable[str | Path], known: Known | None = None, exports: Exports | None = None
) -> list[Reader]:
    """Choose how to read each path.

    Args:
        paths: NexusSOM result folders (or any folder above some), their results.csv, datasets,
            tables of checkpoints, JSON histories (one, a list, one a line), exports of W&B, MLflow
            and TensorBoard, and folders of such.
        known: of runs that do not say it themselves.
        exports: gathers what other tools wrote, knows their names of our fields, and can tell
            afterwards how it was read.

    Raises:
        DatasetError: where there is nothing that can be read.
    """
    known, exports = known or Known(), exports or Exports()
    found = [items for path in paths for items in _readers(Path(path), known, exports)]
    return [Reader(known.complete(items)) for items in (*found, _exported(exports, known))]


def _readers(path: Path, known: Known, exports: Exports) -> list[Items]:
    """Readers of one path; what they hand to `exports` is read last, together."""
    if path.is_dir():
        return _readers_of_folder(path, known, exports)
    if not path.exists():
        raise DatasetError("must be a file or folder, but there is none.", file=str(path))
    if path.name == nexussom_files.RESULTS:
        return [_nexussom(path.parent, known)]
    if path.name.startswith(EVENTS):
        return [_added(exports.add_events, path, path.parent)]
    if path.name.endswith(CSV_SUFFIXES):
        return [_read_csv(path, exports)]
    if path.suffix in JSON_SUFFIXES:
        return [read_json(path, exports, known.fields)]
    rule = f"a folder, {', '.join((*CSV_SUFFIXES, *JSON_SUFFIXES))} or {EVENTS}*"
    raise DatasetError(must_be("path", rule, path.name), file=str(path))


def _readers_of_folder(path: Path, known: Known, exports: Exports) -> list[Items]:
    if folders := nexussom_files.seed_folders(path):
        return [_nexussom(folder, known) for folder in folders]
    if runs := mlflow_runs(path):
        return [_added(exports.add_mlflow, run) for run in runs]
    if events := event_files(path):
        return [_added(exports.add_events, file, path) for file in events]
    files = [file for file in path.iterdir() if _is_readable(file)]
    files = files or [file for file in path.rglob("*") if _is_readable(file)]
    if not files:
        raise DatasetError(
            f"must hold NexusSOM's {nexussom_files.RESULTS}, histories as JSON, tables as CSV, or "
            "what MLflow or TensorBoard wrote, but holds neither.",
            file=str(path),
        )
    return [reader for file in sorted(files) for reader in _readers(file, known, exports)]


def _is_readable(file: Path) -> bool:
    return file.name.endswith((*CSV_SUFFIXES, *JSON_SUFFIXES)) and file.is_file()


def _nexussom(folder: Path, known: Known) -> Items:
    runs = nexussom.read_runs(folder, topology=known.topology, mqe_of_mean=known.mqe_of_mean)
    return Reader.of(runs, folder / nexussom_files.RESULTS).found


def _read_csv(path: Path, exports: Exports) -> Iterator[Found | DatasetError]:
    """Read a dataset, or hand a table to `exports`."""
    try:
        header = next(csv_lines(path), Line(1, [])).cells
    except DatasetError as error:
        yield error
        return
    if 2 * len({cell.strip() for cell in header} & set(COLUMNS)) > len(COLUMNS):
        yield from Reader.of(iter_dataset(path), path, read_weights(path)).found
    else:
        yield from _added(exports.add_csv, path)


def _added(add: Callable[..., None], *arguments: Path) -> Iterator[DatasetError]:
    """Hand something to `exports`, and say why it is not taken."""
    try:
        add(*arguments)
    except DatasetError as error:
        yield error


def _exported(exports: Exports, known: Known) -> Iterator[Found | DatasetError]:
    """Yield the runs that were gathered from all files."""
    found = [*exports.runs(**known.fields)]
    if exports.left and "mqe" not in exports.read:
        metrics = ", ".join(sorted(exports.left)[:20])
        message = f"must have a metric `mqe`, but has {metrics}. Say which: --columns mqe=NAME."
        yield DatasetError(message)
    for run in found:
        if isinstance(run.history, DatasetError):
            yield run.history
            continue
        config = dict(run.config)
        cut_short = run.is_open or run.name in exports.cut_short
        yield Found(
            ending(run.history, run_id_of(run.name), "export", cut_short=cut_short),
            str(exports.files[run.name]),
            tuple(exports.invented.get(run.name, ())),
            {"name": run.name, **({"config": config} if config else {})},
        )
    yield from exports.skipped
