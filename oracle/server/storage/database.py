"""What the store needs of a database: URL, connections, schema, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    column,
    create_engine,
    event,
    table,
    update,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, NoSuchModuleError

from oracle.errors import InvalidHistory, OracleError, StoreUnavailable, must_be
from oracle.server.storage import new_events, whose
from oracle.server.storage.schema import VERSION, metadata

MIGRATIONS = Path(__file__).parent / "migrations"
#: Where Alembic notes the version of the schema.
ALEMBIC_VERSION = table("alembic_version", column("version_num"))


def parse_url(url: str) -> URL:
    """Read a database URL.

    Raises:
        InvalidHistory: where it is neither SQLite's file nor PostgreSQL; never shows it, since
            it may hold a password.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        backend = "unknown"
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidHistory(
        must_be(
            "database_url",
            "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
            f"a {backend} URL",
        )
    )


def connect(
    url: URL, *, pool_size: int, timeout_s: float, writes: bool, alters: bool = True
) -> Engine:
    """Make an engine; nothing is opened before its first use.

    Args:
        url: as parse_url gives it.
        pool_size: connections at most.
        timeout_s: how long a connection, and a lock, is waited for.
        writes: whether its transactions write, and their events with them.
        alters: False: nothing can be written by it, whatever its transactions try.
    """
    pool = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": timeout_s}
    if url.get_backend_name() != "sqlite":
        what = "lock" if writes else "statement"
        engine = create_engine(
            url,
            **pool,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(2, int(timeout_s)),
                # A read that takes longer has nobody who waits for it. Lists are planned for what
                # is asked: a plan for any filter may read the runs of all others.
                "options": f"-c {what}_timeout={int(1000 * timeout_s)}"
                + ("" if writes else " -c plan_cache_mode=force_custom_plan")
                + ("" if alters else " -c default_transaction_read_only=on"),
            },
        )
        if writes:
            new_events.write_with(engine)
        return engine
    engine = create_engine(
        # mode=rw: a file that has gone is an error, not an empty database
        f"sqlite:///file:{_quote(Path(url.database or ''))}?mode=rw&uri=true",
        **pool,
        connect_args={"timeout": timeout_s, "check_same_thread": False},
    )

    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # transactions are ours, not the driver's
        if not alters:  # mode=ro would leave the empty files of a log beside it
            connection.execute("PRAGMA query_only = ON")
            return
        try:
            _prepare_sqlite(connection, timeout_s)
        except BaseException:
            connection.close()
            raise

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_immediate if writes else _begin_deferred)
    if writes:
        new_events.write_with(engine)
    return engine


def _prepare_sqlite(connection: Any, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:  # switching to WAL needs the file alone for a moment, whatever the timeout
        try:
            whose.refuse_stranger(whose.in_sqlite(connection))  # the switch writes already
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def empty_log(engine: Engine) -> None:
    """Write all that SQLite's write-ahead log holds into the file.

    Raises:
        StoreUnavailable: somebody reads, so that it cannot be done now.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.close()
    if busy:
        raise StoreUnavailable("The store's log was removed. Nothing was stored; try again.")


def lacks_tables(error: Exception) -> bool:
    """Tell whether a database is empty, by what it said of a table of ours."""
    said = str(error.orig).lower() if isinstance(error, DBAPIError) else ""
    ours = (*metadata.tables, ALEMBIC_VERSION.name)
    return any(f"no such table: {t}" in said or f'"{t}" does not exist' in said for t in ours)


def _quote(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def migrate(connection: Connection) -> None:
    """Bring the schema to this version, in the transaction of `connection`.

    Raises:
        StoreUnavailable: it is of a later version, or somebody else's.
    """
    found = whose.in_database(connection)
    whose.refuse_stranger(found)
    if found.version == VERSION:
        return
    # Only here: it costs a tenth of a second, and nearly every start finds nothing to do.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailable(
            "The database was written by a later version of SOM Oracle: update this one."
        ) from error


@contextmanager
def undoable(connection: Connection) -> Iterator[None]:
    """Undo alone what fails; begin_nested does the same, but names and compiles each time anew."""
    connection.exec_driver_sql("SAVEPOINT job")
    told = new_events.so_far(connection)
    try:
        yield
    except (OracleError, DataError):
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
        new_events.undo(connection, told)
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT job")


def touch(connection: Connection) -> None:
    """Write one page: an empty transaction succeeds on a full disk and on a read-only file."""
    column = ALEMBIC_VERSION.c.version_num
    connection.execute(update(ALEMBIC_VERSION).values({column: column}))


def told(error: Exception) -> OracleError:
    """Say whose it is: a value's that no rule had caught, or the database's."""
    if isinstance(error, DataError):
        return InvalidHistory(
            "Every value must be one that the database can keep: text without NUL, numbers within "
            "its range."
        )
    return StoreUnavailable(explain(error))


#: What is said of a database that will never answer: another one, or somebody else, is meant.
_SET_UP = (
    *('database "', 'role "', "password", "pg_hba.conf", "translate host", "resolve host"),
    *("not a directory", "file exists", "permission denied"),
)


def explain(error: Exception) -> str:
    """Say in one sentence what the database said, without addresses or statements."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).lower()
    remedies = dict.fromkeys(("is damaged", "is gone"), "restore a backup, or restart without it")
    remedies["cannot be used as it is set up"] = "the service's log says why"
    for sign, meaning in (
        *((sign, "cannot be used as it is set up") for sign in _SET_UP),
        ("readonly", "is read-only"),
        ("read-only", "is read-only"),
        ("full", "has no space left"),
        ("no space", "has no space left"),
        ("locked", "is held by another program"),
        ("lock timeout", "is held by another program"),
        ("malformed", "is damaged"),
        ("not a database", "is damaged"),
        ("no such table", "was emptied"),
        ("unable to open", "cannot be opened"),
        ("no such file", "is gone"),
        ("i/o error", "cannot be read or written"),
    ):
        if sign in said:
            remedy = remedies.get(meaning, "try again")
            return f"The store {meaning}. Nothing was stored; {remedy}."
    return "The store does not answer. Nothing was stored; try again."
