"""What the runs of a search that have ended teach about plans that nobody has begun."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from math import isclose
from pathlib import Path

from oracle.errors import OracleWarning, callers_level
from oracle.forecast.forecaster import Oracle
from oracle.forecast.residuals import Residuals
from oracle.history.quality_score import same_scale
from oracle.hook.places.postgresql import Database
from oracle.hook.population import Population, population_at
from oracle.hook.population_file import place_of
from oracle.search.table import Table
from oracle.types.run_names import label_of

#: Populations without a name are of a table whose mqe_of_mean is as near as this.
SAME_TABLE = 1e-3
#: Where `oracle.watch` enters the runs of a search; None = nothing is learned of them.
Place = str | os.PathLike[str] | Database | Population | None


class Lessons:
    """The ended runs of one table in the population of a search, read anew each time.

    Args:
        population: where `oracle.watch` enters the runs: a file, which need not be there yet, an
            address of PostgreSQL, or a Population; None = nothing is learned.
        name: of the population within it, or the dataset's; None = the latest that is of `table`.
        table: that plans are made for.

    Raises:
        InvalidHistory: a population that is none.
    """

    def __init__(
        self,
        population: Place,
        name: str | int | None,
        table: Table,
    ) -> None:
        self._place: Path | Database | Population | None = (
            population
            if population is None or isinstance(population, Population)
            else place_of(population)
        )
        self._name = None if name is None else label_of(name)
        self._table, self._is_told = table, False

    def of(self, oracle: Oracle) -> Residuals | None:
        """Give what they teach this oracle; None where nothing has ended, or it cannot be read.

        A search must go on, so that what fails is an OracleWarning, once.
        """
        try:
            return self.read(oracle)
        except Exception as error:
            if not self._is_told:
                self._is_told = True
                with suppress(OracleWarning):  # where warnings are errors
                    warnings.warn(
                        f"SOM Oracle: what the population's runs teach could not be read: {error}",
                        OracleWarning,
                        stacklevel=callers_level(),
                    )
            return None

    def read(self, oracle: Oracle) -> Residuals | None:
        """Give what they teach this oracle; None where nothing has ended.

        Raises:
            StoreUnavailable: the population cannot be read.
        """
        place = self._place
        if place is None or (isinstance(place, Path) and not place.exists()):
            return None
        shared = place if isinstance(place, Population) else population_at(place)
        if self._name is not None:
            own = shared.reference(self._name).mqe_of_mean
            known = same_scale(own, self._table.scale)
            return shared.known(self._name, oracle.info.sha256) if known else None
        for name in reversed(shared.names()):
            own = shared.reference(name).mqe_of_mean
            if own is not None and isclose(own, self._table.scale, rel_tol=SAME_TABLE):
                return shared.known(name, oracle.info.sha256)
        return None
