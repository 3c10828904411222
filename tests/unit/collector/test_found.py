"""Runs without a name, and names that come twice: no run is lost, and none is two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collector.recorded.found import Home, Names
from collector.recorded.ingest import Known, Report, ingest, readers_of
from oracle.history.dataset import write_dataset
from oracle.types import Run


def read(*paths: Path, **known: Any) -> tuple[list[Run], Report]:
    return ingest(readers_of(paths, Known(**known)))


def history(mqe: float, **fields: Any) -> dict[str, Any]:
    columns = {"topographic_error": [0.1, 0.1], "dead_neuron_ratio": [0.2, 0.2]}
    return {"epochs": [1, 2], "mqe": [mqe, mqe / 2], **columns, **fields}


def write_json(path: Path, *histories: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, histories)))
    return path


def write_csv(path: Path, mqe: float, run: str = "", first: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    name, cell = ("run,", f"{run},") if run else ("", "")
    rows = [f"{cell}{first + i},{mqe / (i + 1)}" for i in range(2)]
    path.write_text("\n".join([f"{name}epoch,qe", *rows]) + "\n")
    return path


def final(runs: list[Run]) -> dict[str, float]:
    return {run.run_id: run.final_mqe for run in runs}


def test_json_of_one_name_in_three_folders_is_three_runs(tmp_path: Path) -> None:
    paths = [write_json(tmp_path / f"s{i}" / "history.json", history(i)) for i in (1, 2, 4)]
    runs, report = read(*paths)
    assert final(runs) == {"history": 0.5, "s2-history": 1.0, "s4-history": 2.0}
    assert [run.history.run_id for run in runs] == list(final(runs))
    assert (report.again, report.skipped) == (0, [])


def test_lines_of_one_name_in_two_folders_are_runs_of_their_own(tmp_path: Path) -> None:
    paths = [
        write_json(tmp_path / f"s{i}" / "log.jsonl", history(i), history(4 * i)) for i in (1, 2)
    ]
    runs, report = read(*paths)
    assert final(runs) == {"log-1": 0.5, "log-2": 2.0, "s2-log-1": 1.0, "s2-log-2": 4.0}
    assert (report.again, report.skipped) == (0, [])


def test_tables_of_one_name_deep_in_three_folders_are_three_runs(tmp_path: Path) -> None:
    folders = [tmp_path / f"t{i}" for i in (1, 2, 3)]
    for i, folder in enumerate(folders, 1):  # the third at epochs of its own
        write_csv(folder / "csv" / "log.csv", i, first=5 if i == 3 else 1)
    runs, report = read(*folders)
    assert final(runs) == {"log": 0.5, "t2-csv-log": 1.0, "t3-csv-log": 1.5}
    assert [run.history.epochs for run in runs] == [(1, 2), (1, 2), (5, 6)]
    assert not report.skipped


def test_a_file_given_twice_is_one_run_by_whatever_path(tmp_path: Path) -> None:
    for path in (
        write_json(tmp_path / "a" / "h.json", history(1)),
        write_csv(tmp_path / "b" / "log.csv", 1),
    ):
        linked = tmp_path / f"to-{path.parent.name}"
        linked.symlink_to(path.parent)
        runs, report = read(path, path.parent / ".." / path.parent.name / path.name, linked)
        assert [run.run_id for run in runs] == [path.stem]
        assert not report.skipped
    assert read(path.parent, tmp_path / "a" / "h.json", tmp_path / "a")[1].again == 1


def test_names_do_not_depend_on_where_the_folders_are(tmp_path: Path) -> None:
    for place in ("here", "there/deep"):
        for i in (1, 2):
            write_json(tmp_path / place / f"s{i}" / "h.json", history(i))
    names = [
        [run.run_id for run in read(*sorted((tmp_path / place).iterdir()))[0]]
        for place in ("here", "there/deep")
    ]
    assert names == [["h", "s2-h"], ["h", "s2-h"]]


@pytest.mark.parametrize("name", ["lr0.1.csv", "lr0.1.csv.gz", "lr0.1.tsv"])
def test_a_number_in_a_files_name_is_no_ending(tmp_path: Path, name: str) -> None:
    for i, value in enumerate(("0.1", "0.2", "0.3"), 1):
        write_csv(tmp_path / name.replace("0.1", value), i)
    assert final(read(tmp_path)[0]) == {"lr0.1": 0.5, "lr0.2": 1.0, "lr0.3": 1.5}


def test_two_kinds_of_file_with_one_stem_are_two_runs(tmp_path: Path) -> None:
    write_csv(tmp_path / "log.csv", 1)
    write_csv(tmp_path / "log.tsv", 2, first=5)
    write_json(tmp_path / "log.json", history(3))
    assert sorted(final(read(tmp_path)[0]).values()) == [0.5, 1.0, 1.5]


def test_folders_that_spell_the_same_are_told_apart(tmp_path: Path) -> None:
    for i, place in enumerate(("x/log", "a-b/log", "a/b-log", "a/log"), 1):
        write_json(tmp_path / f"{place}.json", history(i))
    paths = [tmp_path / f"{p}.json" for p in ("x/log", "a-b/log", "a/b-log", "a/log")]
    runs, _ = read(*paths)
    assert len({run.run_id for run in runs}) == 4


def test_who_came_with_a_name_has_it_in_whatever_order(tmp_path: Path) -> None:
    nameless = write_json(tmp_path / "s1" / "r-1.json", history(1))
    named = write_json(tmp_path / "s2" / "h.json", history(2, run_id="r-1"))
    table = write_csv(tmp_path / "t1" / "log.csv", 3)
    others = write_csv(tmp_path / "t2" / "all.csv", 4, run="log", first=5)
    for paths in ([nameless, named, table, others], [others, table, named, nameless]):
        runs, report = read(*paths)
        assert final(runs) == {"r-1": 1.0, "s1-r-1": 0.5, "log": 2.0, "t1-log": 1.5}
        assert (report.again, report.skipped) == (0, [])


def test_what_a_dataset_has_of_a_file_is_read_already(tmp_path: Path) -> None:
    paths = [write_json(tmp_path / f"s{i}" / "h.json", history(i)) for i in (1, 2, 4)]
    runs, _ = read(*paths)
    write_dataset(tmp_path / "ours.csv", runs, {})
    again, report = read(tmp_path / "ours.csv", *paths)
    assert (again, report.again) == (runs, 3)
    bare, _ = read(tmp_path / "ours.csv", *paths, mqe_of_mean=2.0)
    write_dataset(tmp_path / "scaled.csv", bare, {})
    assert read(tmp_path / "scaled.csv", *paths)[1].again == 3
    fourth = write_json(tmp_path / "s8" / "h.json", history(8))
    more, report = read(tmp_path / "ours.csv", paths[1], fourth)
    assert final(more) == {**final(runs), "s8-h": 4.0}
    assert (report.again, report.skipped) == (1, [])


def test_a_name_that_two_histories_came_with_is_said(tmp_path: Path) -> None:
    first, second = (write_json(tmp_path / f"{i}.json", history(i, run_id="r-1")) for i in (1, 2))
    runs, report = read(first, second, first)
    assert final(runs) == {"r-1": 0.5}
    assert report.again == 1
    (said,) = report.skipped
    for text in (str(first), str(second), "run r-1", "`run_id` must be", "another run_id"):
        assert text in said
    assert report.as_dict()["skipped"] == [said]


def test_a_run_that_stands_for_others_does_so_in_a_dataset_of_datasets(tmp_path: Path) -> None:
    runs, _ = read(write_json(tmp_path / "h.json", history(1), history(2)))
    write_dataset(tmp_path / "a.csv", runs, {})
    write_dataset(tmp_path / "b.csv", runs, {"weights": {runs[0].run_id: 4.0}})
    assert read(tmp_path / "a.csv", tmp_path / "b.csv")[1].weights == {runs[0].run_id: 4.0}
    other = runs[0].model_copy(update={"history": runs[1].history})
    write_dataset(tmp_path / "c.csv", [other], {})
    assert read(tmp_path / "c.csv", tmp_path / "b.csv")[1].weights == {}


def test_a_home_has_its_name_to_itself(tmp_path: Path) -> None:
    names = Names()
    homes = [Home(key, "log", tmp_path / key) for key in ("a/x", "b/x")]
    assert names.of(homes[0])[:2] == ["log", "x-log"]
    assert names.of(homes[1])[0] == "b-x-log"
    assert names.of(homes[0])[0] == "log"
    assert names.of(homes[0]._replace(key="other")) == ["log"]


def mlflow_run(folder: Path, name: str, mqe: float, first: int) -> None:
    for below in ("metrics", "params", "tags"):
        (folder / below).mkdir(parents=True)
    (folder / "meta.yaml").write_text("status: 3\n")
    (folder / "tags" / "mlflow.runName").write_text(name)
    (folder / "params" / "seed").write_text(str(first))
    lines = [f"99 {mqe / (i + 1)} {first + i}" for i in range(2)]
    (folder / "metrics" / "mqe").write_text("\n".join(lines) + "\n")


def test_runs_that_mlflow_calls_the_same_are_two(tmp_path: Path) -> None:
    for i in (1, 2, 3):
        mlflow_run(tmp_path / "1" / f"{i}f00", "baseline", i, 10 * i)
    (tmp_path / "1" / "2f00" / "meta.yaml").write_text("status: 4\n")
    runs, report = read(tmp_path)
    assert final(runs) == {"baseline": 0.5, "baseline-2": 1.0, "baseline-3": 1.5}
    assert [run.censored for run in runs] == [False, True, False]
    assert report.given["baseline-2"]["config"] == {"seed": "20"}
    out = tmp_path / "runs.csv"
    write_dataset(out, runs, {})
    again, report = read(out, tmp_path / "1")  # what is numbered is known again, too
    assert (len(again), report.again) == (3, 3)


def test_what_tensorboard_saved_in_two_folders_is_two_runs(tmp_path: Path) -> None:
    for i, folder in enumerate(("exp1", "exp2"), 1):
        (tmp_path / folder).mkdir()
        for metric in ("mqe", "topographic_error"):
            rows = "".join(f"9,{10 * i + n},{0.5 / i}\n" for n in range(2))
            text = f"Wall time,Step,Value\n{rows}"
            (tmp_path / folder / f"run-train-tag-{metric}.csv").write_text(text)
    runs, report = read(tmp_path / "exp1", tmp_path / "exp2")
    assert final(runs) == {"train": 0.5, "exp2-train": 0.25}
    assert [run.final_topographic_error for run in runs] == [0.5, 0.25]
    assert not report.skipped


def test_event_files_below_two_folders_are_two_runs(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for i in (1, 2):
        writer = EventFileWriter(str(tmp_path / f"tb{i}" / "fast"))
        for step in (1, 2):
            value = Summary.Value(tag="mqe", simple_value=i / step)
            writer.add_event(Event(step=10 * i + step, summary=Summary(value=[value])))
        writer.close()
    runs, _ = read(tmp_path / "tb1", tmp_path / "tb2", tmp_path / "tb1")
    assert final(runs) == {"fast": 0.5, "tb2-fast": 1.0}
