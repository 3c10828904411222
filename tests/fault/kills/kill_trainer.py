"""T6: kill -9 `oracle train`, after epochs and while it publishes; what is there can be used.

The resumed training must end as one that nobody killed. Each training is a process of its own that
runs the command; all are forked from one that has imported TensorFlow, which takes longer than
these trainings.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import signal
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from reliability import ROOT, Result

from oracle.cli import main
from oracle.errors import ArtifactError
from oracle.history.dataset import read_dataset, write_dataset
from oracle.model.artifact import read_artifact

SAMPLE = ROOT / "data/sample.csv.gz"
RUNS = 80
NAME = "x"
#: Epochs after the last kill of an epoch.
REST = 5
#: Every so manyth kill comes after the last epoch, and the last one of fewer.
PUBLISHING = 3
#: How long after a sign of life the kill comes at most, seconds.
LONGEST_S = 0.5
#: What a resumed training may differ by: sums in another order.
SAME = 1e-3
DEADLINE_S = 600.0


def kill_trainer(folder: Path, n: int) -> Result:
    """Kill one training `n` times, then let it end."""
    result, rng = Result(), random.Random(n)
    data = folder / "small.csv"
    write_dataset(data, read_dataset(SAMPLE)[:RUNS], {})
    late = max(1, n // PUBLISHING)
    epochs = n - late + REST
    whole, broken = folder / "whole", folder / "broken"
    whole.mkdir()
    broken.mkdir()
    _end(_train(data, epochs, whole, resume=False), whole)
    state = broken / f"models/.{NAME}_backup/state.json"
    final = broken / f"models/{NAME}_final.keras"

    def reached(epoch: int) -> bool:
        if epoch > n - late:
            return final.exists()
        return state.exists() and len(json.loads(state.read_text())["curve"]) >= epoch

    kills = 0
    for kill in range(1, n + 1):
        process = _train(data, epochs, broken, resume=kill > 1)
        deadline = time.monotonic() + DEADLINE_S
        while process.is_alive() and not reached(kill):
            assert time.monotonic() < deadline, "the training stands still"
            time.sleep(0.002)
        time.sleep(rng.random() * LONGEST_S)  # any moment
        process.kill()
        process.join()
        code = process.exitcode
        kills += code == -signal.SIGKILL
        fine = code in (0, -signal.SIGKILL)
        result.check(fine, f"kill {kill}: it had ended with {code}: {_log(broken)}")
        there = _look(broken, f"kill {kill}", result)
        result.check(not there or kill > n - late, f"kill {kill}: an artifact before the end")
    _end(_train(data, epochs, broken, resume=True), broken)
    first, second = _curve(whole), _curve(broken)
    result.check(len(first) == len(second) == epochs, f"{len(second)} epochs, not {epochs}")
    for epoch, (a, b) in enumerate(zip(first, second, strict=False)):
        same = math.isclose(a, b, rel_tol=SAME)
        result.check(same, f"epoch {epoch}: loss {b}, uninterrupted {a}")
    there = _look(broken, "at last", result)
    result.check(there == 1, f"{there} artifacts at last")
    result.seen |= {"kills": kills, "of them after the last epoch": late, "epochs": epochs}
    return result


def _train(data: Path, epochs: int, cwd: Path, *, resume: bool) -> BaseProcess:
    words = [
        "train", "--dataset", str(data), "--name", NAME, "--architecture", "lite",
        "--epochs", str(epochs), "--json",
        "--dropout", "0",  # its masks are drawn anew after a kill
        *(["--resume"] if resume else []),
    ]  # fmt: skip
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["oracle.training.fit"])
    process = fork.Process(target=_command, args=(words, cwd), daemon=True)
    process.start()
    return process


def _command(words: list[str], cwd: Path) -> None:
    """Run `oracle` in this process, as its console script does."""
    os.chdir(cwd)
    log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["oracle", *words]
    sys.exit(main())


def _end(process: BaseProcess, cwd: Path) -> None:
    """Let a training end by itself."""
    process.join(DEADLINE_S)
    assert process.exitcode == 0, f"ended with {process.exitcode}: {_log(cwd)}"


def _log(cwd: Path) -> str:
    log = cwd / "log"
    return log.read_text()[-500:] if log.exists() else "nothing"


def _curve(folder: Path) -> list[float]:
    file = folder / f"models/logs/{NAME}/curve.json"
    curve = json.loads(file.read_text()) if file.exists() else []
    return [epoch["val_loss"] for epoch in curve]


def _look(folder: Path, when: str, result: Result) -> int:
    """Check that every artifact there is whole; gives how many there are."""
    found = sorted((folder / "models").glob("*/manifest.json"))
    for manifest in found:
        try:
            read_artifact(manifest.parent)
            problem = ""
        except ArtifactError as error:
            problem = str(error)
        result.check(not problem, f"{when}: {problem}")
    result.check(len(found) <= 1, f"{when}: {len(found)} artifacts")
    return len(found)
