"""T5: writing or syncing a file of the store fails at the N-th call.

SQLite reaches its files through a table of functions a file. The default file system's `xOpen` is
replaced by one that gives every file a table of ours, whose writes, truncations and syncs count.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from made_up import StandIn
from reliability import Result
from sqlalchemy import Connection, text
from storing import write_now

from fault.disks.disk import FAULTS, Disk
from oracle.errors import StoreUnavailable
from oracle.server.http.wire import CheckpointsRequest
from oracle.server.runs.lifecycle import Runs
from oracle.server.storage.store import Store
from oracle.types import Policy

APPENDS = 3
CLEAR = ("no space", "read or written", "answer")

_POINTER = ctypes.sizeof(ctypes.c_void_p)
#: Places in sqlite3_vfs and sqlite3_io_methods, counted in pointers (sqlite3.h).
_X_OPEN = 5
_N_METHODS, _X_WRITE, _X_TRUNCATE, _X_SYNC = 19, 3, 4, 5
_Open = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
_Write = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
#: What SQLite's own functions answer: SQLITE_FULL, or SQLITE_IOERR_WRITE, _TRUNCATE and _FSYNC.
_CODES = {"no space": (13, 13, 13), "I/O error": (778, 1546, 1034)}

#: Tables of functions that a connection not yet closed may still call.
_KEPT: list[dict[int, tuple[Any, ...]]] = []


@contextmanager
def failing_sqlite(fail_at: int, fault: str) -> Iterator[Disk]:
    """Let the N-th write, truncation or sync of files opened from now on fail."""
    number, stays = FAULTS[fault]
    disk = Disk(fail_at, number, stays=stays)
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = ctypes.c_void_p
    slot = ctypes.c_void_p.from_address(library.sqlite3_vfs_find(None) + _X_OPEN * _POINTER)
    found = slot.value
    assert found is not None
    really_open = _Open(found)
    tables: dict[int, tuple[Any, ...]] = {}
    _KEPT.append(tables)

    def open_(vfs: int, name: int, file: int, flags: int, out: int) -> int:
        code = really_open(vfs, name, file, flags, out)
        methods = ctypes.c_void_p.from_address(file)
        if methods.value:
            if methods.value not in tables:
                tables[methods.value] = _table(methods.value, disk, _CODES[fault])
            methods.value = ctypes.addressof(tables[methods.value][0])
        return int(code)

    ours = _Open(open_)
    slot.value = ctypes.cast(ours, ctypes.c_void_p).value
    try:
        yield disk
    finally:
        slot.value = found


def _table(address: int, disk: Disk, codes: tuple[int, int, int]) -> tuple[Any, ...]:
    """Copy a table of functions and put ours into it."""
    table = (ctypes.c_void_p * _N_METHODS).from_buffer_copy(
        (ctypes.c_void_p * _N_METHODS).from_address(address)
    )
    really = _Write(table[_X_WRITE]), _Truncate(table[_X_TRUNCATE]), _Sync(table[_X_SYNC])

    def write(file: int, data: int, size: int, offset: int) -> int:
        if disk.count():
            really[0](file, data, size // 2, offset)  # half of it arrives
            return codes[0]
        return int(really[0](file, data, size, offset))

    def truncate(file: int, size: int) -> int:
        return codes[1] if disk.count() else int(really[1](file, size))

    def sync(file: int, flags: int) -> int:
        return codes[2] if disk.count() else int(really[2](file, flags))

    ours = _Write(write), _Truncate(truncate), _Sync(sync)
    for place, call in zip((_X_WRITE, _X_TRUNCATE, _X_SYNC), ours, strict=True):
        table[place] = ctypes.cast(call, ctypes.c_void_p).value
    return table, ours, really  # kept together: a function that is let go cannot be called


def store_errors(folder: Path, n: int) -> Result:
    """Let the first, the second, ... call fail while a store is opened, written and closed.

    In a process of its own: TensorFlow, where it is loaded, brings another SQLite whose functions
    stand under the same names.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_store_errors, folder, n).result()


def _store_errors(folder: Path, n: int) -> Result:
    result = Result()
    empty = folder / "empty.db"
    store = Store(f"sqlite:///{empty}")
    store.migrate()
    store.close()
    refused = 0
    for fault in FAULTS:
        for call in range(1, n + 1):
            file = folder / "case.db"
            shutil.copy(empty, file)
            where = f"{fault} at call {call}"
            with failing_sqlite(call, fault) as disk:
                acknowledged, error = _use(file)
            if error is not None:
                refused += 1
                known = isinstance(error, StoreUnavailable)
                clear = known and any(word in str(error) for word in CLEAR)
                result.check(clear, f"{where}: {error!r}")
            _look(file, acknowledged, result, where)
            for left in folder.glob("case.db*"):
                left.unlink()
            if not disk.reached:
                break
        else:
            result.check(False, f"{fault}: more than {n} calls, so not every one failed")
        result.seen[f"calls, {fault}"] = disk.calls
    result.seen["refused"] = refused
    return result


def _use(file: Path) -> tuple[set[float], Exception | None]:
    """Open, append and close; gives the epochs that were acknowledged and what went wrong."""
    acknowledged: set[float] = set()
    problem: Exception | None = None
    store = Store(f"sqlite:///{file}", timeout_s=1, answer=StandIn().answer)
    runs = Runs(Policy())
    for epoch in range(1, APPENDS + 1):
        try:
            _append(store, runs, epoch)
            acknowledged.add(epoch)
        except Exception as error:
            problem = error
    store.close()
    return acknowledged, problem


def _append(store: Store, runs: Runs, epoch: int) -> None:
    piece = CheckpointsRequest.model_validate(
        {"epochs": [epoch], "mqe": [1], "topo_error": [0.1], "dead_ratio": [0]}
    )
    write_now(store, lambda connection: runs.append(connection, "", "r", piece))


def _look(file: Path, acknowledged: set[float], result: Result, where: str) -> None:
    """Check that what was acknowledged is there, and that work goes on."""

    def epochs(connection: Connection) -> tuple[set[float], Any]:
        rows = connection.execute(text("SELECT epoch FROM checkpoints"))
        return {epoch for (epoch,) in rows}, connection.execute(
            text("PRAGMA integrity_check")
        ).scalar()

    store = Store(f"sqlite:///{file}", timeout_s=1, answer=StandIn().answer)
    there, verdict = store.read_now(epochs)
    result.check(verdict == "ok", f"{where}: integrity {verdict}")
    result.check(acknowledged <= there, f"{where}: {acknowledged - there} lost")
    _append(store, Runs(Policy()), 100)
    result.check(100 in store.read_now(epochs)[0], f"{where}: does not go on")
    store.close()
