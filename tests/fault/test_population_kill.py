"""kill -9 the workers of a search: every run that had ended is there, and the file is whole."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oracle.hook.population import Population

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, WORKERS = 3, 3


def acknowledged_by_killed(place: Path | str, rounds: int, workers: int) -> set[str]:
    """Kill workers in the middle of their runs; give those that they had said to have ended."""
    told = set[str]()
    given = f"Path({str(place)!r})" if isinstance(place, Path) else repr(place)
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        "from pathlib import Path; from worker import evaluate_forever\n"
        f"evaluate_forever({given}, sys.argv[1])"
    )
    for turn in range(rounds):
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, f"{turn}-{n}"], stdout=subprocess.PIPE, text=True
            )
            for n in range(workers)
        ]
        lines: list[str] = []
        try:
            deadline = time.monotonic() + 60 + workers * 10
            for process in processes:  # every one has ended a run, and is in the middle of more
                assert process.stdout is not None
                lines.append(process.stdout.readline())
                assert lines[-1], "a worker ended by itself"
                assert time.monotonic() < deadline
        finally:
            for process in processes:
                process.kill()
            for process in processes:
                lines += process.communicate(timeout=30)[0].splitlines(keepends=True)
        # a line cut by the kill was not acknowledged
        told |= {line.strip() for line in lines if line.endswith("\n")}
    return told


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_no_ended_run_is_lost_to_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    acknowledged = acknowledged_by_killed(path, ROUNDS, WORKERS)
    shared = Population(path)
    ended = {o.run_id for o in shared.reference("t").outcomes}
    assert len(acknowledged) >= ROUNDS * WORKERS
    assert acknowledged <= ended
    shared.start("t", "afterwards")
    shared.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
