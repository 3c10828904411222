"""T7: a damaged folder is refused, every time; the old one keeps answering.

`ORACLE_FAULTS=125000 pytest tests/fault/test_artifact_damage.py` is the long form.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.errors import ArtifactError
from oracle.model.artifact import activate, active, read_artifact
from oracle.model.runtime import open_artifact

#: Damages tried; none of n accepted bounds the rate at 3 / n with 95 % confidence.
FAULTS = int(os.environ.get("ORACLE_FAULTS", "2000"))
SEED = 20260101


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(data)
    damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(damaged)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data))]


def grow(data: bytes, rng: np.random.Generator) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 20)))


def zero(data: bytes, rng: np.random.Generator) -> bytes:
    """A block that was never written, as after a power cut."""
    at, size = int(rng.integers(len(data))), 512
    damaged = data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
    return damaged if damaged != data else flip(data, rng)


def shuffle(data: bytes, rng: np.random.Generator) -> bytes:
    """Two blocks in each other's place."""
    middle = int(rng.integers(1, len(data)))
    damaged = data[middle:] + data[:middle]
    return damaged if damaged != data else flip(data, rng)


DAMAGES = (flip, cut, grow, zero, shuffle)


def test_every_damage_is_refused(tmp_path: Path, write_stand_in: Callable[..., Any]) -> None:
    artifact = write_stand_in(tmp_path / "model")
    session = open_artifact(artifact)
    cases = [np.asarray(rows, np.float32) for rows in artifact.golden.sequence]
    answers = session.run_many(cases)
    files = {path: path.read_bytes() for path in sorted(artifact.path.iterdir())}
    rng = np.random.default_rng(SEED)
    accepted, longest = [], 0
    for i in range(FAULTS):
        path = list(files)[i % len(files)]
        damage = DAMAGES[(i // len(files)) % len(DAMAGES)]
        path.write_bytes(damage(files[path], rng))
        try:
            read_artifact(artifact.path)
            accepted.append((i, path.name, damage.__name__))
        except ArtifactError as error:
            longest = max(longest, len(str(error)))
        path.write_bytes(files[path])
    assert accepted == [], f"seed {SEED}"
    assert longest < 600
    assert read_artifact(artifact.path) == artifact
    assert (session.run_many(cases) == answers).all()


def test_missing_and_swapped_files_are_refused(
    tmp_path: Path, write_stand_in: Callable[..., Any]
) -> None:
    one, two = (
        write_stand_in(tmp_path / f"m{i}", seed=i, name=f"m{i}", calibration={"number": i})
        for i in range(2)
    )
    names = sorted(path.name for path in one.path.iterdir())
    for name in names:
        folder = shutil.copytree(one.path, tmp_path / "copy")
        (folder / name).unlink()
        with pytest.raises(ArtifactError):
            read_artifact(folder)
        if name != "card.md":  # the same text in both
            shutil.copy(two.path / name, folder / name)
            with pytest.raises(ArtifactError):
                read_artifact(folder)
        for other in names:
            if other != name:
                shutil.copy(one.path / other, folder / name)
                with pytest.raises(ArtifactError):
                    read_artifact(folder)
        shutil.rmtree(folder)


def test_a_damaged_model_cannot_be_activated(
    tmp_path: Path, write_stand_in: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORACLE_MODELS", str(tmp_path))
    write_stand_in(tmp_path / "old")
    new = write_stand_in(tmp_path / "new", seed=1)
    activate("old")
    weights = new.path / "weights.f32"
    weights.write_bytes(flip(weights.read_bytes(), np.random.default_rng(SEED)))
    with pytest.raises(ArtifactError):
        activate("new")
    assert active() == "old"
