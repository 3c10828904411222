"""The shipped oracle: one and many agree; forecasts are deterministic and possible."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oracle import Oracle
from oracle.history.dataset import read_dataset
from oracle.types import LEVELS, TARGETS, Forecast, History, Run, Scale

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)[:30]


def values(forecast: Forecast) -> np.ndarray:
    return np.array([forecast.final[target] for target in TARGETS])


def test_one_and_many_agree(oracle: Oracle, runs: list[Run]) -> None:
    histories = [run.history.prefix(1 + i % len(run.history)) for i, run in enumerate(runs)]
    together = oracle.forecast_many(histories)
    for history, forecast in zip(histories, together, strict=True):
        alone = oracle.forecast(history)
        np.testing.assert_allclose(values(alone), values(forecast), atol=2e-6)
        assert alone.run_id == forecast.run_id
    assert oracle.forecast_many([]) == []


def test_forecasts_are_possible_ordered_and_deterministic(oracle: Oracle, runs: list[Run]) -> None:
    for run in runs:
        history = run.history.prefix(max(1, len(run.history) // 3))
        forecast = oracle.forecast(history)
        quantiles = values(forecast)
        assert quantiles.shape == (3, len(LEVELS))
        assert (np.diff(quantiles, axis=1) >= 0).all()
        assert (quantiles >= 0).all()
        assert (quantiles[1:] <= 1).all()
        assert 0 <= forecast.support <= 1
        assert forecast.draws is not None
        again = oracle.forecast(history)
        np.testing.assert_array_equal(again.draws, forecast.draws)
        assert again == forecast
        assert forecast.quality_on(Scale.RELATIVE) is not None


def test_draws_stay_in_process(oracle: Oracle, brief_history: dict[str, object]) -> None:
    forecast = oracle.forecast(History.parse(brief_history))
    back = Forecast.model_validate_json(forecast.model_dump_json())
    assert back.final == forecast.final
    assert back.draws is None


def test_less_context_gives_a_wider_forecast(oracle: Oracle, runs: list[Run]) -> None:
    """On average: the brief's four arrays alone know less than everything."""

    def width(history: History) -> float:
        raw = oracle.forecast(history).quality_on(Scale.RAW)
        assert raw is not None
        return raw.values[-1] - raw.values[0]

    full = [run.history.prefix(max(2, len(run.history) // 5)) for run in runs]
    bare = [
        History(
            epochs=h.epochs,
            mqe=h.mqe,
            topographic_error=h.topographic_error,
            dead_neuron_ratio=h.dead_neuron_ratio,
        )
        for h in full
    ]
    assert np.median([width(h) for h in bare]) > 1.1 * np.median([width(h) for h in full])


def test_a_thousand_checkpoints_and_one(oracle: Oracle) -> None:
    n = 1000
    long = History(
        epochs=tuple(range(1, n + 1)),
        mqe=tuple(0.2 + 1 / (t + 1) for t in range(n)),
        topographic_error=(0.1,) * n,
        dead_neuron_ratio=(None,) * n,
        total_epochs=2000,
    )
    for history in (long, long.prefix(1)):
        assert np.isfinite(values(oracle.forecast(history))).all()


def test_it_forecasts_better_than_the_last_value(oracle: Oracle) -> None:
    """On real MiniSom runs that trained nothing, by far."""
    runs = [r for r in read_dataset(SAMPLE) if r.history.until(0.2) is not None]
    prefixes = [run.history.until(0.2) for run in runs]
    scale = np.array([run.history.context.mqe_of_mean for run in runs])
    truth = np.array([run.final_mqe for run in runs]) / scale
    last = np.array([p.mqe[-1] for p in prefixes]) / scale
    ours = np.array([f.median("final_mqe") for f in oracle.forecast_many(prefixes)]) / scale
    assert np.abs(ours - truth).mean() < 0.5 * np.abs(last - truth).mean()
