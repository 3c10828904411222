"""Speed of the service over HTTP, as ratios.

    python -m bench.speed.service [--only decide] [--memory N]

Everything runs on this machine in one sitting, interleaved in short rounds, so that a busy machine
slows all alike; a ratio is the median over rounds of answers in a second of the server's CPU time,
its rate where nobody else is busy. The yardstick is an endpoint that only
parses and validates the same body with pydantic, under the same server. Load comes from a process
of its own that speaks HTTP/1.1 over kept connections. `--memory N` instead sends N single
requests and tells what memory they leave behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
# The service is started as the tests start it.
sys.path.append(str(ROOT / "tests"))

import psutil  # noqa: E402
from serving import Server, checkpoint, free_port, until  # noqa: E402

from bench.speed.page import enter  # noqa: E402

CONNECTIONS = 16
#: Runs of a population that are appended to in turn, and checkpoints of each.
RUNS = 64
CHECKPOINTS = 10
YARDSTICK = """
from fastapi import FastAPI, Request, Response
from oracle.server.http.wire import DecideRequest
app = FastAPI()
@app.post("/v1/decide")
async def parse_only(request: Request) -> Response:
    DecideRequest.model_validate_json(await request.body())
    return Response(b"{}", media_type="application/json")
"""


class Measured(NamedTuple):
    """One round: answers a second of the clock and of the server's CPU time, latencies in ms."""

    per_s: float
    per_cpu_s: float
    p50_ms: float
    p99_ms: float


def history(n: int = 10) -> dict[str, Any]:
    """A history of `n` checkpoints, far enough apart that the network sees each, with context."""
    return {
        "epochs": [20 * (i + 1) for i in range(n)],
        "mqe": [1 / (i + 1) for i in range(n)],
        "topographic_error": [0.1] * n,
        "dead_neuron_ratio": [0.2 / (i + 1) for i in range(n)],
        "total_epochs": 1000,
        "context": {
            "map_rows": 12, "map_cols": 12, "n_samples": 569, "n_features": 30, "mqe_of_mean": 1.3,
            "schedule": {"progress": [0, 1], "learning_rate": [0.9, 0.01], "radius": [6, 1]},
        },
    }  # fmt: skip


def cpu_s(pid: int | None) -> float:
    """CPU time of a server so far, its workers included; NaN where it is not looked at."""
    if pid is None:
        return math.nan
    main = psutil.Process(pid)
    used = [p.cpu_times() for p in (main, *main.children(recursive=True))]
    return sum(times.user + times.system for times in used)


