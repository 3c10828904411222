"""S7: a collection on a Ray cluster whose nodes are killed -9, and once the command itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from fault.kills.kill_collector import made_run
from ray_nodes import ENVIRONMENT, ray_nodes
from reliability import Result

from collector.collect import collect, journal_path

#: Runs that are recorded between two kills; those under way are made again.
RUNS_A_LIFE, SLOW_MS = 40, 20
DEADLINE_S = 240.0
#: The runs of `kill_collector`, made by a cluster.
DRIVER = """
import sys
from collector.collect import collect
from collector.on_ray import RayEngine
from fault.kills.kill_collector import made_run

address, out, log, runs, slow_ms = sys.argv[1:]
told, sys.stdout = sys.stdout, sys.stderr  # as the command does: Ray writes there of dead nodes
engine = RayEngine(address)
settings = {"log": log, "slow_ms": int(slow_ms)}
collect(made_run, int(runs), out, seed=4, settings=settings, engine=engine,
        progress=lambda done, _: print(done, file=told, flush=True))
print(len(engine.made), file=told)
"""


def killed_nodes(folder: Path, n: int) -> Result:
    """Kill the command, and then `n` nodes one after the other; another takes the place of each."""
    result, runs = Result(), RUNS_A_LIFE * (n + 2)
    out, log, whole = folder / "ray.csv", folder / "log", folder / "whole.csv"
    collect(made_run, runs, whole, seed=4, workers=1)
    with ray_nodes(3) as nodes:

        def drive() -> subprocess.Popen[str]:
            command = [sys.executable, "-c", DRIVER, nodes.address, out, log, runs, SLOW_MS]
            return subprocess.Popen(
                [*map(str, command)], stdout=subprocess.PIPE, text=True,
                env={**os.environ, **ENVIRONMENT},
            )  # fmt: skip

        with drive() as process:
            _until(process, RUNS_A_LIFE // 3)
            process.send_signal(signal.SIGKILL)
        result.check(journal_path(out).exists(), "the journal is gone")
        with drive() as process:
            known = _until(process, RUNS_A_LIFE)
            result.check(known >= RUNS_A_LIFE // 3, "what had been recorded was lost")
            for kill in range(n):
                nodes.kill(nodes.others.pop(0))
                if kill + 1 < n:
                    nodes.others.append(nodes.add())
                    _until(process, RUNS_A_LIFE * (kill + 2))
            rest, _ = process.communicate(timeout=DEADLINE_S)
        result.check(process.returncode == 0, "the command failed")
        result.check(rest.split()[-1:] > ["1"], "one node did it all")
    same = out.exists() and out.read_bytes() == whole.read_bytes()
    result.check(same, "the dataset differs from that of local processes")
    made = Counter(int(line) for line in log.read_text().split())
    for index in range(runs):
        result.check(made[index], f"run {index} was never made")
    result.seen |= {"nodes killed": n, "runs": runs, "made again": made.total() - len(made)}
    return result


def _until(process: subprocess.Popen[str], done: int) -> int:
    """Read the progress up to so many runs; gives the first that was told."""
    assert process.stdout is not None
    first = told = int(process.stdout.readline())
    while told < done:
        told = int(process.stdout.readline())
    return first
