"""T4: kill -9 the collector again and again; the dataset is as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from reliability import ROOT, Result, cases

from collector.collect import collect, journal_path
from oracle.types import History, Run

WORKERS = 2
#: Runs recorded between two kills, at least.
RUNS_A_LIFE = 3
SEED = 4
#: For a machine that is busy with other things, too.
DEADLINE_S = float(os.environ.get("START_DEADLINE_S", "120"))
#: Runs under way or not yet written when a process is killed.
MOST_REPEATED = 12
#: Kills of one collection, of which every life reads what was made before.
KILLS_A_COLLECTION = 50


def made_run(index: int, seed: int, settings: dict[str, Any]) -> Run:
    """A tiny run; with `slow_ms` it takes its time, with `log` it leaves a trace."""
    if "log" in settings:
        with open(settings["log"], "a") as log:
            log.write(f"{index}\n")
    time.sleep(settings.get("slow_ms", 0) / 1000)
    if settings.get("fails_at") == index:
        raise RuntimeError("on purpose")
    mqe = (1.0, 1 / (1 + index + seed))
    history = History(
        run_id=f"r-{index}", dataset="t", epochs=(0.0, 10.0), mqe=mqe,
        topographic_error=(0.5, 0.25), dead_neuron_ratio=(0.5, 0.0), total_epochs=10.0,
    )  # fmt: skip
    return Run(
        run_id=f"r-{index}", source="test", dataset="t", final_mqe=mqe[-1],
        final_topographic_error=0.25, final_dead_neuron_ratio=0.0, history=history,
    )  # fmt: skip


def kill_collector(folder: Path, n: int, done: int = 0) -> Result:
    """Kill one collection after the other, `n` times in all, then let it end; `done` before."""
    result, rng = Result(), random.Random(f"{n} after {done}")
    for first in cases(n, KILLS_A_COLLECTION):
        of_one = folder / str(first)
        of_one.mkdir()
        _kill_one(of_one, min(KILLS_A_COLLECTION, n - first), result, rng)
    return result


def _kill_one(folder: Path, n: int, result: Result, rng: random.Random) -> None:
    """Kill one collection `n` times."""
    runs = (RUNS_A_LIFE + 2 * WORKERS) * n
    log, out, whole = folder / "log", folder / "killed.csv", folder / "whole.csv"
    collect(made_run, runs, whole, seed=SEED, workers=1)
    expected = whole.read_bytes()
    command = [sys.executable, __file__, str(runs), str(out), str(log)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    journal = journal_path(out)

    def made_so_far() -> int:
        return log.read_bytes().count(b"\n") if log.exists() else 0

    for kill in range(n):
        before = made_so_far()
        with subprocess.Popen(command, env=environment) as process:
            deadline = time.monotonic() + DEADLINE_S
            # Two that are under way are not recorded yet.
            while process.poll() is None and made_so_far() < before + RUNS_A_LIFE + WORKERS:
                assert time.monotonic() < deadline, "no run was made"
                time.sleep(0.002)
            time.sleep(rng.random() * 0.03)  # any moment
            process.send_signal(signal.SIGKILL)
        result.check(not out.exists() or out.read_bytes() == expected, f"kill {kill}: half a CSV")
        wal = journal.with_name(f"{journal.name}-wal")
        if wal.exists():  # a write that the kill, or a power cut, tore
            with wal.open("ab") as torn:
                torn.write(rng.randbytes(rng.randrange(5_000)))
    subprocess.run(command, env=environment, check=True, timeout=DEADLINE_S)
    result.check(out.read_bytes() == expected, "the dataset differs from an uninterrupted one")
    made = Counter(int(line) for line in log.read_text().split())
    result.check(set(made) == set(range(runs)), "a run was never made")
    repeated = made.total() - runs
    result.check(repeated <= MOST_REPEATED * n, f"{repeated} runs were made again")
    result.counts += Counter({"kills": n, "runs": runs, "made again": repeated})


if __name__ == "__main__":
    settings = {"log": sys.argv[3], "slow_ms": 10}
    collect(made_run, int(sys.argv[1]), sys.argv[2], seed=SEED, workers=WORKERS, settings=settings)
