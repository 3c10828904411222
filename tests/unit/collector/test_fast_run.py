"""Presets of the compiled core: whole histories, each a function of (index, seed)."""

from __future__ import annotations

import numpy as np
import pytest

from collector.broad_space import sample_broad, sample_searches
from collector.fast_run import SIGNIFICANT_DIGITS
from collector.presets import presets, run_one
from collector.sources import dataset_names, load_dataset, load_table, scale
from collector.space import sample_ea, sample_wide
from oracle.errors import OracleError
from oracle.history.geometry import geometry_of
from oracle.history.tables import ROLES, SCALINGS, role_of, tables


def test_pretraining_runs_are_whole_and_their_own() -> None:
    runs = [run_one(index, 11, {"preset": "pretraining"}) for index in range(40)]
    assert len({run.dataset for run in runs}) == len(runs)
    assert {run.source for run in runs} == {
        f"fast-{mode}" for mode in ("online", "blocks", "minibatch", "batch")
    }
    for run in runs:
        history, context = run.history, run.history.context
        assert role_of(run.dataset) == "train"
        assert history.epochs[0] == 0
        assert history.epochs[-1] == history.total_epochs
        assert (run.final_mqe, run.final_dead_neuron_ratio) == (
            history.mqe[-1],
            history.dead_neuron_ratio[-1],
        )
        told = context.model_dump(exclude={"toroidal"})  # who measures it as flat knows of none
        assert all(v is not None for v in told.values())
        assert context.schedule is not None
        assert 17 <= len(context.schedule.progress) <= 33 + 4  # two jumps, before and after
        assert context.geometry is not None
        assert context.geometry.quantization_map is not None
        assert all(float(f"{v:.{SIGNIFICANT_DIGITS}g}") == v for v in history.mqe)
    again = run_one(39, 11, {"preset": "pretraining"})
    assert again == runs[39]
    assert run_one(39, 12, {"preset": "pretraining"}) != runs[39]


@pytest.mark.parametrize("preset", ["calibrate", "test", "broad"])
def test_whole_tables_make_populations(preset: str) -> None:
    role = "test" if preset == "broad" else preset
    names = dataset_names(role)  # type: ignore[arg-type]
    count = len(names)
    first, second = (run_one(index, 0, {"preset": preset}) for index in (3, 3 + count))
    assert first.dataset == second.dataset == names[3]
    assert first.run_id != second.run_id
    context = first.history.context
    data = load_dataset(names[3])
    assert context.n_samples == len(data)
    neurons = (context.map_rows or 0) * (context.map_cols or 0)
    assert context.geometry == geometry_of(np.ascontiguousarray(data), neurons)
    assert presets()[preset].runs % count == 0


def test_random_tables_make_populations() -> None:
    size = presets()["choose"].population
    first, same, other = (run_one(i, 5, {"preset": "choose"}) for i in (2, size - 1, size))
    assert (first.dataset, same.dataset, other.dataset) == ("choose-5-0",) * 2 + ("choose-5-1",)
    assert (first.run_id, same.run_id) == ("choose-5-0-2", f"choose-5-0-{size - 1}")
    told = [
        (c.n_samples, c.n_features, c.mqe_of_mean)
        for c in (run.history.context for run in (first, same, other))
    ]
    assert told[0] == told[1] != told[2]
    assert first.history != same.history
    assert role_of(first.dataset) is None
    assert run_one(2, 5, {"preset": "choose"}) == first
    assert run_one(2, 6, {"preset": "choose"}).history.context != first.history.context


def test_roles() -> None:
    usable = {
        role: [t for t in tables(role) if len(load_table(t)) >= 40 and load_table(t).shape[1] >= 2]
        for role in ("train", "calibrate", "test")
    }
    assert len(usable["test"]) >= 10
    assert len(usable["calibrate"]) >= 8
    assert role_of("wine-minmax") == "test"
    assert role_of("iris") == "calibrate"
    assert role_of("my-table") is None
    assert role_of(None) is None


@pytest.mark.parametrize("name", sorted(ROLES))
def test_tables_are_clean(name: str) -> None:
    table = load_table(name)
    assert np.isfinite(table).all()
    assert (table.std(axis=0) > 0).all()
    for scaling in SCALINGS:
        assert np.isfinite(scale(table, scaling)).all()


def test_unknown_names_are_listed() -> None:
    with pytest.raises(OracleError, match="wine"):
        load_table("penguins")
    with pytest.raises(OracleError, match="minmax"):
        load_dataset("wine-log")


def test_ea_space_is_wide() -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_ea(rng, 200) for _ in range(400)]
    sides = [side for c in drawn for side in (c.rows, c.cols)]
    assert (min(sides) <= 4, max(sides) >= 29) == (True, True)
    for name in ("topology", "initialization", "neighborhood_function", "use_epochs"):
        assert len({getattr(c, name) for c in drawn}) >= 2
    assert len({c.decay_function for c in drawn}) == 6
    assert len({c.sigma_decay_function for c in drawn}) == 6


def test_each_preset_draws_from_its_space() -> None:
    """The test tables' runs stay what they were; all that trains and calibrates is broad."""
    draws = {name: preset.sample for name, preset in presets().items()}
    assert draws.pop("test") is sample_wide
    assert draws.pop("searches") is sample_searches
    assert set(draws.values()) == {sample_broad}
    assert "narrow" not in presets()
