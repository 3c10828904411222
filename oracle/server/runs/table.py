"""The runs of a population by column: one answer in the place of a page a hundred runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from oracle.errors import InvalidHistory, RunNotFound
from oracle.server.http.wire_populations import PopulationTable
from oracle.server.runs import counts
from oracle.server.runs.listing import iso, latest_outcomes
from oracle.server.storage.schema import MAX_ID, runs
from oracle.types import TARGETS
from oracle.types.about import Setting
from oracle.types.context import settings_in

#: Runs in one answer.
MAX_ROWS = 5_000
#: Settings in one answer: the ones that most runs have.
MAX_SETTINGS = 300
#: Of notes only so many characters are told here.
MAX_NOTE = 200
_DIGITS = 6
#: Outcomes are looked up for so many runs at once: databases bound what one statement names.
_MANY = 500

#: What a column shows as the run's row has it.
_PLAIN = (
    "run_id", "name", "dataset", "state", "override", "override_by", "control", "n_checkpoints",
    "epoch", "total_epochs", "mqe", "topographic_error", "dead_neuron_ratio", "action", "reason",
    "p_good", "support", "stops", "first_stop",
)  # fmt: skip
_TIMES = ("created_at", "updated_at", "ended_at", "override_at")
_JSON = ("tags", "decided")


def table(
    connection: Connection,
    owner: str,
    name: str,
    *,
    limit: int = MAX_ROWS,
    cursor: str | None = None,
    after: str | None = None,
) -> PopulationTable:
    """Give the runs of a population by column, newest first.

    Args:
        connection: of a reader.
        owner: whose it is.
        name: of the population.
        limit: runs at most.
        cursor: `next_cursor` of the answer before.
        after: `newest` of an earlier answer: only runs that began since.

    Raises:
        InvalidHistory: a cursor that is none of ours.
        RunNotFound: no run of that population.
    """
    if counts.of_population(connection, owner, name) is None:
        raise RunNotFound("There is no such population.")
    c = runs.c
    mine = (c.owner == owner, c.population == name)
    query = select(runs).where(*mine)
    if cursor is not None:
        query = query.where(c.id < _id(cursor, "cursor"))
    if after is not None:
        query = query.where(c.id > _id(after, "after"))
    found = connection.execute(query.order_by(c.id.desc()).limit(limit + 1)).all()
    rows = found[:limit]
    settings = [settings_of(row) for row in rows]
    same, differ = _apart(settings)
    return PopulationTable(
        name=name,
        planned=connection.scalar(select(func.max(c.population_size)).where(*mine)),
        runs=len(rows),
        columns=_columns(rows, _finals(connection, rows)),
        same=same,
        settings=differ,
        newest=str(rows[0].id) if rows else after,
        next_cursor=str(rows[-1].id) if len(found) > limit else None,
    )


def settings_of(row: Any) -> dict[str, Setting]:
    """Give the settings of a run: what its client said, and its context; a schedule by its ends."""
    found: dict[str, Setting] = json.loads(row.config) if row.config else {}
    return found | settings_in(json.loads(row.context))


def _apart(settings: list[dict[str, Setting]]) -> tuple[dict[str, Setting], dict[str, Any]]:
    """Tell settings that all share from those that differ; true is not 1, 1 is 1.0."""
    told = Counter(name for one in settings for name in one)
    same: dict[str, Setting] = {}
    differ: dict[str, list[Setting]] = {}
    for name, _ in told.most_common(MAX_SETTINGS):
        values = [one.get(name) for one in settings]
        kinds = {(isinstance(value, bool), value) for value in values}
        if len(kinds) == 1:
            same[name] = values[0]
        else:
            differ[name] = values
    return same, differ


def _columns(rows: Sequence[Row[Any]], finals: dict[int, Row[Any]]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [getattr(r, name) for r in rows] for name in _PLAIN}
    for name in _TIMES:
        columns[name] = [None if (at := getattr(r, name)) is None else iso(at) for r in rows]
    for name in _JSON:
        columns[name] = [json.loads(text) if (text := getattr(r, name)) else None for r in rows]
    columns["notes"] = [r.notes and r.notes[:MAX_NOTE] for r in rows]
    columns["left"] = [counts.is_left(r) for r in rows]
    quality = [json.loads(r.quality) if r.quality else None for r in rows]
    columns["quality"] = [q and _rounded(q["values"]) for q in quality]
    columns["quality_scale"] = [q and q["scale"] for q in quality]
    forecasts = [json.loads(r.forecast) if r.forecast else {} for r in rows]
    for target in TARGETS:
        told = [f.get(target) for f in forecasts]
        columns[f"forecast_{target}"] = [values and _rounded(values) for values in told]
    ended = [finals.get(r.id) if r.state != "running" else None for r in rows]
    for name in (*TARGETS, "censored", "spread"):
        columns[name] = [None if o is None else getattr(o, name) for o in ended]
    return columns


def _finals(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, Row[Any]]:
    ids = [row.id for row in rows if row.state != "running"]
    found: dict[int, Row[Any]] = {}
    for at in range(0, len(ids), _MANY):
        found |= latest_outcomes(connection, ids[at : at + _MANY])
    return found


def _rounded(values: list[float]) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def _id(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_ID):
        raise InvalidHistory(f"`{field}` must be what an earlier answer gave.")
    return int(text)
