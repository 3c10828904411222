"""Suggestions: the best of what was drawn, unlike each other, and the same from the same seed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from oracle import how_long, suggest
from oracle.errors import InvalidHistory, InvalidSearch, OracleWarning
from oracle.forecast.forecaster import Oracle
from oracle.history.context import mqe_of_mean
from oracle.history.geometry import geometry_of
from oracle.search.plane import POINTS, plane
from oracle.search.suggest import APART, CAUTION, LUCK, choose
from oracle.types import LEVELS, RunContext, Suggestions

DATA = np.random.default_rng(5).normal(size=(300, 5)) * np.array([3, 2, 1, 1, 0.3])
LARGE = np.random.default_rng(6).normal(size=(30_000, 3))


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def found(oracle: Oracle) -> Suggestions:
    return suggest(DATA, 8, candidates=400, oracle=oracle)


def test_the_best_come_first(found: Suggestions, oracle: Oracle) -> None:
    everything = suggest(DATA, 400, candidates=400, oracle=oracle)
    assert len(found) == 8
    assert found.candidates == 400
    assert len(everything) + found.refused == 400
    cautious = [plan.expected["quality"][CAUTION] for plan in everything]
    assert found[0].expected["quality"][CAUTION] == min(cautious)
    told = [plan.expected["quality"][CAUTION] for plan in found]
    assert told == sorted(told)
    assert max(told) < np.quantile(cautious, 0.25)
    assert found == suggest(DATA, 8, candidates=400, oracle=oracle)
    assert found != suggest(DATA, 8, candidates=400, seed=1, oracle=oracle)
    assert Suggestions.model_validate_json(found.model_dump_json()) == found


def test_what_is_forecast_is_the_forecast_of_the_plan(found: Suggestions, oracle: Oracle) -> None:
    """A plan that is told by its map gets the same answer, but for the codebook's draw."""
    from minisom import MiniSom

    from oracle import context_of

    plan = found[0]
    som = MiniSom(**plan.make)
    kind = plan.parameters["initialization"]
    iterations = plan.train["num_iteration"]
    context = context_of(som, DATA, num_iteration=iterations, initialization=kind)  # type: ignore[arg-type]
    forecast = oracle.forecast(context=context)
    quality = forecast.quality[-1].values
    told = np.array(plan.expected["quality"]) - LUCK["quality"]
    assert told == pytest.approx(quality, abs=0.03)


def test_a_front_of_several_objectives(oracle: Oracle) -> None:
    both = ("mqe", "topographic_error")
    front = suggest(DATA, 12, objectives=both, candidates=400, oracle=oracle)
    values = np.array([[plan.expected[o][CAUTION] for o in both] for plan in front])
    first = values[0]
    assert not (values < first).all(axis=1).any()  # nothing beats the first in both
    best = suggest(DATA, 1, objectives="mqe", candidates=400, oracle=oracle)
    assert list(best[0].expected) == ["mqe"]
    assert best[0].expected["mqe"][CAUTION] <= values[:, 0].min()


def test_plans_that_are_alike_are_told_once() -> None:
    values = np.array([[0.1], [0.11], [0.12], [0.2]])
    places = np.array([[0.5, 0.5], [0.5, 0.5 + APART], [0.9, 0.1], [0.1, 0.9]])
    assert choose(values, places, 2) == [0, 2]
    assert choose(values, places, 3) == [0, 2, 3]
    assert choose(values, places, 4) == [0, 2, 3, 1]  # the like ones fill up
    assert choose(values, places, 9) == [0, 2, 3, 1]


def test_a_table_by_its_numbers(found: Suggestions, oracle: Oracle) -> None:
    told = RunContext(
        n_samples=300,
        n_features=5,
        mqe_of_mean=mqe_of_mean(DATA),
        map_rows=16,
        map_cols=16,
        geometry=geometry_of(DATA, 256),
    )
    by_numbers = suggest(told, 8, candidates=400, oracle=oracle)
    best = {str(plan.parameters) for plan in found}
    assert len(best & {str(plan.parameters) for plan in by_numbers}) >= 5


