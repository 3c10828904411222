"""The shipped oracle: one and many agree; forecasts are deterministic and possible."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from oracle import Oracle
from oracle.errors import ArtifactIncompatible, InvalidHistory
from oracle.forecast.forecaster import AT_ONCE
from oracle.history.dataset import read_dataset
from oracle.types import LEVELS, METRICS, TARGETS, Forecast, History, Run, RunContext, Scale

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"
SHIPPED = Path(__file__).parents[3] / "models" / "shipped-lite"


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)[:30]


def values(forecast: Forecast) -> np.ndarray:
    return np.array([forecast.final[target] for target in TARGETS])


def referenced(forecast: Forecast) -> np.ndarray:
    """What a forecast holds until its draws are asked for."""
    return forecast._draws.args[0]  # type: ignore[union-attr]


def test_one_and_many_agree(oracle: Oracle, runs: list[Run]) -> None:
    histories = [run.history.prefix(i % len(run.history)) for i, run in enumerate(runs)]
    assert not len(histories[0])
    together = oracle.forecast_many(histories)
    for history, forecast in zip(histories, together, strict=True):
        alone = oracle.forecast(history)
        np.testing.assert_allclose(values(alone), values(forecast), atol=2e-6)
        assert (alone.run_id, alone.support) == (forecast.run_id, forecast.support)
        kept = referenced(forecast)
        assert kept.base is None, "it keeps the draws of others"
        assert kept.nbytes == np.asarray(forecast.draws).nbytes
    assert oracle.forecast_many([]) == []


@pytest.mark.parametrize("n", [2, AT_ONCE + 1])
@pytest.mark.parametrize("told", [0, 1, 3])
def test_what_is_known_is_told_of_each(oracle: Oracle, runs: list[Run], n: int, told: int) -> None:
    asked = [runs[0].history] * n
    says = rf"`known` must be as long as histories \({n}\), but got {told}"
    with pytest.raises(InvalidHistory, match=says):
        oracle.forecast_many(asked, known=[None] * told)


def test_what_is_known_may_be_an_array(oracle: Oracle, runs: list[Run]) -> None:
    asked = [run.history for run in runs[:2]]
    known = np.array([oracle.residuals(run.history) for run in runs[:2]], object)
    assert oracle.forecast_many(asked, known) == oracle.forecast_many(asked, list(known))


def test_more_than_are_encoded_at_once_agree(oracle: Oracle, runs: list[Run]) -> None:
    """And what is kept of one run's context is not another's."""
    some = [run.history.prefix(1 + i % 9) for i, run in enumerate(runs[:5])]
    bare = [history.model_copy(update={"context": RunContext()}) for history in some]
    asked = [*some, *bare]
    many = oracle.forecast_many(asked * (AT_ONCE // len(asked) + 2))
    for i, history in enumerate(asked):
        alone = oracle.forecast(history)
        for together in many[i :: len(asked)]:
            assert together.support == alone.support
            for target, values in alone.final.items():
                np.testing.assert_allclose(together.final[target], values, rtol=1e-5, atol=1e-7)


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


@pytest.mark.parametrize("checkpoints", [0, 1, 5])
def test_no_two_runs_are_drawn_in_step(oracle: Oracle, runs: list[Run], checkpoints: int) -> None:
    """Else a population's forecasts would err together, and its ranking be too sure of itself."""
    histories = [run.history.prefix(checkpoints) for run in runs[:8]]
    if checkpoints == 0:  # eight runs of one plan
        histories = [histories[0].model_copy(update={"run_id": run.run_id}) for run in runs[:8]]
    draws = np.array([f.draws[:, 0] for f in oracle.forecast_many(histories)])
    ranks = draws.argsort(axis=1).argsort(axis=1)
    apart = np.corrcoef(ranks)[np.triu_indices(8, 1)]
    # One of 1,024 rotations each: a pair may share it, two of 28 hardly do.
    assert (np.abs(apart) > 0.3).sum() <= 1


def test_the_plan_alone_is_forecast(oracle: Oracle, runs: list[Run]) -> None:
    """Before the first checkpoint: as possible, ordered and deterministic as later."""
    plans = [run.history.prefix(0) for run in runs]
    for plan, forecast in zip(plans, oracle.forecast_many(plans), strict=True):
        assert (forecast.progress, forecast.n_checkpoints, forecast.will_worsen) == (0.0, 0, 0.0)
        quantiles = values(forecast)
        assert (np.diff(quantiles, axis=1) >= 0).all()
        assert (quantiles >= 0).all()
        assert (quantiles[1:] <= 1).all()
        assert 0 <= forecast.support <= 1
        assert forecast.quality_on(Scale.RELATIVE) is not None
        assert oracle.forecast(plan) == oracle.forecast(plan)
    # What the counter counts, and how far, says nothing before it has begun.
    other = plans[0].model_copy(update={"total_epochs": 7.0})
    assert values(oracle.forecast(other)).tolist() == values(oracle.forecast(plans[0])).tolist()


