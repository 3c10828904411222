"""T5, artifacts: a disk that fails at the N-th call leaves the old state, whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oracle.artifact import (
    Artifact,
    activate,
    active,
    list_artifacts,
    read_artifact,
    write_artifact,
)

#: More disk calls than any write here makes: the loops below end when no fault was reached.
MOST_CALLS = 200


class Disk:
    """Counts opens for writing, fsyncs and renames, and fails at the N-th."""

    def __init__(self, fail_at: int, number: int) -> None:
        self.calls, self.fail_at, self.number = 0, fail_at, number

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.fail_at:
                raise OSError(self.number, os.strerror(self.number))
            return call(*args, **kwargs)

        return counted


@contextmanager
def failing(fail_at: int, number: int) -> Iterator[Disk]:
    disk = Disk(fail_at, number)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.wrap(os.fsync))
        for name in ("mkdir", "rename", "replace"):
            patch.setattr(Path, name, disk.wrap(getattr(Path, name)))
        really_open = Path.open

        def open_(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
            file = really_open(self, mode, *args, **kwargs)
            if "x" in mode or "w" in mode:
                # A full disk takes the file's name and refuses its contents.
                file = Full(file, disk)
            return file

        patch.setattr(Path, "open", open_)
        yield disk


class Full:
    """A file whose write may be the N-th call."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.write = file, disk.wrap(file.write)

    def __enter__(self) -> Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORACLE_MODELS", str(tmp_path))
    return tmp_path


def whole(models: Path) -> dict[str, str]:
    """Digest of each artifact; every one there must be readable."""
    return {
        path.name: read_artifact(path).info.sha256
        for path in list_artifacts()
        if path.parent == models.resolve()
    }


@pytest.fixture
def rewrite(tmp_path_factory: pytest.TempPathFactory, write_stand_in: Callable[..., Any]) -> Any:
    """`rewrite(path, card)` writes the same model again, replacing what is there."""
    made = write_stand_in(tmp_path_factory.mktemp("source") / "model")

    def write(path: Path, card: str) -> Artifact:
        return write_artifact(
            path,
            made.manifest,
            forward=made.forward,
            step=made.step,
            calibration=made.calibration,
            golden=made.golden,
            card=card,
            replace=True,
        )

    return write


def outcome(call: Callable[[], object]) -> int | None:
    """The number of the OSError that `call` ends with, None where it ends well."""
    try:
        call()
    except OSError as error:
        return error.errno
    return None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("target", ["old", "new"])
def test_writing(models: Path, rewrite: Callable[..., Artifact], number: int, target: str) -> None:
    for n in range(1, MOST_CALLS):
        old = rewrite(models / "old", "old").info.sha256
        shutil.rmtree(models / "new", ignore_errors=True)
        with failing(n, number) as disk:
            failed = outcome(lambda: rewrite(models / target, "new"))
        state = whole(models)
        if failed is None:
            assert disk.calls < n
            assert state == {"old": old} | {target: read_artifact(models / target).info.sha256}
            assert read_artifact(models / target).card == "new"
            return
        assert failed == number
        # After the rename only the flush of the folder can fail: the new one is there, whole.
        assert state["old"] == old or (target == "old" and (models / "old").is_dir())
        assert not list(models.glob(".*.tmp"))
    pytest.fail("no end of disk calls")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_activating(models: Path, rewrite: Callable[..., Artifact], number: int) -> None:
    for name in ("old", "new"):
        rewrite(models / name, name)
    for n in range(1, MOST_CALLS):
        activate("old")
        with failing(n, number) as disk:
            failed = outcome(lambda: activate("new"))
        if failed is None:
            assert disk.calls < n
            assert active() == "new"
            return
        assert failed == number
        assert active() in ("old", "new")
        assert not list(models.glob(".active*"))
    pytest.fail("no end of disk calls")
