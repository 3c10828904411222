"""Shards of one collection, put together: the dataset is the one that a single process writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from collector.collect import Collected, check_finished, journal_path
from collector.journal import flat
from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import (
    check_named,
    command_line,
    iter_dataset,
    metadata_path,
    write_dataset,
)
from oracle.types import Run


class _ShardOf(BaseModel):
    number: int
    of: int
    runs: int


class _Metadata(BaseModel):
    run_one: str
    seed: int
    settings: dict[str, Any]
    code: dict[str, str]
    shard: _ShardOf
    sha256: str


@dataclass(frozen=True)
class _Part:
    path: Path
    told: _Metadata

    @property
    def collection(self) -> dict[str, Any]:
        """What all shards of one collection have in common."""
        told = self.told
        whole = {"run_one": told.run_one, "runs": told.shard.runs, "seed": told.seed}
        return flat({**whole, "settings": told.settings, "code": told.code, "of": told.shard.of})


def merge(shards: Sequence[str | Path], out: str | Path, command: str | None = None) -> Collected:
    """Write the dataset of a whole collection from all its shards, given in any order.

    Args:
        shards: what `collect(..., shard=...)` wrote, with the metadata beside each.
        out: `.csv`, `.csv.gz` or `.parquet`.
        command: for the metadata (default: this process's).

    Raises:
        DatasetError: one is no whole shard, is of other code or settings than the first, or stands
            for the same part as another; or `out` is a dataset of another collection.
        OracleError: shards are missing.
    """
    path = Path(out)
    check_named(path, "--out")
    if not shards:
        raise OracleError(must_be("SHARD", "given: the files of `collect run --shard`", "none"))
    found = [_read(Path(shard)) for shard in shards]
    parts = _in_order(found)
    told = found[0].told
    header = {
        "run_one": told.run_one,
        "runs": told.shard.runs,
        "seed": told.seed,
        "settings": told.settings,
    }
    if path.exists():
        check_finished(path, header)
        return Collected(path, told.shard.runs, 0, already_finished=True)
    facts = {**header, "code": told.code, "command": command or command_line()}
    write_dataset(path, _runs(parts), facts)
    return Collected(path, told.shard.runs, 0, already_finished=False)


def _read(path: Path) -> _Part:
    if not path.is_file():
        advice = "There is no such file."
        if journal_path(path).exists():
            advice = "It was begun: the same `collect run --shard` finishes it."
        raise DatasetError(must_be("SHARD", "a finished shard", str(path), advice), file=str(path))
    facts = metadata_path(path)
    try:
        told = _Metadata.model_validate_json(facts.read_bytes())
    except (OSError, ValidationError):
        rule = f"what `collect run --shard` wrote, with {facts.name} beside it"
        raise DatasetError(must_be("SHARD", rule, path.name), file=str(path)) from None
    if hashlib.sha256(path.read_bytes()).hexdigest() != told.sha256:
        rule = f"as it was written, with the sha256 that {facts.name} tells"
        raise DatasetError(
            must_be("SHARD", rule, "other bytes", "Copy it again, or remove it and make it again."),
            file=str(path),
        )
    return _Part(path, told)


def _in_order(found: Sequence[_Part]) -> list[_Part]:
    """Order the shards by number; each there once, none missing, all of one collection."""
    first = found[0]
    by_number: dict[int, _Part] = {}
    for part in found:
        known, other = first.collection, part.collection
        for key in sorted({*known, *other}):
            if known.get(key) != other.get(key):
                rule = f"{json.dumps(known.get(key))}, as in {first.path}"
                advice = "Shards of one collection have the same code and settings."
                raise DatasetError(must_be(key, rule, other.get(key), advice), file=str(part.path))
        number = part.told.shard.number
        if number in by_number:
            rule = f"given once, and {by_number[number].path} is the same one"
            raise DatasetError(
                must_be(f"shard {number}/{part.told.shard.of}", rule, "it again"),
                file=str(part.path),
            )
        by_number[number] = part
    of = first.told.shard.of
    missing = [number for number in range(1, of + 1) if number not in by_number]
    if missing:
        shown = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
        advice = "`collect run --shard NUMBER/OF` makes each."
        rule = f"all {of} of the collection"
        raise OracleError(must_be("SHARD", rule, f"{len(by_number)}, without {shown}", advice))
    return [by_number[number] for number in range(1, of + 1)]


def _runs(parts: Sequence[_Part]) -> Iterator[Run]:
    for part in parts:
        yield from iter_dataset(part.path)
