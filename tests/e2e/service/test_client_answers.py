"""Whatever answers the client, or does not, its caller sees the exceptions of `oracle.errors`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest
from serving import HISTORY, Server, checkpoint

from oracle.client import Client
from oracle.errors import InvalidHistory, OracleError, StoreUnavailable
from oracle.exchange import as_json
from oracle.types import History

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}


class Stranger(BaseHTTPRequestHandler):
    """Not the service, whatever it is asked."""

    status, headers_, body = 200, HTML, b"<html>Sign in</html>"
    asked = 0

    def do_GET(self) -> None:
        """Answer as told."""
        type(self).asked += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        for name, value in (*self.headers_.items(), ("Content-Length", str(len(self.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        """Answer as told."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[tuple[type[Stranger], str]]:
    """Serve on a free port of this machine; its class says what is answered."""
    kind = type("One", (Stranger,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as listening:
        Thread(target=listening.serve_forever, daemon=True).start()
        yield kind, f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"", b"[]", b'{"models": 7}', b"\xff"])
def test_an_answer_of_something_else_is_no_answer(
    stranger: tuple[type[Stranger], str], body: bytes
) -> None:
    kind, url = stranger
    kind.body = body
    history = History.parse(HISTORY)
    with Client(url) as client:
        with pytest.raises(StoreUnavailable, match=r"no ModelsAnswer of this version.*the url"):
            client.models()
        with pytest.raises(StoreUnavailable, match="no BatchAnswer"):
            client.decide_batch([history])
        with pytest.raises(StoreUnavailable, match="no RunList"):
            next(client.runs())


def test_an_answer_that_is_packed_otherwise_than_said_is_none(
    stranger: tuple[type[Stranger], str],
) -> None:
    kind, url = stranger
    kind.headers_ = {**JSON, "Content-Encoding": "gzip"}
    with Client(url, attempts=1) as client:
        with pytest.raises(StoreUnavailable):
            client.models()
        with pytest.raises(StoreUnavailable):
            next(client.events())


def test_a_pause_that_is_a_date_is_a_short_one(stranger: tuple[type[Stranger], str]) -> None:
    kind, url = stranger
    for asked in ("Fri, 31 Dec 2027 23:59:59 GMT", "nan", "-5", "soon"):
        kind.asked, kind.status = 0, 503
        kind.headers_ = {**JSON, "Retry-After": asked}
        began = time.monotonic()
        with Client(url, attempts=2) as client, pytest.raises(OracleError, match="answered 503"):
            client.models()
        assert kind.asked == 2
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("error", [{"code": ["a"], "message": "m"}, {"code": {}, "message": 7}, 3])
def test_a_refusal_of_any_form_is_a_refusal(
    stranger: tuple[type[Stranger], str], error: Any
) -> None:
    kind, url = stranger
    kind.status, kind.headers_, kind.body = 422, JSON, json.dumps({"error": error}).encode()
    with Client(url) as client, pytest.raises(OracleError):
        client.models()


@pytest.mark.parametrize("line", [b"id: x\n", b'id: 1\ndata: {"a\n', b"id: 1\ndata: 7\n"])
def test_events_of_something_else_break_off(
    stranger: tuple[type[Stranger], str], line: bytes
) -> None:
    kind, url = stranger
    kind.headers_, kind.body = {"Content-Type": "text/event-stream"}, line
    with Client(url) as client, pytest.raises(StoreUnavailable, match="The events broke off"):
        next(client.events())


def test_events_where_nobody_listens() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(StoreUnavailable):
        next(client.events())


def test_what_is_no_json_is_named_before_it_is_sent() -> None:
    assert as_json({"a": [1, 2.5], "b": "\u00e9"}) == b'{"a":[1,2.5],"b":"\xc3\xa9"}'
    with Client("http://127.0.0.1:9", attempts=1) as client:
        for value in (float("nan"), np.float64("inf"), object(), np.zeros(2)):
            with pytest.raises(InvalidHistory, match="`final_mqe` must be of finite numbers"):
                client.finish("r", final_mqe=value)  # type: ignore[arg-type]
        with pytest.raises(InvalidHistory, match="`by` must be of finite numbers, texts"):
            client.keep("r", by="\ud800")


def test_numbers_of_numpy_are_numbers(server: Server) -> None:
    with Client(server.url) as client:
        client.append("numpy", History.parse(checkpoint(100, total_epochs=100)))
        assert client.finish("numpy", final_mqe=np.float32(0.5)).state == "finished"  # type: ignore[arg-type]
        assert client.run("numpy").history.epochs == (100,)
        assert client.replay("numpy", np.float64(100)).inputs.exact
