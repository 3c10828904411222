"""The journal of collections: nothing lost, nothing repeated, whatever ends the process."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from collector.collect import collect, journal_path
from collector.journal import Journal
from fault.kills.kill_collector import made_run
from oracle.errors import DatasetError, OracleError
from oracle.history.dataset import read_dataset

ROOT = Path(__file__).parents[2]


def stop_after(count: int) -> Any:
    def progress(done: int, _: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    collect(made_run, 30, tmp_path / "whole.csv", seed=4, workers=1)
    log = tmp_path / "log"
    settings = {"log": str(log)}
    out = tmp_path / "parts.csv"
    for count in (7, 8, 21):
        with pytest.raises(KeyboardInterrupt):
            collect(made_run, 30, out, seed=4, settings=settings, workers=1,
                    progress=stop_after(count))  # fmt: skip
        assert not out.exists()
    done = collect(made_run, 30, out, seed=4, settings=settings, workers=1)
    assert (done.made, done.already_finished) == (9, False)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(map(int, log.read_text().split())) == list(range(30))
    assert not journal_path(out).exists()
    assert collect(made_run, 30, out, seed=4, settings=settings, workers=1).already_finished


def test_workers_do_not_show(tmp_path: Path) -> None:
    for workers in (1, 2):
        collect(_fast_run(), 4, tmp_path / f"{workers}.csv", seed=9, workers=workers,
                settings={"preset": "pretraining"})  # fmt: skip
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def _fast_run() -> Any:
    from collector.presets import run_one

    return run_one


def test_a_damaged_entry_is_told_and_made_again(tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    with pytest.raises(KeyboardInterrupt):
        collect(made_run, 10, out, workers=1, progress=stop_after(9))
    journal = journal_path(out)
    journal.write_bytes(journal.read_bytes().replace(b'"r-3"', b'"r-8"'))
    with pytest.raises(DatasetError, match="entry 3 was damaged"):
        collect(made_run, 10, out, workers=1)
    assert collect(made_run, 10, out, workers=1).made == 1
    assert [run.run_id for run in read_dataset(out)] == [f"r-{i}" for i in range(10)]


@pytest.mark.parametrize("left", [0, 40, 5_000, 12_000, -1])
def test_a_write_that_was_torn_is_made_again(tmp_path: Path, left: int) -> None:
    names = "d.csv.journal", "d.csv.journal-wal"
    killed = tmp_path / "killed"
    killed.mkdir()
    with Journal(tmp_path / names[0], {"a": 1}) as kept:
        for i in range(5):
            kept.append(i, "x" * 5_000)
        for name in names:  # as kill -9 leaves them
            shutil.copy(tmp_path / name, killed / name)
    log = (killed / names[1]).read_bytes()
    (killed / names[1]).write_bytes(log[:left])
    with Journal(killed / names[0], {"a": 1}) as again:
        found = again.keys()
        assert found == set(range(len(found)))
        assert len(found) == (4 if left == -1 else 0 if left < 5_000 else len(found))
        assert all(text == "x" * 5_000 for _, text in again.read())


def test_a_journal_of_an_earlier_version_says_what_to_do(tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    old = b'e5f1f7a5 28 -1 {"run_one": "x", "runs": 10}\n' * 200
    journal_path(out).write_bytes(old)
    with pytest.raises(DatasetError, match=r"Finish it with the SOM Oracle that began it, or remo"):
        collect(made_run, 10, out, workers=1)
    assert journal_path(out).read_bytes() == old


def test_another_program_s_database_is_left_alone(tmp_path: Path) -> None:
    journal = tmp_path / "d.csv.journal"
    with closing(sqlite3.connect(journal)) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = journal.read_bytes()
    with pytest.raises(DatasetError, match="another program's database"):
        Journal(journal, {})
    assert journal.read_bytes() == before


def test_a_journal_cut_short_says_what_to_do(tmp_path: Path) -> None:
    journal = tmp_path / "d.csv.journal"
    with Journal(journal, {}) as kept:
        for i in range(5):
            kept.append(i, "x" * 5_000)
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="or remove it to begin anew"), Journal(journal, {}) as j:
        list(j.read())
    journal.write_bytes(b"")  # killed before anything was written
    with Journal(journal, {}) as kept:
        assert kept.keys() == set()


@pytest.mark.parametrize(
    "change", [{"seed": 5}, {"runs": 11}, {"settings": {"slow_ms": 1}}], ids=lambda c: next(iter(c))
)
def test_other_settings_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    out = tmp_path / "d.csv"
    runs = change.get("runs", 10)
    other = {key: value for key, value in change.items() if key != "runs"}
    with pytest.raises(KeyboardInterrupt):
        collect(made_run, 10, out, workers=1, progress=stop_after(4))
    before = journal_path(out).read_bytes()
    with pytest.raises(DatasetError, match="Repeat that command"):
        collect(made_run, runs, out, workers=1, **other)
    assert journal_path(out).read_bytes() == before
    collect(made_run, 10, out, workers=1)
    with pytest.raises(DatasetError, match="Choose another name"):
        collect(made_run, runs, out, workers=1, **other)


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    header: dict[str, Any] = {"run_one": "x"}
    with Journal(journal_path(out), header), pytest.raises(OracleError, match="Another collection"):
        collect(made_run, 3, out, workers=1)


def test_a_failing_run_keeps_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    with pytest.raises(RuntimeError, match="on purpose"):
        collect(made_run, 6, out, workers=1, settings={"fails_at": 4})
    with closing(sqlite3.connect(journal_path(out))) as db:
        assert [key for (key,) in db.execute("SELECT key FROM entry")] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"runs": 0}, "runs"), ({"workers": 0}, "workers"), ({"seed": -1}, "seed")],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(OracleError, match=named):
        collect(made_run, out=tmp_path / "d.csv", **{"runs": 3, "workers": 1, **arguments})
    with pytest.raises(OracleError, match="csv"):
        collect(made_run, 3, tmp_path / "d.json", workers=1)


def test_metadata_says_how_to_repeat(tmp_path: Path) -> None:
    collect(made_run, 3, tmp_path / "d.csv.gz", seed=2, workers=1, command="oracle collect run")
    facts = json.loads((tmp_path / "d_metadata.json").read_text())
    assert (facts["runs"], facts["seed"], facts["command"]) == (3, 2, "oracle collect run")
