"""Many runs into one dataset: processes, progress, and a journal that survives kill -9.

Run `index` is a function of (index, seed, settings) alone, so neither the number of workers nor
an interruption changes the dataset, and a damaged entry of the journal is simply made again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from collector.journal import Journal, flat
from collector.shards import Shard, code_version
from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import check_named, command_line, metadata_path, write_dataset
from oracle.types import Run

#: Makes run `index`: run_one(index, seed, settings). Picklable, a module-level function.
RunOne = Callable[[int, int, dict[str, Any]], Run]
#: Makes one journal entry of an index.
Make = Callable[[int], str]
#: Maps indices to (index, entry) in any order, on so many workers (None = all there are): the seam
#: where a cluster stands in.
Engine = Callable[[Make, Sequence[int], int | None], Iterator[tuple[int, str]]]

#: Runs handed to each worker ahead of time.
QUEUED_PER_WORKER = 4
#: Environment of a worker, 1 each: as many workers as cores leave none for a second thread.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


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
    shard: Shard | None = None,
) -> Collected:
    """Make runs 0..runs-1 and write them to a dataset, in the order of their index.

    Interrupted by Ctrl-C or kill -9, the same call goes on where it stopped.

    Args:
        run_one: module-level function that makes one run.
        runs: how many.
        out: `.csv`, `.csv.gz` or `.parquet`.
        seed: seed of the collection.
        settings: JSON-able settings handed to `run_one`.
        workers: processes (default: all cores), or cores of a cluster (default: all it has).
        progress: called with (done, runs) after each run.
        engine: maps indices to entries (default: local processes).
        command: what repeats this call, for the metadata (default: this process's).
        shard: make this share of the runs alone, for `collector.merge`.

    Raises:
        OracleError: bad arguments, or another collection writes to `out` now.
        DatasetError: `out` or its journal belongs to another collection.
    """
    path, settings = Path(out), settings or {}
    if runs < 1:
        raise OracleError(must_be("runs", "at least 1", runs))
    if workers is not None and workers < 1:
        raise OracleError(must_be("workers", "at least 1", workers))
    if seed < 0:
        raise OracleError(must_be("seed", "at least 0", seed))
    check_named(path, "out")
    header = {
        "run_one": f"{run_one.__module__}.{run_one.__qualname__}",
        "runs": runs,
        "seed": seed,
        "settings": settings,
    }
    indices = range(runs)
    if shard is not None:
        indices = shard.indices(runs)
        header["runs"] = len(indices)
        header["shard"] = {"number": shard.number, "of": shard.of, "runs": runs}
        header["code"] = code_version()
    # Killed while it ended, a collection leaves its journal beside a dataset without metadata.
    if path.exists() and not journal_path(path).exists():
        check_finished(path, header)
        return Collected(path, len(indices), 0, already_finished=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make = partial(_entry, run_one, seed, settings)
    with Journal(journal_path(path), header) as journal:
        known = journal.keys()
        todo = [index for index in indices if index not in known]
        made = 0
        if progress is not None:
            progress(len(indices) - len(todo), len(indices))
        for index, entry in (engine or local_processes)(make, todo, workers):
            journal.append(index, entry)
            made += 1
            if progress is not None:
                progress(len(indices) - len(todo) + made, len(indices))
        made_runs = (Run.model_validate_json(text) for _, text in journal.read())
        write_dataset(path, made_runs, {**header, "command": command or command_line()})
        journal.remove()
    return Collected(path, len(indices), made, already_finished=False)


def available_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def journal_path(out: Path) -> Path:
    """Where the unfinished runs of a dataset are kept: beside it."""
    return out.with_name(out.name + ".journal")


def _entry(run_one: RunOne, seed: int, settings: dict[str, Any], index: int) -> str:
    return run_one(index, seed, settings).model_dump_json()


def check_finished(path: Path, header: dict[str, Any]) -> None:
    """Accept a finished dataset of the same collection, refuse any other.

    Raises:
        DatasetError: what differs.
    """
    try:
        known = json.loads(metadata_path(path).read_text())
    except (OSError, ValueError):
        known = {}
    told, wanted = flat({key: known[key] for key in header if key in known}), flat(header)
    different = [key for key in sorted({*told, *wanted}) if told.get(key) != wanted.get(key)]
    if different:
        raise DatasetError(
            must_be(
                "out", "a new file, or one made by the same collection",
                f"a dataset with other {', '.join(different)}", "Choose another name.",
            ),
            file=str(path),
        )  # fmt: skip


def local_processes(
    make: Make, indices: Sequence[int], workers: int | None
) -> Iterator[tuple[int, str]]:
    """Map on this machine's cores: one process a worker, or this process for one worker."""
    workers = workers or available_cores()
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
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
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
