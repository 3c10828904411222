"""Threads that read, each on a connection of its own; a read that nobody waits for is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from oracle.errors import StoreUnavailable
from oracle.forks import Lock
from oracle.server.storage.database import connect, told

T = TypeVar("T")
TOO_LATE = "The store did not answer in time. Try again."


class Readers:
    """So many threads and connections.

    Args:
        url: of the database.
        n: of them.
        timeout_s: how long an answer is waited for.
        prepare: called before each read.
        failed: called with what a read failed of.
    """

    def __init__(
        self,
        url: URL,
        n: int,
        timeout_s: float,
        prepare: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._engine = connect(url, pool_size=n, timeout_s=timeout_s, writes=False)
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="oracle-read")
        self._timeout_s, self._prepare, self._failed = timeout_s, prepare, failed

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot of the database, in a thread.

        Raises:
            InvalidHistory: a value that the database cannot compare with what it holds.
            StoreUnavailable: no answer, or none in time.
        """
        loop, reading = asyncio.get_running_loop(), _Reading()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await loop.run_in_executor(self._threads, self._run, work, reading)
        except TimeoutError:
            reading.end()
            raise StoreUnavailable(TOO_LATE) from None

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a snapshot, in this thread."""
        return self._run(work, _Reading())

    def _run(self, work: Callable[[Connection], T], reading: _Reading) -> T:
        try:
            self._prepare()
            with self._engine.begin() as connection, reading.on(connection):
                return work(connection)
        except (SQLAlchemyError, OSError) as error:
            self._failed(error)
            raise told(error) from error

    def let_go(self) -> None:
        """Have every connection opened anew."""
        self._engine.dispose()

    def close(self) -> None:
        """Wait for what is read now, then close every connection."""
        self._threads.shutdown()
        self._engine.dispose()


class _Reading:
    """One read, which another thread may end; PostgreSQL ends it by a timeout of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connection: Any = None

    @contextmanager
    def on(self, connection: Connection) -> Iterator[None]:
        """Read on a connection."""
        with self._lock:
            self._connection = connection.connection.driver_connection
        try:
            yield
        finally:
            with self._lock:  # from here on the connection is somebody else's
                self._connection = None

    def end(self) -> None:
        """End it, from any thread."""
        with self._lock:
            if hasattr(self._connection, "interrupt"):
                self._connection.interrupt()
