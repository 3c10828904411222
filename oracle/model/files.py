"""The files of model folders: plain ones only, and there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from pathlib import Path

from oracle.errors import ArtifactCorrupt, must_be

ADVICE = "Train or fetch the artifact again."


def corrupt(field: str, rule: str, got: object, advice: str = ADVICE) -> ArtifactCorrupt:
    """Word the error of what cannot be as it was written."""
    return ArtifactCorrupt(must_be(field, rule, got, advice))


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a plain file; never a link, a pipe or a device, never more than the bound."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if not stat.S_ISREG(path.lstat().st_mode):
        raise corrupt(path.name, "a plain file", "a link, a folder or a device")
    handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):  # exchanged since
            raise corrupt(path.name, "a plain file", "something else")
        if status.st_size > max_bytes:
            raise corrupt(path.name, f"at most {max_bytes} bytes", status.st_size)
        # Room for the bound itself, 64 MiB, would be made with every other thread held up.
        return file.read(status.st_size)


def write_file(path: Path, data: bytes) -> None:
    """Write a new file down to the disk."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def move_into_place(temporary: Path, target: Path) -> None:
    """Rename; an existing folder steps aside first and comes back when that fails."""
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.old")
    exists = target.exists()
    if exists:
        target.rename(aside)
    try:
        temporary.rename(target)
    except BaseException:
        if exists:
            aside.rename(target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def remove_leftovers(target: Path) -> None:
    """Clear away what a killed writer of the same name left, and bring back what it moved."""
    for old in target.parent.glob(f".{target.name}.????????.old"):
        if not target.exists():
            old.rename(target)
        else:
            shutil.rmtree(old, ignore_errors=True)
    for temporary in target.parent.glob(f".{target.name}.????????.tmp"):
        shutil.rmtree(temporary, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last; not every system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