async def load(
    url: str, paths: list[tuple[str, bytes]], seconds: float, pid: int | None = None
) -> Measured:
    """Send requests over CONNECTIONS connections for so long, each after the last's answer.

    Args:
        url: of the server.
        paths: and bodies, in turn.
        seconds: of sending.
        pid: of the server; None = its CPU time is not looked at.
    """
    host, port = url.removeprefix("http://").split(":")
    requests = [
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for path, body in paths
    ]
    took: list[float] = []
    end = time.perf_counter() + seconds
    turn = iter(range(10**9))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while (began := time.perf_counter()) < end:
            writer.write(requests[next(turn) % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(head.decode() + (await reader.read(500)).decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    began, used = time.perf_counter(), cpu_s(pid)
    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    ms = sorted(1000 * t for t in took)
    wall, used = time.perf_counter() - began, cpu_s(pid) - used
    rates = len(ms) / wall, len(ms) / used
    return Measured(*rates, statistics.median(ms), ms[int(0.99 * len(ms))])


def start_yardstick(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Serve the endpoint that only parses and validates."""
    (folder / "yardstick.py").write_text(YARDSTICK)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "yardstick:app", "--port", str(port), "--no-access-log",
         "--http", "httptools", "--log-level", "warning"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        try:
            single = [("/v1/decide", json.dumps(history()).encode())]
            return bool(asyncio.run(load(url, single, 0.1)))
        except OSError:
            return False

    try:
        until(up, 180, "the yardstick")
    except TimeoutError:
        process.kill()
        raise
    return process, url


def appends(n: int) -> list[tuple[str, bytes]]:
    """Appends as a search makes them: so many runs at a time take turns, then the next begin."""
    requests = []
    for i in range(n):
        generation, turn = divmod(i, RUNS * CHECKPOINTS)
        epoch = 10 * (turn // RUNS + 1)
        if turn % RUNS == 0 and epoch == 10:
            names = [os.urandom(6).hex() for _ in range(RUNS)]
        body = checkpoint(epoch, population=f"p{generation}", total_epochs=100)
        path = f"/v1/runs/{names[turn % RUNS]}/checkpoints"
        requests.append((path, json.dumps(body).encode()))
    return requests


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", metavar="NAME", help="part of the rows by name")
    parser.add_argument("--memory", type=int, metavar="N", help="memory over N requests instead")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    if args.memory:
        told = memory(args.memory)
        print(told)
        if args.write_docs:
            enter(f"python -m bench.speed.service --memory {args.memory}", told)
        return
    single = [("/v1/decide", json.dumps(history()).encode())]
    batch = [("/v1/decide/batch", json.dumps({"histories": [history()] * 100}).encode())]
    rows: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yardstick, yard_url = start_yardstick(folder)
        server = Server(folder, max_waiting_requests=256, max_waiting_batches=CONNECTIONS)
        start_s = server.start()
        held = server.memory_bytes()
        kinds = (
            ("pydantic only", yard_url, lambda: single, yardstick.pid),
            ("decide", server.url, lambda: single, server.pid),
            ("decide, batch of 100", server.url, lambda: batch, server.pid),
            ("append with commit", server.url, lambda: appends(20_000), server.pid),
        )
        try:
            for _ in range(args.rounds):
                for what, url, paths, pid in kinds:
                    if not args.only or what in args.only:
                        found = asyncio.run(load(url, paths(), args.seconds, pid))
                        rows.setdefault(what, []).append(found)
        finally:
            server.kill()
            yardstick.kill()
            yardstick.wait()
    told = report(rows, start_s, held, as_json=args.json)
    print(told)
    if args.write_docs:
        enter("python -m bench.speed.service", told)


def memory(requests: int) -> str:
    """Send so many single decides and tell the worker's memory along the way, in MB."""
    single = [("/v1/decide", json.dumps(history()).encode())]
    told, sent = [], 0
    with tempfile.TemporaryDirectory() as name, Server(Path(name)) as server:
        while sent < requests:
            found = asyncio.run(load(server.url, single, 5.0))
            sent += round(5.0 * found.per_s)
            told.append((sent, server.memory_bytes() / 1e6))
    shown = [told[0], told[len(told) // 2], told[-1]]
    return "\n".join(f"after {n:7d} requests {mb:8.1f} MB" for n, mb in shown)


def report(rows: dict[str, list[Measured]], start_s: float, held: int, *, as_json: bool) -> str:
    """Tell medians over the rounds and the ratios."""

    def median(what: str, field: str = "per_s") -> float:
        return statistics.median(getattr(m, field) for m in rows[what])

    def ratio(a: str, b: str, factor: float = 1.0) -> float:
        pairs = zip(rows[a], rows[b], strict=True)
        return statistics.median(factor * x.per_cpu_s / y.per_cpu_s for x, y in pairs)

    figures = {"start to ready, s": start_s, "memory of a worker, MB": held / 1e6}
    if {"decide", "pydantic only"} <= rows.keys():
        figures["decide / pydantic only"] = ratio("decide", "pydantic only")
    if {"decide", "decide, batch of 100"} <= rows.keys():
        batch = ratio("decide, batch of 100", "decide", 100.0)
        figures["batch of 100 / decide, histories"] = batch
    if as_json:
        table = {w: {f: median(w, f) for f in Measured._fields} for w in rows}
        return json.dumps({"measured": table, "figures": figures}, indent=2)
    rounds = len(next(iter(rows.values()), []))
    told = [
        f"{CONNECTIONS} connections, one worker; medians of {rounds} rounds",
        f"{'':24}{'per s':>10}{'per CPU s':>11}{'p50 ms':>10}{'p99 ms':>10}",
    ]
    for what in rows:
        numbers = (median(what, f) for f in Measured._fields)
        told.append(f"{what:24}" + "{:10.1f}{:11.1f}{:10.1f}{:10.1f}".format(*numbers))
    told += [f"{what:40}{value:10.2f}" for what, value in figures.items()]
    return "\n".join(told)


if __name__ == "__main__":
    main()
