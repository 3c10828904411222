"""One deadline over a whole request of httpx, which bounds every single operation alone.

A service that drips a byte a second answers each read in time, and holds its client for ever.
httpx says nothing of its reads between the parts of an answer, so the deadline is asked where they
are made: in the network of its connection pools.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

import httpx

#: Bytes written at once.
PIECE = 65_536


class Deadline:
    """The deadline of the request that each thread makes now.

    Args:
        client: whose requests are bounded from now on, `within` a deadline.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._mine = local()
        for transport in (client._transport, *client._mounts.values()):
            pool = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Network(pool._network_backend, self)

    @contextmanager
    def within(self, timeout_s: float) -> Iterator[None]:
        """Bound what this thread asks for in the block, all of it together."""
        self._mine.until = time.monotonic() + timeout_s
        try:
            yield
        finally:
            self._mine.until = None

    def left(self, timeout_s: float | None) -> float | None:
        """Seconds that one operation may take.

        Raises:
            httpx.ReadTimeout: the deadline has passed.
        """
        until: float | None = getattr(self._mine, "until", None)
        if until is None:
            return timeout_s
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise httpx.ReadTimeout("no whole answer within the deadline")
        return left_s if timeout_s is None else min(left_s, timeout_s)


class _Bounded:
    """What an object of httpcore does, each operation within what is left of the deadline."""

    def __init__(self, inner: Any, deadline: Deadline) -> None:
        self._inner, self._deadline = inner, deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Network(_Bounded):
    """Opens connections."""

    def connect_tcp(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        left_s = self._deadline.left(timeout)
        stream = self._inner.connect_tcp(*args, timeout=left_s, **kwargs)
        return _Stream(stream, self._deadline)


class _Stream(_Bounded):
    """A connection."""

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._inner.read(max_bytes, timeout=self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # A piece at a time, for a reader may drip as well.
        for at in range(0, len(buffer), PIECE):
            self._inner.write(buffer[at : at + PIECE], timeout=self._deadline.left(timeout))

    def start_tls(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
        left_s = self._deadline.left(timeout)
        stream = self._inner.start_tls(*args, timeout=left_s, **kwargs)
        return _Stream(stream, self._deadline)
