"""T10: far more requests than can be answered: a fast 503 for what is too much."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import httpx
from reliability import Result
from serving import HISTORY, JSON_HEADERS, Server, body

from soak.load import Clients

WAITING = 8
NORMAL_S = 2.0
#: A request after the flood may take so many times one before it: beyond NORMAL_S, a machine that
#: is busy with other things explains no more.
AT_MOST = 40.0


def overload(folder: Path, seconds: int) -> Result:
    """Keep ten times as many requests in work as the service accepts."""
    result = Result()
    with Server(folder, max_waiting_requests=WAITING) as server:
        before_s = median(_asked_s(server) for _ in range(5))
        with Clients(server.port, 10 * WAITING) as clients:
            time.sleep(min(seconds / 4, 30))
            early = server.memory_bytes()
            clients.begin_again()
            time.sleep(seconds)
            seen = clients.begin_again()
            late = server.memory_bytes()
        again_s = _asked_s(server)
    allowed_s = max(NORMAL_S, AT_MOST * before_s)
    result.check(
        again_s < allowed_s, f"normal after {again_s:.1f} s, {allowed_s:.1f} s are allowed"
    )
    if again_s >= NORMAL_S:
        result.missed = f"normal after {again_s:.1f} s by the clock"
    result.checked += sum(seen.statuses.values())
    result.check(not seen.problems, f"{seen.problems[:3]}")
    result.check(seen.statuses.get(200), f"statuses {seen.statuses}")
    result.check(late - early < 20e6, f"memory grew by {(late - early) / 1e6:.0f} MB")
    result.seen |= {
        "answered": f"{seen.statuses.get(200, 0):,}",
        "refused": f"{seen.statuses.get(503, 0):,}",
        "p99 of the answered": f"{1000 * seen.quantile_s(0.99):.0f} ms",
        "normal after": f"{again_s:.2f} s",
        "memory": f"{(late - early) / 1e6:+.1f} MB",
    }
    return result


def _asked_s(server: Server) -> float:
    """Ask for one forecast over a connection of its own; seconds until it is answered."""
    began = time.monotonic()
    url, content = f"{server.url}/v1/forecast", body(HISTORY)
    httpx.post(url, content=content, headers=JSON_HEADERS, timeout=60).raise_for_status()
    return time.monotonic() - began
