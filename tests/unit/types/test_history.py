"""Histories and what is known before them: what is taken, and what is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.errors import InvalidHistory
from oracle.history.geometry import geometry_of
from oracle.types import Geometry, History, RunContext
from oracle.types.context import QUANTIZATION_SCATTER

PLAN: dict[str, Any] = {"context": {"map_rows": 4, "mqe_of_mean": 1.5}, "total_epochs": 100}


def test_a_history_may_hold_its_plan_alone() -> None:
    history = History.parse(PLAN)
    assert len(history) == 0
    assert history.epochs == history.mqe == history.topographic_error == ()
    assert history.progress == 0.0
    assert History.parse({**PLAN, "epochs": [], "mqe": []}) == history
    assert History.parse(history.model_dump_json()) == history
    assert History.parse({"context": {"map_rows": 4}}).progress == 0.0


def test_cut_before_the_first_checkpoint_the_plan_is_left(brief_history: dict[str, Any]) -> None:
    whole = History.parse({**brief_history, **PLAN, "learning_rate": [0.3, 0.2, 0.1]})
    plan = whole.prefix(0)
    assert plan == History.parse({**PLAN, "learning_rate": []})
    assert whole.prefix(3) == whole
    for n in (-1, 4):
        with pytest.raises(InvalidHistory, match=r"within 0\.\.3"):
            whole.prefix(n)


@pytest.mark.parametrize("name", ["caf\u00e9", "cafe\u0301", " caf\u00e9\n"])
def test_a_name_has_one_form(name: str) -> None:
    history = History.parse({**PLAN, "dataset": name, "population": name})
    assert (history.dataset, history.population) == ("caf\u00e9", "caf\u00e9")


def test_blanks_are_no_name() -> None:
    with pytest.raises(InvalidHistory, match="`population`"):
        History.parse({**PLAN, "population": "  "})


@pytest.mark.parametrize("context", [None, {}, {"context": {}}, {"total_epochs": 10}])
def test_nothing_to_go_by_is_said(context: dict[str, Any] | None) -> None:
    with pytest.raises(InvalidHistory, match=r"`epochs` must be of one checkpoint at least.*plan"):
        History.parse({"epochs": [], "mqe": [], **(context or {})})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"mqe": [0.1]}, r"`epochs` must be given, but is missing"),
        ({"topographic_error": [0.1]}, r"`epochs` must be given, but is missing"),
        ({"epochs": [1.0], "mqe": [0.1]}, r"`topographic_error` must be given, but is missing"),
        ({"learning_rate": [0.1]}, r"`learning_rate` must be as long as epochs \(0\)"),
        ({"total_epochs": 0}, "total_epochs"),
        ({"context": {"map_rows": 0}}, "context.map_rows"),
        ({"context": {"toroidal": 1}}, "context.toroidal"),
        ({"context": {"toroidal": "yes"}}, "context.toroidal"),
    ],
)
def test_an_empty_history_keeps_every_rule(body: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidHistory, match=says):
        History.parse({**PLAN, **body})


# --- the table's shape -----------------------------------------------------------------------


def shaped(context: dict[str, Any] | None = None, **shape: Any) -> RunContext:
    return History.parse(
        {"context": {"n_samples": 100, **(context or {}), "geometry": shape}}
    ).context


def test_a_shape_may_be_told_in_part() -> None:
    context = shaped(distinct=1.0)
    assert context.geometry == Geometry(distinct=1.0)
    assert context.geometry.variance_1 is None
    assert shaped({"n_features": 3}).geometry == Geometry()


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (
            {"variance_1": 0.6, "variance_2": 0.5},
            r"variance_2` must be at least variance_1 \(0.6\)",
        ),
        (
            {"variance_1": 0.6, "variance_5": 0.5},
            r"variance_5` must be at least variance_1 \(0.6\)",
        ),
        ({"variance_2": 0.9, "variance_5": 0.8}, r"variance_5` must be at least variance_2"),
        ({"variance_1": 1.1}, r"geometry.variance_1"),
        ({"participation": 0.9}, r"participation` must be within 1..inf"),
        ({"participation": 1.9, "variance_1": 0.5}, r"participation` must be within 2..4, since"),
        ({"participation": 4.1, "variance_1": 0.5}, r"participation` must be within 2..4, since"),
        ({"distinct": 0.0}, r"distinct` must be above 0"),
        (
            {"quantization_4": 0.4, "quantization_16": 1.41},
            "quantization_16` must be at most quant",
        ),
        (
            {"quantization_4": 0.4, "quantization_64": 1.41},
            "quantization_64` must be at most quant",
        ),
        ({"neighbor_distance": float("nan")}, "geometry.neighbor_distance"),
        ({"offset": float("inf")}, "geometry.offset"),
        ({"dimension": -1.0}, "geometry.dimension"),
        ({"row_step": "1"}, "geometry.row_step"),
        ({"sharpness": 1.0}, "geometry.sharpness"),
    ],
)
def test_a_shape_that_contradicts_itself_is_refused(shape: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidHistory, match=says):
        shaped(**shape)


@pytest.mark.parametrize(
    ("context", "shape", "says"),
    [
        ({"n_features": 3}, {"participation": 3.1}, r"participation` must be at most n_features"),
        (
            {"n_features": 1},
            {"variance_1": 0.9},
            r"variance_1` must be at least 1: n_features is 1",
        ),
        ({"n_features": 4}, {"variance_1": 0.2}, r"variance_1` must be at least 0.25"),
        ({"n_features": 2}, {"variance_2": 0.9}, r"variance_2` must be at least 1"),
        ({"n_features": 10}, {"variance_5": 0.4}, r"variance_5` must be at least 0.5"),
        ({"n_samples": 16}, {"quantization_16": 0.1}, r"quantization_16` must be 0"),
        (
            {"n_samples": 16, "map_rows": 4, "map_cols": 5},
            {"quantization_map": 0.1},
            r"quantization_map` must be 0: each of the 16 rows",
        ),
        (
            {"map_rows": 5, "map_cols": 5},
            {"quantization_map": 1.41, "quantization_16": 0.4},
            r"quantization_map` must be at most quantization_16",
        ),
        (
            {"map_rows": 5, "map_cols": 5},
            {"quantization_map": 0.2, "quantization_64": 1.21},
            r"quantization_64` must be at most quantization_map",
        ),
    ],
)
def test_a_shape_that_the_sizes_contradict_is_refused(
    context: dict[str, Any], shape: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidHistory, match=says):
        shaped(context, **shape)
    shaped({"n_samples": 5000}, **shape)  # alone it is possible


def test_what_draws_and_rounding_explain_is_no_contradiction() -> None:
    shaped(quantization_4=0.4, quantization_16=0.4 + QUANTIZATION_SCATTER)
    shaped(variance_1=0.6001, variance_2=0.6, variance_5=0.5999)
    shaped({"n_features": 3}, participation=3.0001, variance_1=0.3333)
    shaped({"n_samples": 16}, quantization_16=0.0, quantization_64=0.0)
    shaped({"map_rows": 2, "map_cols": 2}, quantization_map=0.9, quantization_16=0.5)


@settings(max_examples=60)
@given(
    st.integers(2, 300),
    st.integers(1, 40),
    st.integers(1, 400),
    st.sampled_from(["normal", "cauchy", "sparse", "steps", "pareto", "walk"]),
    st.integers(0, 2**32 - 1),
)
def test_no_table_has_a_shape_that_is_refused(
    rows: int, features: int, neurons: int, kind: str, seed: int
) -> None:
    """Heavy tails, clusters of equal rows, orders: what is measured is always taken."""
    rng = np.random.default_rng(seed)
    samples = {
        "normal": lambda: rng.normal(size=(rows, features)),
        "cauchy": lambda: rng.standard_cauchy((rows, features)),
        "sparse": lambda: (rng.random((rows, features)) < 0.03).astype(float),
        "steps": lambda: rng.integers(0, 3, (rows, features)).astype(float),
        "pareto": lambda: rng.pareto(0.6, (rows, features)),
        "walk": lambda: np.cumsum(rng.normal(size=(rows, features)), axis=0),
    }[kind]()
    shape = geometry_of(samples, neurons)
    if shape is not None:
        RunContext.model_validate(
            {
                "n_samples": rows,
                "n_features": features,
                "map_rows": 1,
                "map_cols": neurons,
                "geometry": shape.model_dump(),
            }
        )
