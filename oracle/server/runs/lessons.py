"""What the ended runs of a population teach the next forecast, and what is asked of the oracle."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select

from oracle.errors import InvalidHistory, RunNotFound, must_be
from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.history.quality_score import SAME_SCALE, common_scale, same_scale
from oracle.server.runs import counts
from oracle.server.storage.schema import outcomes
from oracle.types import History, Outcome

#: Populations kept in memory.
MAX_CACHED = 64

#: SHA-256 of a model, and what a run teaches it (`Residuals.to_bytes`).
Lesson = tuple[str, bytes]


class ToForecast(NamedTuple):
    """Asks how a run will end.

    Attributes:
        lessons: of the ended runs of its population; None where it learns of none.
    """

    history: History
    lessons: Lessons | None = None


class ToTeach(NamedTuple):
    """Asks what a run teaches that has ended so, or, without an outcome, was stopped."""

    history: History
    outcome: Outcome | None = None


#: What the rules of stored runs ask: the answer to the first is a forecast, to the second a Lesson.
Question = ToForecast | ToTeach


class Lessons:
    """What the runs of one population teach, as at one moment."""

    def __init__(self, taught: Mapping[str, Lesson]) -> None:
        self._taught = taught
        self._of: tuple[str, Residuals | None] | None = None

    def of(self, model: str) -> Residuals | None:
        """Give what they teach the model of this SHA-256; None where nothing."""
        if self._of is None or self._of[0] != model:
            own = [written for sha256, written in self._taught.values() if sha256 == model]
            read = [one for one in map(Residuals.from_bytes, own) if one is not None]
            self._of = model, Residuals.of(read) if read else None
        return self._of[1]

    def without(self, run_id: str) -> Lessons:
        """Leave a run out that is no teacher of its own."""
        if run_id not in self._taught:
            return self
        return Lessons({name: one for name, one in self._taught.items() if name != run_id})


# Built once: putting a statement together costs more than running it. What belongs to the
# population is found first, apart: ordered by id and limited, PostgreSQL may read all outcomes
# backwards instead, those of every other population too.
_OF_POPULATION = (
    select(outcomes.c.id)
    .where(
        outcomes.c.owner == bindparam("of_owner"),
        outcomes.c.population == bindparam("of_population"),
        outcomes.c.id > bindparam("after"),
    )
    .cte("of_population")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_LATEST = (
    select(_OF_POPULATION.c.id).order_by(_OF_POPULATION.c.id.desc()).limit(2 * TEACHERS).subquery()
)
_SINCE = (
    select(
        outcomes.c.id,
        outcomes.c.run_id,
        outcomes.c.mqe_of_mean,
        outcomes.c.model,
        outcomes.c.teaches,
    )
    .join(_LATEST, _LATEST.c.id == outcomes.c.id)
    .order_by(outcomes.c.id.desc())
)


class Taught:
    """The lessons of the populations that were asked for lately, as of the current transaction."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Population] = OrderedDict()

    def now(self, connection: Connection, population: Row[Any], run_id: str) -> Lessons:
        """Give what the others of a run's population teach it.

        Args:
            connection: of the writer.
            population: the row of its counts.
            run_id: the run.
        """
        key, mark = (population.owner, population.name), (population.id, population.forgotten)
        kept = self._kept.pop(key, None)
        if kept is None or kept.mark != mark:
            kept = _Population(mark)
        kept.read(connection, *key)
        self._kept[key] = kept
        if len(self._kept) > MAX_CACHED:
            self._kept.popitem(last=False)
        return kept.lessons.without(run_id)

    def forget_all(self) -> None:
        """Forget everything: a transaction was undone, or the database is another one."""
        self._kept.clear()


def taught_on(connection: Connection, owner: str, name: str, scale: float) -> Lessons:
    """Give what the ended runs of a population teach plans on the table of that mqe_of_mean.

    Raises:
        RunNotFound: no run of that population.
        InvalidHistory: its runs are of another table.
    """
    found = counts.of_population(connection, owner, name)
    if found is None:
        advice = "Leave it out, or name one of GET /v1/populations."
        raise RunNotFound(must_be("population", "one of the service's", name, advice))
    population = _Population((found.id, found.forgotten))
    population.read(connection, owner, name)
    if not same_scale(population.scale, scale):
        rule = f"that of {name}, {population.scale:.4g}, within a factor of {SAME_SCALE:g}"
        advice = "Leave `population` out: its runs are of another table."
        raise InvalidHistory(must_be("context.mqe_of_mean", rule, scale, advice))
    return population.lessons


class _Population:
    def __init__(self, mark: tuple[int, int]) -> None:
        self.mark = mark
        self.scale: float | None = None
        self.lessons = Lessons({})
        self._outcome_id = 0
        self._rows: OrderedDict[str, tuple[float | None, Lesson]] = OrderedDict()

    def read(self, connection: Connection, owner: str, name: str) -> None:
        asked = {"of_owner": owner, "of_population": name, "after": self._outcome_id}
        rows = connection.execute(_SINCE, asked).all()
        if not rows:
            return
        self._outcome_id = rows[0].id
        for row in reversed(rows):
            self._rows.pop(row.run_id, None)  # its latest end counts, also where it goes on
            if row.teaches is not None:
                self._rows[row.run_id] = row.mqe_of_mean, (row.model, bytes(row.teaches))
        while len(self._rows) > TEACHERS:
            self._rows.popitem(last=False)
        self.scale = common_scale(scale for scale, _ in self._rows.values())
        self.lessons = Lessons(
            {
                run_id: lesson
                for run_id, (own, lesson) in self._rows.items()
                if same_scale(own, self.scale)
            }
        )
