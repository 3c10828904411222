"""T5, datasets: a disk that fails at the N-th call leaves no half file, and costs no run.

In this process every call fails in turn; the journal, whose calls are SQLite's, and `oracle
collect` itself run into a limit of their files' size (RLIMIT_FSIZE), as into a full disk.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from reliability import ROOT, Result

from collector.collect import collect, journal_path
from fault.disks.disk import FAULTS, failing, outcome
from fault.kills.kill_collector import made_run
from oracle.history.dataset import read_dataset, write_dataset

OLD, NEW = 3, 5
#: Pages of SQLite's, more than the journal and its log of so many runs have.
PAGE, MOST_PAGES, RUNS_OF_A_JOURNAL = 4_096, 16, 8
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
    _journal(folder / "journal", result)
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


def _journal(folder: Path, result: Result) -> None:
    """Let the journal meet the end of its room at every page, in a process of its own."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, __file__, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    result.check(done.returncode == 0, f"journal: {done.stderr[-2_000:]}")
    for line in done.stdout.splitlines():
        result.check(line.startswith("ok"), f"journal: {line}")
    result.seen["journal, pages"] = len(done.stdout.splitlines())


def _main(folder: Path) -> None:
    """Collect under each limit, then without: print `ok`, or what is wrong."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    whole = folder / "whole.csv"
    collect(made_run, RUNS_OF_A_JOURNAL, whole, workers=1)
    for limit in range(0, MOST_PAGES * PAGE, PAGE // 2):
        out = folder / f"{limit}.csv"
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            error = outcome(lambda out=out: collect(made_run, RUNS_OF_A_JOURNAL, out, workers=1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        told = error is None or (isinstance(error, OSError) and str(out) in str(error.filename))
        again = outcome(lambda out=out: collect(made_run, RUNS_OF_A_JOURNAL, out, workers=1))
        same = again is None and out.read_bytes() == whole.read_bytes()
        left = [file.name for file in folder.glob(f"{limit}.csv.*")]
        print(f"ok {error}" if told and same and not left else (limit, error, again, same, left))


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


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
