"""Plans: what follows from parameters alone is what the library's own objects tell."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from minisom import MiniSom

from oracle.errors import InvalidHistory, InvalidSearch
from oracle.history.context import context_of
from oracle.history.geometry import geometry_of
from oracle.integrations.nexussom import of_parameters
from oracle.search import minisom, nexussom, susi, xpysom
from oracle.search.libraries import library_of
from oracle.search.parameters import draw
from oracle.search.suggest import complete, plans_on
from oracle.search.table import Table
from oracle.types import FloatArray, Geometry, RunContext

RNG = np.random.default_rng(3)
DATA = RNG.normal(size=(400, 6)) * np.array([4, 2, 1, 1, 0.5, 0.1])
TABLE = Table.of(DATA)


def some(library: Any, n: int) -> list[dict[str, Any]]:
    drawn, _ = draw(library.space(TABLE, 14), 4 * n, np.random.default_rng(1))
    return [one for one in drawn if library.fits(one)][:n]


def same(planned: RunContext, read: RunContext) -> None:
    """All but the codebook of the map's size, which is drawn anew or read between others."""
    ours, theirs = planned.geometry, read.geometry
    assert ours is not None
    assert theirs is not None
    assert ours.quantization_map == pytest.approx(theirs.quantization_map, rel=0.15, abs=0.02)
    leave = {"geometry": {"quantization_map"}, "schedule": True}
    assert planned.model_dump(exclude=leave) == read.model_dump(exclude=leave)  # type: ignore[arg-type]
    for name in ("progress", "learning_rate", "radius"):
        one, other = getattr(planned.schedule, name), getattr(read.schedule, name)
        if one is None or other is None:
            assert one is other, name
            continue
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12), name


@pytest.mark.parametrize("parameters", some(minisom, 12), ids=range(12))
def test_a_minisom_plan_is_what_its_object_tells(parameters: dict[str, Any]) -> None:
    plan = minisom.plan(parameters, TABLE, 3_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what fits gives no warning
        som = MiniSom(**plan.make)
    kind = parameters["initialization"]
    read = context_of(som, DATA, num_iteration=3_000, initialization=kind)
    same(plan.context, read)
    scope: dict[str, Any] = {"MiniSom": MiniSom, "data": DATA}
    exec(plan.code, scope)
    assert scope["som"].get_weights().shape == (parameters["x"], parameters["y"], 6)
    assert plan.cost == 3_000 * parameters["x"] * parameters["y"] * 6


@pytest.mark.parametrize("parameters", some(nexussom, 8), ids=range(8))
def test_a_nexussom_plan_is_what_its_parameters_tell(parameters: dict[str, Any]) -> None:
    plan = nexussom.plan(parameters, TABLE, 20_000)
    make = {name: value for name, value in plan.make.items() if name != "dim"}
    same(plan.context, context_of(of_parameters(make), DATA))
    assert plan.context.total_updates == pytest.approx(20_000, rel=0.2)


@pytest.mark.parametrize("parameters", some(xpysom, 8), ids=range(8))
def test_an_xpysom_plan_is_what_its_object_tells(parameters: dict[str, Any]) -> None:
    from xpysom import XPySom

    plan = xpysom.plan(parameters, TABLE, 4_000)
    assert plan.train == {"num_epochs": 10}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what fits gives no warning
        som = XPySom(**plan.make)
    kind = parameters["initialization"]
    same(plan.context, context_of(som, DATA, num_iteration=10, initialization=kind))
    scope: dict[str, Any] = {"XPySom": XPySom, "data": DATA}
    exec(plan.code, scope)
    assert scope["som"].get_weights().shape == (parameters["x"], parameters["y"], 6)


@pytest.mark.parametrize("parameters", some(susi, 8), ids=range(8))
def test_a_susi_plan_is_what_its_object_tells(parameters: dict[str, Any]) -> None:
    from susi import SOMClustering

    plan = susi.plan(parameters, TABLE, 500)
    same(plan.context, context_of(SOMClustering(**plan.make), DATA))
    scope: dict[str, Any] = {"SOMClustering": SOMClustering, "data": DATA}
    exec(plan.code, scope)
    assert scope["som"].unsuper_som_.shape[:2] == (parameters["n_rows"], parameters["n_columns"])


def test_a_table_told_by_its_numbers_gives_the_same_plans() -> None:
    """As R and curl users tell it: with the geometry of one map size, or of none."""
    shape = geometry_of(DATA, 256)
    told = RunContext(
        n_samples=400,
        n_features=6,
        mqe_of_mean=TABLE.scale,
        map_rows=16,
        map_cols=16,
        geometry=shape,
    )
    for size in (4, 30, 64, 200, 256, 390):
        ours = Table.told(told).error_of_codebook(size)
        assert ours == pytest.approx(TABLE.error_of_codebook(size), rel=0.1)
    assert TABLE.error_of_codebook(400) == TABLE.error_of_codebook(1_000) == 0.0
    errors = [TABLE.error_of_codebook(size) for size in range(4, 400)]
    assert errors == sorted(errors, reverse=True)


def test_a_table_without_a_shape_is_taken() -> None:
    table = Table.told(RunContext(n_samples=400, n_features=6, mqe_of_mean=1.5))
    assert table.context(5, 5).geometry is None
    bare = Table.told(
        RunContext(n_samples=400, n_features=6, mqe_of_mean=1.5, geometry=Geometry(variance_1=0.5))
    ).context(5, 5)
    assert bare.geometry == Geometry(variance_1=0.5)


@pytest.mark.parametrize("missing", ["n_samples", "n_features", "mqe_of_mean"])
def test_what_no_plan_can_be_forecast_without_is_named(missing: str) -> None:
    told = {"n_samples": 400, "n_features": 6, "mqe_of_mean": 1.5}
    del told[missing]
    with pytest.raises(InvalidSearch, match=f"context.{missing}"):
        Table.told(RunContext(**told))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [np.ones((20, 3)), np.ones((1, 4))],
    ids=["equal", "one"],
)
def test_a_table_that_nothing_can_be_learned_of_is_refused(data: FloatArray) -> None:
    with pytest.raises(InvalidSearch, match="two different rows"):
        Table.of(data)


