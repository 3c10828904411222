"""Alerts are posted to one address: signed, once each, tried again, never where they should not go.

The address is looked up before each try, and the connection goes to what was found and checked: a
name that answers otherwise the second time changes nothing. Redirects are not followed.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

log = logging.getLogger("oracle.webhook")

#: Tries of one message, s between them, and s that one may take from its beginning to its end.
PAUSES = (1.0, 5.0, 25.0)
LONGEST_S = 10.0
#: Messages that wait; beyond it the oldest are dropped.
MOST_WAITING = 200


class Refused(Exception):
    """An address that is not posted to, or an answer that says no: trying again is no use."""


class Webhook:
    """Posts messages in a thread of its own.

    Args:
        url: http or https.
        secret: signs each body; empty = not signed.
        private: whether private addresses may be posted to.
        pauses: s to wait before each further try.
    """

    def __init__(
        self, url: str, secret: str = "", *, private: bool = False, pauses: Sequence[float] = PAUSES
    ) -> None:
        self._url, self._secret, self._private, self._pauses = url, secret, private, pauses
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="oracle-webhook", daemon=True)
        self.sent = self.failed = 0

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    def stop(self) -> None:
        """Post no more; what is under way is left to itself, what waits is dropped."""
        self._stopping.set()

    def post(self, message: dict[str, Any]) -> None:
        """Have a message posted; the oldest one gives way where too many wait."""
        while True:
            try:
                self._waiting.put_nowait(message)
            except queue.Full:
                with suppress(queue.Empty):
                    self._waiting.get_nowait()
                    self.failed += 1
            else:
                return

    def _work(self) -> None:
        while not self._stopping.is_set():
            with suppress(queue.Empty):
                self._deliver(self._waiting.get(timeout=0.5))

    def _deliver(self, message: dict[str, Any]) -> None:
        body = json.dumps(message, separators=(",", ":")).encode()
        for pause in (0.0, *self._pauses):
            if self._stopping.wait(pause):
                return
            try:
                send(self._url, body, self._secret, private=self._private)
            except Refused as error:
                log.warning("webhook refused", extra={"problem": str(error)})
                break
            except (OSError, http.client.HTTPException) as error:
                log.warning("webhook failed", extra={"problem": type(error).__name__})
            else:
                self.sent += 1
                return
        self.failed += 1


def signature(secret: str, at: int, body: bytes) -> str:
    """Sign a body with its time, as the header X-Oracle-Signature has it.

    >>> signature("s", 1, b"{}")[:17]
    't=1,v1=b253639bcd'
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def addresses(host: str, port: int, *, private: bool) -> list[tuple[Any, ...]]:
    """Look an address up; gives what may be connected to.

    Raises:
        Refused: one of them is private, and these are not allowed.
        OSError: there is none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, where in found:
        address = ipaddress.ip_address(str(where[0]).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if not (private or mapped.is_global) or mapped.is_multicast:
            rule = "the webhook leads to a private address, and ORACLE_WEBHOOK_PRIVATE is not set"
            raise Refused(rule)
    return list(found)


def send(url: str, body: bytes, secret: str, *, private: bool) -> None:
    """Post once.

    Raises:
        Refused: a private address, a redirect, or an answer 4xx other than 408 and 429.
        OSError: no connection, or no answer within LONGEST_S.
    """
    to = urlsplit(url)
    host, secure = to.hostname or "", to.scheme == "https"
    port = to.port or (443 if secure else 80)
    connection = _Connection(host, port, secure, addresses(host, port, private=private))
    path = (to.path or "/") + (f"?{to.query}" if to.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "som-oracle-webhook"}
    if secret:
        headers["X-Oracle-Signature"] = signature(secret, int(time.time()), body)
    # A receiver that answers a byte now and then would hold the thread for ever.
    timer = threading.Timer(LONGEST_S, connection.cut)
    timer.daemon = True
    timer.start()
    try:
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    finally:
        timer.cancel()
        connection.close()
    if 300 <= status < 400:
        raise Refused(f"the webhook answered {status}: redirects are not followed")
    if 400 <= status < 500 and status not in (408, 429):
        raise Refused(f"the webhook answered {status}")
    if status >= 300:
        raise ConnectionError(f"the webhook answered {status}")


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that were looked up before."""

    def __init__(
        self, host: str, port: int, secure: bool, found: Sequence[tuple[Any, ...]]
    ) -> None:
        super().__init__(host, port, timeout=LONGEST_S / 2)
        self.default_port = 443 if secure else 80
        self._secure, self._found = secure, found

    def connect(self) -> None:
        """Connect to the first that answers."""
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, where in self._found:
            line = socket.socket(family, kind, protocol)
            line.settimeout(self.timeout)
            try:
                line.connect(where)
                if self._secure:
                    context = ssl.create_default_context()
                    line = context.wrap_socket(line, server_hostname=self.host)
            except OSError as error:
                line.close()
                problem = error
            else:
                self.sock = line
                return
        raise problem

    def cut(self) -> None:
        """End it from another thread."""
        line = self.sock
        if line is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class News:
    """Which alerts are new: each is told once as long as it lasts.

    Args:
        post: what a new one is told to.
    """

    def __init__(self, post: Callable[[dict[str, Any]], None]) -> None:
        self._post = post
        self._told: dict[tuple[str, str], set[str]] = {}

    def tell(
        self, owner: str, population: str, found: Sequence[Any], *, began: bool = False
    ) -> int:
        """Post what is new of a population; gives how many were.

        Args:
            owner, population: whose.
            found: its alerts now.
            began: since the service started; of others nothing is new at the first look.
        """
        keys = {one.key for one in found}
        known = self._told.get((owner, population), set() if began else None)
        self._told[owner, population] = keys
        if known is None:
            return 0
        new = [one for one in found if one.key not in known]
        for one in new:
            told = {"population": population, "owner": owner, **one.model_dump(mode="json")}
            self._post({"event": "alert", "at": time.time(), **told})
        return len(new)
