"""The wrong-stop rate measures the rule that stops: the file, the service and replays agree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from oracle.decision.wrong_stops import Tally, WrongStops, departs, upper_bound, wrong_stops

NAN = math.nan


def counted(scores: list[float], held: list[int], good: float = 0.1) -> tuple[int, int]:
    mask = np.isin(np.arange(len(scores)), held)
    found = wrong_stops(np.array(scores), mask, good)
    assert found.upper == upper_bound(found.wrong, found.controls)
    return found.controls, found.wrong


def test_of_46_runs_the_best_4_are_good() -> None:
    scores = [float(i) for i in range(46)]
    assert counted(scores, [3]) == (1, 1)
    assert counted(scores, [4]) == (1, 0)
    assert counted(scores, [0, 3, 4, 45]) == (4, 2)


def test_a_tie_with_the_last_good_one_is_a_wrong_stop() -> None:
    assert counted([0.1, 0.1, *[0.5] * 8], [1]) == (1, 1)
    assert counted([0.1, math.nextafter(0.1, 1), *[0.5] * 8], [1]) == (1, 0)


def test_what_cannot_be_scored_is_no_control_and_no_competitor() -> None:
    assert counted([NAN, *range(10)], [0]) == (0, 0)
    # Of 19 the best one is good; with the NaNs counted it would be two.
    scores = [float(i) for i in range(19)] + [NAN] * 9
    assert counted(scores, [1, 19]) == (1, 0)


def test_nobody_held_is_nothing_known() -> None:
    found = wrong_stops(np.array([0.1, 0.2]), np.zeros(2, dtype=bool), 0.1)
    assert (found.controls, found.wrong, found.upper) == (0, 0, 1.0)
    assert str(found) == "wrong stops not measured yet: no control run has ended"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("stops", [5, 45, 300, 5_000])
def test_a_share_that_chance_gives_is_no_departure(share: float, stops: int) -> None:
    held = np.random.default_rng(stops).binomial(stops, share, 20_000)
    told = {int(h): departs(int(h), stops, share) for h in np.unique(held)}
    assert np.mean([told[int(h)] for h in held]) < 0.003


@pytest.mark.parametrize("held", [0, 1, 45, 200])
def test_a_draw_that_is_none_departs(held: int) -> None:
    """Of 200 stops 10 are held, were it a draw of 5 %."""
    found = WrongStops(0, 0, 1.0, held, 200, 0.05)
    assert departs(held, 200, 0.05)
    assert str(found).endswith("far from the 5% that the policy asks for")
    assert "far from" not in str(replace(found, held=10))
    assert "far from" not in str(replace(found, share=None))


@pytest.mark.parametrize(
    ("successes", "trials", "bound"),
    [(0, 5, 0.492), (0, 15, 0.221), (1, 15, 0.365), (0, 60, 0.070), (5, 5, 1.0), (0, 0, 1.0)],
)
def test_the_bound_is_the_bet_s(successes: int, trials: int, bound: float) -> None:
    assert upper_bound(successes, trials) == pytest.approx(bound, abs=1e-3)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
def test_the_bound_holds_at_every_look(rate: float) -> None:
    """A bound for one look, read after each of 150 controls, fails in many more searches."""
    wrong = (np.random.default_rng(0).random((300, 150)) < rate).cumsum(axis=1)
    bounds = {
        (n, k): upper_bound(k, n) for n in range(1, 151) for k in set(wrong[:, n - 1].tolist())
    }
    failed = sum(any(bounds[n, int(k)] < rate for n, k in enumerate(search, 1)) for search in wrong)
    assert failed <= 0.05 * len(wrong)


def test_both_counts_are_told_in_a_line() -> None:
    tally = Tally(3, 1, 2, 0.25, left=4, abandoned=5, converged=1)
    assert str(tally) == (
        "1 of 8 runs stopped, 25% of all epochs saved, 1 converged, 2 still live, 5 abandoned"
    )
    assert str(Tally(2, 0, 0, 0.0)) == "0 of 2 runs stopped, 0% of all epochs saved"
    assert str(WrongStops(4, 1, 0.75, held=5, stops=20)) == (
        "1 of 4 control runs would have been stopped wrongly (at most 75% with 95 % confidence); "
        "5 of 20 stops were held back (25%)"
    )
