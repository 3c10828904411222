"""S1: what one replica commits reaches the event streams of another, each event once, in order."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

from reliability import Result
from serving import JSON_HEADERS, Postgres, Server, body, checkpoint

#: Clients that append at once, each to a population of its own.
WRITERS = 4
WITHIN_S = 1.0
#: Longer is a fault, whatever else the machine does.
LOST_AFTER_S = 60.0


def events_between_replicas(folder: Path, n: int) -> Result:
    """Append through two replicas, and listen at a third."""
    result = Result()
    with Postgres() as database:
        servers = [Server(folder / str(i), database_url=database.url) for i in range(3)]
        try:
            for server in servers:
                server.start()
            _follow(servers, n, result)
        finally:
            for server in servers:
                server.kill()
    return result


def _follow(servers: list[Server], n: int, result: Result) -> None:
    acknowledged: dict[tuple[str, float], float] = {}
    came: dict[tuple[str, float], float] = {}
    ids: list[int] = []
    listening = threading.Event()

    def listen() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", servers[-1].port, timeout=LOST_AFTER_S)
        connection.request("GET", "/v1/events?after=0")
        stream = connection.getresponse()
        listening.set()
        while len(came) < n:
            line = stream.readline()
            if line.startswith(b"id: "):
                ids.append(int(line[4:]))
            elif line.startswith(b"data: {"):
                run = json.loads(line[6:])["run"]
                came[run["run_id"], run["epoch"]] = time.monotonic()
        connection.close()

    def write(writer: int) -> None:
        server = servers[writer % 2]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LOST_AFTER_S)
        for i in range(writer, n, WRITERS):
            run_id, epoch = f"r{writer}-{i // 200}", float(i + 1)
            told = body(checkpoint(epoch, population=f"p{writer}", total_epochs=10**6))
            connection.request("POST", f"/v1/runs/{run_id}/checkpoints", told, JSON_HEADERS)
            answer = connection.getresponse()
            answer.read()
            if answer.status == 201:
                acknowledged[run_id, epoch] = time.monotonic()
        connection.close()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    listening.wait(LOST_AFTER_S)
    writers = [threading.Thread(target=write, args=(i,)) for i in range(WRITERS)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    listener.join(LOST_AFTER_S)
    result.check(len(acknowledged) == n, f"{n - len(acknowledged)} appends were refused")
    for one in acknowledged:
        result.check(one in came, f"the event of {one} never came")
    result.check(ids == sorted(set(ids)), "events came twice or out of order")
    late = sorted(max(0.0, at - acknowledged[one]) for one, at in came.items())
    if late and late[-1] >= WITHIN_S:
        result.missed = f"{sum(s >= WITHIN_S for s in late)} of {n} came later than {WITHIN_S:g} s"
    result.seen |= {
        "after the acknowledgement": f"{late[len(late) // 2]:.2f} s (median), {late[-1]:.2f} s at "
        "most"
    }
