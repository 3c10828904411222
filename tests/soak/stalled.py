"""T25: a store that stands still holds up what writes to it, and nothing else."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx
from reliability import Result
from serving import HISTORY, JSON_HEADERS, Server, body, checkpoint

WRITERS = 80
#: Asked all the while; none of these writes. Whether it can is what /readyz tells, not these.
ASKED = (
    ("GET", "/healthz", b""), ("GET", "/metrics", b""), ("GET", "/v1/runs", b""),
    ("GET", "/v1/runs/first", b""), ("POST", "/v1/forecast", body(HISTORY)),
    ("POST", "/v1/decide", body(HISTORY)),
)  # fmt: skip


def stalled(folder: Path, seconds: int) -> Result:
    """Hold the database's lock for so long, beside WRITERS clients that append."""
    result, stopping = Result(), Event()
    written: Counter[int] = Counter()

    def write(i: int) -> None:
        with httpx.Client(base_url=server.url, headers=JSON_HEADERS, timeout=60) as client:
            epoch = 0.0
            while not stopping.is_set():
                epoch += 1
                content = body(checkpoint(epoch, population="p", total_epochs=100_000))
                answer = client.post(f"/v1/runs/w{i}/checkpoints", content=content)
                written[answer.status_code] += 1
                if answer.status_code == 503:
                    assert answer.headers["retry-after"]
                    stopping.wait(0.2)

    with Server(folder) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        first = body(checkpoint(1, population="p"))
        client.post("/v1/runs/first/checkpoints", content=first, headers=JSON_HEADERS)
        file = folder / "data" / "oracle.db"
        with ThreadPoolExecutor(WRITERS) as pool:
            writers = [pool.submit(write, i) for i in range(WRITERS)]
            with closing(sqlite3.connect(file, timeout=60, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    for method, path, content in ASKED:
                        status = client.request(
                            method, path, content=content, headers=JSON_HEADERS
                        ).status_code
                        result.check(status == 200, f"{method} {path}: {status}")
                other.execute("ROLLBACK")
            stopping.set()
            for writer in writers:
                writer.result()
        again = client.post("/v1/runs/w/checkpoints", content=first, headers=JSON_HEADERS)
        result.check(again.status_code == 201, f"afterwards {again.status_code}")
    result.check(set(written) <= {201, 200, 503}, f"writers were answered {dict(written)}")
    result.seen |= {"writers refused": f"{written[503]:,}", "acknowledged": f"{written[201]:,}"}
    return result
