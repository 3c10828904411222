"""The store: readers, and one writer that commits for everybody.

Write transactions come one after the other, in SQLite by BEGIN IMMEDIATE and in PostgreSQL by an
advisory lock, also between workers and replicas. So ids are in the order of commits, and nothing
can deadlock. It is fast all the same because one thread collects what waits and commits it
together. A write is acknowledged after its commit, and not before.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import DataError, SQLAlchemyError

from oracle.errors import OracleError, StoreUnavailable
from oracle.forks import Lock
from oracle.server.storage.database import (
    ALEMBIC_VERSION,
    connect,
    explain,
    migrate,
    parse_url,
    told,
)
from oracle.server.storage.schema import runs
from oracle.server.storage.units_of_work import Answer, Asking, Unit, answer_all, apart, nobody

log = logging.getLogger("oracle.store")

T = TypeVar("T")

#: Writes that share one transaction at most.
MAX_BATCH = 64
#: Threads, and connections, that read.
READERS = 4
_STOP = object()
#: Alembic keeps its state in globals of the process.
_migrating = Lock()


class Meter(Protocol):
    """Where the writer reports its transactions."""

    def committed(self, jobs: int, took_s: float) -> None:
        """A transaction of so many writes was committed."""

    def failed(self) -> None:
        """A transaction was refused."""


@dataclass(frozen=True)
class _Job:
    work: Callable[[Connection], Any]
    about: Hashable
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


_Result = tuple[_Job, Any, Exception | None]


class Store:
    """One database, as one process uses it. Open it after the fork.

    Args:
        url: SQLAlchemy URL of a SQLite file or a PostgreSQL database.
        timeout_s: how long a caller, and SQLite's lock, is waited for.
        meter: told of every transaction.
        answer: answers what units of work ask.

    Raises:
        InvalidHistory: where the URL is none of these.
    """

    def __init__(
        self,
        url: str,
        timeout_s: float = 5.0,
        meter: Meter | None = None,
        answer: Answer = nobody,
    ) -> None:
        self.url = parse_url(url)
        self.timeout_s = timeout_s
        self._meter, self._answer = meter, answer
        self._file = Path(self.url.database or "") if self.is_sqlite else None
        self._inode: tuple[int, int] | None = None
        self._writing = connect(self.url, pool_size=1, timeout_s=timeout_s, writes=True)
        self._reading = connect(self.url, pool_size=READERS, timeout_s=timeout_s, writes=False)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="oracle-read")
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._migrated = False
        self._write_failed = False
        self.on_commit: Callable[[], None] = _nothing
        self.on_rollback: Callable[[], None] = _nothing

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self._file is not None and not self._file.exists()

    # Opening and closing

    def migrate(self) -> None:
        """Bring the schema to this version, whichever process comes first.

        The first use does it too: a database that was away when the service started is welcome.

        Raises:
            StoreUnavailable: the database does not answer or is of a later version.
        """
        try:
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch()
            with self._writing.begin() as connection:
                migrate(connection)
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(explain(error)) from error
        self._migrated = True

    def _prepare(self) -> None:
        if not self._migrated:
            with _migrating:
                if not self._migrated:
                    self.migrate()
        self._reopen_if_replaced()

    def start(self) -> None:
        """Start the writer thread."""
        self._thread = threading.Thread(target=self._write_forever, name="oracle-write")
        self._thread.start()

    def close(self) -> None:
        """Finish what waits, then close every connection."""
        if self._thread is not None:
            self._queue.put(_STOP)
            self._thread.join()
            self._thread = None
        self._readers.shutdown()
        self._writing.dispose()
        self._reading.dispose()

    # Working

    @overload
    async def write(self, work: Callable[[Connection], Asking[T]], about: Hashable) -> T: ...
    @overload
    async def write(self, work: Callable[[Connection], T]) -> T: ...
    async def write(self, work: Callable[[Connection], Any], about: Hashable = None) -> Any:
        """Run `work` in the writer's next transaction and return after its commit.

        An OracleError that `work` raises undoes that work alone.

        Args:
            work: gets the connection; may ask, see units_of_work.py.
            about: what it reads before it asks and changes afterwards. Only neighbours about
                different things are asked together; None is never.

        Raises:
            InvalidHistory: a value that the database cannot keep.
            StoreUnavailable: not committed in time; it may still be, so work is idempotent.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Job(work, about, done, loop))
        try:
            async with asyncio.timeout(self.timeout_s):
                return await done
        except TimeoutError:
            self._write_failed = True
            raise StoreUnavailable("The store did not answer in time. Try again.") from None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot of the database, in a thread.

        Raises:
            InvalidHistory: a value that the database cannot compare with what it holds.
            StoreUnavailable: no answer, or none in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout_s):
                return await loop.run_in_executor(self._readers, self.read_now, work)
        except TimeoutError:
            raise StoreUnavailable("The store did not answer in time. Try again.") from None

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot, in this thread."""
        try:
            self._prepare()
            with self._reading.begin() as connection:
                return work(connection)
        except (SQLAlchemyError, OSError) as error:
            raise told(error) from error

    @overload
    def write_now(self, work: Callable[[Connection], Asking[T]]) -> T: ...
    @overload
    def write_now(self, work: Callable[[Connection], T]) -> T: ...
    def write_now(self, work: Callable[[Connection], Any]) -> Any:
        """Run `work` in a transaction of its own, in this thread."""
        try:
            self._prepare()
            with self._writing.begin() as connection:
                unit = Unit(work(connection))
                answer_all([unit], self._answer)
                return unit.result
        except (SQLAlchemyError, OSError) as error:
            raise told(error) from error

    def check(self, connection: Connection) -> None:
        """Read something, as the readiness check."""
        connection.execute(select(func.max(runs.c.id)))

    async def check_writing(self) -> None:
        """Write something where the last write failed, as the readiness check.

        Raises:
            StoreUnavailable: it fails again.
        """
        if self._write_failed:
            await self.write(_touch)

    # The writer thread

    def _write_forever(self) -> None:
        while True:
            jobs = self._collect()
            if not jobs:
                return
            try:
                self._commit(jobs)
            except Exception:
                self._write_failed = True
                self.on_rollback()
                if self._file is not None:  # what was read-only when it was opened stays so
                    self._let_go()
                for job in jobs:  # one of them may be the cause: each by itself
                    self._commit_alone(job)

    def _commit_alone(self, job: _Job) -> None:
        if job.done.done():  # it took so long that nobody waits for it any more
            return
        try:
            self._commit([job])
        except Exception as error:
            self._write_failed = True
            self.on_rollback()
            self._fail(job, error)

    def _collect(self) -> list[_Job]:
        """Wait for a job, then take whatever else waits; empty when told to stop."""
        jobs: list[_Job] = []
        while len(jobs) < MAX_BATCH:
            try:
                job = self._queue.get(block=not jobs)
            except queue.Empty:
                break
            if job is _STOP:
                if jobs:
                    self._queue.put(_STOP)
                break
            if not job.done.done():  # nobody waits for it any more: never begun
                jobs.append(job)
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        began = time.perf_counter()
        results: list[_Result] = []
        self._prepare()
        with self._writing.begin() as connection:
            for together in apart(jobs):
                results += self._work(connection, together)
        self._write_failed = False
        if self._meter is not None:
            self._meter.committed(len(jobs), time.perf_counter() - began)
        _hand_over(results)
        self.on_commit()

    def _work(self, connection: Connection, jobs: list[_Job]) -> list[_Result]:
        """Take jobs to their questions, answer these together, and take the jobs to their ends.

        What fails before its question is undone alone. After it, the next jobs' work lies in
        between: then all of the transaction fails, and each job is tried by itself.
        """
        results: list[_Result] = []
        units: list[tuple[_Job, Unit]] = []
        for job in jobs:
            try:
                with _undoable(connection):
                    unit = Unit(job.work(connection))
                    if len(jobs) == 1:
                        answer_all([unit], self._answer)
            except OracleError as error:
                results.append((job, None, error))
            except DataError as error:
                results.append((job, None, told(error)))
            else:
                units.append((job, unit))
        answer_all([unit for _, unit in units], self._answer)
        return results + [(job, unit.result, None) for job, unit in units]

    def _fail(self, job: _Job, error: Exception) -> None:
        if self._meter is not None:
            self._meter.failed()
        if isinstance(error, SQLAlchemyError | OSError):
            log.warning("store", extra={"problem": explain(error)})
            error = told(error)
        _hand_over([(job, None, error)])

    def _reopen_if_replaced(self) -> None:
        """Let go of a database file that was moved, deleted or replaced under us."""
        if self._file is None:
            return
        found = self._file.stat()
        inode = (found.st_dev, found.st_ino)
        if inode != self._inode:
            if self._inode is not None:
                self._let_go()
            self._inode = inode

    def _let_go(self) -> None:
        """Have every connection opened anew."""
        self._writing.dispose()
        self._reading.dispose()


@contextmanager
def _undoable(connection: Connection) -> Iterator[None]:
    """Undo alone what fails; begin_nested does the same, but names and compiles each time anew."""
    connection.exec_driver_sql("SAVEPOINT job")
    try:
        yield
    except (OracleError, DataError):
        connection.exec_driver_sql("ROLLBACK TO SAVEPOINT job")
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT job")


def _nothing() -> None:
    """Do nothing."""


def _hand_over(results: list[_Result]) -> None:
    """Deliver in the event loop that waits; one that is closed waits no more."""
    with suppress(RuntimeError):
        results[0][0].loop.call_soon_threadsafe(_deliver, results)


def _deliver(results: list[_Result]) -> None:
    for job, result, error in results:
        if job.done.done():
            continue
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)


def _touch(connection: Connection) -> None:
    """Write one page: an empty transaction succeeds on a full disk and on a read-only file."""
    column = ALEMBIC_VERSION.c.version_num
    connection.execute(update(ALEMBIC_VERSION).values({column: column}))
