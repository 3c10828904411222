"""What is read back of stored runs: one row, a page of them, a whole run, a decision's inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from oracle.errors import InvalidHistory, RunNotFound
from oracle.server.http.wire import (
    Final,
    ReplayAnswer,
    ReplayInputs,
    Rewind,
    RunDetail,
    RunList,
    RunSummary,
    Track,
)
from oracle.server.runs import rewinds
from oracle.server.runs.counts import converged, is_left
from oracle.server.runs.references import earlier_sha256, reference_at
from oracle.server.storage.schema import MAX_ID, checkpoints, decisions, outcomes, runs
from oracle.types import (
    LEVELS,
    TARGETS,
    Decision,
    History,
    Outcome,
    QualityForecast,
    RunContext,
)
from oracle.types.end_of_run import WHOLE_FROM

# Built once: putting a statement together costs more than running it.
_RUN = select(runs).where(
    runs.c.owner == bindparam("of_owner"), runs.c.run_id == bindparam("of_run")
)
_CHECKPOINTS = (
    select(checkpoints)
    .where(checkpoints.c.run == bindparam("of_run"), checkpoints.c.epoch <= bindparam("until"))
    .order_by(checkpoints.c.epoch)
)

_COLUMNS = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")


def iso(seconds: float) -> str:
    """Write a time as ISO 8601 in UTC, milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def newest(connection: Connection) -> float | None:
    """Give the time of the last change of any run, seconds since 1970; None without one."""
    last: float | None = connection.scalar(select(func.max(runs.c.updated_at)))
    return last


def run_of(connection: Connection, owner: str, run_id: str) -> Row[Any] | None:
    """Read one run's row, None where there is none of this owner."""
    return connection.execute(_RUN, {"of_owner": owner, "of_run": run_id}).first()


def history_of(connection: Connection, row: Row[Any], until: float | None = None) -> History:
    """Read a run's history, up to the epoch `until`."""
    bounds = {"of_run": row.id, "until": until if until is not None else sys.float_info.max}
    return _history(row, connection.execute(_CHECKPOINTS, bounds).all())


def _history(row: Row[Any], rows: Sequence[Any]) -> History:
    columns: dict[str, Any] = {name: [getattr(r, name) for r in rows] for name in _COLUMNS}
    for name in ("learning_rate", "radius"):
        if all(value is None for value in columns[name]):
            columns[name] = None
    return History(
        run_id=row.run_id,
        dataset=row.dataset,
        population=row.population,
        total_epochs=row.total_epochs,
        context=RunContext.model_validate_json(row.context),
        epochs=tuple(r.epoch for r in rows),
        **columns,
    )


def summary_of(row: Row[Any], outcome: Outcome | Row[Any] | None) -> RunSummary:
    """Summarise a run's row; the outcome is shown once the run has ended."""
    final = None
    if row.state != "running" and outcome is not None:
        final = Final(
            final_mqe=outcome.final_mqe,
            final_topographic_error=outcome.final_topographic_error,
            final_dead_neuron_ratio=outcome.final_dead_neuron_ratio,
            censored=outcome.censored,
            spread=outcome.spread,
        )
    total = row.total_epochs
    return RunSummary(
        run_id=row.run_id,
        dataset=row.dataset,
        population=row.population,
        state=row.state,
        left=is_left(row),
        override=row.override,
        control=row.control,
        censored=final is not None and final.censored,
        n_checkpoints=row.n_checkpoints,
        epoch=row.epoch,
        total_epochs=total,
        progress=min(1.0, row.epoch / total) if total else None,
        mqe=row.mqe,
        topographic_error=row.topographic_error,
        dead_neuron_ratio=row.dead_neuron_ratio,
        action=row.action,
        reason=row.reason,
        message=row.message,
        p_good=row.p_good,
        expected_saving=row.expected_saving,
        support=row.support,
        quality=QualityForecast.model_validate_json(row.quality) if row.quality else None,
        forecast=json.loads(row.forecast) if row.forecast else None,
        final=final,
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
        ended_at=iso(row.ended_at) if row.ended_at is not None else None,
        rewinds=tuple(Rewind(epoch=one["epoch"], at=iso(one["at"])) for one in rewinds.of_run(row)),
        ending=_ending(row, final) if row.state != "running" else None,
        name=row.name,
        config=json.loads(row.config) if row.config else None,
        tags=tuple(json.loads(row.tags)) if row.tags else None,
        notes=row.notes,
        override_by=row.override_by,
        override_at=iso(row.override_at) if row.override_at is not None else None,
        decided=json.loads(row.decided) if row.decided else None,
        stops=row.stops,
        first_stop=row.first_stop,
    )


