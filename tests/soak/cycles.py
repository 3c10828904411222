"""T19: the application is opened, used and closed again and again; nothing stays behind."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
from inprocess import App
from reliability import Result
from serving import HISTORY, body, checkpoint

#: Cycles until caches are full and the allocator has what it needs.
WARM = 10
MEMORY_BYTES = 10e6
SETTLE_S = 2.0


def cycles(folder: Path, n: int) -> Result:
    """Open and close `n` times."""
    result = Result()
    process = psutil.Process()
    first: tuple[int, int, int] | None = None
    before: dict[str, str] = {}
    gc.freeze()  # what others made before is not looked through after every cycle
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
        if cycle < WARM:
            before = _open_files()
            first = len(before), threading.active_count(), process.memory_info().rss
            continue
        assert first is not None
        _settle(first)
        opened = _open_files()
        now = len(opened), threading.active_count(), process.memory_info().rss
        new = sorted((Counter(opened.values()) - Counter(before.values())).elements())
        result.check(
            now[0] <= first[0], f"cycle {cycle}: {now[0]} descriptors, were {first[0]}, new {new}"
        )
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


def _settle(first: tuple[int, int, int]) -> None:
    """Wait a moment for threads that end after their loop: what is left behind stays."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        if len(_open_files()) <= first[0] and threading.active_count() <= first[1]:
            return
        time.sleep(0.01)


def _open_files() -> dict[str, str]:
    """Descriptor -> what it is of."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one that lists them
            found[entry.name] = str(entry.readlink())
    return found
