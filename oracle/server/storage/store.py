"""The store: readers, and one writer that commits for everybody.

Write transactions come one after the other in SQLite, and in PostgreSQL those about one population
do, also between workers and replicas (turns.py). It is fast all the same because one thread
collects what waits and commits it together. A write is acknowledged after its commit, and not
before.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DataError, SQLAlchemyError

from oracle.errors import OracleError, StoreUnavailable
from oracle.forks import Lock
from oracle.server.storage.database import (
    connect,
    empty_log,
    explain,
    lacks_tables,
    migrate,
    parse_url,
    told,
    touch,
    undoable,
)
from oracle.server.storage.database_file import DatabaseFile
from oracle.server.storage.failures import Failures
from oracle.server.storage.readers import TOO_LATE, Readers
from oracle.server.storage.schema import runs
from oracle.server.storage.turns import Subject, wait_for_turn
from oracle.server.storage.units_of_work import Answer, Asking, Unit, answer_all, apart, nobody

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
    subject: Subject | None
    asks: bool
    done: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop

    @property
    def about(self) -> Hashable:
        """What it reads before its question and changes after it; None works alone."""
        return self.subject if self.asks else None


_Result = tuple[_Job, Any, Exception | None]


class Store:
    """One database, as one process uses it. Open it after the fork.

    Attributes:
        generation: changes where another database was put in the place of this one.

    Args:
        url: SQLAlchemy URL of a SQLite file or a PostgreSQL database.
        timeout_s: how long a caller, and SQLite's lock, is waited for.
        meter: told of every transaction.
        answer: answers what units of work ask.

    Raises:
        InvalidHistory: where the URL is none of these.
    """

    def __init__(
        self, url: str, timeout_s: float = 5.0, meter: Meter | None = None, answer: Answer = nobody
    ) -> None:
        self.url = parse_url(url)
        self.timeout_s = timeout_s
        self._meter, self._answer = meter, answer
        self._file = DatabaseFile(Path(self.url.database or "")) if self.is_sqlite else None
        self._writing = connect(self.url, pool_size=1, timeout_s=timeout_s, writes=True)
        ready = (timeout_s, self._prepare, self._note)
        self._readers = Readers(self.url, READERS, *ready)
        self._probe = Readers(self.url, 1, *ready)  # readiness must not wait for what others read
        self._trial: asyncio.Task[None] | None = None
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._migrated = False
        self._write_failed = False
        self._failures = Failures(self.url)
        self.generation = 0
        self.on_commit: Callable[[], None] = lambda: None
        self.on_rollback: Callable[[], None] = lambda: None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self._file is not None and self._file.is_missing

    # Opening and closing

    def migrate(self) -> None:
        """Bring the schema to this version, whichever process comes first.

        The first use does it too: a database that was away when the service started is welcome.

        Raises:
            StoreUnavailable: the database does not answer or is of a later version.
        """
        try:
            if self._file is not None:
                self._file.make()
            with self._writing.begin() as connection:
                wait_for_turn(connection, [None])
                migrate(connection)
            if self._file is not None:
                self._file.meet()
        except (SQLAlchemyError, OSError) as error:
            self._failures.tell(error)
            raise StoreUnavailable(explain(error)) from error
        self._migrated = True

    def _prepare(self) -> None:
        """Make the database ready for use, also one that was put in the place of another."""
        if self._migrated and not self._is_replaced():
            return
        with _migrating:
            if self._is_replaced():
                self._begin_anew()
            if not self._migrated:
                self.migrate()

    def _is_replaced(self) -> bool:
        return self._file is not None and self._file.is_replaced

    def _begin_anew(self) -> None:
        """Forget all that is known of the database that was there before."""
        self._let_go()
        if self._file is not None:
            self._file.forget()
        self._migrated = False
        self.generation += 1
        self.on_rollback()

    def _note(self, error: Exception) -> None:
        """Make the tables at the next use, where somebody has begun an empty database."""
        self._failures.tell(error)
        if self._migrated and lacks_tables(error):
            with _migrating:
                self._begin_anew()

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
        self._readers.close()
        self._probe.close()
        self._writing.dispose()

    # Working

    async def ask(self, work: Callable[[Connection], Asking[T]], about: Subject) -> T:
        """Do as `write` with work that asks, see units_of_work.py.

        Neighbours about different runs are asked together.
        """
        done: T = await self._write(work, about, asks=True)
        return done

    async def write(self, work: Callable[[Connection], T], about: Subject | None = None) -> T:
        """Run `work` in the writer's next transaction and return after its commit.

        An OracleError that `work` raises undoes that work alone.

        Args:
            work: gets the connection.
            about: the run that it reads and changes, with its population; None = whatever there is.

        Raises:
            InvalidHistory: a value that the database cannot keep.
            StoreUnavailable: not committed in time; it may still be, so work is idempotent.
        """
        done: T = await self._write(work, about, asks=False)
        return done

    async def _write(
        self, work: Callable[[Connection], Any], about: Subject | None, *, asks: bool
    ) -> Any:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._queue.put(_Job(work, about, asks, done, loop))
        try:
            async with asyncio.timeout(self.timeout_s):
                return await done
        except TimeoutError:
            self._write_failed = True
            raise StoreUnavailable(TOO_LATE) from None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot of the database, in a thread.

        Raises:
            InvalidHistory: a value that the database cannot compare with what it holds.
            StoreUnavailable: no answer, or none in time.
        """
        return await self._readers.read(work)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot, in this thread."""
        return self._readers.read_now(work)

    async def check_reading(self) -> None:
        """Read something, as the readiness check.

        Raises:
            StoreUnavailable: it fails.
        """
        newest = select(func.max(runs.c.id))
        await self._probe.read(lambda connection: connection.scalar(newest))

    async def check_writing(self) -> None:
        """Write something where the last write failed, once for all who ask meanwhile.

        Raises:
            StoreUnavailable: it fails again.
        """
        if self._write_failed:
            if self._file is not None:
                self._file.check_room()
            if self._trial is None or self._trial.done():
                self._trial = asyncio.create_task(self.write(touch))
            await asyncio.shield(self._trial)

    # The writer thread

    def _write_forever(self) -> None:
        while True:
            jobs = self._collect()
            if not jobs:
                return
            try:
                self._commit(jobs)
            except Exception as error:
                self._write_failed = True
                self.on_rollback()
                self._note(error)
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
            wait_for_turn(connection, [job.subject for job in jobs])
            for together in apart(jobs):
                results += self._work(connection, together)
        self._keep()
        self._write_failed = False
        self._failures.over()
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
                with undoable(connection):
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
            self._failures.tell(error)
            error = told(error)
        _hand_over([(job, None, error)])

    def _keep(self) -> None:
        """See that what was committed lies in files that are still there, and only then say so.

        A log that somebody removed is still ours to read: it is written into the file.

        Raises:
            FileNotFoundError: the file is gone.
            StoreUnavailable: it was replaced meanwhile, or cannot be written.
        """
        if self._file is None:
            return
        if self._file.is_replaced:
            raise StoreUnavailable("The store was replaced. Nothing was stored; try again.")
        if self._file.has_lost_log():
            empty_log(self._writing)
            self._let_go()

    def _let_go(self) -> None:
        """Have every connection opened anew."""
        if self._file is not None:
            self._file.forget_log()
        self._writing.dispose()
        self._readers.let_go()
        self._probe.let_go()


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
