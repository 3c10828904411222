"""Parameter spaces: what is drawn lies in them, and what is no part of them is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oracle.errors import InvalidSearch
from oracle.search.parameters import Choice, Number, draw, narrowed

SPACE = {
    "side": Number(3, 20, log=True, whole=True, least=1),
    "rate": Number(0.02, 1.0, log=True, least=1e-6),
    "share": Number(0.0, 2.0),
    "grid": Choice(("flat",), ("flat", "round")),
}


def test_what_is_drawn_lies_in_the_space() -> None:
    found, places = draw(SPACE, 2_000, np.random.default_rng(0))
    assert {one["side"] for one in found} == set(range(3, 21))
    assert all(isinstance(one["side"], int) for one in found)
    assert 0.02 <= min(one["rate"] for one in found) < 0.021
    assert np.median([one["rate"] for one in found]) == pytest.approx(0.14, abs=0.02)  # log
    assert np.median([one["share"] for one in found]) == pytest.approx(1.0, abs=0.1)
    assert {one["grid"] for one in found} == {"flat"}
    assert places.shape == (2_000, 4)
    assert (places[:, 3] == 0).all()  # what does not differ is nowhere apart
    assert (
        draw(SPACE, 5, np.random.default_rng(1))[0] == draw(SPACE, 5, np.random.default_rng(1))[0]
    )


@pytest.mark.parametrize(
    ("wanted", "low", "high"),
    [((5, 7), 5, 7), (6, 6, 6), ((4, 4), 4, 4), ((1, 40), 1, 40), (5.0, 5, 5)],
)
def test_a_range_is_taken(wanted: Any, low: int, high: int) -> None:
    sides = narrowed(SPACE, {"side": wanted})["side"]
    assert isinstance(sides, Number)
    assert (sides.low, sides.high) == (low, high)
    assert set(sides.at(np.linspace(0, 1, 500))) == set(range(low, high + 1))


@pytest.mark.parametrize("wanted", [[8, 12], [12.0, 8, 12], (8, 12, 8), np.array([8, 12])])
def test_a_list_of_numbers_is_choices_and_no_range(wanted: Any) -> None:
    space = narrowed(SPACE, {"side": wanted})
    found, places = draw(space, 60, np.random.default_rng(0))
    assert {one["side"] for one in found} == {8, 12}
    assert all(isinstance(one["side"], int) for one in found)
    assert set(places[:, 0]) == {0.0, 1.0}


def test_one_choice_of_a_number_is_that_number() -> None:
    assert narrowed(SPACE, {"rate": [0.5]})["rate"].at(np.array([0.1, 0.9])) == [0.5, 0.5]


def test_several_choices_lie_apart() -> None:
    space = narrowed(SPACE, {"grid": ["flat", "round"]})
    found, places = draw(space, 50, np.random.default_rng(0))
    assert {(one["grid"], place) for one, place in zip(found, places[:, 3], strict=True)} == {
        ("flat", 0.0),
        ("round", 1.0),
    }


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        ({"sigma": 1}, "space", "side, rate, share, grid"),
        ({"side": (5, 2)}, "space.side", "lower one first"),
        ({"side": 0}, "space.side", "from 1 to"),
        ({"side": 5.5}, "space.side", "whole"),
        ({"side": "5"}, "space.side", "whole"),
        ({"side": [1, 2, 0]}, "space.side", "from 1 to"),
        ({"side": [1, 2.5, 3]}, "space.side", "whole"),
        ({"side": []}, "space.side", "one, a range of two, or a list"),
        ({"side": ["a"]}, "space.side", "one, a range of two, or a list"),
        ({"rate": float("nan")}, "space.rate", "numbers"),
        ({"rate": (0.1, float("inf"))}, "space.rate", "to 1e"),
        ({"rate": None}, "space.rate", "numbers"),
        ({"rate": True}, "space.rate", "numbers"),
        ({"grid": "square"}, "space.grid", "flat, round"),
        ({"grid": []}, "space.grid", "flat, round"),
        ([1], "space", "a dict, with parameters among side, rate"),
        ("side", "space", "a dict"),
    ],
)
def test_what_is_no_part_of_the_space_is_named(wanted: Any, field: str, says: str) -> None:
    with pytest.raises(InvalidSearch, match=says) as refused:
        narrowed(SPACE, wanted)
    assert refused.value.args[0].field == field
