"""Bodies that tell of whole searches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from oracle.audit.alerts import Alert
from oracle.audit.audit import Word
from oracle.types import Flag, Frozen, Ratio
from oracle.types.about import MAX_NOTES, Line


class AlertList(Frozen):
    """What of a population needs somebody, the most urgent first.

    Attributes:
        population: its name.
        alerts: the most urgent first.
    """

    population: str
    alerts: tuple[Alert, ...]


class SearchAboutRequest(Frozen):
    """What is said of a search from now on; what is left out stays, null takes it back.

    Attributes:
        title: the name that people read; runs are still posted to the population's own.
        note: free text.
        archived: put away: it is listed no more among the searches.
    """

    title: Line | None = None
    note: Annotated[str, Field(max_length=MAX_NOTES)] | None = None
    archived: Flag | None = None


class SearchCard(Frozen):
    """A search at a glance.

    Attributes:
        name: of the population.
        title, note, archived: what its people said.
        running, stopped, finished: runs by state.
        planned: runs that it is planned to have; None = not told.
        created_at, updated_at: of its first run, and when it was heard of last.
        saved_share: of the planned epochs of ended runs.
        best: the best score of a run that went to its end.
        best_run_id: that run.
        relative: whether scores are on the relative scale, so that searches compare.
        word: of the audit.
        curve: the best so far: [runs ended, epochs used, score], thinned.
    """

    name: str
    title: str | None
    note: str | None
    archived: bool
    running: int
    stopped: int
    finished: int
    planned: int | None
    created_at: str | None
    updated_at: str
    saved_share: Ratio | None
    best: float | None
    best_run_id: str | None
    relative: bool
    word: Word
    curve: tuple[tuple[float, float, float], ...]


class SearchList(Frozen):
    """The searches last heard of.

    Attributes:
        searches: the latest first.
        archived: how many are put away and not told.
        more: whether there are more than were told.
    """

    searches: tuple[SearchCard, ...]
    archived: int
    more: bool
