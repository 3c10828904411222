"""Ray Tune: trials are stopped, and a restored experiment is judged as if nothing had happened."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import StandIn, made_outcome
from ray_nodes import ENVIRONMENT, Nodes
from tune_experiment import EPOCHS, TRIALS

from oracle.errors import OracleWarning
from oracle.hook import Population
from oracle.integrations.ray_tune import OracleStopper

TESTS = Path(__file__).parents[2]
DEADLINE_S = 240.0


def stopper(folder: Path, **settings: Any) -> OracleStopper:
    made = OracleStopper(EPOCHS, objectives=("mqe",), population=folder / "runs.db", **settings)
    made.setup()
    return made


def result(epoch: int, mqe: float = 0.5) -> dict[str, Any]:
    return {
        "training_iteration": epoch, "mqe": mqe, "topographic_error": 0.1,
        "dead_neuron_ratio": 0.1, "config": {"sigma": 2.0},
    }  # fmt: skip


class Shown(StandIn):
    """A stand-in that remembers the epochs of what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[tuple[float, ...]] = []

    def forecast(self, history: Any) -> Any:
        self.epochs.append(history.epochs)
        return super().forecast(history)


def ended(trial: str) -> dict[str, Any]:
    return {"iteration": 0, "trials": [], "trial": SimpleNamespace(trial_id=trial)}


def test_what_a_trial_told_comes_back_with_its_state(tmp_path: Path) -> None:
    before = stopper(tmp_path, model=StandIn(), check_every=0.0)
    for epoch in (1, 2, 3):
        assert before("t1", result(epoch)) is False
    before("t2", result(1))
    before.on_trial_complete(**ended("t2"))
    state = pickle.loads(pickle.dumps(before.get_state()))  # noqa: S301  as Tune does
    model = Shown()
    after = stopper(tmp_path, model=model, check_every=0.0)
    after.set_state(state)
    after("t1", result(4))
    assert model.epochs[-1] == (1, 2, 3, 4)
    assert list(after.fitness) == ["t2"]
    # From a checkpoint that is older than what was told, as after a node that died.
    after.set_state(pickle.loads(pickle.dumps(before.get_state())))  # noqa: S301
    after("t1", result(2))
    assert model.epochs[-1] == (1, 2)
    after("t1", result(3))
    after("t1", result(2))
    assert model.epochs[-1] == (1, 2)
    after("t1", result(1))
    assert model.epochs[-1] == (1,)
    members = {
        member.run_id: member for member in Population(tmp_path / "runs.db").members("default")
    }
    assert members["t1"].state == "live"
    assert members["t1"].config == {"sigma": 2.0}


def test_a_trial_is_stopped_and_is_worth_its_forecast(tmp_path: Path) -> None:
    shared = Population(tmp_path / "runs.db")
    for i in range(20):
        shared.end("default", made_outcome(0.01 + i / 1000, run_id=f"old-{i}"))
    oracle = stopper(tmp_path, model=StandIn(), control=0.0, check_every=0.0)
    assert any(oracle("bad", result(epoch, 5.0)) for epoch in range(1, EPOCHS))  # to the first
    oracle.on_trial_complete(**ended("bad"))
    oracle("failed", result(1))
    oracle.on_trial_error(**ended("failed"))
    assert oracle.fitness["bad"].censored
    tally = shared.tally("default")
    assert (tally.stopped, tally.abandoned) == (1, 1)
    grid = [SimpleNamespace(error=None, metrics={"trial_id": name}) for name in ("bad", "good")]
    assert oracle.finished(grid) == grid[1:]
    assert "stopped" in oracle.summary()
    shared.close()


def test_in_doubt_the_trial_goes_on(tmp_path: Path) -> None:
    oracle = stopper(tmp_path, model=StandIn())
    with pytest.warns(OracleWarning, match="could not judge a result of t1: KeyError"):
        assert oracle("t1", {"loss": 1.0}) is False
    alone = OracleStopper(EPOCHS, population=tmp_path / "runs.db", dataset="t", model=StandIn())
    with pytest.warns(OracleWarning, match=r"callbacks=\[\.\.\.\]"):
        assert alone("t1", result(1)) is False
    assert not alone.stop_all()


def test_a_restored_experiment_goes_on_as_it_was(ray_cluster: Nodes, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(TESTS / "tune_experiment.py"),
        str(tmp_path),
        ray_cluster.address,
    ]
    environment = {**os.environ, **ENVIRONMENT, "RAY_CHDIR_TO_TRIAL_DIR": "0"}
    seen = tmp_path / "seen"
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # A shell's background job hands on an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + DEADLINE_S
    # In the middle of the second trial: the first has ended, others have not begun.
    while not (seen.exists() and len(seen.read_text().splitlines()) >= EPOCHS + EPOCHS // 2):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.wait(DEADLINE_S)
    before = [line.split() for line in seen.read_text().splitlines()]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
    assert f"{TRIALS} trials, 0 errors" in done.stdout
    after = [line.split() for line in seen.read_text().splitlines()][len(before) :]
    cut = before[-1][0]
    mine = [(float(first), float(last)) for run, first, last in after if run == cut]
    # It goes on in its middle, and is judged from its first epoch on.
    assert mine
    assert {first for first, _ in mine} == {1.0}
    assert mine[-1][1] == EPOCHS
    tally = Population(tmp_path / "runs.db").tally("default")
    assert tally.finished + tally.stopped == TRIALS
    assert tally.live == 0
