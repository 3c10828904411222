"""T5, datasets: a disk that fails at the N-th call leaves no half file, and costs no run.

In this process every call fails in turn; `oracle collect` itself runs into a limit of its files'
size (RLIMIT_FSIZE), as into a full disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from reliability import ROOT, Result

from collector.collect import collect, journal_path
from fault.disk import FAULTS, failing, outcome
from fault.kill_collector import made_run
from oracle.history.dataset import read_dataset, write_dataset

OLD, NEW = 3, 5
#: Largest file of `oracle collect` in its own process, bytes.
LIMITS = (0, 100, 4_096, 20_000)


def failing_datasets(folder: Path, n: int) -> Result:
    """Let the first, the second, ... of at most `n` calls fail."""
    result = Result()
    for fault in FAULTS:
        for name in ("d.csv", "d.csv.gz"):
            result.seen[f"calls, {fault}, {name}"] = _writing(folder / name, fault, n, result)
        result.seen[f"calls, {fault}, collecting"] = _collecting(folder / "c", fault, n, result)
    for limit in LIMITS:
        _command(folder / f"limit-{limit}", limit, result)
    return result


def _writing(path: Path, fault: str, n: int, result: Result) -> int:
    """Write a dataset over an old one; gives the calls that this takes."""
    old, new = ([made_run(i, 0, {}) for i in range(count)] for count in (OLD, NEW))
    for call in range(1, n + 1):
        where = f"{fault} at call {call}, {path.name}"
        write_dataset(path, old, {})
        with failing(call, fault) as disk:
            error = outcome(lambda: write_dataset(path, new, {}))
        there = len(read_dataset(path))
        left = [file.name for file in path.parent.glob(".*.tmp")]
        result.check(not left, f"{where}: {left} is left over")
        if not disk.reached:
            result.check(error is None and there == NEW, f"{where}: {error!r}, {there} runs")
            return disk.calls
        result.check(getattr(error, "errno", None) == disk.number, f"{where}: {error!r}")
        result.check(there in (OLD, NEW), f"{where}: {there} runs")
    result.check(False, f"{fault}, {path.name}: more than {n} calls, so not every one failed")
    return n


def _collecting(folder: Path, fault: str, n: int, result: Result) -> int:
    """Collect anew, then go on where the fault was; gives the calls that this takes."""
    folder.mkdir(exist_ok=True)
    whole, out = folder / "whole.csv", folder / "out.csv"
    collect(made_run, NEW, whole, workers=1)
    for call in range(1, n + 1):
        where = f"{fault} at call {call}, collecting"
        with failing(call, fault) as disk:
            error = outcome(lambda: collect(made_run, NEW, out, workers=1))
        same = not out.exists() or out.read_bytes() == whole.read_bytes()
        result.check(same, f"{where}: half a dataset")
        if disk.reached:
            result.check(getattr(error, "errno", None) == disk.number, f"{where}: {error!r}")
        again = outcome(lambda: collect(made_run, NEW, out, workers=1))
        result.check(again is None, f"{where}: the same call does not go on: {again}")
        same = out.exists() and out.read_bytes() == whole.read_bytes()
        result.check(same, f"{where}: then another dataset")
        result.check(not journal_path(out).exists(), f"{where}: the journal is left over")
        for file in folder.glob("out*"):
            file.unlink()
        if not disk.reached:
            result.check(error is None, f"{where}: {error!r}")
            return disk.calls
    result.check(False, f"{fault}, collecting: more than {n} calls, so not every one failed")
    return n


def _command(folder: Path, limit: int, result: Result) -> None:
    """Run the command itself under a limit, then without: one line that says why, then all."""
    folder.mkdir()
    out = folder / "d.csv"
    command = [
        sys.executable, "-m", "oracle", "collect", "simulate", "--runs", "20", "--out", str(out),
    ]  # fmt: skip

    def run(bytes_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_)),
        )

    done = run(limit)
    where = f"oracle collect, files of at most {limit} bytes"
    lines = done.stderr.strip().splitlines()
    clear = len(lines) == 1 and lines[0].startswith("Error: ") and "too large" in lines[0]
    result.check(done.returncode == 1 and clear, f"{where}: {done.returncode} {done.stderr}")
    result.check("d.csv" in done.stderr, f"{where}: no file is named in {done.stderr!r}")
    result.check(not list(folder.iterdir()), f"{where}: something is left over")
    done = run(resource.RLIM_INFINITY)
    result.check(done.returncode == 0 and out.exists(), f"{where}: then {done.stderr}")
