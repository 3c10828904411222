"""A disk that fails at the N-th call: the faults of T5 inside this process."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

#: What fails, and whether it stays so: a full disk does, a bad sector comes once.
FAULTS = {"no space": (errno.ENOSPC, True), "I/O error": (errno.EIO, False)}


class Disk:
    """Counts writes, fsyncs, renames and new folders, and fails from or at the N-th.

    Args:
        fail_at: number of the first call that fails, from 1 on.
        number: errno of the failure.
        stays: whether every later call fails, too.
    """

    def __init__(self, fail_at: int, number: int, *, stays: bool) -> None:
        self.calls, self.fail_at, self.number, self.stays = 0, fail_at, number, stays

    @property
    def reached(self) -> bool:
        """Whether anything failed."""
        return self.calls >= self.fail_at

    def count(self) -> bool:
        """Count one call; says whether it fails."""
        self.calls += 1
        return self.calls == self.fail_at or (self.stays and self.reached)

    def use(self, *, needs_space: bool = True) -> None:
        """Count one call; raises where it fails. A full disk still takes another name."""
        if self.count() and (needs_space or self.calls == self.fail_at):
            raise OSError(self.number, os.strerror(self.number))


class _File(io.FileIO):
    """A file that takes half of what comes with the call that fails."""

    def __init__(self, path: Path, mode: str, disk: Disk) -> None:
        super().__init__(path, mode)
        self.disk = disk

    def write(self, data: Any) -> int:
        try:
            self.disk.use()
        except OSError:
            super().write(bytes(data)[: len(data) // 2])
            raise
        return super().write(data)


@contextmanager
def failing(fail_at: int, fault: str) -> Iterator[Disk]:
    """Let the disk fail at its N-th call, by a name of `FAULTS`."""
    number, stays = FAULTS[fault]
    disk = Disk(fail_at, number, stays=stays)
    really_open = Path.open

    def open_(self: Path, mode: str = "r", buffering: int = -1, *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wxa"):
            return really_open(self, mode, buffering, *args, **kwargs)
        raw = _File(self, mode.replace("b", "").replace("t", ""), disk)
        file = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return file if "b" in mode else io.TextIOWrapper(file, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _counted(os.fsync, disk))
        patch.setattr(Path, "mkdir", _counted(Path.mkdir, disk))
        for name in ("rename", "replace"):
            patch.setattr(Path, name, _counted(getattr(Path, name), disk, needs_space=False))
        patch.setattr(Path, "open", open_)
        yield disk


def _counted(
    call: Callable[..., Any], disk: Disk, *, needs_space: bool = True
) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        disk.use(needs_space=needs_space)
        return call(*args, **kwargs)

    return counted


def outcome(call: Callable[[], object]) -> Exception | None:
    """What `call` ends with, None where it ends well."""
    try:
        call()
    except Exception as error:
        return error
    return None
