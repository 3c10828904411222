"""Rivals by their published definitions: known answers on made-up populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up import Insider, make_runs

from oracle.evaluation.recorded_runs import RecordedRuns, at_checks
from oracle.evaluation.rivals import by_pareto_rank, conformal, keep_top


@pytest.fixture(scope="module")
def population() -> RecordedRuns:
    runs = make_runs(40)
    return at_checks(runs, Insider(runs), (0.2, 0.5))


def seen(population: RecordedRuns, last: list[list[float]], final: list[float]) -> RecordedRuns:
    taken = population.take(range(len(final)))
    return replace(taken, last=np.array(last), final=np.array(final))


def test_keep_top_keeps_the_best_at_its_check(population: RecordedRuns) -> None:
    runs = seen(population, [[1, 2, 3, 4], [4, 3, 2, 1]], [1, 1, 1, 1])
    assert keep_top(0.5)(runs).tolist() == [2, 2, 0, 0]
    assert keep_top(0.25, 1)(runs).tolist() == [1, 1, 1, 2]
    assert keep_top(0.25, 9)(runs).tolist() == [1, 1, 1, 2]  # the last there is


def test_the_conformal_bar_is_the_highest_value_of_a_good_run(population: RecordedRuns) -> None:
    # Ten runs calibrate; the good fifth ends at 1 and showed at most 3 and 5; alpha .1 of eleven
    # is the tenth lowest score, the highest.
    final = [1.0, 0.9, *[9.0] * 8, 1.0, 9.0, 9.0]
    first = [3.0, 2.0, *[9.0] * 8, 5.0, 5.1, 4.0]
    later = [2.0, 5.0, *[9.0] * 8, 4.9, 1.0, 6.0]
    runs = seen(population, [first, later], final)
    assert conformal(0.1, 0.2)(runs).tolist() == [2] * 11 + [0, 1]
    # More risk: the ninth lowest, the lesser of the two good ones.
    assert conformal(0.2, 0.2)(runs).tolist() == [2] * 10 + [0, 0, 0]
    # Too few runs for the risk: nothing is stopped.
    assert (conformal(0.01)(runs) == 2).all()
    assert (conformal(0.1)(runs.take(range(10))) == 2).all()


def test_pareto_ranks_are_pruned_by_percentile(population: RecordedRuns) -> None:
    stops = by_pareto_rank(50.0)(population)
    assert (stops[:5] == 2).all()
    assert (stops < 2).any()
    strict, lax = by_pareto_rank(10.0)(population), by_pareto_rank(97.0)(population)
    assert (strict < 2).sum() >= (stops < 2).sum() >= (lax < 2).sum()
    # Whoever is on the first front at a check is stopped by nobody.
    alone = population.take(range(8))
    best = alone.runs[7].history
    values = {"mqe": tuple(v / 100 for v in best.mqe), "topographic_error": (0.0,) * len(best.mqe),
              "dead_neuron_ratio": (0.0,) * len(best.mqe)}  # fmt: skip
    runs = [*alone.runs[:7], alone.runs[7].model_copy(
        update={"history": best.model_copy(update=values)}
    )]  # fmt: skip
    assert by_pareto_rank(10.0)(at_checks(runs, None, (0.2, 0.5)))[7] == 2
