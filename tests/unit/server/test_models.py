"""The model in use: exchanged, refused, tried again, taken back where it begins to fail."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from serving import copy_model
from small_model import edit_json, reseal

from oracle import Oracle
from oracle.model.artifact import resolve
from oracle.server.http.telemetry import Telemetry
from oracle.server.models import FAILURES, ModelKeeper
from oracle.server.settings import Settings
from oracle.types import Forecast, History

HISTORIES = [
    History(
        epochs=(10, 50, 100), mqe=(0.4 + i / 100, 0.3, 0.25), topographic_error=(0.1, 0.09, 0.08),
        dead_neuron_ratio=(0.2, 0.15, 0.12), total_epochs=1000.0,
    )
    for i in range(4)
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(resolve("lite"), tmp_path / "served")


@pytest.fixture
def keeper(folder: Path) -> ModelKeeper:
    """A keeper with the lite model in use."""
    keeper = ModelKeeper(Settings(model=str(folder), model_retry_s=30), Telemetry())
    keeper.look()
    return keeper


def exchange(folder: Path, name: str) -> None:
    """Put another model in the folder's place."""
    shutil.rmtree(folder)
    shutil.copytree(resolve(name), folder)


class Failing(Oracle):
    """A model that passes its self-test and then begins to fail."""

    healthy = True

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        if not self.healthy:
            raise IndexError("out of bounds")
        return super().forecast_many(histories)

    def forecast(self, history: History) -> Forecast:
        return self.forecast_many([history])[0]


@pytest.fixture
def failing(keeper: ModelKeeper, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """The standard model is in use after the lite one, and fails from now on."""
    with monkeypatch.context() as patch:
        patch.setattr("oracle.server.models.Oracle", Failing)
        exchange(folder, "standard")
        keeper.look()
    assert isinstance(keeper.oracle, Failing)
    keeper.oracle.healthy = False
    return keeper.oracle


def in_use(keeper: ModelKeeper) -> str:
    active = keeper.active()
    assert active is not None
    return active.name


def test_a_model_with_broken_numbers_is_not_taken_up(keeper: ModelKeeper, folder: Path) -> None:
    exchange(folder, "standard")
    edit_json(folder / "calibration.json", lambda n: n["support"]["mean"].pop())
    reseal(folder)
    keeper.look()
    assert in_use(keeper) == "shipped-lite"
    failure = keeper.failure()
    assert failure is not None
    assert "`mean` must hold" in failure.message
    assert keeper.forecast_many(HISTORIES)


def test_what_a_new_model_cannot_answer_the_one_before_does(
    keeper: ModelKeeper, failing: Failing
) -> None:
    answers = [keeper.forecast(history) for history in HISTORIES[: FAILURES - 1]]
    assert {a.model.name for a in answers if a is not None} == {"shipped-lite"}
    assert in_use(keeper) == "shipped-standard"
    failing.healthy = True  # the failures were not in a row
    keeper.forecast(HISTORIES[0])
    failing.healthy = False
    for history in HISTORIES[: FAILURES - 1]:
        keeper.forecast(history)
    assert in_use(keeper) == "shipped-standard"
    assert keeper.failure() is None


def test_a_model_that_fails_in_a_row_is_taken_back(
    keeper: ModelKeeper, failing: Failing, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changes = keeper.changes
    answers = [keeper.forecast_each([history]) for history in HISTORIES[:FAILURES]]
    assert all(isinstance(a, Forecast) for each in answers for a in each)
    assert in_use(keeper) == "shipped-lite"
    assert keeper.changes == changes + 1
    failure = keeper.failure()
    assert failure is not None
    assert "IndexError: out of bounds" in failure.message
    assert "The one before is in use again." in failure.message
    keeper.look()  # not tried again before its time
    assert in_use(keeper) == "shipped-lite"
    assert "model refused" in caplog.text
    exchange(folder, "bidirectional")  # a new one is
    keeper.look()
    assert in_use(keeper) == "shipped-bidirectional"
    assert keeper.failure() is None


def test_a_model_that_was_taken_back_is_tried_again_later(
    keeper: ModelKeeper, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    for history in HISTORIES[:FAILURES]:
        keeper.forecast(history)
    assert in_use(keeper) == "shipped-lite"
    before = keeper.failure()
    later = time.monotonic() + 31
    monkeypatch.setattr("oracle.server.models.time.monotonic", lambda: later)
    keeper.look()
    assert in_use(keeper) == "shipped-standard"
    assert before is not None
    assert keeper.failure() is None


def test_what_both_fail_at_is_the_history_s_fault(keeper: ModelKeeper, failing: Failing) -> None:
    def never(_: Any) -> Any:
        raise ValueError("this history")

    before = keeper._before
    assert before is not None
    before.oracle.forecast = before.oracle.forecast_many = never  # type: ignore[method-assign]
    for _ in range(2 * FAILURES):
        (answer,) = keeper.forecast_each(HISTORIES[:1])
        assert isinstance(answer, Exception)
    assert in_use(keeper) == "shipped-standard"


def test_a_first_model_that_fails_has_none_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oracle.server.models.Oracle", Failing)
    keeper = ModelKeeper(Settings(model=str(folder)), Telemetry())
    keeper.look()
    assert isinstance(keeper.oracle, Failing)
    keeper.oracle.healthy = False
    for _ in range(2 * FAILURES):
        with pytest.raises(IndexError):
            keeper.forecast_many(HISTORIES)
    assert in_use(keeper) == "shipped-lite"


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
