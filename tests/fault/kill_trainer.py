"""T6: kill -9 `oracle train`, after epochs and while it publishes; what is there can be used.

The resumed training must end as one that nobody killed.
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from reliability import ROOT, Result

from oracle.errors import ArtifactError
from oracle.history.dataset import read_dataset, write_dataset
from oracle.model.artifact import read_artifact

SAMPLE = ROOT / "data/sample.csv.gz"
RUNS = 80
NAME = "x"
#: Epochs after the last kill of an epoch.
REST = 5
#: Every so manyth kill comes after the last epoch.
PUBLISHING = 5
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
    late = n // PUBLISHING
    epochs = n - late + REST
    whole, broken = folder / "whole", folder / "broken"
    whole.mkdir()
    broken.mkdir()
    ended = _train(data, epochs, whole, resume=False)
    _, told = ended.communicate(timeout=DEADLINE_S)
    assert ended.returncode == 0, told
    state = broken / f"models/.{NAME}_backup/state.json"
    final = broken / f"models/{NAME}_final.keras"

    def reached(epoch: int) -> bool:
        if epoch > n - late:
            return final.exists()
        return state.exists() and len(json.loads(state.read_text())["curve"]) >= epoch

    kills = 0
    for kill in range(1, n + 1):
        with _train(data, epochs, broken, resume=kill > 1) as process:
            deadline = time.monotonic() + DEADLINE_S
            while process.poll() is None and not reached(kill):
                assert time.monotonic() < deadline, "the training stands still"
                time.sleep(0.002)
            time.sleep(rng.random() * LONGEST_S)  # any moment
            code = process.poll()
            process.kill()
            _, told = process.communicate()
        kills += code is None
        result.check(code in (None, 0), f"kill {kill}: it had ended with {code}: {told[-500:]}")
        there = _look(broken, f"kill {kill}", result)
        result.check(not there or kill > n - late, f"kill {kill}: an artifact before the end")
    ended = _train(data, epochs, broken, resume=True)
    _, told = ended.communicate(timeout=DEADLINE_S)
    result.check(ended.returncode == 0, f"--resume at last: {told[-500:]}")
    first, second = _curve(whole), _curve(broken)
    result.check(len(first) == len(second) == epochs, f"{len(second)} epochs, not {epochs}")
    for epoch, (a, b) in enumerate(zip(first, second, strict=False)):
        same = math.isclose(a, b, rel_tol=SAME)
        result.check(same, f"epoch {epoch}: loss {b}, uninterrupted {a}")
    there = _look(broken, "at last", result)
    result.check(there == 1, f"{there} artifacts at last")
    result.seen |= {"kills": kills, "of them after the last epoch": late, "epochs": epochs}
    return result


def _train(data: Path, epochs: int, cwd: Path, *, resume: bool) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "oracle", "train", "--dataset", str(data), "--name", NAME,
            "--architecture", "lite", "--epochs", str(epochs), "--json",
            "--dropout", "0",  # its masks are drawn anew after a kill
            *(["--resume"] if resume else []),
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip


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
