"""What is measured of a map: values that are no numbers any more, and what it costs to measure."""

from __future__ import annotations

import warnings
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minisom import MiniSom

from oracle import Population, train_map, watch
from oracle.hook import WatchedRun

RATIOS = {"topographic_error": 0.1, "dead_neuron_ratio": 0.0}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def reported(path: Path, *mqe: Any, **settings: Any) -> WatchedRun:
    with watch(population=path, dataset="d", total_epochs=len(mqe), run_id="a", **settings) as run:
        for epoch, value in enumerate(mqe, 1):
            run.report(epoch, mqe=value, **RATIOS)
    return run


@pytest.mark.parametrize("broken", [nan, inf, -inf, np.float32("nan"), 1e155, 10**400])
def test_the_values_of_before_are_not_its_own(tmp_path: Path, broken: Any) -> None:
    run = reported(tmp_path / "runs.db", 0.2, 0.15, broken, broken)
    assert (run.state, run.fitness().mqe, run.fitness().censored) == ("abandoned", inf, True)
    assert run.fitness().score() == inf
    assert "diverged after epoch 2" in run.summary()
    told = Population(tmp_path / "runs.db")
    assert [(m.state, m.final_mqe) for m in told.members("d")] == [("abandoned", None)]
    assert "nothing" not in told.summary().split("best")[0]


def test_one_that_comes_back_has_not_diverged(tmp_path: Path) -> None:
    run = reported(tmp_path / "runs.db", 0.2, nan, 0.15, 0.1)
    assert (run.state, run.fitness().mqe, run.fitness().censored) == ("finished", 0.1, False)


def test_one_that_was_not_measured_at_its_end_keeps_what_it_had(tmp_path: Path) -> None:
    run = reported(tmp_path / "runs.db", 0.2, 0.15, None, None)
    assert (run.state, run.fitness().mqe) == ("left", 0.15)


def test_values_measured_at_the_end_count(tmp_path: Path) -> None:
    with watch(population=tmp_path / "runs.db", dataset="d", total_epochs=2) as run:
        run.report(1, mqe=0.2, **RATIOS)
        run.report(2, mqe=nan, **RATIOS)
        assert run.finish(mqe=0.1).mqe == 0.1
    assert run.state == "finished"


def test_a_run_that_goes_on_from_an_earlier_map_has_not_diverged(tmp_path: Path) -> None:
    with watch(population=tmp_path / "runs.db", dataset="d", total_epochs=3) as run:
        run.report(1, mqe=0.2, **RATIOS)
        run.report(2, mqe=nan, **RATIOS)
        run.rewind(1)
    assert (run.state, run.fitness().mqe) == ("left", 0.2)


def test_a_map_of_a_library_that_diverges_is_no_result(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(100, 3))
    som = MiniSom(
        *(5, 5, 3), sigma=1, learning_rate=50.0, neighborhood_function="mexican_hat", random_seed=1
    )
    with np.errstate(all="ignore"):
        run = train_map(som, data, 2000, population=tmp_path / "runs.db", dataset="d", run_id="a")
    assert (run.state, run.fitness().mqe) == ("abandoned", inf)
    assert not np.isfinite(som.get_weights()).all()
    assert [m.state for m in Population(tmp_path / "runs.db").members("d")] == ["abandoned"]


def test_a_table_with_missing_values_is_told_as_that(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(100, 3))
    data[3, 2] = np.nan
    som = MiniSom(5, 5, 3, sigma=1, learning_rate=0.5, random_seed=1)
    run = train_map(som, data, 500, population=tmp_path / "runs.db", dataset="d")
    assert "measure" in run.problems.counts
    assert "diverged" not in run.problems.counts
    assert "`data` must be" in str(run.problems.messages["measure"])
    assert (run.state, run.fitness().mqe) == ("abandoned", inf)


def test_measuring_that_costs_more_than_the_training_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(0).normal(size=(100, 3))

    def trained() -> WatchedRun:
        som = MiniSom(5, 5, 3, sigma=1, learning_rate=0.5, random_seed=1)
        return train_map(som, data, 200, population=tmp_path / "runs.db", dataset="d")

    assert "measuring" not in trained().problems.counts
    monkeypatch.setattr("oracle.integrations.measuring.LONG_S", 0.0)
    monkeypatch.setattr("oracle.integrations.measuring.SHARE", 0.0)
    run = trained()
    assert run.state == "finished"
    assert "a pass over all 100 samples each time: fewer `checkpoints`" in str(
        run.problems.messages["measuring"]
    )