def test_how_long_says_where_more_stops_paying(found: Suggestions, oracle: Oracle) -> None:
    told = how_long(DATA, found[0].parameters, budget=6_000, oracle=oracle)
    assert told.updates[0] == 600
    assert told.updates[-1] == 60_000
    middle = [values[LEVELS.index(0.5)] for values in told.expected]
    enough = told.updates.index(told.enough)
    assert middle[enough] <= min(middle) + told.worth
    assert all(value > min(middle) + told.worth for value in middle[:enough])
    assert f"{told.enough:,.0f} updates are enough" in str(told)
    assert how_long(DATA, {}, shares=(1,), oracle=oracle).updates == (6_000,)
    with pytest.raises(InvalidSearch, match="shares"):
        how_long(DATA, {}, shares=(1, 1), oracle=oracle)


def test_a_plane_is_a_grid_around_a_plan(found: Suggestions, oracle: Oracle) -> None:
    best = found[0].parameters
    space = {"sigma": (1, 9), "x": best["x"]}
    drawn = plane(DATA, best, ("sigma", "learning_rate"), space=space, oracle=oracle)
    assert len(drawn.up) == len(drawn.values) == POINTS
    assert (drawn.across[0], drawn.across[-1]) == (1, 9)
    assert drawn.log == (True, True)
    known = [v for row in drawn.values for v in row if v is not None]
    assert min(known) < found[0].expected["quality"][-1]
    with pytest.raises(InvalidSearch, match="plane"):
        plane(DATA, best, ("sigma", "topology"), oracle=oracle)
    with pytest.raises(InvalidSearch, match="Nothing else is forecast"):
        plane(DATA, best, ("sigma", "x"), objective="speed", oracle=oracle)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"library": "somlib"}, "one of minisom, nexussom"),
        ({"objectives": ("speed",)}, "Nothing else is forecast"),
        ({"objectives": ()}, "objectives"),
        ({"n": 0}, "`n` must be a whole number from 1"),
        ({"n": True}, "`n` must be"),
        ({"candidates": 10**9}, "20,000"),
        ({"budget": 0}, "budget"),
        ({"budget": 10**400}, "budget"),
        ({"candidates": 10**400}, "candidates"),
        ({"space": {"sigma": 10**400}}, "space.sigma"),
        ({"budget": float("nan")}, "budget"),
        ({"space": {"sgima": 3}}, "of the parameters x, y, sigma"),
        ({"space": [1]}, "`space` must be a dict, with parameters among x, y"),
        ({"seed": -1}, "`seed` must be a whole number from 0"),
        ({"seed": 1.5}, "`seed` must be a whole number from 0"),
        ({"seed": None}, "`seed` must be a whole number from 0"),
        ({"objectives": None}, "`objectives` must be one to three"),
        ({"objectives": 3}, "`objectives` must be one to three"),
        ({"objectives": [["mqe"]]}, "`objectives` must be one to three"),
        ({"library": None}, "one of minisom, nexussom"),
        ({"library": ["minisom"]}, "one of minisom, nexussom"),
        ({"oracle": "models/x"}, "`oracle` must be an oracle.Oracle"),
        ({"space": {"x": (5_000, 9_000)}}, "space.x"),
        ({"space": {"sigma": (90, 99), "x": 4, "y": 4}}, "would train a map"),
    ],
)
def test_what_is_asked_wrongly_is_named(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSearch, match=says):
        suggest(DATA, **{"candidates": 20, **wanted})


@pytest.mark.parametrize("library", ["minisom", "nexussom"])
@pytest.mark.parametrize("budget", [1, 2, 33, 1e12])
def test_any_budget_is_taken(library: str, budget: float, oracle: Oracle) -> None:
    found = suggest(DATA, 3, library=library, budget=budget, candidates=30, oracle=oracle)
    assert found.candidates == 30


def test_a_table_of_impossible_size_is_refused(oracle: Oracle) -> None:
    told = RunContext(n_samples=1e15, n_features=3, mqe_of_mean=1.0)
    with pytest.raises(InvalidSearch, match="total_updates"):
        suggest(told, candidates=5, oracle=oracle)
    assert suggest(told, candidates=5, budget=1e6, oracle=oracle).candidates == 5


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidHistory, match="table"):
        suggest(np.zeros(4))


