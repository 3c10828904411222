"""What the runs of a search that have ended teach about plans that nobody has begun."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.history.quality_score import SAME_SCALE, common_scale, same_scale
from oracle.hook.circuit import circuit_of
from oracle.hook.places.looked_at import looked_at
from oracle.hook.places.postgresql import Database
from oracle.hook.population import Population
from oracle.hook.population_file import place_of
from oracle.search.reach import warn_of
from oracle.search.table import Table
from oracle.types.run_names import label_of

#: Runs of a population that is not named are of the table whose mqe_of_mean is as near as this:
#: both are computed by one function, from the same numbers.
SAME_TABLE = 1e-6
#: Where `oracle.watch` enters the runs of a search; None = nothing is learned of them.
Place = str | os.PathLike[str] | Database | Population | None


class Taught(NamedTuple):
    """What a question about plans learns.

    Attributes:
        known: what the ended runs teach; None where nothing.
        why_not: why they teach nothing, a clause; None where they do, or nobody asked.
        mistake: that is none of a search which has just begun, but of who asks.
    """

    known: Residuals | None = None
    why_not: str | None = None
    mistake: bool = False


#: Tells an oracle what there is to learn.
Teacher = Callable[[Oracle], Taught]


class PopulationLessons:
    """The ended runs of one table in the population of a search, read anew each time.

    Nothing is written: a file that is not there yet is a search that has not begun.

    Args:
        population: where `oracle.watch` enters the runs: a file, an address of PostgreSQL, or a
            Population; None = nothing is learned.
        name: the runs within it, as `watch` calls them: its `population_name`, else its `dataset`;
            None = all that have ended on `table`.
        table: that plans are made for.

    Raises:
        InvalidHistory: a population or a name that is none.
    """

    def __init__(self, population: Place, name: str | int | None, table: Table) -> None:
        self._place = _place(population)
        if name is not None and (isinstance(name, bool) or not isinstance(name, str | int)):
            raise InvalidHistory(must_be("population_name", "a text or a number", name))
        if name is not None and population is None:
            advice = "Say by `population` where its runs are."
            raise InvalidHistory(must_be("population_name", "left out", name, advice))
        self._name = None if name is None else label_of(name)
        self._table = table
        self._told: set[str] = set()

    def __call__(self, oracle: Oracle) -> Taught:
        """Tell what there is to learn.

        Raises:
            StoreUnavailable: the population cannot be read.
        """
        if self._place is None:
            return Taught()
        with looked_at(self._place) as looked:
            if self._name is not None:
                ended = looked.latest(TEACHERS, name=self._name)
            else:
                ended = looked.latest(TEACHERS, scale=self._table.scale, within=SAME_TABLE)
            if not ended:
                return self._of_none(looked.names())
        scale = common_scale(one.mqe_of_mean for one in ended)
        if not same_scale(scale, self._table.scale):
            why = (
                f"the runs of {self._name} are of another table: their `mqe_of_mean` is "
                f"{scale:.4g}, {self._table.scale:.4g} is asked for, and up to a factor of "
                f"{SAME_SCALE:g} is taken for the same"
            )
            return Taught(why_not=why, mistake=True)
        sha256 = oracle.info.sha256
        lessons = [
            Residuals.from_bytes(one.lesson)
            for one in ended
            if one.lesson is not None and one.model == sha256 and same_scale(one.mqe_of_mean, scale)
        ]
        found = [one for one in lessons if one is not None]
        if not found:
            return Taught(
                why_not=f"none of the {len(ended)} runs that ended teaches this model: "
                "they had another one, `learn=False`, no budget or no `mqe_of_mean`"
            )
        return Taught(Residuals.of(found))

    def or_none(self, oracle: Oracle) -> Taught:
        """Tell what there is to learn, in a search that must go on: what fails is told once."""
        if self._place is None:
            return Taught()
        circuit = circuit_of(f"population {self._place}")  # a locked file is left alone for a while
        if not circuit.closed():
            return Taught(why_not="the population is left alone after failures")
        try:
            found = self(oracle)
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                circuit.failed()
            found = Taught(why_not=str(error), mistake=True)
        else:
            circuit.succeeded()
        if found.mistake:
            self.tell(found.why_not or "")
        return found

    def tell(self, why: str) -> None:
        """Warn that nothing is learned, once for each reason."""
        if why in self._told:
            return
        self._told.add(why)
        warn_of(f"the screening learns nothing of the population's runs: {why}.")

    def _of_none(self, names: list[str]) -> Taught:
        if not names:
            return Taught(why_not=f"no run has ended yet in {self._place}")
        others = f"{', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        if self._name is not None:
            # No mistake: of several searches in one file, this one may have just begun.
            return Taught(why_not=f"no run of {self._name} has ended, but of {others}")
        why = f"of {others} none is of this table, by its `mqe_of_mean` of {self._table.scale:.6g}"
        return Taught(why_not=f"{why}: say which by `population_name`")


def _place(population: object) -> Path | Database | None:
    if isinstance(population, Population):
        return population.path
    if population is None or isinstance(population, Database):
        return population
    if not isinstance(population, str | os.PathLike):
        rule = "the path of a file, an address of PostgreSQL or a Population"
        raise InvalidHistory(must_be("population", rule, population))
    if isinstance(population, str) and population.startswith(("http://", "https://")):
        advice = "Ask the service itself: Client(URL).suggest(context, population=NAME)."
        raise InvalidHistory(must_be("population", "a file or a database", "a URL", advice))
    return place_of(population)
