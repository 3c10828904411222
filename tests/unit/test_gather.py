"""Requests that come together are forecast together, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from oracle import Oracle
from oracle.server.gather import MOST, Gather
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


def ask(gather: Gather, histories: Sequence[History]) -> list[Any]:
    async def all_at_once() -> list[Any]:
        waiting = (gather.forecast(h) for h in histories)
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

    answers = ask(Gather(oracle.forecast, many), HISTORIES)
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

    gather = Gather(oracle.forecast, many)

    async def one_a_turn() -> None:
        asked = []
        for history in HISTORIES:
            asked.append(asyncio.ensure_future(gather.forecast(history)))
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    asyncio.run(one_a_turn())
    assert sizes == [MOST, len(HISTORIES) - MOST]


def test_one_alone_is_forecast_alone(oracle: Oracle) -> None:
    gather = Gather(oracle.forecast, lambda histories: pytest.fail("nobody else asked"))
    assert ask(gather, HISTORIES[:1]) == [oracle.forecast(HISTORIES[0])]


def test_one_that_fails_fails_alone(oracle: Oracle) -> None:
    def one(history: History) -> Forecast:
        if history is HISTORIES[1]:
            raise RuntimeError("this one")
        return oracle.forecast(history)

    def many(histories: Sequence[History]) -> list[Forecast]:
        return [one(h) for h in histories]

    good, bad, also_good = ask(Gather(one, many), HISTORIES[:3])
    assert isinstance(good, Forecast)
    assert isinstance(also_good, Forecast)
    assert isinstance(bad, RuntimeError)


def test_without_a_model_nobody_gets_a_forecast() -> None:
    assert ask(Gather(lambda h: None, lambda hs: None), HISTORIES[:3]) == [None, None, None]
