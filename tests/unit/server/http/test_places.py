"""Places are bounded, and nobody can take those of another."""

from __future__ import annotations

import pytest

from oracle.errors import Overloaded
from oracle.server.http.places import LANES, Places, lane_of


def taken(places: Places, caller: str) -> int:
    """Take as many as there are for a caller."""
    count = 0
    while True:
        try:
            places.take(caller)
        except Overloaded:
            return count
        count += 1


def test_one_caller_may_have_all() -> None:
    places = Places(4)
    assert taken(places, "") == 4
    assert places.taken == 4


@pytest.mark.parametrize(("total", "share"), [(4, 2), (5, 2), (3, 1), (2, 1), (1, 1)])
def test_of_several_none_has_more_than_half(total: int, share: int) -> None:
    places = Places(total, callers=2)
    assert [taken(places, caller) for caller in "ab"] == [share, share]
    places.give_back("a")
    assert [taken(places, caller) for caller in "ba"] == [0, 1]


def test_the_first_place_of_a_caller_is_free_whoever_came_before() -> None:
    places = Places(4, callers=10)
    assert [taken(places, caller) for caller in "abcd"] == [2, 2, 1, 1]
    assert places.taken == 6


def test_a_place_is_given_back_whatever_happens() -> None:
    places = Places(1, refusal="No room.")

    def fail() -> None:
        with places.held("a"):
            assert places.taken == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert places.taken == 0
    places.take("a")
    with pytest.raises(Overloaded, match="No room"):
        fail()
    assert places.taken == 1


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", "/healthz", None),
        ("GET", "/readyz", "probes"),
        ("GET", "/metrics", "probes"),
        ("POST", "/v1/decide", "answers"),
        ("POST", "/v1/forecast", "answers"),
        ("POST", "/v1/decide/batch", None),
        ("POST", "/v1/explain", None),
        ("POST", "/v1/suggest", None),
        ("GET", "/v1/events", None),
        ("GET", "/v2/health/live", None),
        ("GET", "/v2/health/ready", "probes"),
        ("POST", "/v2/models/m/infer", "answers"),
        ("GET", "/", "answers"),
        ("GET", "/v1/runs", "reads"),
        ("HEAD", "/v1/runs/r", "reads"),
        ("GET", "/v1/populations/a/b", "reads"),
        ("POST", "/v1/runs/r/checkpoints", "writes"),
        ("DELETE", "/v1/runs/r", "writes"),
    ],
)
def test_each_kind_of_work_has_places_of_its_own(method: str, path: str, lane: str | None) -> None:
    assert lane_of({"method": method, "path": path}) == lane
    assert lane is None or lane in LANES
