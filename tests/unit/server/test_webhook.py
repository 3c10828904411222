"""Alerts go out: signed, once, tried again, never to where they should not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serving import until

from oracle.audit.alerts import Alert
from oracle.server.searches import webhook
from oracle.server.searches.webhook import News, Refused, Webhook, addresses, send, signature


class Receiver(ThreadingHTTPServer):
    """What posts come to; answers `answers` one after the other, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook?x=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers.items()), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", self.server.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        thread = threading.Thread(target=opened.serve_forever)
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def test_it_is_signed_and_tried_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    sender = Webhook(receiver.url, "secret", private=True, pauses=(0.0, 0.0, 0.0))
    sender.start()
    sender.post({"event": "alert"})
    until(lambda: sender.sent, 20, "a delivery")
    sender.stop()
    assert len(receiver.got) == 3
    path, headers, body = receiver.got[-1]
    assert path == "/hook?x=1"
    at = int(headers["X-Oracle-Signature"].split(",")[0].removeprefix("t="))
    assert headers["X-Oracle-Signature"] == signature("secret", at, body)
    assert json.loads(body) == {"event": "alert"}


@pytest.mark.parametrize("status", [302, 404])
def test_a_redirect_and_a_refusal_are_not_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers = [status] * 4
    with pytest.raises(Refused):
        send(receiver.url, b"{}", "", private=True)
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "169.254.169.254", "::1",
     "::ffff:127.0.0.1", "0.0.0.0", "224.0.0.1"],
)  # fmt: skip
def test_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(Refused, match="private"):
        addresses(host, 80, private=False)


def test_a_receiver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "LONGEST_S", 0.2)
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        with pytest.raises(OSError):  # noqa: PT011 (whichever end of it notices first)
            send(f"http://127.0.0.1:{line.getsockname()[1]}/", b"{}", "", private=True)


def test_too_many_that_wait_give_way() -> None:
    sender = Webhook("http://127.0.0.1:9/", private=True)
    for i in range(webhook.MOST_WAITING + 5):
        sender.post({"i": i})
    assert sender.failed == 5


def test_news_is_told_once() -> None:
    told: list[dict[str, object]] = []
    news = News(told.append)

    def alert(key: str) -> Alert:
        return Alert(key=key, kind="silent", level="look", title="", sentence="", advice="")

    assert news.tell("", "p", [alert("a")]) == 0  # what was there before
    assert news.tell("", "p", [alert("a"), alert("b")]) == 1
    assert news.tell("", "p", [alert("b")]) == 0
    assert news.tell("", "p", [alert("a"), alert("b")]) == 1  # it came back
    assert news.tell("", "new", [alert("c")], began=True) == 1  # it began while this was running
    assert news.tell("", "new", [alert("c"), alert("d")], began=True) == 1
    assert [one["key"] for one in told] == ["b", "a", "c", "d"]
