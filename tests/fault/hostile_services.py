"""Services that answer as no service should: what the hook and the client must bear in time."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from made_up import StandIn

from oracle.decision.policy import decide
from oracle.errors import OracleError
from oracle.types import History, Policy


def stop_at_once() -> Policy:
    """A policy that stops every healthy run here: what must not happen under a fault."""
    return Policy(threshold=1e-6, caution=1e-7, min_progress=0, min_checkpoints=1, control=0)


def respond(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def decision_for(request: bytes, **changes: Any) -> bytes:
    """Answer as the service would, with a stop, and something wrong about it."""
    sent = json.loads(request.partition(b"\r\n\r\n")[2])
    sent.pop("policy", None)
    history = History.parse(sent)
    decision = decide(history, StandIn().forecast(history), None, stop_at_once())
    return json.dumps({**json.loads(decision.model_dump_json()), **changes}).encode()


def forecast_for(request: bytes, **changes: Any) -> bytes:
    """Answer as the service would, with a stop, and something wrong about its forecast."""
    forecast = json.loads(decision_for(request))["forecast"]
    for name, value in changes.items():
        whole = {**forecast["final"], **value} if name == "final" and value else value
        forecast[name] = whole
    return respond(decision_for(request, forecast=forecast))


#: How long a service drips, seconds: longer than any deadline here, and it ends.
DRIP_S = 6.0


def drip(connection: socket.socket, request: bytes, after: int = 0) -> None:
    """Answer at once up to byte `after`, and a byte at a time from there."""
    answer = respond(decision_for(request))
    connection.sendall(answer[:after])
    until = time.monotonic() + DRIP_S
    for byte in answer[after:]:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)
        if time.monotonic() > until:
            return


def drip_body(connection: socket.socket, request: bytes) -> None:
    """Send the head at once, and the body a byte at a time."""
    head = respond(decision_for(request)).index(b"\r\n\r\n") + 4
    drip(connection, request, head)


def drip_chunks(connection: socket.socket, request: bytes) -> None:
    """Send a body in chunks, for ever."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    connection.sendall(head + b"\r\n\r\n")
    until = time.monotonic() + DRIP_S
    while time.monotonic() < until:
        connection.sendall(b"1\r\n \r\n")
        time.sleep(0.05)


def drip_interim(connection: socket.socket, request: bytes) -> None:
    """Say "go on" again and again, and never answer."""
    until = time.monotonic() + DRIP_S
    while time.monotonic() < until:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)


def flood(connection: socket.socket, request: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(10_000):  # a gigabyte, if anybody listens that long
        connection.sendall(b" " * 100_000)


SERVER_FAULTS: dict[str, Callable[[socket.socket, bytes], Any]] = {
    "closes": lambda c, r: None,
    "resets": lambda c, r: c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"),
    "silent": lambda c, r: c.recv(1),
    "drips": drip,
    "drips the body": drip_body,
    "drips chunks": drip_chunks,
    "drips interim answers": drip_interim,
    "http/2": lambda c, r: c.sendall(b"\0\0\6\4\0\0\0\0\0\0\3\0\0\0\x64" * 100),
    "no median": lambda c, r: c.sendall(forecast_for(r, levels=[0.1, 0.9])),
    "no levels": lambda c, r: c.sendall(forecast_for(r, levels=[])),
    "no finals": lambda c, r: c.sendall(forecast_for(r, final={})),
    "short finals": lambda c, r: c.sendall(forecast_for(r, final={"final_mqe": [0.1, 0.2]})),
    "negative finals": lambda c, r: c.sendall(forecast_for(r, final={"final_mqe": [-9.0] * 5})),
    "huge finals": lambda c, r: c.sendall(forecast_for(r, final={"final_mqe": [1e300] * 5})),
    "falling finals": lambda c, r: c.sendall(
        forecast_for(r, final={"final_mqe": [0.5, 0.4, 0.3, 0.2, 0.1]})
    ),
    "no ratio": lambda c, r: c.sendall(
        forecast_for(r, final={"final_topographic_error": [7.0] * 5})
    ),
    "no scores": lambda c, r: c.sendall(
        forecast_for(r, quality=[{"scale": "raw", "weights": [1.0, 1.0, 0.5], "values": []}])
    ),
    "floods": flood,
    "not http": lambda c, r: c.sendall(b"SSH-2.0-OpenSSH\r\n"),
    "endless header": lambda c, r: c.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000),
    "html": lambda c, r: c.sendall(respond(b"<html>", kind="text/html")),
    "html as json": lambda c, r: c.sendall(respond(b"<html>")),
    "empty": lambda c, r: c.sendall(respond(b"")),
    "cut": lambda c, r: c.sendall(respond(decision_for(r))[:-40]),
    "bad utf-8": lambda c, r: c.sendall(respond(b'{"action": "\xff\xfe"}')),
    "not a decision": lambda c, r: c.sendall(respond(b'{"action": "stop"}')),
    "nan": lambda c, r: c.sendall(respond(decision_for(r, p_good=float("nan")))),
    "unknown action": lambda c, r: c.sendall(respond(decision_for(r, action="explode"))),
    "another run": lambda c, r: c.sendall(respond(decision_for(r, run_id="another"))),
    "stale": lambda c, r: c.sendall(respond(decision_for(r, progress=0.001))),
    "deep": lambda c, r: c.sendall(respond(b"[" * 100_000)),
    "redirect": lambda c, r: c.sendall(respond(decision_for(r), "302 Found")),
    "400": lambda c, r: c.sendall(respond(b'{"error": {"message": "no"}}', "400 Bad Request")),
    "401": lambda c, r: c.sendall(respond(b"{}", "401 Unauthorized")),
    "404": lambda c, r: c.sendall(respond(b"nothing here", "404 Not Found", "text/plain")),
    "429": lambda c, r: c.sendall(respond(b"[]", "429 Too Many Requests")),
    "500": lambda c, r: c.sendall(respond(b'{"error": 1}', "500 Internal Server Error")),
    "503": lambda c, r: c.sendall(respond(b"", "503 Service Unavailable")),
}


