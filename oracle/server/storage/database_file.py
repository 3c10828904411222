"""The file of a SQLite database, watched: what is written to one that is gone is lost."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

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
