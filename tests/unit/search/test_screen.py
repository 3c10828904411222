"""Screening: of many candidates those come first that are forecast to end best."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

from oracle import Screen, how_long, screen
from oracle.errors import InvalidSearch, OracleWarning
from oracle.forecast.forecaster import Oracle
from oracle.hook import policy_for
from oracle.search.suggest import CAUTION, LUCK, suggest
from oracle.search.table import table_of

DATA = np.random.default_rng(5).normal(size=(200, 4)) * np.array([3, 2, 1, 0.3])


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


def test_it_ranks_as_suggestions_are_told(oracle: Oracle) -> None:
    table = table_of(DATA)
    found = suggest(table, 40, candidates=40, budget=3_000, oracle=oracle)
    told = [plan.expected["quality"][CAUTION] - LUCK["quality"] for plan in found]
    backwards = [plan.parameters for plan in found][::-1]
    best = screen(table, backwards, 5, budget=3_000, oracle=oracle)
    assert best == [len(found) - 1 - i for i in np.argsort(told, kind="stable")[:5]]
    assert best == screen(DATA, backwards, 5, budget=3_000, oracle=oracle)
    assert sorted(screen(table, backwards, 99, oracle=oracle)) == list(range(len(found)))
    assert screen(table, [], 5, oracle=oracle) == []


def test_what_is_not_told_is_in_the_middle(oracle: Oracle) -> None:
    """A search over two settings names these two alone."""
    candidates = [{"sigma": s, "learning_rate": 0.3} for s in (0.5, 2.0, 6.0)]
    by_mqe = screen(DATA, candidates, 3, objectives="mqe", oracle=oracle)
    assert by_mqe[0] == 0  # a small radius lets go of the grid: the lowest mqe ...
    by_grid = screen(DATA, candidates, 3, objectives="topographic_error", oracle=oracle)
    assert by_grid[-1] == 0  # ... and the most torn map


def test_of_several_objectives_those_are_kept_that_cover_the_most_together(oracle: Oracle) -> None:
    rng = np.random.default_rng(2)
    drawn = [
        {"x": int(x), "y": 6, "sigma": float(s), "learning_rate": 0.3}
        for x, s in zip(rng.integers(3, 12, 60), rng.uniform(0.4, 3.0, 60), strict=True)
    ]
    two = ("mqe", "topographic_error")
    table = table_of(DATA)
    kept = screen(table, drawn, 6, objectives=two, oracle=oracle)
    assert len(set(kept)) == 6
    for objective in two:  # the best in one thing alone is not among them by chance
        (best,) = screen(table, drawn, 1, objectives=objective, oracle=oracle)
        assert best in screen(table, drawn, 20, objectives=two, oracle=oracle)
    # Alike ones are not kept beside each other while unlike ones gain.
    twice = [drawn[kept[0]], *drawn]
    assert 0 not in screen(table, twice, 3, objectives=two, oracle=oracle)[1:] or (
        kept[0] + 1 not in screen(table, twice, 3, objectives=two, oracle=oracle)
    )
    assert sorted(screen(table, drawn, 99, objectives=two, oracle=oracle)) == list(range(60))
    assert screen(table, drawn, 4, objectives=("mqe",), oracle=oracle) == screen(
        table, drawn, 4, objectives="mqe", oracle=oracle
    )


def test_a_search_reads_its_own_candidates(oracle: Oracle) -> None:
    chooses = Screen(
        DATA, lambda genes: {"sigma": 0.5 + 5 * genes[0], "learning_rate": 0.3},
        objectives="mqe", budget=3_000, oracle=oracle,
    )  # fmt: skip
    genes = [[0.9], [0.0], [0.5]]
    plain = [{"sigma": 0.5 + 5 * g[0], "learning_rate": 0.3} for g in genes]
    assert chooses(genes, 2) == screen(
        DATA, plain, 2, objectives="mqe", budget=3_000, oracle=oracle
    )
    assert chooses.best(genes, 1) == [[0.0]]
    assert chooses([], 3) == []
    with pytest.raises(InvalidSearch, match="keep"):
        chooses(genes, 0)
    with pytest.raises(InvalidSearch, match="Nothing else is forecast"):
        Screen(DATA, objectives=("mqe", "speed"))


@pytest.mark.parametrize("keep", [0, -1, True, 1.5])
def test_how_many_are_kept_is_a_number(keep: Any, oracle: Oracle) -> None:
    with pytest.raises(InvalidSearch, match="keep"):
        screen(DATA, [{"sigma": 1.0}], keep, oracle=oracle)


def test_numpys_numbers_are_as_good(oracle: Oracle) -> None:
    """As DEAP, pymoo and Optuna hand them on."""
    plain = [{"x": 5, "sigma": 1.5, "learning_rate": 0.25}, {"x": 9, "sigma": 3.0}]
    typed = [
        {"x": np.int64(5), "sigma": np.float64(1.5), "learning_rate": np.float32(0.25)},
        {"x": np.int32(9), "sigma": np.float32(3.0)},
    ]
    assert screen(DATA, typed, np.int64(2), oracle=oracle) == screen(DATA, plain, 2, oracle=oracle)


@pytest.mark.parametrize(
    ("candidates", "wanted", "says"),
    [
        ([{"sgima": 1}], {}, "of the parameters"),
        ([{"sigma": 0}], {}, "space.sigma"),
        ([{"x": 3, "y": 3, "sigma": 12.0}], {}, "trains as they say"),
        ([{"sigma": 1.0}], {"objectives": "speed"}, "Nothing else is forecast"),
        ([{"sigma": 1.0}], {"library": "som"}, "minisom, nexussom"),
    ],
)
def test_what_is_asked_wrongly_is_named(
    candidates: list[dict[str, Any]], wanted: dict[str, Any], says: str, oracle: Oracle
) -> None:
    with pytest.raises(InvalidSearch, match=says):
        screen(DATA, candidates, 1, oracle=oracle, **wanted)


def test_a_search_that_cannot_be_screened_is_told_once(oracle: Oracle) -> None:
    """Such a search is an unscreened one: whoever runs it should know, and why."""
    large = table_of(np.random.default_rng(6).normal(size=(30_000, 3)))
    candidates = [{"sigma": s} for s in (1.0, 2.0, 3.0)]
    chooses = Screen(large, oracle=oracle)
    with pytest.warns(OracleWarning, match="none of 3 candidates could be judged") as told:
        assert chooses(candidates, 2) == [0, 1]
    assert "`data` must be of about" in str(told[0].message)
    assert "rows at most" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chooses(candidates, 2) == [0, 1]
        assert screen(DATA, candidates, 3, oracle=oracle)
    with pytest.warns(OracleWarning, match="rows at most"):
        screen(large, candidates, 2, objectives=("mqe", "topographic_error"), oracle=oracle)


def test_where_warnings_are_errors_the_search_goes_on(oracle: Oracle) -> None:
    large = table_of(np.random.default_rng(6).normal(size=(30_000, 3)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert screen(large, [{"sigma": 1.0}], 1, oracle=oracle) == [0]


@pytest.mark.parametrize("candidates", [None, 3, [1], ["sigma"]])
def test_what_are_no_candidates_is_named(candidates: Any, oracle: Oracle) -> None:
    with pytest.raises(InvalidSearch, match=r"`(candidates|parameters)` must be"):
        screen(DATA, candidates, 1, oracle=oracle)


def test_a_candidate_that_cannot_be_trained_ends_no_search(oracle: Oracle) -> None:
    """Crossover and mutation leave the space now and then."""
    chooses = Screen(DATA, library="xpysom", oracle=oracle)
    right = {"x": 6, "y": 14, "sigma": 3.0, "sigmaN": 0.5}
    for wrong in ({**right, "sigma": 6.2}, {**right, "sigma": -0.6}, {**right, "x": 15.1}):
        with pytest.raises(InvalidSearch):  # nothing but mistakes so far
            Screen(DATA, library="xpysom", oracle=oracle)([wrong, wrong], 1)
    assert chooses([right], 1) == [0]
    with pytest.warns(OracleWarning, match="1 of 3 candidates stand behind all others") as told:
        assert chooses([{**right, "sigma": 6.2}, right, {**right, "sigma": 2.0}], 3)[-1] == 0
    assert "sigma below the shorter of x and y" in str(told[0].message)
    assert "'sigma': 6.2" in str(told[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        assert chooses([{**right, "x": 15.1}] * 2, 1) == [0]


def test_a_copied_algorithm_has_the_same_screen(oracle: Oracle) -> None:
    chooses = Screen(DATA, oracle=oracle)
    assert copy.deepcopy({"of": chooses})["of"] is chooses


def test_the_score_is_the_quality(oracle: Oracle) -> None:
    assert Screen(DATA, objectives="score", oracle=oracle).objectives == ("quality",)
    by_name = [how_long(DATA, {}, objective=name, oracle=oracle) for name in ("score", "quality")]
    assert by_name[0] == by_name[1]
    assert policy_for("quality") == policy_for("score")
