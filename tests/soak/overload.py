"""T10: far more requests than can be answered: a fast 503 for what is too much."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from reliability import Result
from serving import HISTORY, JSON_HEADERS, Server, body

from soak.load import Clients

WAITING = 8


def overload(folder: Path, seconds: int) -> Result:
    """Keep ten times as many requests in work as the service accepts."""
    result = Result()
    with Server(folder, max_waiting_requests=WAITING) as server:
        with Clients(server.port, 10 * WAITING) as clients:
            time.sleep(min(seconds / 4, 30))
            early = server.memory_bytes()
            clients.begin_again()
            time.sleep(seconds)
            seen = clients.begin_again()
            late = server.memory_bytes()
        began = time.monotonic()
        answer = httpx.post(
            f"{server.url}/v1/forecast", content=body(HISTORY), headers=JSON_HEADERS, timeout=30
        )
        again_s = time.monotonic() - began
        result.check(answer.status_code == 200, f"afterwards {answer.status_code}")
        result.check(again_s < 2, f"normal after {again_s:.1f} s")
    result.checked += sum(seen.statuses.values())
    result.check(not seen.problems, f"{seen.problems[:3]}")
    result.check(seen.statuses.get(200), f"statuses {seen.statuses}")
    result.check(late - early < 20e6, f"memory grew by {(late - early) / 1e6:.0f} MB")
    result.seen |= {
        "answered": f"{seen.statuses.get(200, 0):,}",
        "refused": f"{seen.statuses.get(503, 0):,}",
        "p99 of the answered": f"{1000 * seen.quantile_s(0.99):.0f} ms",
        "memory": f"{(late - early) / 1e6:+.1f} MB",
    }
    return result
