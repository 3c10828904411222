"""T5: the disk is full at the N-th page of the store.

A process of its own limits how large its files may grow (RLIMIT_FSIZE), so that every write, of
the database and of its journal, fails beyond a point; the point moves by a page a case.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from reliability import Result
from storing import write_now

PAGE = 4096
#: The store's size when it is new, pages; the first fault.
FIRST = 8


def full_disk(folder: Path, n: int) -> Result:
    """Let the disk be full at `n` different pages."""
    done = subprocess.run(
        [sys.executable, __file__, str(folder), str(n)],
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": "/usr/bin",
            # A module first imported under the limit would leave a torn .pyc for everybody else.
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    if done.returncode:
        return Result(1, 1, [done.stderr[-2_000:]])
    return Result(**json.loads(done.stdout))


def _run(folder: Path, n: int) -> Result:
    from made_up import StandIn
    from sqlalchemy import text

    from oracle.errors import StoreUnavailable
    from oracle.server.http.wire import CheckpointsRequest
    from oracle.server.runs.lifecycle import Runs
    from oracle.server.storage.store import Store
    from oracle.types import Policy

    result = Result()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused = 0
    for case in range(n):
        file = folder / f"{case}.db"
        store = Store(f"sqlite:///{file}", timeout_s=1, answer=StandIn().answer)
        store.migrate()
        runs = Runs(Policy(name="population"))
        store.on_rollback = runs.references.forget_all
        stored: list[tuple[str, float]] = []

        def append(
            i: int,
            store: Store = store,
            runs: Runs = runs,
            stored: list[tuple[str, float]] = stored,
        ) -> None:
            piece = CheckpointsRequest.model_validate(
                {"epochs": [i], "mqe": [1], "topo_error": [0.1], "dead_ratio": [0], "dataset": "d"}
            )
            write_now(store, lambda c: runs.append(c, "", f"r{i % 7}", piece))
            stored.append((f"r{i % 7}", float(i)))

        resource.setrlimit(resource.RLIMIT_FSIZE, ((FIRST + case) * PAGE, hard))
        try:
            for i in range(1, 41):
                append(i)
        except StoreUnavailable as error:
            refused += 1
            clear = any(word in str(error) for word in ("no space", "read or written", "answer"))
            result.check(clear, f"page {case}: {error}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

        def look(connection: Any) -> tuple[set[tuple[str, float]], object]:
            rows = connection.execute(
                text("SELECT r.run_id, c.epoch FROM checkpoints c JOIN runs r ON r.id = c.run")
            )
            found = {(run_id, epoch) for run_id, epoch in rows}
            return found, connection.execute(text("PRAGMA integrity_check")).scalar()

        there, verdict = store.read_now(look)
        result.check(verdict == "ok", f"page {case}: {verdict}")
        result.check(there == set(stored), f"page {case}: {len(there)} of {len(stored)} there")
        append(100)  # there is space again
        result.check(("r2", 100.0) in store.read_now(look)[0], f"page {case}: does not go on")
        store.close()
        file.unlink()
    result.seen["refused"] = refused
    return result


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]), int(sys.argv[2])).__dict__))
