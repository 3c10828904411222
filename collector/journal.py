"""What a long work has done so far, in one SQLite file: a kill loses none of it.

WAL, and one process that holds the file alone: an entry is safe from kill -9 when `append` is
back, from a power cut after SYNC_INTERVAL_S.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from oracle.errors import DatasetError, OracleError, must_be

#: Marks the file as ours.
APPLICATION_ID = 0x534F4D4A  # "SOMJ"
SYNC_INTERVAL_S = 1.0

_SCHEMA = """
CREATE TABLE work (header TEXT NOT NULL);
CREATE TABLE entry (key PRIMARY KEY, text TEXT NOT NULL, crc32 INTEGER NOT NULL) WITHOUT ROWID;
"""

Key = int | str


class Journal:
    """The finished entries of one work, by key.

    Args:
        path: the file, made where it is missing; held alone until it is closed.
        header: what the work is: that of another one is refused.

    Raises:
        DatasetError: the file is another work's, damaged, or no journal of this kind.
        OracleError: another process holds it.
        OSError: the disk fails.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self._header = json.dumps(header, sort_keys=True)
        self._last_sync = time.monotonic()
        path.open("ab").close()  # says better than SQLite why it cannot
        self._db = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # kept until the file is closed
        self._db.execute("BEGIN EXCLUSIVE")
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        mark = self._db.execute("PRAGMA application_id").fetchone()[0]
        if tables and mark != APPLICATION_ID:
            raise self._not_a_journal("another program's database")
        if tables:
            (known,) = self._db.execute("SELECT header FROM work").fetchone()
            if known != self._header:
                raise self._another_work(json.loads(known), json.loads(self._header))
        else:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO work VALUES (?)", (self._header,))
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self._db.execute("COMMIT")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")

    def append(self, key: Key, text: str) -> None:
        """Record an entry; a later one of the same key takes its place."""
        with self._told():
            values = (key, text, zlib.crc32(text.encode()))
            self._db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", values)
            if time.monotonic() - self._last_sync > SYNC_INTERVAL_S:
                self._db.execute("PRAGMA wal_checkpoint")
                self._last_sync = time.monotonic()

    def keys(self) -> set[Key]:
        """Keys of what is done."""
        with self._told():
            return {key for (key,) in self._db.execute("SELECT key FROM entry")}

    def read(self) -> Iterator[tuple[Key, str]]:
        """Yield the entries in the order of their keys.

        Raises:
            DatasetError: one was damaged on the disk; it is forgotten, to be made again.
        """
        with self._told():
            for key, text, crc in self._db.execute("SELECT * FROM entry ORDER BY key"):
                if not isinstance(text, str) or zlib.crc32(text.encode()) != crc:
                    self._db.execute("DELETE FROM entry WHERE key = ?", (key,))
                    raise DatasetError(
                        f"entry {key} was damaged after it was written. Run the command again.",
                        file=str(self.path),
                    )
                yield key, text

    def remove(self) -> None:
        """Delete the journal: the work is done."""
        self.close()
        self.path.unlink()

    def close(self) -> None:
        """Bring everything to the disk and let go of the file."""
        try:
            with self._told(), suppress(sqlite3.ProgrammingError):  # closed before
                self._db.execute("PRAGMA wal_checkpoint")
        finally:  # on a full disk, too: an open file would keep the lock
            self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn SQLite's errors into those that the command tells in one line."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                advice = "Another collection writes to it now: wait."
                raise OracleError(must_be("out", "free", str(self.path), advice)) from None
            if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise self._not_a_journal(str(error)) from None
            number = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO}.get(code)
            if number is None:
                raise
            raise OSError(number, os.strerror(number), str(self.path)) from error

    def _not_a_journal(self, what: str) -> DatasetError:
        return DatasetError(
            must_be(
                "journal", "whole, and begun by this version", what,
                "Finish it with the SOM Oracle that began it, or remove it to begin anew.",
            ),
            file=str(self.path),
        )  # fmt: skip

    def _another_work(self, known: dict[str, Any], wanted: dict[str, Any]) -> DatasetError:
        began, got = flat(known), flat(wanted)
        different = [key for key in sorted({*began, *got}) if began.get(key) != got.get(key)]
        rule = f"those the interrupted collection began with ({_listed(began, different)})"
        advice = "Repeat that command, or remove the journal to begin anew."
        return DatasetError(
            must_be("settings", rule, _listed(got, different), advice), file=str(self.path)
        )


def flat(header: dict[str, Any]) -> dict[str, Any]:
    """Bring what stands in dictionaries to the top, so that what differs can be named.

    >>> flat({"seed": 1, "code": {"numpy": "2.3"}, "settings": {}})
    {'seed': 1, 'code.numpy': '2.3'}
    """
    found: dict[str, Any] = {}
    for key, value in header.items():
        below = flat(value) if isinstance(value, dict) else None
        found |= {key: value} if below is None else {f"{key}.{k}": v for k, v in below.items()}
    return found


def _listed(header: dict[str, Any], keys: list[str]) -> str:
    return ", ".join(f"{key} {json.dumps(header[key])}" for key in keys if key in header) or "none"
