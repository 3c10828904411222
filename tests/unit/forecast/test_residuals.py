"""What ended runs teach: nothing without runs, a lot from runs alike, little from others."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from oracle import Oracle
from oracle.forecast.calibration import KNOTS
from oracle.forecast.residuals import (
    INPUTS,
    MOST,
    NEAREST,
    SHARES,
    Residuals,
    corrected,
    deviations_of,
    doubt_of,
)
from oracle.history.dataset import read_dataset
from oracle.history.targets import OUTPUTS
from oracle.types import METRICS, TARGETS, Learned, Outcome, Run

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"
Z = np.array([NormalDist().inv_cdf(level) for level in KNOTS])
HERE = np.zeros(INPUTS)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [run for run in read_dataset(SAMPLE) if run.history.context.mqe_of_mean][:6]


def outcome_of(run: Run, **changes: object) -> Outcome:
    values = {name: getattr(run, name) for name in TARGETS}
    return Outcome.model_validate({"run_id": run.run_id, **values, **changes})


def taught(*deviations: float, away: float = 0.0, doubt: float = 0.0) -> Residuals:
    """Ended runs that lie so far from HERE, each off by so much in all targets."""
    n = len(deviations)
    inputs = np.zeros((n, len(SHARES), INPUTS), np.float32)
    inputs[..., 0] = away
    errors = np.array(deviations, np.float32)[:, None, None]
    return Residuals(
        inputs,
        np.broadcast_to(errors, (n, len(SHARES), len(TARGETS))).copy(),
        np.full((n, len(SHARES)), doubt, np.float32),
    )


def test_without_runs_nothing_is_learned() -> None:
    assert Residuals.of([]).learned(HERE, 0.2) is None
    assert Residuals.nothing().learned(HERE, 0.2) is None


def test_runs_alike_shift_and_narrow_and_others_hardly_do() -> None:
    near = taught(1.5, 1.4, 1.6, 1.5, 1.5, 1.4).learned(HERE, 0.2)
    far = taught(1.5, 1.4, 1.6, 1.5, 1.5, 1.4, away=30.0).learned(HERE, 0.2)
    assert near is not None
    assert far is not None
    assert near.runs == 6
    assert all(0.6 < shift < 1.5 for shift in near.shift)
    assert all(spread < 0.95 for spread in near.spread)
    assert all(abs(shift) < 0.15 for shift in far.shift)
    assert all(spread > 0.95 for spread in far.spread)


def test_runs_that_disagree_teach_no_shift() -> None:
    learned = taught(1.5, -1.5, 1.5, -1.5, 1.5, -1.5, 1.5, -1.5).learned(HERE, 0.2)
    assert learned is not None
    assert all(abs(shift) < 0.05 for shift in learned.shift)


def test_a_run_that_was_stopped_counts_less() -> None:
    ended, stopped = (taught(1.5, 1.5, doubt=d).learned(HERE, 0.2) for d in (0.0, 1.0))
    assert ended is not None
    assert stopped is not None
    for whole, part in zip(ended.shift, stopped.shift, strict=True):
        assert 0.0 < part < whole


def test_what_is_missing_teaches_nothing() -> None:
    half = taught(1.5, 1.5, 1.5)
    half.deviations[:, :, 1] = np.nan
    learned, whole = half.learned(HERE, 0.2), taught(1.5, 1.5, 1.5).learned(HERE, 0.2)
    assert learned is not None
    assert whole is not None
    assert learned.shift[1] == pytest.approx(0.0, abs=1e-3)
    assert learned.spread[1] == pytest.approx(1.0, abs=1e-3)
    assert learned.shift[0] > 0.3
    half.deviations[:] = np.nan
    assert half.learned(HERE, 0.2) is None


def test_each_share_has_residuals_of_its_own() -> None:
    early = taught(1.5, 1.5, 1.5)
    early.deviations[:, SHARES.index(0.2) :] = np.nan
    assert early.learned(HERE, 0.19) is not None
    assert early.learned(HERE, 0.2) is None


def test_the_nearest_of_many_are_asked() -> None:
    many = Residuals.of([taught(*[1.5] * NEAREST), taught(*[-1.5] * 400, away=30.0)])
    alone = taught(*[1.5] * NEAREST)
    learned, expected = many.learned(HERE, 0.2), alone.learned(HERE, 0.2)
    assert learned is not None
    assert expected is not None
    assert learned.shift == expected.shift
    assert learned.runs == NEAREST + 400


def test_what_is_written_is_read_again(oracle: Oracle, runs: list[Run]) -> None:
    found = oracle.residuals(runs[0].history, outcome_of(runs[0]))
    assert found is not None
    written = found.to_bytes()
    again = Residuals.from_bytes(written)
    assert again is not None
    for name in ("inputs", "deviations", "doubt"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert Residuals.from_bytes(written[:-4]) is None


def test_an_outcome_is_a_deviation_of_its_forecast() -> None:
    knots = np.tile(0.5 + 0.1 * Z, (3, 1, 1))
    found = deviations_of(knots, np.array([[0.5, 0.5 + 0.1 * 0.6745, 0.99]]))
    np.testing.assert_allclose(found, [[0.0, 0.6745, MOST]], atol=2e-3)
    bounded = np.maximum(knots - 0.5, 0.0)  # its lower half lies at the bound
    assert deviations_of(bounded, np.zeros((1, 3)))[0, 0] == pytest.approx(Z[0] / 2, abs=0.05)
    assert np.isnan(deviations_of(knots, np.full((1, 3), np.nan))).all()


def test_a_last_forecast_as_wide_as_the_one_before_is_all_doubt() -> None:
    wide, narrow = np.tile(0.3 * Z, (3, 1, 1)), np.tile(0.1 * Z, (3, 1, 1))
    assert doubt_of(np.concatenate((wide, wide), axis=1)).tolist() == [1.0]
    assert doubt_of(np.concatenate((wide, narrow), axis=1)) == pytest.approx(1 / 9)


def test_quantiles_move_by_deviations_and_less_on_the_way() -> None:
    changes = np.tile(0.1 * Z, (OUTPUTS, 1))
    same = Learned(runs=1, shift=(0.0, 0.0, 0.0), spread=(1.0, 1.0, 1.0))
    np.testing.assert_allclose(corrected(changes, same), changes, atol=1e-9)
    learned = Learned(runs=1, shift=(1.0, 0.0, -1.0), spread=(0.5, 0.5, 1.0))
    moved = corrected(changes, learned)
    middle, inner = KNOTS.index(0.5), slice(4, -4)
    np.testing.assert_allclose(moved[0, inner], 0.1 * (1.0 + 0.5 * Z[inner]), atol=1e-3)
    assert moved[2, middle] == pytest.approx(-0.1, abs=2e-3)
    quarter = moved[len(METRICS), middle]  # the same metric a quarter of the way on
    assert quarter == pytest.approx(0.25 * moved[0, middle], abs=2e-3)
    assert (np.diff(moved, axis=1) >= 0).all()


def test_a_forecast_tells_what_it_learned_and_gives_it_again(
    oracle: Oracle, runs: list[Run]
) -> None:
    whole = runs[0]
    lessons = [oracle.residuals(run.history, outcome_of(run)) for run in runs]
    known = Residuals.of([one for one in lessons if one is not None])
    history = whole.history.prefix(len(whole.history) // 4)
    alone, taught_ = oracle.forecast(history), oracle.forecast(history, known=known)
    assert alone.learned is None
    assert taught_.learned is not None
    assert taught_.learned.runs == len(known)
    # It was among those that ended: it is forecast nearer to its end.
    errors = [abs(f.median("final_mqe") - (whole.final_mqe or 0.0)) for f in (alone, taught_)]
    assert errors[1] < errors[0]
    again = oracle.forecast(history, known=taught_.learned)
    assert again == taught_
    np.testing.assert_array_equal(again.draws, taught_.draws)
    many = oracle.forecast_many([history, history], [None, known])
    assert [one.learned for one in many] == [None, taught_.learned]


def test_a_run_without_scale_or_budget_teaches_nothing(oracle: Oracle, runs: list[Run]) -> None:
    run = runs[0]
    history = run.history
    unscaled = history.context.model_copy(update={"mqe_of_mean": None})
    for changes in ({"context": unscaled}, {"total_epochs": None}):
        assert oracle.residuals(history.model_copy(update=changes), outcome_of(run)) is None
    known = Residuals.of([found for found in [oracle.residuals(history)] if found])
    blind = history.prefix(4).model_copy(update={"context": unscaled})
    assert oracle.forecast(blind, known=known).learned is None


def test_absurd_numbers_teach_and_learn_without_harm(oracle: Oracle, runs: list[Run]) -> None:
    history = runs[0].history
    tiny = history.context.model_copy(update={"mqe_of_mean": 1e-150})
    most = tuple(1e150 for _ in history.mqe)
    absurd = history.model_copy(update={"mqe": most, "context": tiny})
    found = oracle.residuals(absurd, outcome_of(runs[0], final_mqe=1e150))
    assert found is not None
    known = Residuals.of([found, found])
    for asking in (history.prefix(5), absurd.prefix(5)):
        forecast = oracle.forecast(asking, known=known)
        assert forecast.learned is not None
        assert forecast.draws is not None
        assert np.isfinite(forecast.draws).all()


def test_a_stopped_run_teaches_of_what_came_before(oracle: Oracle, runs: list[Run]) -> None:
    history = runs[0].history.until(0.25)
    assert history is not None
    found = oracle.residuals(history, outcome_of(runs[0], censored=True))
    assert found is not None
    known = np.isfinite(found.deviations[0]).all(axis=1)
    assert known[SHARES.index(0.1)]
    assert not known[SHARES.index(0.3) :].any()
    assert (found.doubt[0, known] > 0).all()