def test_plans_unlike_any_training_are_not_told(oracle: Oracle) -> None:
    """A map of millions of neurons on two rows is nothing that was ever seen."""
    found = suggest(
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        5,
        space={"x": (2_000, 4_000), "y": (2_000, 4_000), "sigma": (1_000, 2_000)},
        budget=2,
        candidates=30,
        oracle=oracle,
    )
    assert found.refused > 0
    assert len(found) <= 30 - found.refused
    if not len(found):
        assert "could be judged" in str(found)


def test_how_long_says_what_is_asked_wrongly_and_what_it_cannot_judge(oracle: Oracle) -> None:
    for shares in (None, 3, ("a",), (2, 1), (float("nan"),), ()):
        with pytest.raises(InvalidSearch, match="shares"):
            how_long(DATA, {}, shares=shares, oracle=oracle)  # type: ignore[arg-type]
    for worth in (None, -1, float("nan")):
        with pytest.raises(InvalidSearch, match="worth"):
            how_long(DATA, {}, worth=worth, oracle=oracle)  # type: ignore[arg-type]
    with pytest.raises(InvalidSearch, match="`parameters` must be a dict"):
        how_long(DATA, [1], oracle=oracle)  # type: ignore[arg-type]
    with pytest.warns(OracleWarning, match=r"none of the budgets .* rows at most"):
        how_long(LARGE, {}, oracle=oracle)


def test_a_table_beyond_what_is_known_is_told_with_what_to_do(oracle: Oracle) -> None:
    found = suggest(LARGE, candidates=60, oracle=oracle)
    assert (len(found), found.refused, found.plans) == (0, 60, ())
    assert found.unlike is not None
    limit = re.search(r"`data` must be of about ([\d,]+) rows at most", found.unlike)
    assert limit is not None
    assert "random sample of so many rows" in found.unlike
    assert str(found) == (
        f"None of 60 plans could be judged: they are unlike any training. {found.unlike}"
    )
    # What is said holds: most plans for so many rows are judged.
    within = suggest(LARGE[: int(limit[1].replace(",", ""))], candidates=60, oracle=oracle)
    assert 2 * within.refused <= within.candidates
    assert within.unlike is None
    # ... and nobody takes a plan of none unawares.
    with pytest.raises(InvalidSearch, match="rows at most"):
        _best, *_others = found
    with pytest.raises(InvalidSearch, match="rows at most"):
        found[0]
    with pytest.raises(InvalidSearch, match="rows at most"):
        list(found)


def test_most_plans_left_out_is_said_with_why(oracle: Oracle) -> None:
    found = suggest(LARGE[:8_000], 3, candidates=100, oracle=oracle)
    assert 0 < len(found) <= 100 - found.refused < 50
    assert found.unlike is not None
    assert str(found).endswith(
        f"{found.refused} of 100 plans could not be judged and are left out: they are unlike any "
        f"training. {found.unlike}"
    )


@pytest.mark.parametrize(
    ("told", "wanted", "says"),
    [
        ({"n_samples": 9e6}, {}, ["`context.n_samples` must be of about [0-9,]+ rows at most"]),
        ({"n_features": 4_000}, {}, ["`context.n_features` must be of about [0-9,]+ features at"]),
        ({}, {"budget": 1e11}, ["`budget` must be about [0-9,]+ sample updates at most"]),
        ({}, {"budget": 1}, ["`budget` must be about [0-9,]+ sample updates at least"]),
        ({}, {"space": {"x": (900, 999), "y": (900, 999)}}, ["`space` must be nearer"]),
        ({"n_samples": 9e6, "n_features": 4_000}, {}, ["rows at most", "features at most"]),
    ],
)
def test_each_thing_beyond_what_is_known_is_named(
    told: dict[str, Any], wanted: dict[str, Any], says: list[str], oracle: Oracle
) -> None:
    table = RunContext(**{"n_samples": 300, "n_features": 5, "mqe_of_mean": 2.0, **told})
    unlike = suggest(table, candidates=60, oracle=oracle, **wanted).unlike
    assert unlike is not None
    for one in says:
        assert re.search(one, unlike), unlike
    assert unlike.count("must be") == len(says)
