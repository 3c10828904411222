"""T24: a process forks while other threads load the model and report; every child goes on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

# Libraries first: the names of ours that the threads ask for are then there in a moment.
import numpy  # noqa: F401
import onnxruntime  # noqa: F401
import pydantic  # noqa: F401
from reliability import ROOT, Result

#: Forks of one process: the first come while its model is being loaded.
FORKS_A_PROCESS = 20
THREADS = 3
#: Long after what a child does is done; only one that hangs lives as long.
HUNG_S = 60.0


def forks(folder: Path, n: int) -> Result:
    """Fork `n` children of processes whose threads watch runs of one population file."""
    result = Result()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    for first in range(0, n, FORKS_A_PROCESS):
        count = min(FORKS_A_PROCESS, n - first)
        command = [sys.executable, __file__, str(count), str(folder / f"{first}.db"), str(first)]
        parent = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        ended = parent.stdout.split()
        result.check(parent.returncode == 0, f"a parent ended with {parent.stderr[-200:]}")
        for i in range(count):
            how = ended[i] if i < len(ended) else "never"
            result.check(how == "0", f"child {first + i} ended: {how}")
    result.seen["threads of the parent"] = THREADS
    return result


def _watch_one(file: str) -> None:
    from oracle.hook import watch  # loaded on first use, while others fork

    with watch(total_epochs=60, population=file, context={"mqe_of_mean": 1.0}) as run:
        for epoch in range(10, 61, 10):
            run.report(epoch, mqe=0.5, topographic_error=0.1, dead_neuron_ratio=0.1)
    assert not run.problems.counts.keys() - {"never_judged"}, run.problems.messages


def _fork(file: str) -> int:
    """Fork a child that watches a run; gives its exit code, -1 where it hung."""
    pid = os.fork()
    if pid == 0:
        try:
            _watch_one(file)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + HUNG_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return -1


def _main(count: int, file: str, seed: int) -> None:
    rng, stopping = random.Random(seed), threading.Event()

    def go_on() -> None:
        while not stopping.is_set():
            _watch_one(file)

    threads = [threading.Thread(target=go_on) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        time.sleep(0.1 * rng.random())  # any moment
        print(_fork(file), flush=True)
    stopping.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: that is the test
    _main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
