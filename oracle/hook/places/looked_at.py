"""A population as who only asks sees it: nothing is made, upgraded, healed, or written.

A search's own runs open it by `oracle.hook.population`, which makes what is missing and carries
over what was lost; a question from outside must leave even an empty file as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from oracle.errors import StoreUnavailable, must_be
from oracle.hook.places.postgresql import Database, Session, looking_at
from oracle.hook.population_file import TIMEOUT_S, PopulationFile


class Ended(NamedTuple):
    """A run that has ended.

    Attributes:
        mqe_of_mean: scale of its table, where known.
        model: SHA-256 of the model that it teaches; None where it teaches none.
        lesson: what, as `oracle.forecast.residuals.Residuals.to_bytes` wrote it.
    """

    mqe_of_mean: float | None
    model: str | None
    lesson: bytes | None


class Looked:
    """The ended runs of a place, as at one moment."""

    def __init__(self, db: sqlite3.Connection | Session | None) -> None:
        self._db = db

    def names(self) -> list[str]:
        """Give the names of the populations in which a run has ended, the latest first."""
        if self._db is None:
            return []
        rows = self._db.execute(
            "SELECT population FROM run WHERE ended IS NOT NULL"
            " GROUP BY population ORDER BY max(ended) DESC"
        )
        return [name for (name,) in rows.fetchall()]

    def latest(
        self, most: int, *, name: str | None = None, scale: float = 0.0, within: float = 0.0
    ) -> list[Ended]:
        """Give the latest `most` ended runs, in the order of their ends.

        Args:
            most: at most so many.
            name: of their population; None = of any, where their table has the scale.
            scale: mqe_of_mean, as near as the share `within`.
        """
        if self._db is None:
            return []
        of = "population = ?" if name is not None else "mqe_of_mean BETWEEN ? AND ?"
        asked = (name,) if name is not None else (scale * (1 - within), scale * (1 + within))
        rows = self._db.execute(
            f"SELECT mqe_of_mean, model, teaches FROM run"
            f" WHERE {of} AND ended IS NOT NULL ORDER BY ended DESC LIMIT ?",
            (*asked, most),
        ).fetchall()
        return [
            Ended(scale, model, lesson and bytes(lesson)) for scale, model, lesson in rows[::-1]
        ]


@contextmanager
def looked_at(place: Path | Database, timeout_s: float = TIMEOUT_S) -> Iterator[Looked]:
    """Look at a population; where nothing was entered yet, it has no runs.

    Raises:
        StoreUnavailable: it does not answer, or is not ours.
    """
    if isinstance(place, Database):
        with looking_at(place, timeout_s) as session:
            yield Looked(session)
        return
    try:
        if not place.is_file():
            yield Looked(None)
            return
        with closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", timeout_s, uri=True)) as db:
            has_runs = PopulationFile(place).format_of(db) is not None and _teaches(db)
            yield Looked(db if has_runs else None)
    except (sqlite3.Error, OSError) as error:
        advice = f"{place} was left as it is: name another file."
        told = must_be("population", "a population file that can be read", str(error), advice)
        raise StoreUnavailable(told) from error


def _teaches(db: sqlite3.Connection) -> bool:
    """Whether runs of its format taught: the first ones did not."""
    return any(row[1] == "teaches" for row in db.execute("PRAGMA table_info(run)"))
