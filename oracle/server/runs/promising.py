"""The stopped runs of a population that are worth training to their end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from oracle.decision.second_look import Ended, ends_of, worth_finishing
from oracle.errors import RunNotFound
from oracle.server.http.wire_populations import PromisingList, PromisingRun
from oracle.server.runs import counts
from oracle.server.runs.standing import Standings
from oracle.server.storage.schema import runs
from oracle.types import LEVELS, METRICS, TARGETS, Outcome, ParetoPolicy, Policy
from oracle.types.policy import ranked_by

#: Runs that one statement asks for by name.
_PAGE = 500
_MIDDLE = (LEVELS.index(0.25), LEVELS.index(0.75))


def promising(
    connection: Connection,
    standings: Standings,
    owner: str,
    name: str,
    policy: Policy,
    limit: int,
) -> PromisingList:
    """List the stopped runs of a population whose chance of a gain is worth their cost.

    Args:
        connection, standings, owner: of the store.
        name: the population.
        policy: tells the objectives.
        limit: runs told at most.

    Raises:
        RunNotFound: no run of that population.
    """
    population = counts.of_population(connection, owner, name)
    if population is None:
        raise RunNotFound("There is no such population.")
    ended = standings.now(connection, population).ended
    names = [o.run_id or "" for o in ended.outcomes if o.censored]
    rows = _rows(connection, owner, names)
    known = [
        _end(outcome, scale, rows.get(outcome.run_id or ""))
        for outcome, scale in zip(ended.outcomes, ended.scales, strict=True)
    ]
    stopped, finished = ends_of(known, policy)
    worth = worth_finishing(stopped, list(finished.values()))
    return PromisingList(
        population=name,
        objectives=policy.objectives if isinstance(policy, ParetoPolicy) else _weighed(policy),
        stopped=len(stopped),
        finished=len(finished),
        runs=tuple(
            PromisingRun(
                run_id=one.run_id,
                name=rows[one.run_id].name,
                config=json.loads(text) if (text := rows[one.run_id].config) else None,
                p_better=one.p_better,
                gain=one.gain,
                cost=one.cost,
            )
            for one in worth[:limit]
        ),
    )


def ranking(objectives: Sequence[str]) -> Policy:
    """Give the policy that ranks by these objectives, each of which counts once."""
    return Policy.model_validate(ranked_by(tuple(dict.fromkeys(objectives))))


def _weighed(policy: Policy) -> tuple[str, ...]:
    """Name what one objective is made of: a metric alone, or the score."""
    alone = [name for name, w in zip(METRICS, policy.quality_weights, strict=True) if w]
    return (alone[0],) if len(alone) == 1 else ("score",)


def _rows(connection: Connection, owner: str, names: Sequence[str]) -> dict[str, Any]:
    c = runs.c
    wanted = select(c.run_id, c.name, c.config, c.forecast, c.epoch, c.total_epochs)
    found: dict[str, Any] = {}
    for i in range(0, len(names), _PAGE):
        page = wanted.where(c.owner == owner, c.run_id.in_(names[i : i + _PAGE]))
        found.update((row.run_id, row) for row in connection.execute(page).all())
    return found


def _end(outcome: Outcome, scale: float | None, row: Any) -> Ended:
    forecast = json.loads(row.forecast) if row is not None and row.forecast else {}
    low, high = _MIDDLE
    spreads = tuple(
        (forecast[target][high] - forecast[target][low]) / 2 if forecast.get(target) else 0.0
        for target in TARGETS
    )
    used = row.epoch / row.total_epochs if row is not None and row.total_epochs else 0.0
    values = (
        outcome.final_mqe,
        outcome.final_topographic_error,
        outcome.final_dead_neuron_ratio,
    )
    return Ended(
        outcome.run_id or "", values, outcome.censored and row is not None, outcome.spread, spreads,
        scale, max(0.0, 1.0 - used),
    )  # fmt: skip
