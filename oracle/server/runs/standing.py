"""How the runs of a population ended, in order; the next look reads what came since.

Outcomes are only appended, and a run's later one replaces its earlier one. So a moment is an
outcome id, and a look costs the same after ten runs and after a hundred thousand.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, bindparam, select

from oracle.forks import Lock
from oracle.history.quality_score import Bools, same_scale
from oracle.server.runs.outcomes import outcome_in
from oracle.server.storage.schema import MAX_ID, outcomes
from oracle.types import MAX_REFERENCE_RUNS, FloatArray, Outcome, OutcomeColumns

#: Populations kept in memory, by each that looks.
MAX_CACHED = 256
#: Rows of a table that nothing was read into yet.
_FIRST_ROWS = 64
_WIDTH = 7
#: Rows fetched at once.
_PAGE = 1_000

_COLUMNS = (
    outcomes.c.id,
    outcomes.c.run_id,
    outcomes.c.final_mqe,
    outcomes.c.final_topographic_error,
    outcomes.c.final_dead_neuron_ratio,
    outcomes.c.spread,
    outcomes.c.censored,
    outcomes.c.control,
    outcomes.c.mqe_of_mean,
    outcomes.c.withdrawn,
)


# Built once: putting a statement together costs more than running it.
_BACKWARDS = (
    select(*_COLUMNS)
    .where(
        outcomes.c.owner == bindparam("of_owner"),
        outcomes.c.population == bindparam("of_population"),
        outcomes.c.id > bindparam("after"),
        outcomes.c.id <= bindparam("until"),
    )
    .order_by(outcomes.c.id.desc())
    .execution_options(yield_per=_PAGE)
)


class Ended(NamedTuple):
    """Runs that ended, in order of ending.

    Attributes:
        outcomes: [run].
        table: [run, 7] mqe, topographic error, dead-neuron ratio, spread, finished, control,
            mqe_of_mean; NaN where undefined.
        digest: tells whether the same outcomes are there again.
    """

    outcomes: tuple[Outcome, ...]
    table: FloatArray
    digest: int

    @property
    def columns(self) -> OutcomeColumns:
        """The outcomes as decisions read them."""
        return OutcomeColumns(self.table[:, :3].T, self.table[:, 3], self.table[:, 4] > 0)

    @property
    def held(self) -> Bools:
        """[run] whether it ran to its end although a rule would have stopped it."""
        return np.asarray((self.table[:, 5] > 0) & (self.table[:, 4] > 0))

    @property
    def scales(self) -> list[float | None]:
        """[run] mqe_of_mean, None where unknown."""
        return [None if np.isnan(scale) else float(scale) for scale in self.table[:, 6]]


class Standing:
    """The latest MAX_REFERENCE_RUNS outcomes of one population.

    Args:
        mark: of the population as it was when this was begun.
    """

    def __init__(self, mark: tuple[int, int]) -> None:
        self.mark, self.outcome_id = mark, 0
        self._table = np.empty((_FIRST_ROWS, _WIDTH))
        self._outcomes: list[Outcome | None] = []  # None where a later one of the run replaced it
        self._digests: list[int] = []
        self._at: OrderedDict[str, int] = OrderedDict()
        self._scales: list[float] = []  # sorted
        self._digest = 0
        self._first = 0
        self._whole: Ended | None = None

    @property
    def scale(self) -> float | None:
        """The mqe_of_mean of the table, by what the runs say: their median, see `common_scale`."""
        return self._scales[(len(self._scales) - 1) // 2] if self._scales else None

    def add(self, row: Any) -> None:
        """Enter one more row of the outcomes."""
        self.outcome_id, self._whole = row.id, None
        self._remove(row.run_id)
        if row.withdrawn:
            return
        if len(self._outcomes) == len(self._table):
            self._make_room()
        outcome = outcome_in(row)
        values = (row.final_mqe, row.final_topographic_error, row.final_dead_neuron_ratio)
        known = (row.spread, not row.censored, row.control, row.mqe_of_mean)
        self._table[len(self._outcomes)] = np.array((*values, *known), dtype=np.float64)
        self._at[row.run_id] = len(self._outcomes)
        self._outcomes.append(outcome)
        self._digests.append(digest_of(outcome))
        self._digest += self._digests[-1]
        if row.mqe_of_mean is not None:
            insort(self._scales, row.mqe_of_mean)
        if len(self._at) > MAX_REFERENCE_RUNS:
            self._remove(next(iter(self._at)))

    def forget(self, run_id: str) -> bool:
        """Let go of a run that was deleted; False where an earlier one would take its place."""
        if run_id in self._at and len(self._at) == MAX_REFERENCE_RUNS:
            return False
        self._whole = None
        self._remove(run_id)
        return True

    def _remove(self, run_id: str) -> None:
        at = self._at.pop(run_id, None)
        if at is None:
            return
        self._outcomes[at] = None
        self._digest -= self._digests[at]
        scale = float(self._table[at, 6])
        if not np.isnan(scale):
            del self._scales[bisect_left(self._scales, scale)]
        while self._first < len(self._outcomes) and self._outcomes[self._first] is None:
            self._first += 1

    def _make_room(self) -> None:
        """Begin a new table; whoever looks at the old one keeps it as it is."""
        alive = list(self._at.values())
        table = np.empty((max(_FIRST_ROWS, 2 * len(alive)), _WIDTH))
        table[: len(alive)] = self._table[alive]
        self._table, self._first = table, 0
        self._outcomes = [self._outcomes[i] for i in alive]
        self._digests = [self._digests[i] for i in alive]
        self._at = OrderedDict((name, i) for i, name in enumerate(self._at))

    def ended(self, without: str | None = None) -> Ended:
        """Give all outcomes; of what the run `without` must beat, its own and another table's less.

        Args:
            without: None = all of them.
        """
        if self._whole is None:
            self._whole = self._select()
        if without is None or (without not in self._at and self._is_of_one_table):
            return self._whole
        scale = self.scale
        chosen = [
            i
            for name, i in self._at.items()
            if name != without and same_scale(self._scale_at(i), scale)
        ]
        return self._select(chosen)

    @property
    def _is_of_one_table(self) -> bool:
        ends = (self._scales[0], self._scales[-1]) if self._scales else ()
        return all(same_scale(one, self.scale) for one in ends)

    def _select(self, chosen: list[int] | None = None) -> Ended:
        end = len(self._outcomes)
        if chosen is None and end - self._first == len(self._at):  # none was replaced in between
            found = _whole(self._outcomes[self._first :])
            return Ended(found, self._table[self._first : end], self._digest)
        chosen = list(self._at.values()) if chosen is None else chosen
        found = _whole([self._outcomes[i] for i in chosen])
        return Ended(found, self._table[chosen], sum(self._digests[i] for i in chosen))

    def _scale_at(self, i: int) -> float | None:
        scale = float(self._table[i, 6])
        return None if np.isnan(scale) else scale


def _whole(found: list[Outcome | None]) -> tuple[Outcome, ...]:
    return tuple(found)  # type: ignore[arg-type]  # none of these was replaced


def digest_of(outcome: Outcome) -> int:
    """Digest one outcome; sums of these tell sets of outcomes apart."""
    o = outcome
    values = (o.run_id, o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio)
    told = repr((*values, o.censored, o.spread)).encode()
    return int.from_bytes(hashlib.sha256(told).digest(), "big")


class Moment(NamedTuple):
    """How a population stood.

    Attributes:
        ended: its runs that had ended, or those of them that a run must beat.
        scale: mqe_of_mean of its table, None where unknown.
        outcome_id: the last outcome known, 0 before the first.
    """

    ended: Ended
    scale: float | None
    outcome_id: int


class Standings:
    """The populations that were asked for lately; safe for threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Standing] = OrderedDict()
        self._lock = Lock()
        self._outdated = False

    def now(
        self, connection: Connection, population: Row[Any], without: str | None = None
    ) -> Moment:
        """Give how a population stands, by its row of counts; see `Standing.ended`."""
        key, mark = (population.owner, population.name), (population.id, population.forgotten)
        with self._lock:
            if self._outdated:
                self._kept.clear()
                self._outdated = False
            standing = self._kept.pop(key, None)
            if standing is None or standing.mark != mark:
                standing = Standing(mark)
            _read(connection, *key, standing)
            self._kept[key] = standing
            if len(self._kept) > MAX_CACHED:
                self._kept.popitem(last=False)
            return Moment(standing.ended(without), standing.scale, standing.outcome_id)

    def forget(self, population: Row[Any], run_id: str) -> None:
        """Let go of a run that was deleted; `population` counts it as forgotten already."""
        key, mark = (population.owner, population.name), (population.id, population.forgotten)
        with self._lock:
            standing = self._kept.pop(key, None)
            if standing is None or standing.mark != (mark[0], mark[1] - 1):
                return
            if standing.forget(run_id):
                standing.mark = mark
                self._kept[key] = standing

    def forget_all(self) -> None:
        """Forget everything: a transaction was undone, or the database is another one."""
        self._outdated = True  # at the next look: this may be another thread


def moment_at(
    connection: Connection, owner: str, population: str, without: str, outcome_id: int
) -> Moment:
    """Give how a population stood when `outcome_id` was the last outcome known."""
    standing = Standing((0, 0))
    _read(connection, owner, population, standing, outcome_id)
    return Moment(standing.ended(without), standing.scale, standing.outcome_id)


def _read(
    connection: Connection,
    owner: str,
    population: str,
    standing: Standing,
    until: int = MAX_ID,
) -> None:
    """Read what came since, up to the outcome `until`; the first time only as much as counts."""
    bounds: dict[str, str | int] = {"of_owner": owner, "of_population": population}
    bounds |= {"after": standing.outcome_id, "until": until}
    latest: dict[str, Any] = {}
    counted = 0
    with connection.execute(_BACKWARDS, bounds) as rows:
        for row in rows:
            if row.run_id not in latest:
                latest[row.run_id] = row
                counted += not row.withdrawn
            if counted == MAX_REFERENCE_RUNS:
                break
    for row in reversed(latest.values()):
        standing.add(row)
