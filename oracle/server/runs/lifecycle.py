"""The rules of stored runs: append, finish, keep, stop, delete.

Each function is one unit of work in the writer's transaction: what it stores, the decision it
rests on and the event that tells of it are committed together, or not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from oracle.decision.convergence import present
from oracle.decision.policy import outcome_of
from oracle.errors import InvalidHistory, RunConflict, RunNotFound, must_be
from oracle.server.http.wire import (
    AboutRequest,
    CheckpointsRequest,
    Event,
    FinishRequest,
    Override,
    RunSummary,
)
from oracle.server.runs import counts, decisions, outcomes, rewinds, sayings
from oracle.server.runs.appending import Joined, check_fixed, join, last_of, rewound_to, unknown
from oracle.server.runs.decisions import Found
from oracle.server.runs.events import add_event, tell
from oracle.server.runs.lessons import Lesson, Question, ToForecast, ToTeach
from oracle.server.runs.listing import history_of, run_of, summary_of
from oracle.server.runs.populations import judge_controls
from oracle.server.runs.references import References
from oracle.server.storage import new_events, schema
from oracle.server.storage.schema import checkpoints, events, runs
from oracle.types import (
    About,
    Decision,
    History,
    Outcome,
    Policy,
    Reason,
)
from oracle.types.run_names import RULE_OF_NAMES, is_name

log = logging.getLogger("oracle.runs")

# Built once: putting a statement together costs more than running it.
_ADD_RUN = insert(runs).returning(*runs.c)
_ADD_CHECKPOINT = insert(checkpoints)
_UPDATE_RUN = update(runs).where(runs.c.id == bindparam("of_run")).returning(*runs.c)


@dataclass(frozen=True)
class Appended:
    """What an append did.

    Attributes:
        stored: checkpoints that were new.
    """

    decision: Decision
    stored: int


class Runs:
    """The rules, with what they need besides the database.

    Args:
        policy: of runs that name none.
        clock: seconds since 1970.
    """

    def __init__(self, policy: Policy, clock: Callable[[], float] = time.time) -> None:
        self.policy, self.clock = policy, clock
        self.references = References()

    def _now(self, row: Row[Any]) -> float:
        """Give the time, for a run never an earlier one: a clock may be set back."""
        return max(self.clock(), float(row.updated_at))

    # Append

    def append(
        self, connection: Connection, owner: str, run_id: str, piece: CheckpointsRequest
    ) -> Generator[Question, Any, Appended]:
        """Store new checkpoints and decide.

        Asks for the forecast of the whole history and, where that stops it, what it teaches.

        Raises:
            RunConflict: they contradict what is stored, or the run has finished.
            InvalidHistory: the history they would make breaks a rule.
        """
        if piece.run_id not in (None, run_id):
            raise RunConflict("`run_id` must be the one in the address, or left out.")
        row = run_of(connection, owner, run_id)
        created, as_it_was = row is None, row
        if row is None:
            row = self._create(connection, owner, run_id, piece)
            counts.change(connection, None, row, row.created_at)
        elif _has_ended(row):
            raise RunConflict("The run has finished: it takes no more checkpoints.")
        else:
            check_fixed(row, piece)
            row, as_it_was = self._say(connection, row, piece), row
        known = history_of(connection, row) if not created else None
        thinned = rewinds.thinned(connection, row, unknown(known, piece))
        if known is not None and (epoch := rewound_to(known, thinned, piece)) is not None:
            row = self._rewind(connection, row, epoch)
            known = known.prefix(sum(e < epoch for e in known.epochs))
            thinned = {e: one for e, one in thinned.items() if e < epoch}
        whole = join(row, known, thinned, piece)
        if not whole.news and (last := decisions.again(connection, row)) is not None:
            if row is not as_it_was:
                tell(connection, row, "about")
            return Appended(last, 0)
        history = self._store(connection, row, whole)
        policy = piece.policy or self.policy
        lessons = self.references.lessons(connection, row) if policy.learn else None
        found: Found = yield ToForecast(history, lessons)
        decision, row = yield from self._decide(connection, row, history, found, policy)
        tell(connection, row, "created" if created else "checkpoint")
        return Appended(decision, whole.news)

    def _store(self, connection: Connection, row: Row[Any], whole: Joined) -> History:
        rewinds.drop(connection, row, whole.dropped)
        if whole.added:
            told = {"run": row.id, "attempt": rewinds.attempt(row)}
            connection.execute(_ADD_CHECKPOINT, [{**told, **one} for one in whole.added])
        return whole.history

    def _rewind(self, connection: Connection, row: Row[Any], epoch: float) -> Row[Any]:
        """Leave behind what was told from `epoch` on."""
        told = rewinds.rewind(connection, row, epoch, self._now(row))
        return connection.execute(_UPDATE_RUN, {"of_run": row.id, **told}).one()

    def _create(
        self, connection: Connection, owner: str, run_id: str, piece: CheckpointsRequest
    ) -> Row[Any]:
        now = self.clock()
        for name in ("dataset", "population"):
            text = getattr(piece, name)
            if text is not None and not is_name(text):
                raise InvalidHistory(must_be(name, RULE_OF_NAMES, text))
        return connection.execute(
            _ADD_RUN,
            {
                "owner": owner,
                "run_id": run_id,
                "dataset": piece.dataset,
                "population": piece.population_name,
                "population_size": piece.population_size,
                "total_epochs": piece.total_epochs,
                "context": piece.context.model_dump_json(exclude_none=True),
                **sayings.columns_of(piece),
                "state": "running",
                "control": False,
                "created_at": now,
                "updated_at": now,
                "n_checkpoints": 0,
                "epoch": 0.0,
                "mqe": 0.0,
            },
        ).one()

    def _decide(
        self,
        connection: Connection,
        row: Row[Any],
        history: History,
        found: Found,
        policy: Policy,
    ) -> Generator[Question, Any, tuple[Decision, Row[Any]]]:
        """Decide and store it; gives the run as it is afterwards."""
        moment = self.references.now(connection, row)
        previous = decisions.previous(connection, row.id, history.epochs[-1])
        decision = decisions.judge(history, found, moment, policy, previous)
        control = decision.reason is Reason.CONTROL
        decision = decisions.overruled(decision, row.override)
        now = self._now(row)
        decisions.add(connection, row, history, decision, moment, previous, now)
        if decision.stop and decision.forecast is not None:
            scale = moment.reference.mqe_of_mean if moment else None
            stand_in = present(history, decision) or outcome_of(
                history, decision.forecast, policy, mqe_of_mean=scale
            )
            lesson: Lesson | None = None
            if policy.learn and moment is not None and not decision.converged:
                lesson = yield ToTeach(history)
            scale = history.context.mqe_of_mean
            outcomes.add(connection, row, stand_in, scale, now, lesson=lesson)
        elif row.state != "running":  # it goes on
            outcomes.withdraw(connection, row, now)
        after = connection.execute(
            _UPDATE_RUN,
            {
                "of_run": row.id,
                "state": _state(decision),
                "ended_at": now if decision.stop else None,
                "updated_at": now,
                "control": row.control or control,
                "control_share": row.control_share or (policy.control if control else None),
                "decided_override": row.override,
                **last_of(history),
                **decisions.columns_of(row, history.epochs[-1], decision),
            },
        ).one()
        counts.change(connection, row, after, now, moment.population if moment else None)
        if (row.state, after.state) != ("running", "running"):
            self._judge_controls(connection, row)
        return decision, after

    # Finish

    def finish(
        self, connection: Connection, owner: str, run_id: str, how: FinishRequest
    ) -> Generator[Question, Any, RunSummary]:
        """Record how a run ended.

        Asks what it teaches, where it went to its end. After a stop it is censored, unless it
        went on to its end or says otherwise. Final values of all that was measured are its last
        checkpoint, at the budget.

        Raises:
            RunNotFound: no such run.
            RunConflict: it has finished otherwise before.
        """
        row = _existing(connection, owner, run_id)
        last = outcomes.last(connection, row.id)
        if _has_ended(row):
            stored = Outcome.model_validate_json(row.told) if row.told is not None else last
            cut_short = stored is not None and stored.censored
            told = outcomes.told(row, how, cut_short)
            if (name := outcomes.contradiction(stored, told)) is None:
                return summary_of(row, last)
            raise RunConflict(
                f"`{name}` must be {getattr(stored, name)!r} as stored: the run has finished."
            )
        history = history_of(connection, row)
        told = outcome = outcomes.told(row, how, row.state == "stopped" and not history.is_whole)
        converged = counts.converged(row)
        final = None
        if not (told.censored or converged):
            final = outcomes.last_checkpoint(history, how)
        if final is not None:
            history = self._store(connection, row, join(row, history, {}, final))
        mqe_of_mean = history.context.mqe_of_mean
        is_whole = history.total_epochs is None or history.is_whole
        now = self._now(row)
        left = not (told.censored or converged or is_whole) and how.final_mqe is None
        if told.censored:
            if last is None or not last.censored:
                forecast = decisions.last_forecast(connection, row.id)
                if forecast is not None:
                    outcome = outcomes.from_quantiles(history, forecast, outcome)
                outcomes.add(connection, row, outcome, mqe_of_mean, now)
        else:
            lesson: Lesson | None = None
            if row.population is not None and not (left or converged):
                lesson = yield ToTeach(history, told)
            outcomes.add(connection, row, outcome, mqe_of_mean, now, left=left, lesson=lesson)
        after = connection.execute(
            _UPDATE_RUN,
            {
                "of_run": row.id,
                "state": "stopped" if told.censored else "finished",
                # Of a finished run it is the mark of one that was left, see `counts.is_left`.
                "told": told.model_dump_json() if told.censored or converged or left else None,
                "ended_at": now,
                "updated_at": now,
                **(last_of(history) if final is not None else {}),
            },
        ).one()
        counts.change(connection, row, after, now)
        self._judge_controls(connection, row)
        return tell(connection, after, "finished")

    def _judge_controls(self, connection: Connection, row: Row[Any]) -> None:
        if (population := counts.around(connection, row)) is not None:
            judge_controls(connection, self.references.standings, population, self.policy)

    # A person's word

    def override(
        self,
        connection: Connection,
        owner: str,
        run_id: str,
        word: Override | None,
        by: str | None,
    ) -> RunSummary:
        """Record a person's word, or take it back; the next decision obeys.

        Raises:
            RunNotFound: no such run.
            RunConflict: it has finished.
        """
        row = _existing(connection, owner, run_id)
        if _has_ended(row):
            raise RunConflict("The run has finished: there is nothing to overrule.")
        now = self._now(row)
        said = {"override": word, "override_by": by, "override_at": now, "updated_at": now}
        after = connection.execute(_UPDATE_RUN, {"of_run": row.id, **said}).one()
        counts.change(connection, row, after, now)
        return tell(connection, after, word or "policy")

    # What people say

    def say(
        self, connection: Connection, owner: str, run_id: str, said: AboutRequest
    ) -> RunSummary:
        """Keep what is said of a run, also after its end.

        Raises:
            RunNotFound: no such run.
        """
        row = _existing(connection, owner, run_id)
        return tell(connection, self._say(connection, row, said), "about")

    def _say(self, connection: Connection, row: Row[Any], said: About) -> Row[Any]:
        changed = sayings.changed(row, said)
        if not changed:
            return row
        return connection.execute(_UPDATE_RUN, {"of_run": row.id, **changed}).one()

    # Forgetting

    def delete(self, connection: Connection, owner: str, run_id: str) -> None:
        """Delete a run and all that is stored about it.

        Raises:
            RunNotFound: no such run.
        """
        row = _existing(connection, owner, run_id)
        self._delete(connection, [row])

    def retire(self, connection: Connection, before: float, at_most: int = 50) -> int:
        """Delete runs untouched since `before` (seconds since 1970); returns how many."""
        rows = connection.execute(
            select(runs)
            .where(runs.c.updated_at < before)
            .order_by(runs.c.updated_at)
            .limit(at_most)
        ).all()
        self._delete(connection, rows)
        return len(rows)

    def _delete(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        now = self.clock()
        for row in rows:
            counts.change(connection, row, None, now)
            if (population := counts.around(connection, row)) is not None:
                self.references.standings.forget(population, row.run_id)
        _delete(connection, rows)
        for row in {(row.owner, row.population): row for row in rows}.values():
            self._judge_controls(connection, row)


def _existing(connection: Connection, owner: str, run_id: str) -> Row[Any]:
    row = run_of(connection, owner, run_id)
    if row is None:
        raise RunNotFound("There is no such run.")
    return row


def _has_ended(row: Row[Any]) -> bool:
    """Tell whether its client said how it ended; a run that only a decision ended may go on."""
    return row.told is not None or (row.state == "finished" and not counts.converged(row))


def _state(decision: Decision) -> str:
    if not decision.stop:
        return "running"
    return "finished" if decision.converged else "stopped"


def _delete(connection: Connection, rows: Sequence[Any]) -> None:
    ids = [row.id for row in rows]
    for table in (schema.outcomes, schema.decisions, schema.left_behind, checkpoints):
        connection.execute(delete(table).where(table.c.run.in_(ids)))
    connection.execute(delete(runs).where(runs.c.id.in_(ids)))
    for row in rows:
        event = Event(kind="deleted", run={"run_id": row.run_id, "population": row.population})
        # Earlier events held all of the run. They keep their places, for streams that resume.
        body = event.model_dump_json()
        connection.execute(
            update(events)
            .where(events.c.owner == row.owner, events.c.run_id == row.run_id)
            .values(body=body)
        )
        new_events.rewrite(connection, row.owner, row.run_id, body)
        add_event(connection, row, event)
