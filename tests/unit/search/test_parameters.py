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
    [((5, 7), 5, 7), (6, 6, 6), ([4, 4], 4, 4), ((1, 40), 1, 40), (5.0, 5, 5)],
)
def test_a_range_is_taken(wanted: Any, low: int, high: int) -> None:
    sides = narrowed(SPACE, {"side": wanted})["side"]
    assert isinstance(sides, Number)
    assert (sides.low, sides.high) == (low, high)
    assert set(sides.at(np.linspace(0, 1, 500))) == set(range(low, high + 1))


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
        ({"side": [1, 2, 3]}, "space.side", "one or two"),
        ({"side": []}, "space.side", "one or two"),
        ({"rate": float("nan")}, "space.rate", "numbers"),
        ({"rate": (0.1, float("inf"))}, "space.rate", "to 1e"),
        ({"rate": None}, "space.rate", "numbers"),
        ({"rate": True}, "space.rate", "numbers"),
        ({"grid": "square"}, "space.grid", "flat, round"),
        ({"grid": []}, "space.grid", "flat, round"),
    ],
)
def test_what_is_no_part_of_the_space_is_named(
    wanted: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(InvalidSearch, match=says) as refused:
        narrowed(SPACE, wanted)
    assert refused.value.args[0].field == field