def silent_handshake(connection: socket.socket) -> None:
    """Take a TLS client's greeting and say nothing."""
    connection.settimeout(DRIP_S)
    while connection.recv(65_536):
        pass


def drip_handshake(connection: socket.socket) -> None:
    """Begin a TLS record, and go on a byte at a time."""
    connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
    until = time.monotonic() + DRIP_S
    while time.monotonic() < until:
        connection.sendall(b"\0")
        time.sleep(0.05)


#: Faults before TLS is spoken.
HANDSHAKE_FAULTS = {"silent handshake": silent_handshake, "drips handshake": drip_handshake}


#: Given once a process: the hook remembers which address failed, whoever listens there later.
_PORTS: set[int] = set()


def _unused_port() -> socket.socket:
    """Listen on a port that no server of this process has had."""
    refused = []
    while True:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if port not in _PORTS:
            break
        refused.append(listening)
    for one in refused:
        one.close()
    _PORTS.add(port)
    return listening


class FaultyServer:
    """Accept connections, read one request after the other, and do what the fault does.

    Args:
        fault: with a connection whose request has been read.
        tls: speaks TLS by this context.
        handshake: done with a connection instead of all else.
    """

    def __init__(
        self,
        fault: Callable[[socket.socket, bytes], Any] = drip,
        *,
        tls: ssl.SSLContext | None = None,
        handshake: Callable[[socket.socket], None] | None = None,
    ) -> None:
        self.requests = 0
        self._fault, self._tls, self._handshake = fault, tls, handshake
        self._socket = _unused_port()
        scheme = "https" if tls or handshake else "http"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError, OracleError), connection:
            connection.settimeout(10)
            if self._handshake is not None:
                self._handshake(connection)
                return
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                self._exchange(connection)

    def _exchange(self, connection: socket.socket) -> None:
        request = b""
        while not _complete(request):
            request += (more := connection.recv(65_536))
            if not more:
                return
        self.requests += 1
        self._fault(connection, request)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _complete(request: bytes) -> bool:
    head, _, body = request.partition(b"\r\n\r\n")
    length = next(
        (int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-l")),
        None,
    )
    return length is not None and len(body) >= length


def certificate(folder: Path) -> Path | None:
    """Make a certificate of this machine and its key, in one file; None without OpenSSL."""
    if shutil.which("openssl") is None:
        return None
    file = folder / "localhost.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", folder / "certificate"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with file.open("a") as both:
        both.write((folder / "certificate").read_text())
    return file
