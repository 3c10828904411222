"""A lock on a file between processes, that a halted one cannot hold up a training with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: How long another holder is waited for, seconds: one that was halted must not halt a training.
WAIT_S = 0.2


@contextmanager
def locked(descriptor: int, *, alone: bool) -> Iterator[None]:
    """Hold the file's lock, alone or with others, until the descriptor is closed.

    Without it (no such lock here, or a holder that was halted) the block runs all the same.
    """
    if fcntl is not None:
        how = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(descriptor, how)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.001)
                    continue
            except OSError:  # a file system without locks
                pass
            break
    yield
