"""Real MiniSom runs as an evolutionary search proposes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from collector.ea_run import MAX_CHECKPOINTS, affordable, ea_datasets, make_som, run_one
from collector.space import sample_ea
from oracle.errors import OracleError
from oracle.history.tables import ROLES, role_of

SETTINGS = {"tables": "iris,linnerud,wine"}


@pytest.fixture(scope="module")
def runs() -> list:
    return [run_one(index, 5, SETTINGS) for index in range(24)]


def test_runs_are_whole_and_told_in_full(runs: list) -> None:
    for run in runs:
        context = run.history.context
        assert run.source == "minisom"
        assert run.history.progress == 1
        assert not run.censored
        assert 1 < len(run.history) <= MAX_CHECKPOINTS
        assert context.mqe_of_mean is not None
        assert context.schedule is not None
        assert context.schedule.learning_rate is not None
        assert context.schedule.radius is not None
        assert context.total_updates == run.history.total_epochs


def test_tables_take_turns(runs: list) -> None:
    assert [run.dataset for run in runs[:3]] == list(ea_datasets(SETTINGS["tables"]))
    assert [run.dataset for run in runs[3:6]] == [run.dataset for run in runs[:3]]


def test_the_space_is_wide_and_bad_regions_are_in_it(runs: list) -> None:
    contexts = [run.history.context for run in runs]
    assert {context.topology for context in contexts} == {"rectangular", "hexagonal"}
    assert {context.initialization for context in contexts} == {"random", "sample", "pca"}
    relative = [run.final_mqe / run.history.context.mqe_of_mean for run in runs]
    assert min(relative) < 0.3
    assert max(relative) > 0.5


def test_a_run_is_a_function_of_index_and_seed(runs: list) -> None:
    assert run_one(7, 5, SETTINGS) == runs[7]
    assert run_one(7, 6, SETTINGS).history.mqe != runs[7].history.mqe


def test_every_table_has_one_dataset_with_its_role() -> None:
    datasets = ea_datasets()
    assert len(datasets) == len(ROLES)
    assert {role_of(dataset) for dataset in datasets} == {"train", "calibrate", "test"}


def test_an_unknown_table_lists_what_there_is() -> None:
    with pytest.raises(OracleError, match=r"iris.*wine.*got 'mine'"):
        ea_datasets("mine")


def test_callables_begin_and_end_where_they_should() -> None:
    configuration = replace(
        sample_ea(np.random.default_rng(0), 50),
        decay_function="exponential",
        learning_rate=0.8,
        learning_rate_end=0.1,
        sigma_decay_function="linear",
        sigma=3.0,
        sigma_end=1.0,
    )
    som = make_som(configuration, np.random.default_rng(1).normal(size=(50, 3)))
    assert som._learning_rate_decay_function(0.8, 0, 100) == 0.8
    assert som._learning_rate_decay_function(0.8, 50, 100) == pytest.approx((0.8 * 0.1) ** 0.5)
    assert som._sigma_decay_function(3.0, 100, 100) == 1.0


def test_long_runs_are_cut_to_the_budget() -> None:
    configuration = replace(
        sample_ea(np.random.default_rng(0), 50), use_epochs=False, num_iteration=10**7
    )
    assert affordable(configuration, 50, 3) < 20_000
    assert affordable(replace(configuration, use_epochs=True), 10**6, 3) == 1
