"""Connections between requests: kept, never held for ever, never cut while an answer is due."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import HISTORY, Server, body

from oracle.commands.serve import listen

HEAD = b"POST /v1/forecast HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
WRONG_TYPE = HEAD.replace(b"application/json", b"text/plain")
#: How long to wait for a connection that should be closed after a second.
PATIENCE_S = 30.0
MAX_BODY = 1_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("connections")
    with Server(folder, keep_alive_s=1, max_body_bytes=MAX_BODY) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        yield connection


def request(content: bytes, head: bytes = HEAD) -> bytes:
    return head + f"Content-Length: {len(content)}\r\n\r\n".encode() + content


def status(connection: socket.socket) -> int:
    """Read one whole answer; returns its status."""
    text = b""
    while b"\r\n\r\n" not in text:
        more = connection.recv(65_536)
        assert more, text
        text += more
    head, _, rest = text.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(rest) < length:
        rest += connection.recv(65_536)
    return int(head[9:12])


@pytest.mark.parametrize(
    "more",
    [b"", b"\r\n", request(b"x" * 10, WRONG_TYPE)[:-5]],
    ids=["nothing", "an empty line", "half a body that is refused"],
)
def test_an_idle_connection_is_closed(connection: socket.socket, more: bytes) -> None:
    connection.sendall(request(body(HISTORY)))
    assert status(connection) == 200
    connection.sendall(more)
    if len(more) > 2:
        assert status(connection) == 415
        connection.sendall(b"x" * 5)  # the rest of it, after the answer
    assert connection.recv(1) == b""


def test_a_body_that_is_too_large_does_not_cost_the_connection(connection: socket.socket) -> None:
    large = request(b" " * (MAX_BODY + 1))
    connection.sendall(large[:-500])
    assert status(connection) == 413
    connection.sendall(large[-500:])  # a client sends all of it before it reads
    connection.sendall(request(body(HISTORY)))
    assert status(connection) == 200


def test_an_answer_waits_for_no_acknowledgement() -> None:
    """Head and body are two small writes: Nagle's algorithm would hold the second for 40 ms."""

    async def accepted() -> int:
        delays: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            ours = writer.get_extra_info("socket")
            delays.set_result(ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listening = listen("127.0.0.1", 0)
        async with await asyncio.start_server(answer, sock=listening):
            _, client = await asyncio.open_connection(*listening.getsockname())
            told = await delays
            client.close()
            return told

    assert asyncio.run(accepted())
