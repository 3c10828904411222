"""How runs ended, or are expected to: what others of their population are ranked against."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select

from oracle.decision.policy import medians_of
from oracle.decision.rules import spread_of_score
from oracle.history.quality_score import weights_of
from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs.lessons import Lesson
from oracle.server.storage.schema import outcomes
from oracle.types import METRICS, TARGETS, Forecast, History, Outcome

# Built once: putting a statement together costs more than running it.
_LAST = (
    select(outcomes)
    .where(outcomes.c.run == bindparam("of_run"))
    .order_by(outcomes.c.id.desc())
    .limit(1)
)


_ADD = insert(outcomes)


def add(
    connection: Connection,
    row: Row[Any],
    outcome: Outcome,
    mqe_of_mean: float | None,
    now: float,
    *,
    left: bool = False,
    lesson: Lesson | None = None,
) -> None:
    """Store how a run ended, in raw units, with the scale that compares it.

    A run that was left before its end measures no stop, whatever it was held for.
    """
    connection.execute(
        _ADD,
        {
            **_of(row, now),
            "control": row.control and not left,
            "final_mqe": outcome.final_mqe,
            "final_topographic_error": outcome.final_topographic_error,
            "final_dead_neuron_ratio": outcome.final_dead_neuron_ratio,
            "censored": outcome.censored,
            "spread": outcome.spread,
            "mqe_of_mean": mqe_of_mean,
            "withdrawn": False,
            "model": lesson[0] if lesson is not None else None,
            "teaches": lesson[1] if lesson is not None else None,
        },
    )


def withdraw(connection: Connection, row: Row[Any], now: float) -> None:
    """Say that a run goes on although it had ended: what stood for it counts no more."""
    nothing = dict.fromkeys(("final_topographic_error", "final_dead_neuron_ratio", "mqe_of_mean"))
    values = {"final_mqe": 0.0, "censored": True, "spread": 0.0, "withdrawn": True, **nothing}
    connection.execute(_ADD, {**_of(row, now), **values})


def _of(row: Row[Any], now: float) -> dict[str, Any]:
    return {
        "run": row.id,
        "owner": row.owner,
        "population": row.population,
        "run_id": row.run_id,
        "control": row.control,
        "created_at": now,
    }


def told(row: Row[Any], how: FinishRequest, cut_short: bool) -> Outcome:
    """Say how a run ended: what is not told is as at its last checkpoint.

    Args:
        row: the run.
        how: what its client says.
        cut_short: whether it is censored where its client does not say.
    """
    values = {
        "final_mqe": row.mqe,
        "final_topographic_error": row.topographic_error,
        "final_dead_neuron_ratio": row.dead_neuron_ratio,
    }
    values |= {name: value for name in values if (value := getattr(how, name)) is not None}
    censored = cut_short if how.censored is None else how.censored
    return Outcome(run_id=row.run_id, censored=censored, **values)


def last_checkpoint(history: History, how: FinishRequest) -> CheckpointsRequest | None:
    """Make the final values the run's last checkpoint, at its budget; None where they are not.

    They are where its end lies ahead and all that was measured is given.
    """
    total = history.total_epochs
    if total is None or history.is_whole or how.final_mqe is None:
        return None
    values = {}
    for metric, target in zip(METRICS, TARGETS, strict=True):
        value = getattr(how, target)
        if value is None and any(seen is not None for seen in getattr(history, metric)):
            return None
        values[metric] = (value,)
    return CheckpointsRequest.model_validate({"epochs": (total,), **values})


def last(connection: Connection, run: int) -> Outcome | None:
    """Read how a run ended, None while it has not."""
    row = connection.execute(_LAST, {"of_run": run}).first()
    return None if row is None or row.withdrawn else outcome_in(row)


def outcome_in(row: Row[Any]) -> Outcome:
    """Read a row of the outcomes."""
    return Outcome(
        run_id=row.run_id,
        final_mqe=row.final_mqe,
        final_topographic_error=row.final_topographic_error,
        final_dead_neuron_ratio=row.final_dead_neuron_ratio,
        censored=row.censored,
        spread=row.spread,
    )


def contradiction(stored: Outcome | None, told: Outcome) -> str | None:
    """Name the first value that is told otherwise than it is stored."""
    names = ("censored", *TARGETS)
    return next((n for n in names if getattr(stored, n, None) != getattr(told, n)), None)


def from_quantiles(history: History, forecast: Forecast, outcome: Outcome) -> Outcome:
    """Stand for a stopped run by its stored forecast, which has no draws any more."""
    changes = {"run_id": outcome.run_id, "spread": spread_of_score(forecast, weights_of())}
    return medians_of(history, forecast).model_copy(update=changes)
