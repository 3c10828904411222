"""T4: kill -9 the collector while it writes the CSV, and a worker of its pool while it works."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import psutil
from reliability import ROOT, Result

from collector.collect import collect, journal_path
from fault.kills.kill_collector import DEADLINE_S, RUNS_A_LIFE, SEED, WORKERS, made_run
from oracle.history.dataset import metadata_path, read_dataset
from oracle.types import Run

#: Recorded trainings; so many of them that writing them takes a while.
RECORDED = ROOT / "tests/data/search.csv.gz"
RUNS = 300
#: More than are made until a kill, also where the killer is slow.
RUNS_A_WORKER_KILL = 20
WORK = {"slow_ms": 30}
#: What one appended run adds to SQLite's log, at most: two pages.
WAL_BYTES_A_RUN = 8_300


@cache
def _recorded() -> list[Run]:
    return read_dataset(RECORDED)


def recorded_run(index: int, seed: int, settings: dict[str, Any]) -> Run:
    """One of the recorded trainings, under a name of its own."""
    known = _recorded()
    run_id = f"r-{index}"
    run = known[index % len(known)]
    history = run.history.model_copy(update={"run_id": run_id})
    return run.model_copy(update={"run_id": run_id, "history": history})


def kill_export(folder: Path, n: int) -> Result:
    """Kill the export of real runs `n` times; each time the same call then ends it."""
    result, rng = Result(), random.Random(n)
    whole, out = folder / "whole.csv", folder / "killed.csv"
    collect(recorded_run, RUNS, whole, seed=SEED, workers=1)
    expected = whole.read_bytes()
    _all_but_the_csv(out)
    journal = journal_path(out)
    kept = journal.read_bytes()
    seconds = _export(out, lambda: False)
    before = between = 0
    for kill in range(n):
        for file in (out, metadata_path(out)):
            file.unlink(missing_ok=True)
        journal.write_bytes(kept)
        journal.with_name(f"{journal.name}-wal").unlink(missing_ok=True)  # of the one before
        moment = _at_any_moment(rng.random() * seconds) if kill % 2 else _while_written(out, rng)
        _export(out, moment)
        half = out.exists() and out.read_bytes() != expected
        result.check(not half, f"kill {kill}: half a CSV")
        before += not out.exists()
        between += out.exists() and journal.exists()
        try:
            collect(recorded_run, RUNS, out, seed=SEED, workers=1, command="again")
        except Exception as error:
            result.check(False, f"kill {kill}: the same call does not go on: {error}")
            continue
        result.check(out.read_bytes() == expected, f"kill {kill}: then another dataset")
        result.check(not journal.exists(), f"kill {kill}: the journal is left over")
        facts = json.loads(metadata_path(out).read_text())
        result.check(facts["runs"] == RUNS, f"kill {kill}: the metadata tells of {facts['runs']}")
    result.seen |= {
        "kills": n,
        "runs": RUNS,
        "export": f"{seconds:.2f} s",
        "killed before the CSV": before,
        "between the CSV and the end": between,
    }
    return result


def _all_but_the_csv(out: Path) -> None:
    """Collect every run and stop before the export."""

    def stop(done: int, runs: int) -> None:
        if done == runs:
            raise KeyboardInterrupt

    try:
        collect(recorded_run, RUNS, out, seed=SEED, workers=1, progress=stop)
    except KeyboardInterrupt:
        return
    raise AssertionError("the collection ended")


def _export(out: Path, now: Callable[[], bool]) -> float:
    """Export in a process of its own and kill it `now`; gives the seconds that it lived."""
    with _process("export", RUNS, out) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"exporting\n"
        began = time.monotonic()
        while process.poll() is None:
            if now():
                process.kill()
            assert time.monotonic() < began + DEADLINE_S, "the export does not end"
            time.sleep(0.0005)
        return time.monotonic() - began


def _at_any_moment(seconds: float) -> Callable[[], bool]:
    began: list[float] = []

    def now() -> bool:
        began.append(time.monotonic())
        return began[-1] - began[0] > seconds

    return now


def _while_written(out: Path, rng: random.Random) -> Callable[[], bool]:
    """From the moment that the CSV's temporary file is there, at random."""
    share = rng.random() ** 3
    return lambda: (any(out.parent.glob(".*.tmp")) or out.exists()) and rng.random() < share


def kill_workers(folder: Path, n: int) -> Result:
    """Kill a worker of the pool `n` times, then let the collection end."""
    result, rng = Result(), random.Random(n)
    runs = RUNS_A_WORKER_KILL * n
    whole, out = folder / "whole.csv", folder / "killed.csv"
    collect(made_run, runs, whole, seed=SEED, workers=1)
    expected = whole.read_bytes()
    journal = journal_path(out)
    wal = journal.with_name(f"{journal.name}-wal")

    def recorded() -> int:
        if not journal.exists():
            return 0
        with closing(sqlite3.connect(journal)) as db:
            return int(db.execute("SELECT count(*) FROM entry").fetchone()[0])

    for kill in range(n):
        before = recorded()
        with _process("work", runs, out) as process:
            deadline = time.monotonic() + DEADLINE_S
            # The process holds the file alone; what it appends makes the log beside it grow.
            while process.poll() is None and not (
                wal.exists() and wal.stat().st_size > RUNS_A_LIFE * WAL_BYTES_A_RUN
            ):
                assert time.monotonic() < deadline, "no run was recorded"
                time.sleep(0.002)
            time.sleep(rng.random() * 0.03)  # any moment
            workers = [p for p in psutil.Process(process.pid).children() if _works(p)]
            if workers:
                os.kill(rng.choice(workers).pid, signal.SIGKILL)
            try:
                code = process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                code = None
        result.check(bool(workers), f"kill {kill}: no worker was found")
        result.check(code == 1, f"kill {kill}: the collection ended with {code}")
        result.check(recorded() >= before, f"kill {kill}: recorded runs are gone")
        result.check(not out.exists(), f"kill {kill}: a CSV is there")
    collect(made_run, runs, out, seed=SEED, settings=WORK, workers=WORKERS)
    result.check(out.read_bytes() == expected, "the dataset differs from an uninterrupted one")
    result.seen |= {"kills": n, "runs": runs}
    return result


def _works(process: psutil.Process) -> bool:
    """Whether it is a worker of the pool, not the helper that tracks its semaphores."""
    return "spawn_main" in " ".join(process.cmdline())


def _process(what: str, runs: int, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fault.kills.kill_export", what, str(runs), str(out)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _main(what: str, runs: int, out: str) -> None:
    if what == "work":
        collect(made_run, runs, out, seed=SEED, settings=WORK, workers=WORKERS)
        return
    from fault.kills.kill_export import recorded_run as known_by_name  # here it is of __main__

    def tell(done: int, of: int) -> None:
        if done == of:
            print("exporting", flush=True)

    collect(known_by_name, runs, out, seed=SEED, workers=1, progress=tell)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
