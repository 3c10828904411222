"""Histories as JSON: one, a list, one a line, or runs with their ending."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collector.recorded import nexussom_files
from collector.recorded.exports import Exports
from collector.recorded.found import Found, Home, stem_of
from oracle.errors import DatasetError, InvalidHistory
from oracle.history.columns import shortened
from oracle.history.files import read_text
from oracle.history.records import columns_of, renamed
from oracle.types import CHECKPOINT, History, Run, explain, run_id_of

#: Fields of a history that a file may have under other names.
_NAMED_OTHERWISE = ("run_id", "dataset", "population", "total_epochs", *CHECKPOINT)
_KNOWN = {*History.model_fields, "topo_error", "dead_ratio"}


def read_json(
    path: str | Path, exports: Exports | None = None, known: Mapping[str, Any] | None = None
) -> Iterator[Found | DatasetError]:
    """Yield the histories of a JSON file.

    The final values are those of the last checkpoint; see `ending`.

    Args:
        path: the file.
        exports: takes what is no history but the rows or points of another tool, and knows how
            the file names its fields and what runs without a name may be called.
        known: fields of histories that do not say them.
    """
    exports, path = exports or Exports(), Path(path)
    try:
        items, single = _items(path)
        if not single and _are_exported([item for _, item in items]):
            exports.add_json(path, [item for _, item in items])
            return
    except DatasetError as error:
        yield error
        return
    stem, key = stem_of(path), path.resolve()
    for number, item in items:
        name = stem if single else f"{stem[:50]}-{number}"
        names = partial(exports.names.of, Home((key, number), name, path.parent))
        try:
            yield run_of(item, names, exports.named, known)._replace(place=str(path))
        except InvalidHistory as error:
            yield DatasetError(str(error), file=str(path), row=None if single else number)


def run_of(
    item: Any,
    names: Callable[[], Sequence[str]],
    named: Mapping[str, str] | None = None,
    known: Mapping[str, Any] | None = None,
) -> Found:
    """Make a run of a history, or of a run with its `history` inside.

    Args:
        item: a JSON value.
        names: gives what a run without a name may be called.
        named: field -> its name here.
        known: fields of a history that does not say them, or says null.

    Raises:
        InvalidHistory: naming every field, its rule and what came.
    """
    if isinstance(item, Torn):
        raise InvalidHistory(item)
    try:
        if isinstance(item, dict) and "history" in item:
            return Found(Run.model_validate_json(json.dumps(item)))
        if isinstance(item, dict):
            item = _renamed(item, named or {})
            said = {name: value for name, value in item.items() if value is not None}
            item = shortened({**item, **(known or {}), **said})
            item["run_id"] = _run_id(item.get("run_id"))
        history = History.parse(json.dumps(item))
        if history.run_id is not None:
            return Found(ending(history, history.run_id, "json"))
        choice = tuple(names())
        return Found(ending(history, run_id_of(choice[0]), "json"), names=choice)
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None
    except DatasetError as error:
        raise InvalidHistory(str(error)) from None


def ending(history: History, run_id: str, source: str, *, cut_short: bool = False) -> Run:
    """Make a run that ended as its last checkpoint says.

    A history that was not seen to its end is censored (`History.is_whole`); one without
    total_epochs is taken to be whole.

    Args:
        history: all of it.
        run_id: name of the run.
        source: what recorded it.
        cut_short: True where the run is known to have ended early.
    """
    early = history.total_epochs is not None and not history.is_whole
    return Run(
        run_id=run_id,
        source=source,
        dataset=history.dataset or "unknown",
        final_mqe=history.mqe[-1],
        final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
        censored=early or cut_short,
        history=history.model_copy(update={"run_id": run_id}),
    )


def _renamed(item: dict[str, Any], named: Mapping[str, str]) -> dict[str, Any]:
    """Give the fields of a history their own names."""
    fields = [name for name in _NAMED_OTHERWISE if name in named or name not in item]
    others = [name for name in item if name in named.values() or name not in _KNOWN]
    return renamed(item, columns_of(others, named, fields))


def _run_id(name: Any) -> Any:
    """Clean a name that somebody gave; one that looks like a path is left to be refused."""
    is_name = isinstance(name, str | int) and not isinstance(name, bool)
    return run_id_of(name) if is_name and not str(name).startswith((".", "/")) else name


def _items(path: Path) -> tuple[list[tuple[int, Any]], bool]:
    """Read the values of a file with their numbers, and whether the file is a single one.

    A line that is no JSON is its text, which is no history.

    Raises:
        DatasetError: the file is no JSON, or cannot be read without others.
    """
    text = read_text(path)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:  # too deep, or a number of 5,000 digits
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
        values = [(n, _value(line)) for n, line in lines]
        if len(lines) < 2 or (path.suffix == ".json" and isinstance(values[0][1], Torn)):
            raise DatasetError(f"must be valid JSON, but: {error}.", file=str(path)) from None
        return values, False
    if isinstance(whole, list) and path.name == nexussom_files.CHECKPOINTS:
        raise DatasetError(
            "holds one NexusSOM run without its final values. "
            f"Give the folder which holds its {nexussom_files.RESULTS}.",
            file=str(path),
        )
    if isinstance(whole, dict) and isinstance(whole.get("metrics"), list):
        whole = whole["metrics"]  # what MLflow answers
    return (list(enumerate(whole, 1)), False) if isinstance(whole, list) else ([(1, whole)], True)


class Torn(str):
    """A line that is no JSON: why."""


def _value(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return Torn(f"must be valid JSON, but: {error}.")


def _are_exported(items: Sequence[Any]) -> bool:
    """Whether the items are rows or points of another tool: no history, which holds lists."""
    if not items or isinstance(items[0], list):
        return bool(items) and all(isinstance(i, list) and len(i) == 3 for i in items)
    return all(
        isinstance(item, dict) and not any(isinstance(v, list | dict) for v in item.values())
        for item in items
    )
