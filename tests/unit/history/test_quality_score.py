"""One score, one rule for what is undefined, one bar: sharp at each boundary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oracle.history.quality_score import (
    SAME_SCALE,
    among_best,
    common_scale,
    lacking,
    n_good,
    same_scale,
    scores_among,
    scores_of,
    scores_of_draws,
    weights_of,
    weights_without,
)

NAN = math.nan
#: mqe, topographic error and dead neurons of three runs; the second has no topographic error.
VALUES = np.array([[0.4, 0.3, 0.8], [0.1, NAN, 0.3], [0.2, 0.1, 0.4]])


def test_the_score_weighs_three_values() -> None:
    scores = scores_of(VALUES, weights_of(2.0))
    assert scores[[0, 2]] == pytest.approx([0.2 + 0.1 + 0.1, 0.4 + 0.3 + 0.2])
    assert scores_of(VALUES[:, :1], weights_of())[0] == pytest.approx(0.4 + 0.1 + 0.1)


def test_each_run_may_have_a_unit_of_its_own() -> None:
    weights = weights_of(np.array([1.0, 2.0, 4.0]), (1.0, 0.0, 2.0))
    assert scores_of(VALUES, weights) == pytest.approx([0.8, 0.35, 1.0])


def test_draws_are_weighed_as_values_are() -> None:
    draws = np.random.default_rng(0).random((3, 4, 50))
    raw, relative = weights_of(np.ones(4)), weights_of(np.linspace(0.5, 2, 4))
    scores = scores_of_draws(draws, raw, relative)
    for way, weights in enumerate((raw, relative)):
        np.testing.assert_allclose(scores[:, way], scores_of(draws, weights[..., None]), rtol=1e-12)


def test_a_weight_of_0_never_asks_for_its_metric() -> None:
    assert scores_of(VALUES, weights_of(1.0, (1.0, 0.0, 0.5))) == pytest.approx([0.5, 0.35, 1.0])
    assert lacking(np.full((3, 2), NAN), (1.0, 0.0, 1.0)) == ("mqe", "dead_neuron_ratio")


def test_a_run_that_lacks_what_others_have_has_no_score() -> None:
    assert lacking(VALUES) == ()
    scores = scores_among(VALUES, [2.0, 2.0, 2.0])
    assert np.isnan(scores).tolist() == [False, True, False]


def test_a_metric_that_every_run_lacks_drops_out_for_all() -> None:
    values = VALUES.copy()
    values[1] = NAN
    assert lacking(values) == ("topographic_error",)
    assert weights_without(lacking(values)) == (1.0, 0.0, 0.5)
    assert scores_among(values, [2.0] * 3) == pytest.approx([0.3, 0.2, 0.6])


def test_a_population_is_scored_by_the_weights_that_are_asked_for() -> None:
    asked = (2.0, 0.0, 1.0)
    assert scores_among(VALUES, [None] * 3, asked) == pytest.approx([1.0, 0.7, 2.0])
    values = VALUES.copy()
    values[2] = NAN  # nobody has it, and it is asked for: it drops out
    assert scores_among(values, [4.0] * 3, asked) == pytest.approx([0.2, 0.15, 0.4])
    assert weights_of(4.0, asked).dtype == np.float64
    assert weights_of(4.0, asked).tolist() == [0.5, 0.0, 1.0]


def test_nothing_to_judge_by_is_no_score() -> None:
    nothing = scores_of(VALUES, weights_of(1.0, (0.0, 0.0, 0.0)))
    assert nothing.shape == (3,)
    assert np.isnan(nothing).all()
    assert np.isnan(scores_among(np.full((3, 4), NAN), [None] * 4)).all()
    assert len(scores_among(np.empty((3, 0)), [])) == 0


def test_the_scale_of_a_table_is_what_most_of_its_runs_say() -> None:
    assert common_scale([]) is None
    assert common_scale([None, None]) is None
    assert common_scale([2.0, None, 2000.0, 2.0]) == 2.0
    assert common_scale([2.0, 1000.0]) == 2.0  # a value that a run did give
    assert [common_scale(map(float, range(1, n))) for n in (2, 4, 5, 6, 8)] == [1, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (2.0, 2.0 * SAME_SCALE, True),
        (2.0 * SAME_SCALE, 2.0, True),
        (2.0, 2.0 * SAME_SCALE * (1 + 1e-12), False),
        (2.0 * SAME_SCALE * (1 + 1e-12), 2.0, False),
        (None, 2.0, True),
        (2.0, None, True),
    ],
)
def test_two_scales_may_be_of_one_table(one: float | None, other: float | None, same: bool) -> None:
    assert same_scale(one, other) is same


def test_a_run_on_another_scale_has_no_score_and_sets_none() -> None:
    scores = scores_among(VALUES[:, [0, 0, 2]], [2.0, 2000.0, None])
    assert scores[[0, 2]] == pytest.approx([0.4, 0.9])
    assert np.isnan(scores[1])


SIZES = {1: 1, 9: 1, 19: 1, 20: 2, 46: 4, 49: 4, 50: 5, 200: 20}


@pytest.mark.parametrize(("size", "n"), SIZES.items())
def test_a_tenth_is_rounded_down(size: int, n: int) -> None:
    assert n_good(size, 0.1) == n


@pytest.mark.parametrize(("size", "good", "n"), [(10, 0.3, 3), (10, 0.7, 7), (100, 0.29, 29)])
def test_a_share_that_floats_cannot_tell_is_whole(size: int, good: float, n: int) -> None:
    assert n_good(size, good) == n


def test_among_the_best_is_who_is_no_worse_than_the_last_of_them() -> None:
    scores = np.array([0.5, 0.1, 0.3, 0.2, 0.4])
    assert among_best(scores, 0.4).tolist() == [False, True, False, True, False]
    assert among_best(np.array([0.2, 0.1, 0.2, 0.2]), 0.5).tolist() == [True] * 4  # ties


def test_who_has_no_score_is_not_good_and_does_not_count() -> None:
    # 10 with a score: one is good. The eleventh would make it one as well, the 20th two.
    scores = np.array([*np.arange(10.0), *[NAN] * 10])
    assert among_best(scores, 0.1).tolist() == [True] + [False] * 19
    nobody = among_best(np.full(3, NAN), 0.5)
    assert (nobody.dtype, nobody.tolist()) == (np.bool_, [False] * 3)
    assert len(among_best(np.empty(0), 0.5)) == 0