def _ending(row: Row[Any], final: Final | None) -> str:
    share = row.epoch / row.total_epochs if row.total_epochs else 1.0
    where = f"at {min(1.0, share):.0%} of its budget" if row.total_epochs else "early"
    if row.state == "stopped":
        stands = "with its forecast" if final is not None and final.censored else "for nothing"
        return f"Stopped {where}: it stands in its population {stands}."
    if converged(row):
        return f"Converged {where}: it stands with the map that is there."
    if is_left(row):
        return f"Left {where}: it stands with its last checkpoint, and is no run to train on."
    if share < WHOLE_FROM and final is not None and final.final_mqe != row.mqe:
        return (
            f"Finished with values of its own, told {where}: what was not given is as it was "
            "there. With all final values it could be trained on."
        )
    return "Finished."


def page(
    connection: Connection,
    owner: str,
    *,
    population: str | None,
    dataset: str | None,
    state: str | None,
    limit: int,
    cursor: str | None,
) -> RunList:
    """List runs, newest first.

    Raises:
        InvalidHistory: a cursor that is none of ours.
    """
    query = select(runs).where(runs.c.owner == owner)
    wanted = {"population": population, "dataset": dataset, "state": state}
    for name, value in wanted.items():
        if value is not None:
            query = query.where(runs.c[name] == value)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and int(cursor) <= MAX_ID):
            raise InvalidHistory("`cursor` must be the next_cursor of an earlier page.")
        query = query.where(runs.c.id < int(cursor))
    rows = connection.execute(query.order_by(runs.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    ended = latest_outcomes(connection, [row.id for row in shown])
    return RunList(
        runs=tuple(summary_of(row, ended.get(row.id)) for row in shown),
        next_cursor=str(shown[-1].id) if len(rows) > limit else None,
    )


def latest_outcomes(connection: Connection, ids: list[int]) -> dict[int, Row[Any]]:
    """Read the outcome that counts of each run that has one."""
    last = select(func.max(outcomes.c.id)).where(outcomes.c.run.in_(ids)).group_by(outcomes.c.run)
    rows = connection.execute(select(outcomes).where(outcomes.c.id.in_(last)))
    return {row.run: row for row in rows if not row.withdrawn}


def detail(connection: Connection, owner: str, run_id: str) -> RunDetail:
    """Read all that is stored about a run.

    Raises:
        RunNotFound: no such run.
    """
    row = run_of(connection, owner, run_id)
    if row is None:
        raise RunNotFound("There is no such run.")
    rows = connection.execute(
        select(decisions.c.epoch, decisions.c.decided_at, decisions.c.decision)
        .where(decisions.c.run == row.id, decisions.c.until.is_(None))
        .order_by(decisions.c.epoch, decisions.c.id)
    ).all()
    made = [Decision.model_validate_json(r.decision) for r in rows]
    outcome = latest_outcomes(connection, [row.id]).get(row.id)
    return RunDetail(
        run=summary_of(row, outcome),
        history=history_of(connection, row),
        track=_track([r.epoch for r in rows], [iso(r.decided_at) for r in rows], made),
        decision=made[-1] if made else None,
    )


def _track(epochs: list[float], times: list[str], made: list[Decision]) -> Track:
    forecasts = [d.forecast for d in made]
    qualities = [f.quality[-1] if f else None for f in forecasts]
    finals = {t: tuple(f.final[t] if f else None for f in forecasts) for t in TARGETS}
    return Track(
        epochs=tuple(epochs),
        decided_at=tuple(times),
        action=tuple(d.action.value for d in made),
        reason=tuple(d.reason.value for d in made),
        p_good=tuple(d.p_good for d in made),
        support=tuple(f.support if f else None for f in forecasts),
        levels=LEVELS,
        quality_scale=tuple(q.scale.value if q else None for q in qualities),
        quality=tuple(q.values if q else None for q in qualities),
        **finals,
    )


def replay(connection: Connection, owner: str, run_id: str, epoch: float) -> ReplayAnswer:
    """Read a decision with every input it rested on.

    Raises:
        RunNotFound: no such run, or no decision at that epoch.
    """
    row = run_of(connection, owner, run_id)
    made = None
    if row is not None:
        made = connection.execute(
            select(decisions)
            .where(decisions.c.run == row.id, decisions.c.epoch == epoch)
            .order_by(decisions.c.id.desc())
            .limit(1)
        ).first()
    if row is None or made is None:
        raise RunNotFound("There is no decision of such a run at this epoch.")
    decision = Decision.model_validate_json(made.decision)
    moment = None
    if row.population is not None:
        moment = reference_at(connection, row, made.outcome_id, made.live)
    return ReplayAnswer(
        decision=decision,
        decided_at=iso(made.decided_at),
        inputs=ReplayInputs(
            history=_history(row, rewinds.seen_by(connection, made)),
            reference=moment.reference if moment else None,
            reference_sha256=made.reference_sha256,
            policy=decision.policy,
            model=decision.model,
            override=made.override,
            previous=made.previous,
            rewound=made.until is not None,
            exact=moment is None
            or made.reference_sha256 in (moment.sha256, earlier_sha256(moment.reference)),
        ),
    )
