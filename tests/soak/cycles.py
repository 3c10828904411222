"""T19: the application is opened, used and closed again and again; nothing stays behind."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import psutil
from inprocess import App
from reliability import Result
from serving import HISTORY, body, checkpoint

#: Cycles until caches are full and the allocator has what it needs.
WARM = 10
MEMORY_BYTES = 10e6


def cycles(folder: Path, n: int) -> Result:
    """Open and close `n` times."""
    result = Result()
    process = psutil.Process()
    first: tuple[int, int, int] | None = None
    for cycle in range(WARM + n):
        with App(folder) as app:
            found = app.run(app.call("POST", "/v1/decide", body(HISTORY)))
            assert found.status == 200
            appended = app.run(
                app.call("POST", f"/v1/runs/r{cycle}/checkpoints", body(checkpoint(1)))
            )
            assert appended.status == 201
        del app, found, appended
        gc.collect()
        now = process.num_fds(), threading.active_count(), process.memory_info().rss
        if cycle < WARM:
            first = now
            continue
        assert first is not None
        result.check(now[0] <= first[0], f"cycle {cycle}: {now[0]} descriptors, were {first[0]}")
        result.check(now[1] <= first[1], f"cycle {cycle}: {now[1]} threads, were {first[1]}")
    assert first is not None
    grown = now[2] - first[2]
    result.check(grown < MEMORY_BYTES, f"memory grew by {grown / 1e6:.1f} MB")
    result.seen |= {
        "descriptors": now[0],
        "threads": now[1],
        "memory": f"{grown / 1e6:+.1f} MB",
    }
    return result
