"""One battery for every baseline, and what the curve fit is for."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import make_runs

from oracle.evaluation.baselines import BASELINES, Boosting, CurveFit, LastValue, TrainingMean
from oracle.history.features import finals_of
from oracle.types import History

TRAIN, TEST = make_runs(60, "train", seed=1), make_runs(20, "test", seed=2)


@pytest.mark.parametrize("name", BASELINES)
def test_battery(name: str) -> None:
    baseline = BASELINES[name]() if name != "boosting" else Boosting(iterations=20)
    baseline.fit(TRAIN)
    histories = [run.history.prefix(n) for run in TEST for n in (1, 5, 12)]
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


def test_boosting_draws_are_possible_outcomes_and_the_same_at_every_call() -> None:
    boosting = Boosting(iterations=10).fit(TRAIN)
    histories = [run.history.prefix(4) for run in TEST]
    draws = boosting.draws(histories, 50)
    assert draws.shape == (len(TEST), 50, 3)
    assert (draws >= 0).all()
    assert (draws[..., 1:] <= 1).all()
    np.testing.assert_array_equal(draws, boosting.draws(histories, 50))
