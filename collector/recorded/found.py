"""Runs as files hold them, and names for those that come without one.

A run without a name is called by its file, and by the folders above where another file of that
name was read before: `log`, then `seed2-log`. Whether a name is free is known when all are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from oracle.errors import DatasetError
from oracle.types import METRICS, Run, run_id_of


class Found(NamedTuple):
    """A run and what is known of it besides.

    Attributes:
        run: as it was read.
        place: file or folder that holds it, "" where that is not known.
        names: what it may be called, the best first; none where it came with a name.
        given: the name and settings that it came with.
        weight: how many runs it stands for.
    """

    run: Run
    place: str = ""
    names: tuple[str, ...] = ()
    given: Mapping[str, Any] | None = None
    weight: float = 1.0

    def called(self, run_id: str) -> Run:
        """Give the run this name."""
        if run_id == self.run.run_id:
            return self.run
        history = self.run.history.model_copy(update={"run_id": run_id})
        return self.run.model_copy(update={"run_id": run_id, "history": history})

    @property
    def measured(self) -> Hashable:
        """What was measured of it: the same of one run, whatever else is known of it."""
        return tuple(getattr(self.run.history, name) for name in ("epochs", *METRICS))


@dataclass(frozen=True)
class Reader:
    """What was found in one place, and for whatever is left out the error that says why."""

    found: Iterable[Found | DatasetError]

    @classmethod
    def of(
        cls,
        items: Iterable[Run | DatasetError],
        place: object = "",
        weights: Mapping[str, float] = MappingProxyType({}),
    ) -> Reader:
        """Tell where runs with names of their own come from.

        Args:
            items: of one place.
            place: see `Found`.
            weights: run_id -> runs that it stands for, known when the run comes.
        """
        return cls(
            item
            if isinstance(item, DatasetError)
            else Found(item, str(place), weight=weights.get(item.run_id, 1.0))
            for item in items
        )

    def __iter__(self) -> Iterator[Run | DatasetError]:
        """Give the runs alone."""
        return (item.run if isinstance(item, Found) else item for item in self.found)


class Home(NamedTuple):
    """What a run without a name is called by.

    Attributes:
        key: what tells it from all others, the same by whatever path it is reached.
        name: its own name.
        folder: where it lies.
    """

    key: Hashable
    name: str
    folder: Path

    @classmethod
    def of_file(cls, path: Path) -> Home:
        """Call a run by a file, without its ending."""
        return cls(path.resolve(), stem_of(path), path.parent)

    @classmethod
    def of_folder(cls, folder: Path) -> Home:
        """Call a run by its folder."""
        whole = folder.resolve()
        return cls(whole, whole.name, whole.parent)


class Names:
    """Tells homes of one name apart by as few of the folders above as do it."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, ...], Hashable] = {}

    def of(self, home: Home) -> list[str]:
        """Give the names that no home before has, the shortest first.

        Its own name alone, where all are taken: two files of one folder, but for their endings.
        """
        above = home.folder.resolve().parts
        tails = [(*above[at:], home.name) for at in range(len(above), -1, -1)]
        free = [tail for tail in tails if self._owners.setdefault(tail, home.key) == home.key]
        return ["-".join(tail) for tail in free] or [home.name]


def first_free(names: Sequence[str], taken: Container[str], numbers: Counter[str]) -> str:
    """Choose the first name whose run_id is not taken, else number the best.

    Args:
        names: the best first.
        taken: run_ids.
        numbers: name -> the last number that it was given here, so that none is tried twice.

    >>> first_free(["log", "seed2-log"], {"log"}, Counter())
    'seed2-log'
    >>> first_free(["log"], {"log", "log-2"}, Counter())
    'log-3'
    """
    best = names[0]
    for name in names:
        if run_id_of(name) not in taken:
            return name
    for number in count(max(2, numbers[best] + 1)):
        if run_id_of(f"{best}-{number}") not in taken:
            numbers[best] = number
            return f"{best}-{number}"
    raise AssertionError("unreachable")


def stem_of(path: Path) -> str:
    """Give the name of a file without its ending.

    >>> stem_of(Path("lr0.1.csv.gz"))
    'lr0.1'
    """
    return Path(path.name.removesuffix(".gz")).stem
