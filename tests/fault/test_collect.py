"""The collector's journal: nothing lost, nothing repeated, whatever ends the process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collector.collect import Journal, collect, journal_path
from fault.kill_collector import made_run
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
    from collector.fast_run import run_one

    return run_one


def test_damaged_lines_are_made_again(tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    with pytest.raises(KeyboardInterrupt):
        collect(made_run, 10, out, workers=1, progress=stop_after(9))
    journal = journal_path(out)
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"mqe", b"mqx")
    journal.write_bytes(b"".join(lines)[:-5])
    assert collect(made_run, 10, out, workers=1).made == 3
    assert [run.run_id for run in read_dataset(out)] == [f"r-{i}" for i in range(10)]


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
    assert journal_path(out).read_bytes().count(b"\n") == 5


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
