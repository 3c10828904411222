"""Decisions written through to a tracker: what it gets, and that nothing of it harms a run."""

from __future__ import annotations

from typing import Any

import pytest
from made_up import StandIn
from watching import bad, good

from oracle.errors import OracleWarning
from oracle.hook import WatchedRun, watch
from oracle.integrations.tracking import FAILURES, track


class Kept:
    """A tracker as W&B's run is one."""

    def __init__(self) -> None:
        self.logged: list[dict[str, float]] = []
        self.config = Config()

    def log(self, values: dict[str, float]) -> None:
        self.logged.append(values)


class Config:
    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def update(self, values: dict[str, Any], *, allow_val_change: bool = False) -> None:
        assert allow_val_change
        self.said.append(values)


def watched() -> WatchedRun:
    return watch(total_epochs=10, model=StandIn(), control=0, run_id="mine")


def test_numbers_and_words_of_each_decision() -> None:
    kept = Kept()
    with track(watched(), kept) as run:
        good(run, 1)
        bad(run, 2)
    first, last = kept.logged
    assert (first["oracle/epoch"], last["oracle/epoch"]) == (1, 2)
    assert last["oracle/progress"] == pytest.approx(0.2)
    assert run.decision is not None
    forecast = run.decision.forecast
    assert forecast is not None
    assert last["oracle/final_mqe"] == forecast.median("final_mqe")
    assert last["oracle/support"] == forecast.support
    assert "oracle/p_good" not in last  # the threshold rule has none
    first_words, told, ended = kept.config.said
    assert (first_words["oracle.action"], first_words["oracle.state"]) == ("abstain", "live")
    assert (told["oracle.action"], told["oracle.reason"]) == ("stop", "above_threshold")
    assert told["oracle.message"] == run.decision.message
    assert (ended["oracle.state"], ended["oracle.run_id"]) == ("stopped", "mine")


def test_a_dict_is_a_config() -> None:
    kept = Kept()
    kept.config = {}  # type: ignore[assignment]
    with track(watched(), kept) as run:
        good(run, 1)
    assert kept.config["oracle.state"] == run.state == "left"  # type: ignore[index]


def test_a_decision_is_written_once() -> None:
    kept = Kept()
    run = track(watch(total_epochs=1000, model=StandIn(), check_every=0.5), kept)
    for epoch in range(1, 10):
        good(run, epoch)
    run.finish()
    assert len(kept.logged) == 1


class Away(Kept):
    """A tracker whose server is away."""

    asked = 0

    def log(self, values: dict[str, float]) -> None:
        self.asked += 1
        raise ConnectionError("no route")


def test_a_tracker_that_fails_is_told_once_and_left_alone() -> None:
    away = Away()
    run = track(watched(), away)
    with pytest.warns(OracleWarning, match="could not tell who follows the run: ConnectionError"):
        good(run, 1)
    for epoch in range(2, 10):
        good(run, epoch)
    run.finish()
    assert away.asked == run.problems.counts["follower"] == FAILURES
    assert run.state == "left"
