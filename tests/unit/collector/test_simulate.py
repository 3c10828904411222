"""Parametric curves: consistent, seeded, and marked as what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from collector.simulate import simulate, simulate_from
from oracle.errors import DatasetError, OracleError
from oracle.types import METRICS, Run

NEXUSSOM = Path(__file__).parents[2] / "data" / "nexussom"


def test_every_run_says_that_it_is_simulated() -> None:
    runs = list(simulate(30, seed=0))
    assert {run.source for run in runs} == {"simulated"}
    assert len({run.run_id for run in runs}) == 30


def test_the_last_checkpoint_is_the_final_value() -> None:
    for run in simulate(50, seed=4):
        for metric in METRICS:
            assert getattr(run.history, metric)[-1] == getattr(run, f"final_{metric}")
        assert run.history.progress == 1


def test_a_run_depends_on_seed_and_number_alone() -> None:
    assert list(simulate(4, seed=9)) == list(simulate(20, seed=9))[:4]
    assert next(simulate(1, seed=9)) != next(simulate(1, seed=10))


def test_runs_of_one_table_share_its_scale() -> None:
    scales: dict[str, set[float | None]] = {}
    for run in simulate(40, seed=2):
        scales.setdefault(run.dataset, set()).add(run.history.context.mqe_of_mean)
    assert len(scales) == 10
    assert all(len(found) == 1 for found in scales.values())


def test_mqe_falls_and_dead_neurons_go_either_way() -> None:
    runs = list(simulate(300, seed=5))
    falls = [run.history.mqe[0] > run.final_mqe for run in runs]
    assert np.mean(falls) > 0.95
    rises = [
        (run.history.dead_neuron_ratio[0] or 0) < (run.final_dead_neuron_ratio or 0) for run in runs
    ]
    assert 0.1 < np.mean(rises) < 0.9


def test_curves_are_noisy() -> None:
    courses = [np.diff(run.history.topographic_error) for run in simulate(50, seed=6)]
    assert np.mean([(steps > 0).any() and (steps < 0).any() for steps in courses]) > 0.9


def test_toward_the_final_values_of_a_nexussom_folder() -> None:
    items = list(simulate_from(NEXUSSOM, seed=0, checkpoints=20))
    runs = [item for item in items if isinstance(item, Run)]
    assert len(runs) == 5  # the four that can be ingested, and the one without checkpoints
    assert {run.source for run in runs} == {"simulated"}
    assert {run.final_dead_neuron_ratio for run in runs} <= {
        0.171875, 0.265625, 0.2222222222222222, 0.24691358024691357, 0.1875
    }  # fmt: skip
    assert all(len(run.history) == 20 for run in runs)
    assert len(items) - len(runs) == 3


@pytest.mark.parametrize(("runs", "checkpoints"), [(0, 20), (-1, 20), (3, 1), (3, 1001)])
def test_counts_out_of_range_are_refused(runs: int, checkpoints: int) -> None:
    with pytest.raises(OracleError, match="within"):
        list(simulate(runs, seed=0, checkpoints=checkpoints))


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"results\.csv"):
        list(simulate_from(tmp_path, seed=0))
