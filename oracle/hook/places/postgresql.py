"""A population in a PostgreSQL database: the workers of a search on any number of machines.

The same table and the same rules as in a file (`oracle.hook.population`); this changes where they
are kept. Everything stands in a schema of its own, so that the database may be the service's. Who
writes holds the row of the clock, as the writer of a file holds the file: ends are seen in the
order of the clock. A commit that came back is in the database, whatever happens to its worker; a
power cut of the database's machine may cost the last second, as it may cost a file its last rows.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.forks import UncutLock, renew_in_child
from oracle.types.addresses import taken_apart

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMES = "postgresql://", "postgres://"
SCHEMA = "oracle_population"
FORMAT = 6
#: Number of the lock under which the tables are made.
_LOCK = 0x534F4D50
#: How often a statement that waits looks at the time, seconds.
LOOK_S = 0.1

_MAKE = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE {SCHEMA}.clock (
    format INTEGER NOT NULL,
    n BIGINT NOT NULL,       -- counts ends and never goes back
    writes BIGINT NOT NULL   -- counts transactions: a reader sees whether anything changed
);
INSERT INTO {SCHEMA}.clock VALUES ({FORMAT}, 0, 0);
CREATE TABLE {SCHEMA}.run (
    population TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('live', 'finished', 'stopped', 'left', 'abandoned')),
    ended BIGINT,
    progress DOUBLE PRECISION,
    final_mqe DOUBLE PRECISION,
    final_topographic_error DOUBLE PRECISION,
    final_dead_neuron_ratio DOUBLE PRECISION,
    spread DOUBLE PRECISION NOT NULL DEFAULT 0,
    mqe_of_mean DOUBLE PRECISION,
    held_at DOUBLE PRECISION,
    name TEXT,
    policy TEXT,
    started_at DOUBLE PRECISION,
    ended_at DOUBLE PRECISION,
    reason TEXT,
    about TEXT,
    spreads TEXT,
    teaches BYTEA,
    model TEXT,
    spent_before DOUBLE PRECISION NOT NULL DEFAULT 0,
    PRIMARY KEY (population, run_id)
);
CREATE INDEX run_ended ON {SCHEMA}.run (population, ended);
CREATE INDEX run_live ON {SCHEMA}.run (population) WHERE state = 'live';
"""
#: The format that is brought up to date where it is met, and how; twice does no harm.
_BEFORE = 5
_UPGRADE = """
ALTER TABLE run ADD COLUMN IF NOT EXISTS spent_before DOUBLE PRECISION NOT NULL DEFAULT 0;
UPDATE clock SET format = 6 WHERE format = 5
"""


@dataclass(frozen=True)
class Database:
    """Where a population is kept that is in no file; told without its password."""

    url: str

    def __post_init__(self) -> None:
        if taken_apart(self.url) is None:
            rule = "postgresql://USER@HOST/DATABASE"
            raise InvalidHistory(must_be("population", rule, "an address without a host"))

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{parts.hostname}{port}{parts.path}"


class Session:
    """A connection as `oracle.hook.population` speaks to it: SQLite's place marks."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement."""
        return self._connection.execute(statement.replace("?", "%s").encode(), values or None)


