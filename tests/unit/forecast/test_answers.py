"""Forecasts made of arrays are what their checks would let pass, and nothing else is."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from oracle.forecast.answers import answers
from oracle.forecast.calibration import DRAWS, KNOTS
from oracle.history.targets import HORIZONS
from oracle.types import LEVELS, TARGETS, Forecast, History, ModelInfo, RunContext

SOME = [
    History(
        epochs=(1, 2), mqe=(0.5, 0.4), topographic_error=(0.1, 0.1), dead_neuron_ratio=(0, 0),
        total_epochs=10.0, context=RunContext(mqe_of_mean=2.0), run_id="told",
    ),
    History(epochs=(1,), mqe=(0.5,), topographic_error=(None,), dead_neuron_ratio=(None,)),
    History(epochs=(), context=RunContext(mqe_of_mean=1.0)),
]  # fmt: skip


def made(bad: float | None = None) -> list[Forecast]:
    rng = np.random.default_rng(0)
    knots = np.sort(rng.random((len(TARGETS), len(HORIZONS), len(SOME), len(KNOTS))))
    if bad is not None:
        knots[0, 0, 1, KNOTS.index(0.5)] = bad
    return answers(
        SOME,
        info=ModelInfo(name="n", version="1", sha256="0" * 64),
        knots=knots,
        quality=np.sort(rng.random((2, len(SOME), len(LEVELS)))),
        draws=list(rng.random((len(SOME), len(TARGETS), DRAWS))),
        support=[0.0, 0.5, 1.0],
        learned=[None] * len(SOME),
    )


def test_what_is_not_checked_again_would_pass_and_reads_the_same() -> None:
    for forecast in made():
        raw = forecast.model_dump_json()
        again = Forecast.model_validate_json(raw)
        assert again == forecast
        assert again.model_dump_json() == raw
        assert list(forecast.__dict__) == list(Forecast.model_fields)
        copied = forecast.model_copy(update={"run_id": "other"})
        assert (copied.run_id, forecast.run_id == "other") == ("other", False)
        assert copied.draws is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_forecast(bad: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        made(bad)


def test_each_run_has_its_own_draws() -> None:
    first, second, plan = (np.asarray(f.draws) for f in made())
    assert first.shape == second.shape == plan.shape == (DRAWS, len(TARGETS))
    assert not np.shares_memory(first, second)


def test_draws_are_made_once_and_travel() -> None:
    forecast = made()[0]
    assert forecast.is_drawn
    there = pickle.loads(pickle.dumps(forecast))  # noqa: S301 (our own)
    assert forecast.draws is forecast.draws
    np.testing.assert_array_equal(there.draws, forecast.draws)


def test_who_brings_draws_is_asked_whether_they_are_numbers() -> None:
    forecast = made()[0]
    draws = np.ones((DRAWS, len(TARGETS)))
    assert forecast.model_copy().with_draws(draws).is_drawn
    draws[3, 1] = np.nan
    assert not forecast.model_copy().with_draws(draws).is_drawn
    assert not Forecast.model_validate_json(forecast.model_dump_json()).is_drawn
