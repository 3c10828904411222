"""A clock that jumps costs time, never runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from inprocess import App
from serving import body, checkpoint

from oracle.server import service
from oracle.server.retention import PATIENCE_S, TOLERANCE_S, BelievedClock

DAY_S = 86_400.0


class Times:
    """A clock that is set, and the time that passes."""

    def __init__(self, newest: float | None = 1_000.0) -> None:
        self.wall, self.passed = 1_000.0, 50.0
        self.clock = BelievedClock(newest, lambda: self.wall, lambda: self.passed)

    def after(self, seconds: float, *, set_by: float = 0.0) -> float:
        """Let time pass, and set the clock; returns what is believed."""
        self.passed += seconds
        self.wall += seconds + set_by
        return self.clock.now()


def test_a_clock_that_nobody_sets_is_believed() -> None:
    times = Times()
    assert times.after(60) == 1_060
    assert times.after(40 * DAY_S) == times.wall
    assert times.after(60, set_by=TOLERANCE_S - 1) == times.wall


def test_a_clock_that_is_set_forward_and_back_costs_nothing() -> None:
    times = Times()
    assert times.after(60, set_by=40 * DAY_S) == 1_060
    assert times.after(60) == 1_120
    assert times.after(60, set_by=-40 * DAY_S) == 1_180 == times.wall


def test_one_that_stays_so_is_believed_in_the_end() -> None:
    times = Times()
    assert times.after(60, set_by=40 * DAY_S) == 1_060
    assert times.after(PATIENCE_S - 1) < DAY_S
    assert times.after(2) == times.wall
    assert times.after(60) == times.wall


def test_each_jump_begins_the_doubt_anew() -> None:
    times = Times()
    times.after(0, set_by=DAY_S)
    times.after(PATIENCE_S - 1, set_by=DAY_S)
    assert times.after(PATIENCE_S - 1) < DAY_S
    assert times.after(2) == times.wall


def test_one_that_is_set_back_is_believed_at_once() -> None:
    times = Times()
    assert times.after(60, set_by=-500) == 560
    assert times.after(60) == 620


def test_a_service_that_was_away_waits_before_it_believes() -> None:
    """What is stored may be old, or the clock wrong: for an hour nothing is deleted."""
    times = Times(newest=1_000.0 - 40 * DAY_S)
    assert times.after(60) == 1_060 - 40 * DAY_S
    assert times.after(PATIENCE_S) == times.wall
    assert Times(newest=None).after(60) == 1_060


def test_a_housekeeping_that_fails_once_is_done_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(service, "HOUSEKEEPING_S", 0.01)
    failing, prune = [OverflowError("odd")] * 2, service.prune

    def fails_twice(*args: object) -> None:
        if failing:
            raise failing.pop()
        prune(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(service, "prune", fails_twice)
    with App(tmp_path, retention_days=1e-9) as app:
        app.run(app.call("POST", "/v1/runs/r/checkpoints", body(checkpoint(10))))

        async def gone() -> int:
            for _ in range(500):
                status = (await app.call("GET", "/v1/runs/r")).status
                if status == 404:
                    return status
                await asyncio.sleep(0.01)
            return status

        assert app.run(gone()) == 404
    # What fails among others is written once more, alone.
    assert capfd.readouterr().err.count("housekeeping failed; it is tried again") == 1
