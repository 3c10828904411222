"""A store that is read and left as it is, also while a service writes it: what commands read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from oracle.errors import DatasetError, StoreUnavailable
from oracle.server.storage import whose
from oracle.server.storage.database import connect, explain, parse_url, told
from oracle.server.storage.schema import VERSION

T = TypeVar("T")

_UPGRADE = "`oracle serve` brings it up to date when it starts; until then it is left as it is."


class StoredRuns:
    """A store of this version; close it, or use it in a `with` block.

    Args:
        url: SQLAlchemy URL as ORACLE_DATABASE_URL, or the name of a SQLite file.
        timeout_s: how long the database is waited for.

    Raises:
        InvalidHistory: no such kind of database.
        DatasetError: there is no such file, it is no store, or one of another version.
        StoreUnavailable: it does not answer.
    """

    def __init__(self, url: str, timeout_s: float = 5.0) -> None:
        self._url = parse_url(url if "://" in url else f"sqlite:///{url}")
        self._engine = connect(
            self._url, pool_size=1, timeout_s=timeout_s, writes=False, alters=False
        )
        try:
            self._check(self._look())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot.

        Raises:
            InvalidHistory: a value that the database cannot compare with what it holds.
            StoreUnavailable: no answer.
        """
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (SQLAlchemyError, OSError) as error:
            raise told(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def _look(self) -> whose.Whose:
        if (path := file_of(self._url)) is None:
            return self.read_now(whose.in_database)
        if not path.exists():
            self._refuse("there is none")
        try:
            return whose.in_file(path)
        except sqlite3.Error as error:
            raise StoreUnavailable(explain(error)) from error

    def _check(self, found: whose.Whose) -> None:
        if found.kind == "population":
            file = file_of(self._url)
            advice = f"`oracle runs {file}` and `oracle report NAME --from {file}` read it."
            self._refuse(f"it is {found.what}", advice)
        if found.kind != "store":
            self._refuse(f"it is {found.what}")
        if (found.version or "") > VERSION:
            self._refuse("a later version of SOM Oracle wrote it", "Update this one.")
        if found.version != VERSION:
            self._refuse("an earlier version of SOM Oracle wrote it", _UPGRADE)

    def _refuse(self, came: str, advice: str = "") -> NoReturn:
        path = file_of(self._url)
        what = "database" if path is None else "file"
        message = f"must be the {what} that the service writes, but {came}. {advice}".rstrip()
        raise DatasetError(message, file=str(path or "the database"))


def file_of(url: URL) -> Path | None:
    """Give the file of a SQLite database; None of another."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def refuse_stranger(url: str, timeout_s: float) -> None:
    """Begin no service on a database of somebody else's; one that is away is waited for later.

    Raises:
        InvalidHistory: no such kind of database.
        DatasetError: it is somebody else's.
    """
    parsed = parse_url(url)
    path = file_of(parsed)
    engine = connect(parsed, pool_size=1, timeout_s=timeout_s, writes=False, alters=False)
    found = whose.Whose("none", "away")
    with suppress(SQLAlchemyError, sqlite3.Error, OSError):
        if path is None:
            with engine.begin() as connection:
                found = whose.in_database(connection)
        elif path.exists():
            found = whose.in_file(path)
    engine.dispose()
    try:
        whose.refuse_stranger(found)
    except StoreUnavailable as error:
        raise DatasetError(str(error), file=str(path or "")) from None
