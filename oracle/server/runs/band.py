"""How the runs of a population stood after each share of their budget: quartiles, by metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from oracle.errors import RunNotFound
from oracle.server.http.wire_populations import PopulationBand
from oracle.server.runs import counts
from oracle.server.storage.schema import checkpoints, runs
from oracle.types import METRICS, FloatArray

#: The latest runs that it is made of, and how many must have been seen at a share to tell it.
MOST_RUNS = 200
LEAST_RUNS = 5
_SHARES = np.linspace(0.05, 1.0, 20)
_QUARTILES = (0.25, 0.5, 0.75)


def band(connection: Connection, owner: str, name: str) -> PopulationBand:
    """Give the quartiles of the latest runs whose budget is known.

    Raises:
        RunNotFound: no run of that population.
    """
    if counts.of_population(connection, owner, name) is None:
        raise RunNotFound("There is no such population.")
    c = runs.c
    rows = connection.execute(
        select(c.id, c.total_epochs)
        .where(c.owner == owner, c.population == name, c.total_epochs.is_not(None))
        .order_by(c.id.desc())
        .limit(MOST_RUNS)
    ).all()
    totals = {row.id: row.total_epochs for row in rows}
    seen = _seen(connection, totals)
    n = np.isfinite(seen[0]).sum(axis=0) if len(seen[0]) else np.zeros(len(_SHARES), int)
    told = n >= LEAST_RUNS
    return PopulationBand(
        name=name,
        progress=tuple(float(share) for share in _SHARES[told].round(6)),
        runs=tuple(int(number) for number in n[told]),
        **{metric: _quartiles(seen[i][:, told]) for i, metric in enumerate(METRICS)},
    )


def _seen(connection: Connection, totals: dict[int, float]) -> FloatArray:
    """[metric, run, share] the value there, between checkpoints straight; NaN where unseen."""
    c = checkpoints.c
    columns = (c.run, c.epoch, *(c[metric] for metric in METRICS))
    query = select(*columns).where(c.run.in_(list(totals))).order_by(c.run, c.epoch)
    by_run: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        by_run.setdefault(row.run, []).append(row[1:])
    seen = np.full((len(METRICS), len(by_run), len(_SHARES)), np.nan)
    for i, (run, values) in enumerate(by_run.items()):
        table = np.array(values, dtype=np.float64)
        progress = table[:, 0] / totals[run]
        within = (progress[0] <= _SHARES) & (progress[-1] * (1 + 1e-9) >= _SHARES)
        for k in range(len(METRICS)):
            seen[k, i, within] = np.interp(_SHARES[within], progress, table[:, 1 + k])
    return seen


def _quartiles(values: FloatArray) -> tuple[tuple[float, float, float] | None, ...]:
    found: list[tuple[float, float, float] | None] = []
    for column in values.T:
        known = column[np.isfinite(column)]
        three = np.quantile(known, _QUARTILES) if len(known) >= LEAST_RUNS else None
        found.append(None if three is None else (three[0], three[1], three[2]))
    return tuple(found)
