"""Requests that come together are forecast together, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from oracle import Oracle
from oracle.server.http.telemetry import Telemetry
from oracle.server.micro_batching import MOST, MicroBatcher
from oracle.server.models import ModelKeeper
from oracle.server.settings import Settings
from oracle.types import Forecast, History


def history(mqe: float) -> History:
    return History.parse(
        {
            "epochs": [10, 50, 100],
            "mqe": [mqe, 0.3, 0.25],
            "topographic_error": [0.1, 0.09, 0.08],
            "dead_neuron_ratio": [0.2, 0.15, 0.12],
            "total_epochs": 1000,
        }
    )


HISTORIES = [history(0.4 + 0.01 * i) for i in range(MOST + 3)]


def ask(batcher: MicroBatcher, histories: Sequence[History]) -> list[Any]:
    async def all_at_once() -> list[Any]:
        waiting = (batcher.forecast(h) for h in histories)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(all_at_once())


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


def test_each_gets_its_own_answer_and_few_calls_are_made(oracle: Oracle) -> None:
    sizes: list[int] = []

    def many(histories: Sequence[History]) -> list[Forecast]:
        sizes.append(len(histories))
        return oracle.forecast_many(histories)

    answers = ask(MicroBatcher(many), HISTORIES)
    assert sizes == [MOST, 3]
    for one, answer in zip(HISTORIES, answers, strict=True):
        assert answer.median("final_mqe") == pytest.approx(
            oracle.forecast(one).median("final_mqe"), abs=5e-6
        )


def test_those_who_come_turn_by_turn_are_forecast_together(oracle: Oracle) -> None:
    sizes: list[int] = []

    def many(histories: Sequence[History]) -> list[Forecast]:
        sizes.append(len(histories))
        return oracle.forecast_many(histories)

    batcher = MicroBatcher(many)

    async def one_a_turn() -> None:
        asked = []
        for history in HISTORIES:
            asked.append(asyncio.ensure_future(batcher.forecast(history)))
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    asyncio.run(one_a_turn())
    assert sizes == [MOST, len(HISTORIES) - MOST]


def test_one_that_fails_fails_alone(oracle: Oracle) -> None:
    def each(histories: Sequence[History]) -> list[Forecast | Exception]:
        return [
            RuntimeError("this one") if history is HISTORIES[1] else oracle.forecast(history)
            for history in histories
        ]

    good, bad, also_good = ask(MicroBatcher(each), HISTORIES[:3])
    assert isinstance(good, Forecast)
    assert isinstance(also_good, Forecast)
    assert isinstance(bad, RuntimeError)


def test_without_a_model_nobody_gets_a_forecast() -> None:
    assert ask(MicroBatcher(lambda histories: [None] * 3), HISTORIES[:3]) == [None, None, None]


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch, oracle: Oracle) -> ModelKeeper:
    """A keeper whose oracle fails on one of the histories."""
    keeper = ModelKeeper(Settings(), Telemetry())
    forecast_many = oracle.forecast_many

    def many(histories: Sequence[History]) -> list[Forecast]:
        if any(history is HISTORIES[1] for history in histories):
            raise RuntimeError("this one")
        return forecast_many(histories)

    monkeypatch.setattr(ModelKeeper, "oracle", oracle)
    monkeypatch.setattr(oracle, "forecast", lambda history: many([history])[0])
    monkeypatch.setattr(oracle, "forecast_many", many)
    return keeper


def test_of_several_the_one_that_fails_gets_its_error(keeper: ModelKeeper) -> None:
    good, bad, also_good = keeper.forecast_each(HISTORIES[:3])
    assert isinstance(good, Forecast)
    assert isinstance(also_good, Forecast)
    assert isinstance(bad, RuntimeError)


def test_a_keeper_without_a_model_forecasts_nothing() -> None:
    keeper = ModelKeeper(Settings(), Telemetry())
    assert keeper.forecast_each(HISTORIES[:1]) == [None]
    assert keeper.forecast_each(HISTORIES[:3]) == [None, None, None]
