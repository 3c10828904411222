"""The file of a SQLite database, watched: what is written to one that is gone is lost."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from oracle.errors import StoreUnavailable

#: Space that a store needs to take more than a trial, bytes: a few pages of file and log.
LEAST_FREE = 64 << 10

#: Device and inode: what tells one file of a name from another.
_Mark = tuple[int, int]


class DatabaseFile:
    """A file and its write-ahead log, as the open connections know them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}-wal")
        self._mark: _Mark | None = None
        self._log_mark: _Mark | None = None

    @property
    def is_missing(self) -> bool:
        """Whether there is none."""
        return not self._path.exists()

    @property
    def is_replaced(self) -> bool:
        """Whether another one is in its place.

        Raises:
            FileNotFoundError: there is none any more.
        """
        return self._mark is not None and _mark(self._path) != self._mark

    def check_room(self) -> None:
        """Look whether there is space for more than the one page that a trial writes.

        Raises:
            StoreUnavailable: there is none.
        """
        try:
            free = shutil.disk_usage(self._path.parent).free
        except OSError:
            return  # the trial says more
        if free < LEAST_FREE:
            raise StoreUnavailable("The store has no space left. Nothing was stored; try again.")

    def make(self) -> None:
        """Make it where there is none; one that went away later is not made anew."""
        if self._mark is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch()

    def meet(self) -> None:
        """Take the one that is there for the one in use."""
        self._mark = _mark(self._path)

    def forget(self) -> None:
        """Know nothing of the one that was in use."""
        self._mark = self._log_mark = None

    def forget_log(self) -> None:
        """Know nothing of its log: every connection was closed."""
        self._log_mark = None

    def has_lost_log(self) -> bool:
        """Tell whether its log was removed since it was looked at first; asked after a commit."""
        found = None
        with suppress(FileNotFoundError):
            found = _mark(self._log)
        if self._log_mark is None:
            self._log_mark = found
        return found != self._log_mark


def _mark(path: Path) -> _Mark:
    found = path.stat()
    return found.st_dev, found.st_ino
