"""A circuit breaker: what keeps failing is left alone for a while, so that it costs nothing."""

from __future__ import annotations

import time

from oracle.forks import Lock

#: Failures in a row that open a circuit.
FAILURES = 3
#: How long an open circuit refuses, seconds; then one attempt is let through.
OPEN_S = 30.0


class Circuit:
    """Count failures of one resource; open after FAILURES in a row, for OPEN_S seconds."""

    def __init__(self, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        self._limit, self._open_s = failures, open_s
        self._failed, self._until = 0, 0.0
        self._lock = Lock()

    def closed(self) -> bool:
        """Tell whether an attempt may be made now; of several threads one probes an open one."""
        with self._lock:
            if self._failed < self._limit:
                return True
            if time.monotonic() < self._until:
                return False
            self._until = time.monotonic() + self._open_s
            return True

    def succeeded(self) -> None:
        """Close the circuit."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """Count a failure; the last one allowed opens the circuit."""
        with self._lock:
            self._failed += 1
            self._until = time.monotonic() + self._open_s


_circuits: dict[str, Circuit] = {}
_lock = Lock()


def circuit_of(resource: str) -> Circuit:
    """Give the one circuit of a resource in this process: a search has many runs, one server."""
    with _lock:
        return _circuits.setdefault(resource, Circuit())