def test_values_that_are_not_finite_are_named_by_row_and_column() -> None:
    holed = DATA.copy()
    holed[7, 1] = np.nan
    with pytest.raises(InvalidSearch, match=r"the first at row 7, column 1'\. Fill them"):
        Table.of(holed)
    # Where they are masked nobody sees them.
    seen = Table.of(np.ma.masked_invalid(holed))
    assert seen.n_samples == len(DATA)


def test_a_value_that_is_no_number_is_named_by_row_and_column() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "kind": ["1", "x", "y"]})
    with pytest.raises(InvalidHistory, match="numbers, but got 'x at row 1, column kind'"):
        Table.of(frame)
    for data in ([["a", 1]], [[1, 2], [3]], [[1, None], [2, object()]], "text"):
        with pytest.raises(InvalidHistory, match="`data` must be"):
            Table.of(data)


@pytest.mark.parametrize("name", ["minisom", "xpysom", "susi"])
def test_one_feature_has_no_two_axes_to_begin_with(name: str) -> None:
    """pca takes two of them: a plan with it could not run."""
    pytest.importorskip(name)
    made = library_of(name)
    one = Table.of(DATA[:, :1])
    plans, _ = plans_on(made, one, None, 400, 12, 0)
    kind = next(key for key in plans[0].parameters if key.startswith("init"))
    assert "pca" not in {plan.parameters[kind] for plan in plans}
    for plan in plans[:4]:
        library = import_module(name)
        scope: dict[str, Any] = {**vars(library), "data": DATA[:, :1]}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(plan.code, scope)
    with pytest.raises(InvalidSearch, match="the table, which has one feature"):
        plans_on(made, one, {kind: "pca"}, 400, 12, 0)
    with pytest.raises(InvalidSearch, match="the table, which has one feature"):
        complete(made, one, {kind: "pca"})
    assert complete(made, TABLE, {kind: "pca"})[kind] == "pca"


def test_a_random_sample_of_a_table_is_known_without_drawing_it() -> None:
    """What is measured outside a codebook hardly changes, what is inside it is a larger share."""
    rows = np.random.default_rng(0).permutation(len(DATA))[:300]
    drawn, sampled = Table.of(DATA[rows]), TABLE.sampled(300)
    assert sampled.n_samples == 300
    for size in (16, 64, 256):
        ours = sampled.error_of_codebook(size)
        assert ours == pytest.approx(drawn.error_of_codebook(size), rel=0.2)
    assert TABLE.sampled(9_000).context(5, 5).geometry is None
    assert TABLE.with_features(6) is TABLE
    assert TABLE.with_features(24).scale == pytest.approx(2 * TABLE.scale)
