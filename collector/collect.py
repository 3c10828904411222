"""Many runs into one dataset: processes, progress, and a journal that survives kill -9.

Run `index` is a function of (index, seed, settings) alone, so neither the number of workers nor
an interruption changes the dataset, and a damaged journal line is simply made again.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import IO, Any

from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import naming, write_dataset
from oracle.types import Run

#: Makes run `index`: run_one(index, seed, settings). Picklable, a module-level function.
RunOne = Callable[[int, int, dict[str, Any]], Run]
#: Makes one journal entry of an index.
Make = Callable[[int], str]
#: Maps indices to (index, entry) in any order: the seam where a cluster can stand in.
Engine = Callable[[Make, Sequence[int], int], Iterator[tuple[int, str]]]

FSYNC_INTERVAL_S = 1.0
#: Runs handed to each worker ahead of time.
QUEUED_PER_WORKER = 4
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Collected:
    """What `collect` did.

    Attributes:
        path: the dataset.
        runs: runs in it.
        made: runs made by this call; the rest came from the journal or was finished before.
        already_finished: True where nothing was left to do.
    """

    path: Path
    runs: int
    made: int
    already_finished: bool


def collect(
    run_one: RunOne,
    runs: int,
    out: str | Path,
    *,
    seed: int = 0,
    settings: dict[str, Any] | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    engine: Engine | None = None,
    command: str | None = None,
) -> Collected:
    """Make runs 0..runs-1 and write them to a dataset, in the order of their index.

    Interrupted by Ctrl-C or kill -9, the same call goes on where it stopped.

    Args:
        run_one: module-level function that makes one run.
        runs: how many.
        out: `.csv` or `.csv.gz`.
        seed: seed of the collection.
        settings: JSON-able settings handed to `run_one`.
        workers: processes (default: all cores).
        progress: called with (done, runs) after each run.
        engine: maps indices to entries (default: local processes).
        command: what repeats this call, for the metadata (default: this process's).

    Raises:
        OracleError: bad arguments, or another collection writes to `out` now.
        DatasetError: `out` or its journal belongs to another collection.
    """
    path, settings = Path(out), settings or {}
    workers = workers if workers is not None else available_cores()
    if runs < 1:
        raise OracleError(must_be("runs", "at least 1", runs))
    if workers < 1:
        raise OracleError(must_be("workers", "at least 1", workers))
    if seed < 0:
        raise OracleError(must_be("seed", "at least 0", seed))
    if not path.name.endswith((".csv", ".csv.gz")):
        raise OracleError(must_be("out", "a path ending in .csv or .csv.gz", str(path)))
    header = {
        "run_one": f"{run_one.__module__}.{run_one.__qualname__}",
        "runs": runs,
        "seed": seed,
        "settings": settings,
    }
    # Killed while it ended, a collection leaves its journal beside a dataset without metadata.
    if path.exists() and not journal_path(path).exists():
        _check_finished(path, header)
        return Collected(path, runs, 0, already_finished=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make = partial(_entry, run_one, seed, settings)
    with Journal(journal_path(path), header) as journal:
        todo = [index for index in range(runs) if index not in journal]
        made = 0
        if progress is not None:
            progress(runs - len(todo), runs)
        for index, entry in (engine or local_processes)(make, todo, workers):
            journal.append(index, entry)
            made += 1
            if progress is not None:
                progress(runs - len(todo) + made, runs)
        write_dataset(path, journal.read(), {**header, "command": command or _command()})
        journal.remove()
    return Collected(path, runs, made, already_finished=False)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def journal_path(out: Path) -> Path:
    """Where the unfinished runs of a dataset are kept: beside it."""
    return out.with_name(out.name + ".journal")


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _entry(run_one: RunOne, seed: int, settings: dict[str, Any], index: int) -> str:
    return run_one(index, seed, settings).model_dump_json()


def _check_finished(path: Path, header: dict[str, Any]) -> None:
    """Accept a finished dataset of the same collection, refuse any other."""
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    metadata = path.with_name(f"{name}_metadata.json")
    try:
        known = json.loads(metadata.read_text())
    except (OSError, ValueError):
        known = {}
    different = [key for key, value in header.items() if known.get(key) != value]
    if different:
        raise DatasetError(
            must_be(
                "out", "a new file, or one made by the same collection",
                f"a dataset with other {', '.join(different)}", "Choose another name.",
            ),
            file=str(path),
        )  # fmt: skip


class Journal:
    """Append-only record of finished runs: one line `crc32 length index entry` a run.

    A torn or damaged line is dropped on opening; its run is made again.

    Raises:
        DatasetError: the journal belongs to a collection with other settings.
        OracleError: another process holds it.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self._header = json.dumps(header, sort_keys=True)
        self._offsets: dict[int, int] = {}
        self._last_sync = time.monotonic()
        self._file: IO[bytes] = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise OracleError(
                must_be("out", "free", str(path), "Another collection writes to it now: wait.")
            ) from None
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def _open(self) -> None:
        self._file.seek(0)
        lines = list(self._scan())
        if lines:
            entry = lines[0][2]
            if lines[0][1] != -1 or entry != self._header:
                known = json.loads(entry) if lines[0][1] == -1 else {}
                wanted = json.loads(self._header)
                raise DatasetError(
                    must_be(
                        "settings",
                        f"those the interrupted collection began with ({_differences(known)})",
                        _differences({k: v for k, v in wanted.items() if known.get(k) != v}),
                        "Repeat that command, or remove the journal to begin anew.",
                    ),
                    file=str(self.path),
                )
        elif self._file.seek(0, os.SEEK_END):
            self._file.truncate(0)
        for offset, index, _ in lines[1:]:
            self._offsets[index] = offset
        self._file.seek(0, os.SEEK_END)
        if not lines:
            self._write(-1, self._header)
            self._sync()

    def _scan(self) -> Iterator[tuple[int, int, str]]:
        """Yield (offset, index, entry) of the sound lines; cut a torn end off."""
        offset = sound_end = 0
        for line in self._file:
            parsed = _parse(line)
            if parsed is not None:
                yield offset, *parsed
            offset += len(line)
            if line.endswith(b"\n"):
                sound_end = offset
        if sound_end < offset:
            self._file.truncate(sound_end)

    def _write(self, index: int, entry: str) -> None:
        body = f"{index} {entry}".encode()
        self._file.write(b"%08x %d %s\n" % (zlib.crc32(body), len(body), body))

    def append(self, index: int, entry: str) -> None:
        """Record a run: safe from kill -9 now, from a power cut after FSYNC_INTERVAL_S."""
        self._offsets[index] = self._file.tell()
        with naming(self.path):
            self._write(index, entry)
            self._file.flush()
        if time.monotonic() - self._last_sync > FSYNC_INTERVAL_S:
            self._sync()

    def _sync(self) -> None:
        with naming(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        self._last_sync = time.monotonic()

    def read(self) -> Iterator[Run]:
        """Yield the runs in the order of their index."""
        self._sync()
        with self.path.open("rb") as file:
            for index in sorted(self._offsets):
                file.seek(self._offsets[index])
                parsed = _parse(file.readline())
                if parsed is None:
                    raise DatasetError(
                        f"run {index} was damaged while it was collected. Run the command again.",
                        file=str(self.path),
                    )
                yield Run.model_validate_json(parsed[1])

    def remove(self) -> None:
        """Delete the journal: its dataset is complete."""
        self.path.unlink()

    def __contains__(self, index: int) -> bool:
        return index in self._offsets

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._file.closed:
            try:
                self._sync()
            finally:  # on a full disk, too: an open file would keep the lock
                with naming(self.path):
                    self._file.close()


def _differences(header: dict[str, Any]) -> str:
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in sorted(header.items()))


def _parse(line: bytes) -> tuple[int, str] | None:
    """Read (index, entry) of one journal line; None where it is torn or damaged."""
    try:
        crc, length, body = line.removesuffix(b"\n").split(b" ", 2)
        if not line.endswith(b"\n") or len(body) != int(length) or zlib.crc32(body) != int(crc, 16):
            return None
        index, entry = body.split(b" ", 1)
        return int(index), entry.decode()
    except ValueError:
        return None


def local_processes(make: Make, indices: Sequence[int], workers: int) -> Iterator[tuple[int, str]]:
    """Map on this machine's cores: one process a worker, or this process for one worker."""
    if workers == 1:
        for index in indices:
            yield index, make(index)
        return
    waiting = iter(indices)
    with _one_thread_each():
        # spawn: a fork would copy the threads' locks of whatever is already imported.
        pool = ProcessPoolExecutor(
            min(workers, max(1, len(indices))),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin_worker,
        )
        try:
            running: dict[Future[str], int] = {}
            while True:
                for index in waiting:
                    running[pool.submit(make, index)] = index
                    if len(running) >= workers * QUEUED_PER_WORKER:
                        break
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool:
            raise OracleError(
                "A worker process ended by itself, perhaps for lack of memory. What it had not "
                "finished is missing: run the command again to go on, with fewer `--workers`."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile use one thread each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)
