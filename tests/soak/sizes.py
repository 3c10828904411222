"""T12: bodies at the limit and beyond it, announced, hidden, compressed, mislabelled, nested."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from reliability import Result
from serving import HISTORY, Server, body

LIMIT = 1_000_000
TYPE = b"Content-Type: application/json\r\n"
MiB = 1 << 20


def sizes(folder: Path, rounds: int) -> Result:
    """Send every kind `rounds` times."""
    result = Result()
    history = body(HISTORY)
    padded = history + b" " * (LIMIT - len(history))
    with Server(folder) as server:

        def send(head: bytes, content: bytes) -> int:
            return _status(server.port, head, content)

        def announced(content: bytes, extra: bytes = TYPE) -> int:
            return send(extra + f"Content-Length: {len(content)}\r\n".encode(), content)

        def chunked(content: bytes) -> int:
            pieces = [content[i : i + 60_000] for i in range(0, len(content), 60_000)]
            coded = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces)
            return send(TYPE + b"Transfer-Encoding: chunked\r\n", coded + b"0\r\n\r\n")

        cases = {
            "at the limit": lambda: (announced(padded), {200}),
            "one over": lambda: (announced(padded + b" "), {413}),
            "at the limit, chunked": lambda: (chunked(padded), {200}),
            "one over, chunked": lambda: (chunked(padded + b" "), {413}),
            "100 MB announced": lambda: (
                send(TYPE + b"Content-Length: 104857600\r\n", b"x" * MiB),
                {413},
            ),
            "100 MB chunked": lambda: (chunked(b" " * (100 * MiB)), {413, 0}),
            "gzip": lambda: (announced(history, TYPE + b"Content-Encoding: gzip\r\n"), {415}),
            "no type": lambda: (announced(history, b""), {415}),
            "shorter than announced": lambda: (
                send(TYPE + b"Content-Length: 5\r\n", history),
                {400, 422},
            ),
            "length no number": lambda: (send(TYPE + b"Content-Length: ten\r\n", history), {400}),
            "two lengths": lambda: (
                send(TYPE + b"Content-Length: 5\r\nContent-Length: 6\r\n", history),
                {400},
            ),
            "deep nesting": lambda: (announced(b"[" * 400_000), {422}),
            "many objects": lambda: (announced(b"[" + b"{}," * 300_000 + b"{}]"), {422}),
            "long head": lambda: (send(TYPE + b"X: " + b"a" * 400_000 + b"\r\n", b""), {400, 0}),
            "many heads": lambda: (send(TYPE + b"X: y\r\n" * 100_000, b""), {400, 0}),
        }
        for case in cases.values():
            case()
        before = server.memory_bytes()
        for _ in range(rounds):
            for name, case in cases.items():
                status, right = case()
                result.check(status in right, f"{name}: {status}, not {sorted(right)}")
        growth = server.memory_bytes() - before
        result.check(announced(history) == 200, "the server does not go on")
        result.check(growth < 20e6, f"memory grew by {growth / 1e6:.0f} MB")
    result.seen["memory"] = f"{growth / 1e6:+.1f} MB"
    return result


def _status(port: int, head: bytes, content: bytes) -> int:
    """Send one request; returns the status, 0 where the connection was closed without one."""
    request = b"POST /v1/forecast HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with suppress(OSError):  # the server may close before it has everything
            connection.sendall(request + head + b"\r\n" + content)
        answer = b""
        with suppress(OSError):
            while len(answer) < 12 and (more := connection.recv(4096)):
                answer += more
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
