"""One battery for every baseline, and what the curve fit is for."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import SCALE, make_runs

from oracle.evaluation.baseline_inputs import summarise
from oracle.evaluation.baselines import (
    BASELINES,
    Boosting,
    CurveFit,
    LastValue,
    Ridge,
    TrainingMean,
)
from oracle.history.features import FEATURES, encode
from oracle.history.targets import finals_of
from oracle.types import Geometry, History, Run

TRAIN, TEST = make_runs(60, "train", seed=1), make_runs(20, "test", seed=2)


@pytest.mark.parametrize("name", BASELINES)
def test_battery(name: str) -> None:
    baseline = BASELINES[name]() if name != "boosting" else Boosting(iterations=20)
    baseline.fit(TRAIN)
    histories = [run.history.prefix(n) for run in TEST for n in (0, 1, 5, 12)]
    histories.append(
        History(
            epochs=(1.0,), mqe=(0.0,), topographic_error=(None,), dead_neuron_ratio=(None,)
        )  # the least there is
    )
    predicted = baseline.predict(histories)
    assert predicted.shape == (len(histories), 3)
    assert np.isfinite(predicted).all()
    assert (predicted >= 0).all()
    assert (predicted[:, 1:] <= 1).all()
    np.testing.assert_array_equal(predicted, baseline.predict(histories))
    assert baseline.predict([]).shape == (0, 3)


def test_the_curve_fit_finds_the_end_of_an_exponential() -> None:
    progress = np.linspace(0, 0.4, 12)
    history = History(
        epochs=tuple((100 * progress).tolist()),
        mqe=tuple((0.5 + 0.5 * np.exp(-6 * progress)).tolist()),
        topographic_error=tuple((0.1 + 0.2 * np.exp(-6 * progress)).tolist()),
        dead_neuron_ratio=tuple([0.25] * 12),
        total_epochs=100.0,
    )
    found = CurveFit().fit([]).predict([history])[0]
    np.testing.assert_allclose(found, [0.5, 0.1, 0.25], atol=0.02)


def test_the_curve_fit_shrugs_off_a_spike() -> None:
    run = TEST[0].history.prefix(14)
    spiked = run.model_copy(update={"mqe": (*run.mqe[:6], 9.0, *run.mqe[7:])})
    clean, hurt = CurveFit().fit([]).predict([run, spiked])[:, 0]
    assert abs(hurt - clean) < 0.1


def test_learning_beats_not_learning() -> None:
    histories = [run.history.prefix(5) for run in TEST]
    truth = finals_of(TEST)
    errors = [
        np.abs(b.fit(TRAIN).predict(histories) - truth).mean()
        for b in (Boosting(iterations=60), LastValue(), TrainingMean())
    ]
    assert errors[0] < errors[1]
    assert errors[0] < errors[2]


def test_the_plan_is_learned_from_by_itself() -> None:
    """Runs whose budget decides how they end: known before the first checkpoint."""

    def planned(runs: list[Run]) -> list[Run]:
        made = []
        for run in runs:
            updates = run.history.context.total_updates or 1.0
            end = 0.3 + 0.8 * np.log(50_000 / updates) / np.log(50)
            made.append(
                run.model_copy(update={"final_mqe": end, "final_topographic_error": end / 4})
            )
        return made

    train, test = planned(make_runs(300, "train", seed=5)), planned(make_runs(60, "test", seed=6))
    plans = [run.history.prefix(0) for run in test]
    truth = finals_of(test)[:, :2]
    spread = np.abs(truth - np.median(truth, axis=0)).mean()
    for learned in (Boosting(iterations=80), Ridge()):
        error = np.abs(learned.fit(train).predict(plans)[:, :2] - truth).mean()
        assert error < 0.25 * spread, learned.name


def test_the_shape_of_the_table_is_learned_from() -> None:
    """Between runs of one plan on different tables only the geometry tells them apart."""

    def shaped(runs: list[Run], seed: int) -> list[Run]:
        rng = np.random.default_rng(seed)
        made = []
        for run in runs:
            first = float(rng.uniform(0.3, 0.95))
            shape = Geometry(variance_1=first)
            context = run.history.context.model_copy(
                update={"geometry": shape, "total_updates": 1000.0}
            )
            history = run.history.model_copy(update={"context": context})
            made.append(run.model_copy(update={"history": history, "final_mqe": 1.2 * first}))
        return made

    train = shaped(make_runs(300, "train", seed=7), 0)
    test = shaped(make_runs(60, "test", seed=8), 1)
    predicted = Boosting(iterations=80).fit(train).predict([r.history.prefix(0) for r in test])
    truth = finals_of(test)
    assert np.corrcoef(predicted[:, 0], truth[:, 0])[0, 1] > 0.95


def test_statistics_are_of_the_checkpoints_alone() -> None:
    """The plan row, where nothing is measured, moves no mean; of no checkpoint there are none."""
    width = len(FEATURES)
    history = TEST[0].history.prefix(4)
    levels = np.array([np.log(m / SCALE + 1e-3) for m in history.mqe])
    row = summarise([history, history.prefix(0)])
    found = row[0, width:].reshape(7, 3)[:, 0]
    expected = [
        levels.mean(),
        levels.std(),
        np.polyfit(np.arange(4), levels, 1)[0],
        levels.min(),
        levels.max(),
        levels[(4 - 1) // 3],
        levels[2 * (4 - 1) // 3],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not row[1, width:].any()
    np.testing.assert_array_equal(row[1, :width], encode(history.prefix(0))[0])


def test_boosting_draws_are_possible_outcomes_and_the_same_at_every_call() -> None:
    boosting = Boosting(iterations=10).fit(make_runs(300, "train", seed=9))
    histories = [run.history.prefix(4 * (i % 2)) for i, run in enumerate(TEST)]
    draws = boosting.draws(histories, 50)
    assert draws.shape == (len(TEST), 50, 3)
    assert (draws >= 0).all()
    assert (draws[..., 1:] <= 1).all()
    np.testing.assert_array_equal(draws, boosting.draws(histories, 50))
    # Before the first checkpoint less is known, and the draws say so.
    spread = draws[..., 0].std(axis=1)
    assert np.median(spread[::2]) > 1.5 * np.median(spread[1::2])
