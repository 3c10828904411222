"""The hook on real MiniSom trainings."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import StandIn
from minisom import MiniSom

from oracle.decision.log import read_decisions
from oracle.history.metrics import measure
from oracle.hook import Population
from oracle.integrations.minisom import train
from oracle.types import Policy


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.concatenate([rng.normal(c, 0.4, size=(30, 4)) for c in (-1.0, 0.5, 2.0)])


def som(seed: int = 1, **settings: Any) -> MiniSom:
    return MiniSom(6, 5, 4, **{"sigma": 2.0, "learning_rate": 0.4, "random_seed": seed, **settings})


@pytest.mark.parametrize(
    ("random_order", "use_epochs", "topology", "fixed"),
    [
        *product([False, True], [False, True], ["rectangular", "hexagonal"], [None]),
        (True, False, "rectangular", {3: (0, 0), 7: (5, 4)}),
    ],
)
def test_a_run_that_nothing_stops_is_bit_identical(
    data: np.ndarray, random_order: bool, use_epochs: bool, topology: str, fixed: Any
) -> None:
    mine, theirs = som(topology=topology), som(topology=topology)
    settings = {"random_order": random_order, "use_epochs": use_epochs, "fixed_points": fixed}
    before = np.random.get_state()[1].copy()
    never = Policy(threshold=1000)
    run = train(mine, data, 6 if use_epochs else 500, model=StandIn(), policy=never, **settings)
    theirs.train(data, 6 if use_epochs else 500, **settings)
    assert np.array_equal(mine.get_weights(), theirs.get_weights())
    # ... and so is whatever comes after it
    draws = [s._random_generator.random_sample() for s in (mine, theirs)]
    assert draws[0] == draws[1]
    assert np.array_equal(before, np.random.get_state()[1])
    assert run.state == "finished"
    assert run.fitness().mqe == measure(mine.get_weights(), data, topology).mqe
    assert not run.problems.counts


def test_a_stopped_run_is_the_prefix_of_the_whole_one(data: np.ndarray) -> None:
    policy = Policy(threshold=1e-6, caution=1e-7, control=0)
    mine, theirs = som(), som()
    run = train(mine, data, 400, random_order=True, model=StandIn(), policy=policy)
    assert run.state == "stopped"
    assert run.decision is not None
    done = round((run.decision.progress or 0) * 400)
    assert done == 40  # the second of twenty looks
    theirs._random_generator.shuffle(order := np.arange(400) % len(data))
    for t, index in enumerate(order[:done]):
        theirs.update(data[index], theirs.winner(data[index]), t, 400)
    assert np.array_equal(mine.get_weights(), theirs.get_weights())


def test_a_plan_that_is_judged_may_stop_a_run_before_its_first_update(data: np.ndarray) -> None:
    bold = {"min_checkpoints": 0, "min_progress": 0.0, "control": 0.0}
    policy = Policy(threshold=1e-6, caution=1e-6, **bold)
    mine, theirs = som(), som()
    run = train(mine, data, 400, model=StandIn(), policy=policy)
    assert (run.state, run.fitness().censored) == ("stopped", True)
    assert run.decision is not None
    assert run.decision.expected_saving == 1.0
    assert np.array_equal(mine.get_weights(), theirs.get_weights())
    lenient = train(mine, data, 400, model=StandIn(), policy=Policy(threshold=1000, **bold))
    assert lenient.state == "finished"


def test_minisoms_own_errors_are_the_users(data: np.ndarray) -> None:
    with pytest.raises(ValueError, match="num_iteration must be > 1"):
        train(som(), data, 0, model=StandIn())


def test_a_population_saves_epochs_and_keeps_the_best(data: np.ndarray, tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    rng = np.random.default_rng(0)

    def maps() -> Iterator[MiniSom]:
        for seed in range(24):
            rate, sigma = 10 ** rng.uniform(-2.5, 0), rng.uniform(0.5, 3)
            yield som(seed, learning_rate=rate, sigma=sigma)

    runs = [
        train(m, data, 300, population=shared, dataset="clusters", model=StandIn(), run_id=f"r{i}")
        for i, m in enumerate(maps())
    ]
    tally = shared.tally("clusters")
    assert tally.finished + tally.stopped == 24
    assert tally.stopped >= 5
    assert tally.saved > 0.1
    assert {run.state for run in runs} == {"finished", "stopped"}
    best = min(runs, key=lambda run: run.fitness().score())
    assert not best.fitness().censored


def test_a_map_that_leaves_all_bounds_goes_on(data: np.ndarray) -> None:
    wild = som(learning_rate=1e200)
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="ends like this has diverged"):
        run = train(wild, data, 200, model=StandIn())
    assert set(run.problems.counts) == {"diverged"}
    assert (run.state, run.fitness().mqe) == ("abandoned", np.inf)


def test_the_default_oracle_watches(data: np.ndarray, tmp_path: Path) -> None:
    run = train(som(), data, 900, population=tmp_path / "runs.db", log=tmp_path / "log.jsonl")
    assert not run.problems.counts, run.summary()
    assert run.decision is not None
    assert run.decision.model is not None
    assert len(list(read_decisions(tmp_path / "log.jsonl"))) == 20
