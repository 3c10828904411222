"""Populations in numbers: what stops saved, what they lost, and how the runs ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from oracle.decision.wrong_stops import upper_bound
from oracle.errors import RunNotFound
from oracle.server.http.wire import (
    EndedRun,
    PopulationCount,
    PopulationDetail,
    PopulationList,
    Savings,
    WrongStops,
)
from oracle.server.runs.listing import iso, latest_outcomes
from oracle.server.storage.schema import outcomes, runs
from oracle.types import Policy, Scale

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
    scale = _scale(connection, owner, name)
    ends = [
        EndedRun(
            run_id=m.run_id,
            final_mqe=o.final_mqe,
            final_topographic_error=o.final_topographic_error,
            final_dead_neuron_ratio=o.final_dead_neuron_ratio,
            censored=o.censored,
            spread=o.spread,
            quality=quality(o, policy, scale),
            control=m.control,
        )
        for m in ended
        if (o := found.get(m.id)) is not None
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
        wrong_stops=_wrong_stops(members, ends, policy),
        scale=(Scale.RELATIVE if scale else Scale.RAW).value,
        weights=policy.weights,
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
    scale = _scale(connection, owner, population)
    scores = {
        o.run_id: score
        for o in _outcomes(connection, list(ids)).values()
        if (score := quality(o, policy, scale)) is not None
    }
    bar = _bar(list(scores.values()), policy.good)
    return bar is not None and run_id in scores and scores[run_id] <= bar


def quality(outcome: Row[Any], policy: Policy, mqe_of_mean: float | None) -> float | None:
    """Score an outcome, relative where the scale is known; None where a metric is undefined."""
    topographic, dead = outcome.final_topographic_error, outcome.final_dead_neuron_ratio
    if topographic is None or dead is None:
        return None
    mqe = outcome.final_mqe / (mqe_of_mean or 1.0)
    w = policy.weights
    return float(w[0] * mqe + w[1] * topographic + w[2] * dead)


def _bar(scores: list[float], good: float) -> float | None:
    """The worst score that still counts as good."""
    return sorted(scores)[max(1, round(good * len(scores))) - 1] if scores else None


def _outcomes(connection: Connection, ids: list[int]) -> dict[int, Row[Any]]:
    found: dict[int, Row[Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        found |= latest_outcomes(connection, ids[start : start + _CHUNK])
    return found


def _scale(connection: Connection, owner: str, population: str) -> float | None:
    scale: float | None = connection.scalar(
        select(outcomes.c.mqe_of_mean)
        .where(
            outcomes.c.owner == owner,
            outcomes.c.population == population,
            outcomes.c.mqe_of_mean.is_not(None),
        )
        .order_by(outcomes.c.id.desc())
        .limit(1)
    )
    return scale


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


def _wrong_stops(members: Sequence[Any], ends: list[EndedRun], policy: Policy) -> WrongStops:
    scored = [(e, e.quality) for e in ends if e.quality is not None]
    bar = _bar([score for _, score in scored], policy.good)
    controls = [score for e, score in scored if e.control and not e.censored]
    wrong = sum(bar is not None and score <= bar for score in controls)
    return WrongStops(
        controls=len(controls),
        waiting=sum(m.control and m.state == "running" for m in members),
        wrong=wrong,
        rate=wrong / len(controls) if controls else None,
        upper=upper_bound(wrong, len(controls)),
        good=policy.good,
    )
