"""Populations in numbers: what stops saved, what they lost, and how the runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, case, func, select

from oracle.decision.wrong_stops import wrong_stops
from oracle.errors import RunNotFound
from oracle.history.features import finals_of
from oracle.history.quality_score import among_best, common_scale, scores_among
from oracle.server.http.wire import (
    EndedRun,
    PopulationCount,
    PopulationDetail,
    PopulationList,
    Savings,
    WrongStops,
)
from oracle.server.runs.listing import iso, latest_outcomes
from oracle.server.storage.schema import runs
from oracle.types import FloatArray, Policy, Scale

#: Populations and outcomes shown at once.
MAX_POPULATIONS = 200
MAX_OUTCOMES = 2_000
#: Runs whose outcomes are read with one statement.
_CHUNK = 500


def listed(connection: Connection, owner: str) -> PopulationList:
    """List the populations last heard of."""
    rows = connection.execute(
        select(
            runs.c.population,
            *(_count(state) for state in ("running", "stopped", "finished")),
            func.max(runs.c.updated_at).label("updated_at"),
        )
        .where(runs.c.owner == owner, runs.c.population.is_not(None))
        .group_by(runs.c.population)
        .order_by(func.max(runs.c.updated_at).desc())
        .limit(MAX_POPULATIONS)
    )
    return PopulationList(
        populations=tuple(
            PopulationCount(
                name=row.population,
                running=row.running,
                stopped=row.stopped,
                finished=row.finished,
                updated_at=iso(row.updated_at),
            )
            for row in rows
        )
    )


def _count(state: str) -> Any:
    return func.sum(case((runs.c.state == state, 1), else_=0)).label(state)


def detail(connection: Connection, owner: str, name: str, policy: Policy) -> PopulationDetail:
    """Describe one population; the policy gives weights and the share that counts as good.

    Raises:
        RunNotFound: no run of that population.
    """
    members = connection.execute(
        select(
            runs.c.id,
            runs.c.run_id,
            runs.c.state,
            runs.c.control,
            runs.c.epoch,
            runs.c.total_epochs,
            runs.c.updated_at,
            runs.c.ended_at,
        )
        .where(runs.c.owner == owner, runs.c.population == name)
        .order_by(runs.c.ended_at, runs.c.id)
    ).all()
    if not members:
        raise RunNotFound("There is no such population.")
    ended = [m for m in members if m.state != "running"]
    found = _outcomes(connection, [m.id for m in ended])
    standing = [(m, o) for m in ended if (o := found.get(m.id)) is not None]
    scores = _scores([o for _, o in standing], policy)
    scale = common_scale(o.mqe_of_mean for _, o in standing)
    ends = [
        EndedRun(
            run_id=m.run_id,
            final_mqe=o.final_mqe,
            final_topographic_error=o.final_topographic_error,
            final_dead_neuron_ratio=o.final_dead_neuron_ratio,
            censored=o.censored,
            spread=o.spread,
            quality=None if isnan(score) else float(score),
            control=m.control,
        )
        for (m, o), score in zip(standing, scores, strict=True)
    ]
    states = [m.state for m in members]
    return PopulationDetail(
        name=name,
        running=states.count("running"),
        stopped=states.count("stopped"),
        finished=states.count("finished"),
        mqe_of_mean=scale,
        updated_at=iso(max(m.updated_at for m in members)),
        savings=_savings(ended),
        wrong_stops=_wrong_stops(members, ends, scores, policy.good_share),
        scale=(Scale.RELATIVE if scale else Scale.RAW).value,
        weights=policy.quality_weights,
        outcomes=tuple(ends[-MAX_OUTCOMES:]),
    )


def is_good(
    connection: Connection, owner: str, population: str, run_id: str, policy: Policy
) -> bool:
    """Tell whether an ended run is among the best share of its population so far."""
    ids = connection.scalars(
        select(runs.c.id).where(
            runs.c.owner == owner, runs.c.population == population, runs.c.state != "running"
        )
    ).all()
    found = list(_outcomes(connection, list(ids)).values())
    good = among_best(_scores(found, policy), policy.good_share)
    return any(o.run_id == run_id and is_one for o, is_one in zip(found, good, strict=True))


def _scores(ended: Sequence[Any], policy: Policy) -> FloatArray:
    """[outcome] quality scores on one scale; NaN where one cannot be compared."""
    scales = [o.mqe_of_mean for o in ended]
    return scores_among(finals_of(ended).T, scales, policy.quality_weights)


def _outcomes(connection: Connection, ids: list[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        found |= latest_outcomes(connection, ids[start : start + _CHUNK])
    return found


def _savings(ended: Sequence[Any]) -> Savings:
    known = [m for m in ended if m.total_epochs]
    planned = float(sum(m.total_epochs for m in known))
    used = float(sum(m.epoch if m.state == "stopped" else m.total_epochs for m in known))
    return Savings(
        runs=len(known),
        planned_epochs=planned,
        used_epochs=used,
        saved_epochs=planned - used,
        saved_share=(planned - used) / planned if planned else 0.0,
    )


def _wrong_stops(
    members: Sequence[Any], ends: list[EndedRun], scores: FloatArray, good: float
) -> WrongStops:
    held = np.array([e.control and not e.censored for e in ends], dtype=bool)
    found = wrong_stops(scores, held, good)
    return WrongStops(
        controls=found.controls,
        waiting=sum(m.control and m.state == "running" for m in members),
        wrong=found.wrong,
        rate=found.wrong / found.controls if found.controls else None,
        upper=found.upper,
        good=good,
        held=sum(m.control for m in members),
        stops=sum(m.control or m.state == "stopped" for m in members),
    )
