"""Which stopped runs are finished, in which order, and where it ends: known answers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from oracle.decision.second_look import (
    LEAST,
    Ended,
    Stopped,
    ends_of,
    finish_promising,
    most_promising,
)
from oracle.errors import InvalidHistory
from oracle.types import Policy


def stopped(name: str, median: float, spread: float = 0.0, cost: float = 1.0) -> Stopped:
    return Stopped(name, (median,), (spread,), cost)


def test_of_one_objective_it_is_the_expected_improvement() -> None:
    # Normal, sd 0.1 around the best finished: P(better) 1/2, E[gain] = sd / sqrt(2 pi).
    (one,) = most_promising([stopped("a", 1.0, 0.06744897501960817)], [(1.0,), (3.0,)])
    assert one.p_better == pytest.approx(0.5, abs=0.01)
    assert one.gain == pytest.approx(0.1 / math.sqrt(2 * math.pi), rel=0.01)
    assert one.chance == one.p_better


def test_several_gain_hypervolume_where_the_front_leaves_room() -> None:
    front = [(0.0, 1.0), (1.0, 0.0)]
    inside = Stopped("inside", (0.5, 0.5), (0.0, 0.0), 1.0)
    behind = Stopped("behind", (0.5, 1.05), (0.0, 0.0), 1.0)
    first, second = most_promising([behind, inside], front)
    assert (first.run_id, first.p_better) == ("inside", 1.0)
    # The box from (0.5, 0.5) to (1, 1), what the two leave, in units of the worst, (1, 1.05).
    assert first.gain == pytest.approx(0.5 * 0.5 / 1.05, rel=1e-6)
    assert (second.gain, second.p_better) == (0.0, 0.0)


def test_the_same_gain_is_worth_more_where_it_costs_less() -> None:
    dear, cheap = stopped("dear", 0.5, cost=0.8), stopped("cheap", 0.5, cost=0.2)
    assert [one.run_id for one in most_promising([dear, cheap], [(1.0,)])] == ["cheap", "dear"]
    # Of equal ones the name decides, whatever order they come in.
    pair = [stopped("b", 0.5), stopped("a", 0.5)]
    assert [one.run_id for one in most_promising(pair, [(1.0,)])] == ["a", "b"]


def test_without_a_finished_run_every_one_is_a_gain_and_what_is_not_known_is_left_out() -> None:
    found = most_promising([stopped("a", 2.0), stopped("b", 1.0), stopped("c", math.nan)], [])
    assert [one.run_id for one in found] == ["b", "a"]
    assert all(one.p_better == 1.0 for one in found)
    assert most_promising([], [(1.0,)]) == []


def test_more_objectives_than_volumes_are_refused() -> None:
    four = Stopped("a", (1.0,) * 4, (0.0,) * 4, 1.0)
    with pytest.raises(InvalidHistory, match="at most 3"):
        most_promising([four], [])


ENDS = {"a": 0.9, "b": 0.4, "c": 0.7, "d": 5.0}
FOUR = [stopped("a", 0.5, 0.1), stopped("b", 0.6, 0.1), stopped("c", 0.7, 0.1), stopped("d", 5.0)]


def looked(**bounds: Any) -> list[str]:
    def train(name: str) -> tuple[float]:
        return (ENDS[name],)

    done = finish_promising(FOUR, [(1.0,)], train, **bounds)
    assert [one.final for one in done] == [(ENDS[one.promising.run_id],) for one in done]
    assert [one.forecast for one in done] == [
        next(s.medians for s in FOUR if s.run_id == one.promising.run_id) for one in done
    ]
    return [one.promising.run_id for one in done]


def test_it_ends_where_the_chance_is_too_small() -> None:
    assert looked() == ["a", "b"]  # at .4 the next, .7 give or take .15, is not worth its cost
    assert looked(least=0.001) == ["a", "b", "c"]
    assert looked(least=0.0, k=4) == ["a", "b", "c"]  # the last has no chance at all


def test_k_and_budget_bound_it() -> None:
    assert looked(k=1) == ["a"]
    assert looked(k=np.int64(1)) == ["a"]
    assert looked(budget=1.99) == ["a"]
    assert looked(budget=2) == ["a", "b"]
    cheap = [*FOUR[:2], stopped("e", 0.65, 0.1, cost=0.1)]
    done = finish_promising(cheap, [(1.0,)], lambda name: (0.99,), budget=0.5)
    assert [one.promising.run_id for one in done] == ["e"]  # the only one that fits


def test_a_training_that_gives_nothing_is_not_tried_again() -> None:
    done = finish_promising(FOUR, [(1.0,)], lambda name: None, k=3)
    assert [(one.promising.run_id, one.final) for one in done] == [
        ("a", None), ("b", None), ("c", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"k": 0}, "`k` must be a whole number from 1 on, but got 0"),
        ({"k": True}, "`k`"),
        ({"k": 2.0}, "`k`"),
        ({"budget": 0}, "`budget` must be a number of whole runs above 0"),
        ({"budget": math.nan}, "`budget`"),
        ({"budget": "all"}, "`budget`"),
        ({"least": -0.1}, "`least` must be a chance from 0 on"),
    ],
)
def test_bounds_that_cannot_be_are_named(bounds: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidHistory, match=told):
        finish_promising(FOUR, [], lambda name: None, **bounds)


def run(name: str, mqe: float, *, stop: bool, scale: float = 2.0) -> Ended:
    return Ended(name, (mqe, 0.1, None), stop, 0.02, (0.2, 0.01, 0.0), scale, 0.5)


def test_the_policy_tells_the_objectives() -> None:
    runs = [run("a", 1.0, stop=True), run("b", 2.0, stop=False), run("c", 1.0, stop=True, scale=90)]
    stops, whole = ends_of(runs, Policy(name="population", weights=(1, 1, 0)))
    assert stops == [Stopped("a", (1.0 / 2 + 0.1,), (0.02,), 0.5)]  # c is of another table
    assert whole == {"b": (2.0 / 2 + 0.1,)}
    two = Policy(name="pareto", objectives=("topographic_error", "mqe", "speed"))
    stops, whole = ends_of(runs, two)
    assert stops == [Stopped("a", (0.1, 1.0), (0.01, 0.2), 0.5)]
    assert whole == {"b": (0.1, 2.0)}
    assert ends_of(runs, Policy(name="pareto", objectives=("speed",))) == ([], {})
    kept = [replaced._replace(values=(1.0, 0.1, 0.2)) for replaced in runs[:2]]
    stops, _ = ends_of(kept, Policy(name="pareto", objectives=("mqe", "score")))
    assert stops == [Stopped("a", (1.0, 0.5 + 0.1 + 0.1), (0.2, 0.02), 0.5)]
    assert ends_of([], two) == ([], {})
    assert 0 < LEAST < 1
