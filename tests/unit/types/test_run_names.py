"""The run_id that stands for a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.types import History
from oracle.types.run_names import run_id_of


@pytest.mark.parametrize(
    ("name", "run_id"),
    [
        ("r-17", "r-17"),
        (17, "17"),
        ("x" * 64, "x" * 64),
        ("run 17 (copy)", "run-17-copy-e55c2edc"),
        ("lr=0.1,sigma=2.0", "lr-0.1-sigma-2.0-bb10c95c"),
        ("..", "run-5ec1f7e7"),
        ("", "run-e3b0c442"),
    ],
)
def test_a_name_is_itself_or_cleaned(name: object, run_id: str) -> None:
    assert run_id_of(name) == run_id


@given(st.text(max_size=100))
def test_every_name_has_a_run_id_that_stands_for_it_alone(name: str) -> None:
    made = run_id_of(name)
    values = {"epochs": [1.0], "mqe": [1.0], "topo_error": [0.1], "dead_ratio": [0.1]}
    assert History.parse({"run_id": made, **values}).run_id == made
    assert run_id_of(made) == made
    assert made in (name, run_id_of(name))
    assert made != run_id_of(name + "=")


def test_names_that_are_cleaned_to_the_same_stay_apart() -> None:
    assert len({run_id_of(name) for name in ("a=1", "a:1", "a 1", "a-1")}) == 4