class PopulationDatabase:
    """The schema of populations in one database, as this process uses it.

    Safe for threads; each process, forked or spawned, gets a connection of its own. A connection
    that was lost is opened again at the next use.

    Attributes:
        openings: how often it was opened.
        healed: None: no file is removed under it.
    """

    def __init__(self, place: Database, timeout_s: float) -> None:
        self.place, self.timeout_s = place, timeout_s
        self.openings = 0
        self.healed: str | None = None
        self.lock = UncutLock()
        self._connection: Connection[Any] | None = None
        renew_in_child(self)

    def renew(self) -> None:
        """Leave the connection of the parent alone, in a child that was just forked."""
        self._connection = None

    def close(self) -> None:
        """Close this process' connection; the next use opens it again."""
        with self.lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(Exception):
                    connection.close()

    def version(self, db: Session) -> int:
        """Give a number that another one's commit changes."""
        return int(db.execute("SELECT writes FROM clock").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read; each statement sees what was committed before it.

        Raises:
            StoreUnavailable: the database does not answer, or is not ours.
        """
        with self.lock, self._told():
            yield Session(self._open())

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Write all or nothing.

        Raises:
            StoreUnavailable: the database cannot be written; nothing was.
        """
        with self.lock, self._told():
            connection = self._open()
            # Who writes holds the clock: ends are seen in its order.
            connection.execute("BEGIN; UPDATE clock SET writes = writes + 1")
            try:
                yield Session(connection)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        psycopg = _driver()
        try:
            yield
        except (psycopg.Error, TimeoutError) as error:
            # What became of the session nobody knows; the next use begins a new one.
            if isinstance(error, TimeoutError | psycopg.OperationalError):
                self.close()
            reason = str(error).strip().partition("\n")[0]
            advice = f"It is {self.place}; nothing was written."
            raise StoreUnavailable(
                must_be("population", "a database that answers", reason, advice)
            ) from error

    def _open(self) -> Connection[Any]:
        if self._connection is not None:
            if _alive(self._connection):
                return self._connection
            self.close()
        connection = _connect(self.place, self.timeout_s)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self.openings += 1
        return connection

    def _prepare(self, connection: Connection[Any]) -> None:
        """Check the format, or make the tables where there are none."""
        if not _has_tables(connection):
            with connection.transaction():
                # Of workers that begin at once, one makes them.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                if not _has_tables(connection):
                    connection.execute(_MAKE.encode())
        row = connection.execute("SELECT format FROM clock").fetchone()
        if row is not None and row[0] == _BEFORE:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                connection.execute(_UPGRADE.encode())
                row = connection.execute("SELECT format FROM clock").fetchone()
        if row is None or row[0] != FORMAT:
            raise StoreUnavailable(_other_format(row and row[0]))


@contextmanager
def looking_at(place: Database, timeout_s: float) -> Iterator[Session | None]:
    """Look at the runs of a database without a trace; None where there are none yet.

    Raises:
        StoreUnavailable: it does not answer, or is of another format.
    """
    looked = PopulationDatabase(place, timeout_s)
    with looked._told(), closing(_connect(place, timeout_s)) as connection:
        connection.execute("SET default_transaction_read_only = on")
        if not _has_tables(connection):
            yield None
            return
        row = connection.execute("SELECT format FROM clock").fetchone()
        if row is None or row[0] not in (_BEFORE, FORMAT):
            raise StoreUnavailable(_other_format(row and row[0]))
        yield Session(connection)


def _other_format(found: object) -> str:
    advice = "Name a new database, or update SOM Oracle in every worker."
    return must_be("population", f"of format {FORMAT}", found, advice)


def _has_tables(connection: Connection[Any]) -> bool:
    # Not by to_regclass, whose cache does not know yet what another has just made.
    found = connection.execute(
        "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'run'",
        [SCHEMA],
    ).fetchone()
    return bool(found and found[0])


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        advice = "Install it: pip install 'som-oracle[postgres]'."
        raise StoreUnavailable(
            must_be("population", "one whose driver is here", "postgresql", advice)
        ) from None
    return psycopg


def _connect(place: Database, timeout_s: float) -> Connection[Any]:
    plain: Any = _driver().Connection

    class Bounded(plain):  # type: ignore[misc]
        """Waits for no answer longer than its deadline, whatever the server does."""

        def wait(self, gen: Any, *args: Any, **more: Any) -> Any:
            more["interval"] = LOOK_S
            return super().wait(_until(gen, time.monotonic() + timeout_s), **more)

        def __del__(self, *_: Any) -> None:
            """Say nothing: libpq closes it, in the process that opened it alone."""

    milliseconds = max(1, int(timeout_s * 1000))
    made: Connection[Any] = Bounded.connect(
        place.url,
        autocommit=True,
        connect_timeout=max(2, round(timeout_s)),  # two is libpq's least
        application_name="som-oracle",
        # As a file's: writers take turns, and none waits for the disk meanwhile.
        options=f"-c search_path={SCHEMA} -c synchronous_commit=off -c lock_timeout={milliseconds}"
        f" -c statement_timeout={milliseconds}"
        f" -c idle_in_transaction_session_timeout={10 * milliseconds}",
    )
    return made


def _until(steps: Any, deadline: float) -> Any:
    """Go through the steps of an exchange; a server that was halted answers none of them."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise TimeoutError("no answer in time")
            wanted = steps.send(ready)
    except StopIteration as end:
        return end.value


def _alive(connection: Connection[Any]) -> bool:
    """Tell whether the server has said nothing since the last answer: unasked, it says farewell."""
    if connection.closed:
        return False
    try:
        return not select.select([connection.fileno()], [], [], 0)[0]
    except ValueError:  # more than 1024 open files: the statement will tell
        return True
