"""Connections between requests: kept, never held for ever, never cut while an answer is due."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
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
    return whole_answer(connection)[0]


def whole_answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    """Read one whole answer of known length: status, head, body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)  # and nothing of the next answer
        assert byte, head
        head += byte
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    rest = b""
    while len(rest) < length:
        rest += connection.recv(length - len(rest))
    return int(head[9:12]), head.lower(), rest


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


CHUNKED = f"{len(body(HISTORY)):x}\r\n".encode() + body(HISTORY) + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "offer",
    [
        # Java's HttpClient, and curl --http2
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
        b"Connection: keep-alive, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
        b"Upgrade: TLS/1.0\r\nConnection: Upgrade\r\n",
        b"Upgrade: h2c\r\n",
    ],
    ids=["h2c", "websocket", "TLS", "no Connection"],
)
@pytest.mark.parametrize(
    "sent",
    [
        f"Content-Length: {len(body(HISTORY))}\r\n\r\n".encode() + body(HISTORY),
        b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    ],
    ids=["length", "chunks"],
)
def test_an_offered_protocol_is_ignored(
    connection: socket.socket, offer: bytes, sent: bytes
) -> None:
    """A server may ignore an offer (RFC 9110, 7.8), and reads the body all the same."""
    post = HEAD + offer + sent
    connection.sendall(post * 3)  # pipelined
    assert [status(connection) for _ in range(3)] == [200] * 3
    half = len(post) // 2
    for piece in (post[:half], post[half:-1], post[-1:]):
        connection.sendall(piece)
    assert status(connection) == 200
    get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + offer + b"\r\n"
    connection.sendall(get * 2)
    assert [status(connection) for _ in range(2)] == [200] * 2


def test_an_offer_does_not_smuggle(connection: socket.socket) -> None:
    """What stands behind a request without a body is the next request, offer or not."""
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    connection.sendall(
        b"GET /nope HTTP/1.1\r\nHost: 127.0.0.1\r\n" + offer + request(body(HISTORY))
    )
    assert [status(connection) for _ in range(2)] == [404, 200]
    connection.sendall(b"CONNECT example.org:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n" + offer)
    assert status(connection) == 400
    assert connection.recv(1) == b""


LONG_HEADS = {
    "a long address": b"GET /" + b"a" * 33_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"a: b\r\n" * 5_500 + b"\r\n",
}


@pytest.mark.parametrize("head", LONG_HEADS.values(), ids=LONG_HEADS)
def test_a_head_that_comes_at_once_is_bounded_too(connection: socket.socket, head: bytes) -> None:
    connection.sendall(head)
    code, _, content = whole_answer(connection)
    assert code == 400
    assert json.loads(content)["error"]["code"] == "bad_request"
    assert connection.recv(1) == b""


def test_a_head_at_its_bound_is_read(connection: socket.socket) -> None:
    head = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    line = b"x: " + b"a" * 100 + b"\r\n"
    connection.sendall(head + line * ((32_000 - len(head)) // len(line)) + b"\r\n")
    assert status(connection) == 200


def test_a_large_body_is_not_taken_for_the_next_head(server: Server) -> None:
    """Half a head may come in the same piece as 40 kB that are read, or refused."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        next_one = request(body(HISTORY))
        connection.sendall(request(b" " * 40_000) + next_one[:20])
        assert status(connection) == 413
        connection.sendall(next_one[20:])
        assert status(connection) == 200


def test_a_client_of_http_1_0_gets_no_chunks(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /v1/events HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        text = b""
        while not text.endswith(b": connected\n\n"):
            more = connection.recv(65_536)
            assert more, text
            text += more
        head, _, told = text.partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert told == b": connected\n\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert status(connection) == 200
        assert connection.recv(1) == b""


def test_whoever_holds_the_most_connections_makes_room(tmp_path: Path) -> None:
    """Idle connections cost their owner nothing, and must keep nobody else out."""
    ping = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with Server(tmp_path, max_connections=6) as server, ExitStack() as stack:

        def connect(source: str) -> socket.socket:
            address = ("127.0.0.1", server.port)
            made = socket.create_connection(address, PATIENCE_S, (source, 0))
            return stack.enter_context(made)

        def answered(one: socket.socket) -> None:
            one.sendall(ping)
            assert status(one) == 200
            time.sleep(0.005)  # the event loop's clock counts whole milliseconds

        crowd = [connect("127.0.0.2") for _ in range(5)]
        for one in crowd[::-1]:
            answered(one)
        honest = [connect("127.0.0.3") for _ in range(2)]
        for one in honest:
            answered(one)
        assert crowd[-1].recv(1) == b""  # idle for longest
        for one in (*crowd[:-1], *honest):
            answered(one)
        answered(connect("127.0.0.2"))  # whose own has to go
        assert crowd[0].recv(1) == b""
        answered(honest[0])


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


@pytest.mark.parametrize(
    "begun",
    [
        b"POST /v1/decide HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half",
    ],
    ids=["body", "head"],
)
def test_a_request_that_does_not_arrive_whole_is_told(begun: bytes, tmp_path: Path) -> None:
    with Server(tmp_path, receive_timeout_s=1) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(begun)
            answer = b"".join(iter(lambda: client.recv(4_096), b""))
        assert answer.startswith(b"HTTP/1.1 408 ")
        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert (error["code"], "within 1 s" in error["message"]) == ("timeout", True)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as idle:
            assert idle.recv(4_096) == b""  # who asked nothing is told nothing