def test_a_plan_may_be_told_without_a_history(oracle: Oracle, runs: list[Run]) -> None:
    history = runs[0].history
    expected = oracle.forecast(History(context=history.context, total_epochs=history.total_epochs))
    told = oracle.forecast(context=history.context, total_epochs=history.total_epochs)
    assert told == expected
    assert oracle.forecast(context=history.context).final == expected.final
    with pytest.raises(InvalidHistory, match="left out beside a history"):
        oracle.forecast(history, context=history.context)
    with pytest.raises(InvalidHistory, match="nothing else to go by"):
        oracle.forecast()


def test_before_the_first_checkpoint_mqe_needs_its_scale(oracle: Oracle, runs: list[Run]) -> None:
    context = runs[0].history.context.model_copy(update={"mqe_of_mean": None})
    plan = History(context=context)
    for ask in (
        lambda: oracle.forecast(plan),
        lambda: oracle.forecast_many([runs[0].history, plan]),
    ):
        with pytest.raises(
            InvalidHistory, match=r"`context.mqe_of_mean` must be known.*context_of"
        ):
            ask()
    # Alone it is enough.
    assert oracle.forecast(History(context={"mqe_of_mean": 0.7})).final["final_mqe"][2] < 0.7


def test_the_curve_leads_to_the_end(oracle: Oracle, runs: list[Run]) -> None:
    histories = [run.history.prefix(i % 9) for i, run in enumerate(runs)]
    for forecast in oracle.forecast_many(histories):
        curve = forecast.curve
        assert curve is not None
        assert curve.of_the_rest == (0.25, 0.5, 0.75, 1.0)
        for metric, target in zip(METRICS, TARGETS, strict=True):
            way = np.array(getattr(curve, metric))
            assert way.shape == (4, len(LEVELS))
            assert tuple(way[-1]) == forecast.final[target]
            assert (np.diff(way, axis=1) >= 0).all()
            assert (way >= 0).all()
            assert metric == "mqe" or (way <= 1).all()
        assert Forecast.model_validate_json(forecast.model_dump_json()).curve == curve


def test_the_curve_is_what_the_run_goes_through(oracle: Oracle) -> None:
    """On runs that trained nothing: nearer the way than the end is, and honest on it."""
    cut = [(r, p) for r in read_dataset(SAMPLE) if (p := r.history.until(0.2)) is not None]
    forecasts = oracle.forecast_many([prefix for _, prefix in cut])
    inside, at_half, at_end = [], [], []
    for (run, prefix), forecast in zip(cut, forecasts, strict=True):
        history, scale = run.history, run.history.context.mqe_of_mean
        assert forecast.curve is not None
        for i, share in enumerate(forecast.curve.of_the_rest):
            budget = history.epochs[-1]
            at = prefix.epochs[-1] + share * (budget - prefix.epochs[-1])
            truth = float(np.interp(at, history.epochs, history.mqe))
            low, _, middle, _, high = forecast.curve.mqe[i]
            inside.append(low <= truth <= high)
            if share == 0.5:
                at_half.append(abs(middle - truth) / scale)
                at_end.append(abs(forecast.median("final_mqe") - truth) / scale)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.08)
    assert np.mean(at_half) < 0.8 * np.mean(at_end)


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


def test_from_the_plan_alone_it_forecasts_better_than_the_average_run(oracle: Oracle) -> None:
    runs = read_dataset(SAMPLE)
    scale = np.array([run.history.context.mqe_of_mean for run in runs])
    truth = np.array([run.final_mqe for run in runs]) / scale
    ours = oracle.forecast_many([run.history.prefix(0) for run in runs])
    median = np.array([f.median("final_mqe") for f in ours]) / scale
    assert np.abs(median - truth).mean() < 0.6 * np.abs(np.median(truth) - truth).mean()
    low, high = np.array([f.final["final_mqe"] for f in ours])[:, [0, -1]].T / scale
    assert ((low <= truth) & (truth <= high)).mean() > 0.75


def test_an_oracle_travels_to_workers_as_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED, folder)
    oracle = Oracle.load(folder)
    sent = pickle.dumps(oracle)
    assert len(sent) < 1000
    arrived = pickle.loads(sent)  # noqa: S301
    assert arrived.info == oracle.info
    assert pickle.loads(sent) is arrived  # noqa: S301  # opened once a process
    other = sent.replace(oracle.info.sha256.encode(), b"0" * 64)
    with pytest.raises(ArtifactIncompatible, match="has changed since"):
        pickle.loads(other)  # noqa: S301
