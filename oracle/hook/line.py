"""A connection to the service that can be cut from another thread, whatever its reader waits for.

`close` cannot do it: the parts of `http.client` close by way of a lock that the reading thread
holds, and a socket that is closed under a reader leaves it waiting. A shutdown wakes it.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import suppress
from typing import Any


class Line:
    """One connection, opened by the thread that uses it, cut by the one that waits for it.

    Args:
        host, port: where the service is; port None = the scheme's.
        secure: TLS.
        timeout_s: of every single operation; all of them together are the caller's to bound.
    """

    def __init__(self, host: str, port: int | None, secure: bool, timeout_s: float) -> None:
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self.http = kind(host, port, timeout=timeout_s)
        # The one place where http.client makes a socket, before TLS takes it over.
        self.http._create_connection = self._connect  # type: ignore[attr-defined]
        self._handle: socket.socket | None = None
        self._cut = threading.Event()

    def close(self) -> None:
        """Close it, from the thread that uses it."""
        with suppress(OSError):
            self.http.close()
        self._let_go()

    def __del__(self) -> None:
        """A run that nobody ends leaves no socket open until the collector finds its pieces."""
        with suppress(Exception):
            self.close()

    @property
    def is_open(self) -> bool:
        """Whether it serves another request."""
        return self.http.sock is not None and not self._cut.is_set()

    def cut(self) -> None:
        """End it, from any thread and at once: who reads or writes gets an error, and closes it."""
        self._cut.set()
        handle = self._handle  # it may be let go of meanwhile
        if handle is not None:
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def _connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """Open a socket to the first address that answers, all of them within one time."""
        self._let_go()  # of one that the server has closed
        until = time.monotonic() + float(self.http.timeout or 0.0)
        error: OSError = TimeoutError(f"{address[0]} did not answer in time")
        for family, kind, protocol, _name, place in socket.getaddrinfo(
            *address, type=socket.SOCK_STREAM
        ):
            left_s = until - time.monotonic()
            if self._cut.is_set() or left_s <= 0:
                break
            opened = socket.socket(family, kind, protocol)
            try:
                opened.settimeout(left_s)
                opened.connect(place)
                opened.settimeout(self.http.timeout)
                # The same connection under a number of its own, which TLS does not take away.
                self._handle = opened.dup()
            except OSError as failed:
                opened.close()
                error = failed
                continue
            if self._cut.is_set():  # meanwhile
                self.cut()
            return opened
        raise error

    def _let_go(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()
