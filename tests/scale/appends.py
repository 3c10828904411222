"""S3: appends a second by one, two and three replicas on one PostgreSQL."""

from __future__ import annotations

import http.client
import os
import threading
import time
from pathlib import Path
from statistics import median

from reliability import Result
from serving import JSON_HEADERS, Postgres, Server, body, checkpoint

REPLICAS = 3
#: Of each replica; each writes to a population of its own.
CLIENTS = 8
#: Of one measurement.
SECONDS = 1.0
#: Three replicas over one, on two cores.
WANTED = 1.5


def appends(folder: Path, n: int) -> Result:
    """Measure each number of replicas in turn, `n` times."""
    result = Result()
    found: dict[int, list[float]] = {count: [] for count in range(1, REPLICAS + 1)}
    with Postgres() as database:
        settings = {
            "database_url": database.url,
            "rate_limit_per_s": 1e6,
            "rate_limit_burst": 10**7,
        }
        servers = [Server(folder / str(i), **settings) for i in range(REPLICAS)]
        try:
            for server in servers:
                server.start()
            for i in range(n):
                for count in found:
                    ports = [server.port for server in servers[:count]]
                    found[count].append(_measured(ports, SECONDS, f"{i}-{count}", result))
        finally:
            for server in servers:
                server.kill()
    rates = {count: median(each) for count, each in found.items()}
    grown = rates[REPLICAS] / rates[1]
    if grown < WANTED:
        result.missed = f"{grown:.2f} times as many with {REPLICAS} replicas, not {WANTED:g}"
    result.seen |= {
        f"{n} replicas" if n > 1 else "1 replica": f"{rate:.0f}/s" for n, rate in rates.items()
    }
    result.seen["cores"] = os.cpu_count()
    return result


def _measured(ports: list[int], seconds: float, name: str, result: Result) -> float:
    """Append for some seconds; gives how many were acknowledged a second."""
    ends = time.monotonic() + seconds
    counts: list[int] = []
    refused: list[str] = []

    def work(port: int, run_id: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        epoch = 0
        while time.monotonic() < ends:
            told = body(checkpoint(epoch + 1, population=run_id, total_epochs=10**6))
            connection.request("POST", f"/v1/runs/{run_id}/checkpoints", told, JSON_HEADERS)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 201:
                refused.append(f"{answer.status} {said[:200]!r}")
                break
            epoch += 1
        counts.append(epoch)
        connection.close()

    began = time.monotonic()
    threads = [
        threading.Thread(target=work, args=(port, f"{name}-{i}-{k}"))
        for i, port in enumerate(ports)
        for k in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result.checked += sum(counts)
    result.check(not refused, f"refused: {refused[:3]}")
    return sum(counts) / (time.monotonic() - began)
