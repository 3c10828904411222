"""The decision on a stored run: judged, overruled by a person, kept so that it can be replayed."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from oracle.decision.policy import decide
from oracle.errors import OracleError
from oracle.server.http.wire import Override
from oracle.server.runs import rewinds
from oracle.server.runs.references import Beaten
from oracle.server.storage.schema import decisions
from oracle.types import Action, Decision, Forecast, History, Policy, Reason

log = logging.getLogger("oracle.runs")

#: The forecast of a history: None without a model, an error where it failed.
Found = Forecast | Exception | None

# Built once: putting a statement together costs more than running it.
_ADD = insert(decisions)
_LAST = (
    select(decisions.c.decision)
    .where(decisions.c.run == bindparam("of_run"))
    .order_by(decisions.c.id.desc())
    .limit(1)
)
_PREVIOUS = (
    select(decisions.c.below_risk)
    .where(
        decisions.c.run == bindparam("of_run"),
        decisions.c.epoch < bindparam("before"),
        decisions.c.until.is_(None),
    )
    .order_by(decisions.c.epoch.desc(), decisions.c.id.desc())
    .limit(1)
)


def previous(connection: Connection, run: int, epoch: float) -> int:
    """Give `below_risk` of the last decision on an earlier checkpoint."""
    return int(connection.scalar(_PREVIOUS, {"of_run": run, "before": epoch}) or 0)


def judge(
    history: History, found: Found, moment: Beaten | None, policy: Policy, previous: int
) -> Decision:
    """Decide; a defect of ours never stops a run, and never loses a checkpoint."""
    reference = moment.reference if moment else None
    try:
        if isinstance(found, Exception):
            raise found
        return decide(history, found, reference, policy, previous=previous)
    except Exception as error:
        if not isinstance(error, OracleError):
            log.exception("decision failed")
        message = "The oracle failed on this history: any doubt is not a stop."
        return Decision(
            run_id=history.run_id,
            progress=history.progress,
            action=Action.ABSTAIN,
            reason=Reason.ERROR,
            message=message,
            policy=policy,
        )


def overruled(decision: Decision, override: Override | None) -> Decision:
    """Let a person's word stand in for the policy's."""
    if override is None:
        return decision
    keep = override == "keep"
    return decision.model_copy(
        update={
            "action": Action.CONTINUE if keep else Action.STOP,
            "reason": Reason.OVERRULED,
            "message": f"A person said {override}. The policy said: {decision.message}",
        }
    )


def add(
    connection: Connection,
    row: Row[Any],
    history: History,
    decision: Decision,
    moment: Beaten | None,
    previous: int,
    now: float,
) -> None:
    """Store a decision with all that it rests on.

    Args:
        connection: of the writer.
        row: the run.
        history: decided on.
        decision: after a person's word.
        moment: the population at that moment, None without one.
        previous: `below_risk` of the decision before.
        now: seconds since 1970.
    """
    connection.execute(
        _ADD,
        {
            "run": row.id,
            "attempt": rewinds.attempt(row),
            "epoch": history.epochs[-1],
            "decided_at": now,
            "below_risk": decision.below_risk,
            "previous": previous,
            "override": row.override,
            "outcome_id": moment.outcome_id if moment else 0,
            "reference_sha256": moment.sha256 if moment else None,
            "live": moment.reference.live if moment else 0,
            "model_sha256": decision.model.sha256 if decision.model else None,
            "decision": decision.model_dump_json(),
        },
    )


def again(connection: Connection, row: Row[Any]) -> Decision | None:
    """Give the last decision again, unless a person has overruled since."""
    if row.override != row.decided_override:
        return None
    text = connection.scalar(_LAST, {"of_run": row.id})
    return Decision.model_validate_json(text) if text is not None else None


def last_forecast(connection: Connection, run: int) -> Forecast | None:
    """Give the forecast that the last decision rests on."""
    text = connection.scalar(_LAST, {"of_run": run})
    return Decision.model_validate_json(text).forecast if text is not None else None


def columns_of(row: Row[Any], epoch: float, decision: Decision) -> dict[str, Any]:
    """Give the columns of a run that show its last decision, and what they all were.

    Args:
        row: the run before it.
        epoch: of its last checkpoint.
        decision: after a person's word.
    """
    forecast = decision.forecast
    decided = Counter(json.loads(row.decided) if row.decided else {})
    decided[decision.reason.value] += 1
    return {
        "decided": json.dumps(decided),
        "stops": row.stops + decision.stop,
        "first_stop": epoch if decision.stop and row.first_stop is None else row.first_stop,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "message": decision.message,
        "p_good": decision.p_good,
        "expected_saving": decision.expected_saving,
        "support": forecast.support if forecast else None,
        "quality": forecast.quality[-1].model_dump_json() if forecast else None,
        "forecast": json.dumps(forecast.final) if forecast else None,
    }
