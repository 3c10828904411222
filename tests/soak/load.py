"""Clients of the load checks: plain sockets, so that they cost little beside the server."""

from __future__ import annotations

import http.client
import math
import threading
import time
from dataclasses import dataclass, field

from serving import HISTORY, JSON_HEADERS, body

REQUEST = body(HISTORY)


@dataclass
class Seen:
    """What clients were answered."""

    statuses: dict[int, int] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    took_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, more: Seen) -> None:
        """Count what was seen later, too."""
        for status, count in more.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.models |= more.models
        self.took_s += more.took_s
        self.problems += more.problems

    def quantile_s(self, level: float, errors: float = 0.0) -> float:
        """A quantile of the time of an answer, or one end of its interval.

        Args:
            level: 0.99 for the 99th percentile.
            errors: so many standard errors of its rank beyond it; 2 and -2 make an interval that
                holds the true one with 95 %, however the times are distributed.
        """
        ordered, n = sorted(self.took_s), len(self.took_s)
        rank = level * n + errors * math.sqrt(level * (1 - level) * n)
        return ordered[min(max(int(rank), 0), n - 1)] if ordered else 0.0


class Clients:
    """Threads that post the same forecast again and again over kept connections."""

    def __init__(self, port: int, n: int, *, reconnect: bool = False) -> None:
        self.port, self.reconnect = port, reconnect
        self.seen = Seen()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def begin_again(self) -> Seen:
        """Give what was seen so far and start with nothing."""
        with self._lock:
            seen, self.seen = self.seen, Seen()
        return seen

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self._stop.is_set():
            began = time.perf_counter()
            try:
                connection.request("POST", "/v1/forecast", REQUEST, JSON_HEADERS)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                with self._lock:
                    self.seen.problems.append(repr(error))
                continue
            took = time.perf_counter() - began
            with self._lock:
                seen = self.seen
                seen.statuses[answer.status] = seen.statuses.get(answer.status, 0) + 1
                if answer.status == 200:
                    seen.took_s.append(took)
                    start = content.index(b'"sha256":"') + 10
                    seen.models.add(content[start : start + 64].decode())
                elif answer.status != 503 or not answer.headers.get("Retry-After"):
                    seen.problems.append(f"{answer.status} {content[:200]!r}")
            if self.reconnect:
                connection.close()
        connection.close()
