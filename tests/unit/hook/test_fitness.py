"""The value of a run to a search."""

from __future__ import annotations

import math

import pytest

from oracle.errors import InvalidHistory
from oracle.hook.fitness import Fitness
from oracle.types import Scale


def test_the_score_is_relative_where_the_scale_is_known() -> None:
    fitness = Fitness(0.5, 0.1, 0.2, censored=False, mqe_of_mean=2.0)
    assert fitness.score() == pytest.approx(0.25 + 0.1 + 0.1)
    assert fitness.score(scale=Scale.RAW) == pytest.approx(0.5 + 0.1 + 0.1)
    assert fitness.score(weights=(1, 0, 0)) == pytest.approx(0.25)


def test_the_relative_scale_is_not_invented() -> None:
    with pytest.raises(InvalidHistory, match="mqe_of_mean"):
        Fitness(0.5, 0.1, 0.2, censored=False).score(scale=Scale.RELATIVE)


def test_objectives_come_in_the_order_asked_for() -> None:
    fitness = Fitness(0.5, None, 0.2, censored=True)
    assert fitness.objectives(("dead_neuron_ratio", "mqe")) == (0.2, 0.5)
    assert fitness.objectives(("score",)) == (fitness.score(),)
    assert fitness.objectives(("topographic_error",)) == (math.inf,)


def test_an_unknown_objective_is_named() -> None:
    with pytest.raises(InvalidHistory, match=r"`objectives` must be one of mqe.*'speed'"):
        Fitness(0.5, 0.1, 0.2, censored=False).objectives(("speed",))
