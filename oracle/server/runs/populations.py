"""Populations in numbers: what stops saved, what they lost, and how the runs ended."""

from __future__ import annotations

from math import isnan
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from oracle.decision import wrong_stops
from oracle.errors import RunNotFound
from oracle.history.quality_score import scores_among
from oracle.server.http.wire_populations import (
    EndedRun,
    PopulationCount,
    PopulationDetail,
    PopulationList,
    Savings,
    WrongStops,
)
from oracle.server.runs import counts
from oracle.server.runs.listing import iso
from oracle.server.runs.standing import Ended, Standings
from oracle.server.storage.schema import populations
from oracle.types import FloatArray, Policy, Scale

#: Populations and outcomes shown at once.
MAX_POPULATIONS = 200
MAX_OUTCOMES = 2_000


def listed(connection: Connection, owner: str) -> PopulationList:
    """List the populations last heard of."""
    rows = connection.execute(
        select(populations)
        .where(populations.c.owner == owner)
        .order_by(populations.c.updated_at.desc())
        .limit(MAX_POPULATIONS)
    )
    return PopulationList(
        populations=tuple(
            PopulationCount(
                name=row.name,
                running=row.running,
                stopped=row.stopped,
                finished=row.finished,
                updated_at=iso(row.updated_at),
            )
            for row in rows
        )
    )


def detail(
    connection: Connection,
    standings: Standings,
    owner: str,
    name: str,
    policy: Policy,
    n_outcomes: int = MAX_OUTCOMES,
) -> PopulationDetail:
    """Describe one population; the policy gives weights and the share that counts as good.

    Args:
        connection, standings, owner: of the store.
        name: of the population.
        policy: the service's.
        n_outcomes: the latest outcomes that are told with it.

    Raises:
        RunNotFound: no run of that population.
    """
    population = counts.of_population(connection, owner, name)
    if population is None:
        raise RunNotFound("There is no such population.")
    moment = standings.now(connection, population)
    ended = moment.ended
    scores = _scores(ended, policy)
    shown = range(max(0, len(ended.outcomes) - n_outcomes), len(ended.outcomes))
    return PopulationDetail(
        name=name,
        running=population.running,
        stopped=population.stopped,
        finished=population.finished,
        mqe_of_mean=moment.scale,
        updated_at=iso(population.updated_at),
        savings=_savings(population),
        wrong_stops=_wrong_stops(population, ended, scores, policy),
        scale=(Scale.RELATIVE if moment.scale else Scale.RAW).value,
        weights=policy.quality_weights,
        outcomes=tuple(_shown(ended, i, float(scores[i])) for i in shown),
    )


def judge_controls(
    connection: Connection, standings: Standings, population: Row[Any], policy: Policy
) -> None:
    """Count anew, after a run has ended, which control runs a stop would have lost."""
    if not population.held:
        return
    ended = standings.now(connection, population).ended
    found = wrong_stops.wrong_stops(_scores(ended, policy), ended.held, policy.good_share)
    if (found.controls, found.wrong) != (population.controls, population.wrong):
        counts.judge(connection, population, found.controls, found.wrong)


class Controls(NamedTuple):
    """Control runs of everybody: those that have ended, of them the wrong ones, and the rest."""

    ended: int
    wrong: int
    waiting: int


def controls(connection: Connection) -> Controls:
    """Count the control runs of all populations."""
    c = populations.c
    sums = (func.coalesce(func.sum(column), 0) for column in (c.controls, c.wrong, c.waiting))
    return Controls(*(int(n) for n in connection.execute(select(*sums)).one()))


def _scores(ended: Ended, policy: Policy) -> FloatArray:
    """[run] quality scores on one scale; NaN where one cannot be compared."""
    return scores_among(ended.columns.values, ended.scales, policy.quality_weights)


def _shown(ended: Ended, i: int, score: float) -> EndedRun:
    o = ended.outcomes[i]
    return EndedRun(
        run_id=o.run_id or "",
        final_mqe=o.final_mqe,
        final_topographic_error=o.final_topographic_error,
        final_dead_neuron_ratio=o.final_dead_neuron_ratio,
        censored=o.censored,
        spread=o.spread,
        quality=None if isnan(score) else score,
        control=bool(ended.table[i, 5]),
    )


def _savings(population: Row[Any]) -> Savings:
    planned, used = population.planned_epochs, population.used_epochs
    return Savings(
        runs=population.known_runs,
        planned_epochs=planned,
        used_epochs=used,
        saved_epochs=max(0.0, planned - used),
        saved_share=max(0.0, (planned - used) / planned) if planned else 0.0,
    )


def _wrong_stops(
    population: Row[Any], ended: Ended, scores: FloatArray, policy: Policy
) -> WrongStops:
    found = wrong_stops.wrong_stops(scores, ended.held, policy.good_share)
    return WrongStops(
        controls=found.controls,
        waiting=population.waiting,
        wrong=found.wrong,
        rate=found.wrong / found.controls if found.controls else None,
        upper=found.upper,
        good=policy.good_share,
        held=population.held,
        stops=population.stops,
        share=policy.control,
        departs=wrong_stops.departs(population.held, population.stops, policy.control),
    )
