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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_no_ended_run_is_lost_to_kill_9(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "runs.db", set[str]()
    for turn in range(ROUNDS):
        code = (
            f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
            "from pathlib import Path; from worker import evaluate_forever\n"
            f"evaluate_forever(Path({str(path)!r}), sys.argv[1])"
        )
        workers = [
            subprocess.Popen(
                [sys.executable, "-c", code, f"{turn}-{n}"], stdout=subprocess.PIPE, text=True
            )
            for n in range(WORKERS)
        ]
        lines: list[str] = []
        try:
            deadline = time.monotonic() + 60
            for worker in workers:  # every worker has ended a run, and is in the middle of more
                assert worker.stdout is not None
                lines.append(worker.stdout.readline())
                assert lines[-1], "a worker ended by itself"
                assert time.monotonic() < deadline
        finally:
            for worker in workers:
                worker.kill()
            for worker in workers:
                lines += worker.communicate(timeout=30)[0].splitlines(keepends=True)
        # a line cut by the kill was not acknowledged
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
    shared = Population(path)
    ended = {o.run_id for o in shared.reference("t").outcomes}
    assert len(acknowledged) >= ROUNDS * WORKERS
    assert acknowledged <= ended
    shared.start("t", "afterwards")
    shared.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
