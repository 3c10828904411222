"""Stored runs as training data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up import StandIn
from storing import write_now

from oracle.errors import DatasetError, InvalidHistory
from oracle.history.dataset import command_line, read_dataset, read_weights
from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs.export import Skipped, StoredRun, of_owner, read_store
from oracle.server.runs.lifecycle import Runs
from oracle.server.storage.store import Store
from oracle.types import RUN_ID_PATTERN, Policy


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with one run of each kind."""
    url = f"sqlite:///{tmp_path / 'oracle.db'}"
    store = Store(url, answer=StandIn().answer)
    runs = Runs(Policy(name="population", startup_runs=3, control=0.0))

    def append(run_id: str, epochs: list[float], mqe: float, owner: str = "") -> None:
        n = len(epochs)
        piece = CheckpointsRequest.model_validate(
            {
                "epochs": epochs,
                "mqe": [mqe] * n,
                "topographic_error": [0.1] * n,
                "dead_neuron_ratio": [0.1] * n,
                "dataset": "d",
                "total_epochs": 100,
            }
        )
        write_now(store, lambda c: runs.append(c, owner, run_id, piece))

    def finish(run_id: str, owner: str = "") -> None:
        write_now(store, lambda c: runs.finish(c, owner, run_id, FinishRequest()))

    for i in range(4):
        append(f"good-{i}", [50, 100], 0.1)
        finish(f"good-{i}")
    append("stopped", [10, 20], 5.0)
    append("live", [10], 0.1)
    append("half", [10, 50], 0.1)
    finish("half")
    runs.policy = runs.policy.model_copy(update={"control": 0.999})
    append("control", [10, 20], 5.0)
    append("control", [10, 20, 100], 5.0)
    finish("control")
    append("good-0", [100], 0.3, owner="ann")
    finish("good-0", owner="ann")
    store.close()
    return url


def test_ended_runs_come_with_their_marks_and_weights(url: str) -> None:
    found = list(read_store(url))
    runs = {one.run.run_id: one for one in found if isinstance(one, StoredRun)}
    assert set(runs) == {*(f"good-{i}" for i in range(4)), "stopped", "control", "ann.good-0"}
    assert runs["good-0"].run.final_mqe == 0.1
    assert runs["good-0"].weight == 1.0
    assert [name for name, one in runs.items() if one.run.censored] == ["stopped"]
    assert runs["control"].weight == pytest.approx(1 / 0.999)
    assert runs["control"].run.history.epochs == (10.0, 20.0, 100.0)
    skipped = [one for one in found if isinstance(one, Skipped)]
    assert [one.run_id for one in skipped] == ["half"]
    assert "50%" in skipped[0].reason


def test_one_owner_alone(url: str) -> None:
    found = list(read_store(url, owner="ann"))
    assert [one.run.run_id for one in found if isinstance(one, StoredRun)] == ["good-0"]


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for store in (f"sqlite:///{tmp_path / 'none.db'}", str(tmp_path / "none.db")):
        with pytest.raises(DatasetError, match=r"none\.db: must be the file"):
            list(read_store(store))
    assert not list(tmp_path.iterdir())


def test_a_sqlite_file_may_be_named_without_a_scheme(url: str) -> None:
    assert len(list(read_store(url.removeprefix("sqlite:///")))) == len(list(read_store(url)))


def test_another_database_is_refused() -> None:
    with pytest.raises(InvalidHistory, match="database_url"):
        list(read_store("mysql://h/d"))


def test_the_command_writes_a_dataset(url: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from oracle.commands.collect import app

    out = tmp_path / "served.csv.gz"
    done = CliRunner().invoke(app, ["ingest", "--store", url, "--out", str(out)])
    assert done.exit_code == 0, done.output
    runs = {run.run_id: run for run in read_dataset(out)}
    assert runs["stopped"].censored
    assert "half" not in runs
    assert read_weights(out) == {"control": pytest.approx(1 / 0.999)}


def test_weights_that_are_none_are_refused(url: str, tmp_path: Path) -> None:
    (tmp_path / "d_metadata.json").write_text('{"weights": {"r": "heavy"}}')
    with pytest.raises(DatasetError, match=r"weights\.r"):
        read_weights(tmp_path / "d.csv")


def test_metadata_holds_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://ann:p%40ss@db/runs"
    monkeypatch.setattr("sys.argv", ["/bin/oracle", "train", "--store", url, f"--store={url}"])
    masked = "postgresql://ann:***@db/runs"
    assert command_line() == f"oracle train --store {masked} --store={masked}"
    monkeypatch.setattr("sys.argv", ["/lib/oracle/__main__.py", "collect", "run"])
    assert command_line() == "oracle collect run"
    monkeypatch.setattr("sys.argv", ["mine.py", url])
    assert command_line() == f"mine.py {masked}"


def test_no_two_runs_of_different_keys_share_a_name() -> None:
    """Names may hold dots, and those of a key and of a run together be too long for one."""
    runs = [
        ("a", "b.c"),
        ("a.b", "c"),
        ("a", "b"),
        ("k" * 60, "r1"),
        ("k" * 60, "r2" + "x" * 62),
        ("k" * 60, "r2" + "x" * 61),
        ("k" * 64, "r" * 64),
        ("k" * 64, "r" * 63),
    ]
    names = [of_owner(owner, run_id) for owner, run_id in runs]
    assert len(set(names)) == len(runs)
    assert all(re.fullmatch(RUN_ID_PATTERN, name) for name in names)
    assert of_owner("ann", "r-17") == "ann.r-17"  # as datasets have it that were written before
    assert names == [of_owner(owner, run_id) for owner, run_id in runs]
