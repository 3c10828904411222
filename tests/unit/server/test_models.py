"""The model in use: exchanged, refused, tried again, whatever the clock says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from serving import copy_model

from oracle.server.http.telemetry import Telemetry
from oracle.server.models import ModelKeeper
from oracle.server.settings import Settings


@pytest.mark.parametrize("step_s", [-3_600.0, 40 * 86_400.0])
def test_a_refused_model_is_tried_again_in_time_although_the_clock_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    folder = tmp_path / "model"
    keeper = ModelKeeper(Settings(model=str(folder)), Telemetry())
    passed = time.monotonic()
    monkeypatch.setattr("oracle.server.models.time.monotonic", lambda: passed)
    keeper.look()
    refused = keeper.failure()
    assert refused is not None
    now = time.time()
    monkeypatch.setattr("oracle.server.models.time.time", lambda: now + step_s)
    copy_model(folder)
    passed += 0.5
    keeper.look()  # its mark is another one, so it is tried at once
    assert keeper.oracle is not None
    (folder / "manifest.json").write_text("{")
    keeper.look()
    first = keeper.failure()
    assert first is not None
    assert first.next_try_at > first.since
    keeper.look()
    assert keeper.failure() == first  # not yet
    copied = tmp_path / "other"
    copy_model(copied)
    passed += 1.5
    keeper.look()
    again = keeper.failure()
    assert again is not None
    assert again.since == first.since
    assert again.next_try_at != first.next_try_at
