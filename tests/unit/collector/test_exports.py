"""Runs that other tools tracked: each kind of file gives the same two runs."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from collector.recorded.exports import Exports
from collector.recorded.ingest import Known, Report, ingest, readers_of
from oracle.types import Run

#: The names that people give: as Hydra has it, and one that is a run_id already.
FAST, SLOW = "lr=0.5,sigma=2", "slow"
EPOCHS = (10, 20, 30)
MQE = {FAST: (0.5, 0.25, 0.125), SLOW: (0.75, 0.5, 0.375)}
ERROR = {FAST: (0.25, 0.125, 0.0), SLOW: (0.5, 0.25, 0.125)}


def points() -> list[tuple[str, int, float, float]]:
    return [
        (run, epoch, MQE[run][i], ERROR[run][i])
        for run in (FAST, SLOW)
        for i, epoch in enumerate(EPOCHS)
    ]


def write_csv(path: Path, *rows: list[Any]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def tidy(folder: Path) -> None:
    head = ["experiment", "t", "Quantization Error", "te", "loss", "lr"]
    rows = [[run, epoch, mqe, error, epoch * 2, 0.5] for run, epoch, mqe, error in points()]
    write_csv(folder / "runs.csv", head, *reversed(rows))


def wandb_charts(folder: Path) -> None:
    for metric, values in (("mqe", MQE), ("eval/topographic_error", ERROR)):
        head = ["Step"]
        for run in values:
            name = f"{run} - {metric}"
            head += [name, f"{name}__MIN", f"{name}__MAX"]
        rows = [
            [epoch, *(v for run in values for v in [values[run][i]] * 3)]
            for i, epoch in enumerate(EPOCHS)
        ]
        write_csv(folder / f"wandb_export_{metric.replace('/', '_')}.csv", head, *rows)


def wandb_history(folder: Path) -> None:
    rows = [
        {"_step": n, "_runtime": 1.5 * n, "epoch": epoch, "run": run, "mqe": mqe,
         "topographic_error": error, "system": None}
        for n, (run, epoch, mqe, error) in enumerate(points())
    ]  # fmt: skip
    (folder / "history.jsonl").write_text("\n".join(map(json.dumps, rows)))


def mlflow_csv(folder: Path) -> None:
    rows: list[list[Any]] = []
    for n, (run, epoch, mqe, error) in enumerate(points()):
        rows += [[run, "mqe", mqe, epoch, 1000 + n], [run, "topographic_error", error, epoch, n]]
        rows.append([run, "loss", 9, epoch, n])
    write_csv(folder / "metrics.csv", ["run_id", "key", "value", "step", "timestamp"], *rows)


def mlflow_answer(folder: Path) -> None:
    for run in (FAST, SLOW):
        found = [
            {"key": key, "value": values[run][i], "timestamp": 1, "step": epoch, "run_id": run}
            for key, values in (("mqe", MQE), ("topographic_error", ERROR))
            for i, epoch in enumerate(EPOCHS)
        ]
        (folder / f"{run[:4]}.json").write_text(json.dumps({"metrics": found}))


def mlflow_folders(folder: Path) -> None:
    (folder / "1").mkdir()
    (folder / "1" / "meta.yaml").write_text("experiment_id: '1'\n")
    for n, run in enumerate((FAST, SLOW)):
        home = folder / "1" / f"{n}f00"
        for below in ("metrics/eval", "params", "tags"):
            (home / below).mkdir(parents=True)
        (home / "meta.yaml").write_text("run_id: x\nstatus: 3\n")
        (home / "tags" / "mlflow.runName").write_text(run)
        (home / "tags" / "who").write_text("me")
        (home / "params" / "map_rows").write_text("8")
        (home / "params" / "decay").write_text("linear")
        for name, values in (("mqe", MQE), ("eval/topographic_error", ERROR)):
            lines = [f"{99 + i} {values[run][i]} {epoch}" for i, epoch in enumerate(EPOCHS)]
            (home / "metrics" / name).write_text("\n".join(lines) + "\n")


def tensorboard_csv(folder: Path) -> None:
    for run in (FAST, SLOW):
        for tag, values in (("mqe", MQE), ("topographic_error", ERROR), ("loss", MQE)):
            rows = [[1.7e9 + i, epoch, values[run][i]] for i, epoch in enumerate(EPOCHS)]
            name = f"run-{run}-tag-{tag}.csv"
            write_csv(folder / name, ["Wall time", "Step", "Value"], *rows)


def tensorboard_json(folder: Path) -> None:
    for run in (FAST, SLOW):
        for tag, values in (("mqe", MQE), ("topographic_error", ERROR)):
            rows = [[1.7e9 + i, epoch, values[run][i]] for i, epoch in enumerate(EPOCHS)]
            (folder / f"run-{run}-tag-{tag}.json").write_text(json.dumps(rows))


def tensorboard_events(folder: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    def plain(tag: str, value: float) -> Summary.Value:
        return Summary.Value(tag=tag, simple_value=value)

    def tensor(tag: str, value: float) -> Summary.Value:  # as TensorFlow 2 writes a scalar
        about = SummaryMetadata(plugin_data={"plugin_name": "scalars"})
        return Summary.Value(
            tag=tag, metadata=about, tensor=TensorProto(dtype=1, float_val=[value])
        )

    for run in (FAST, SLOW):
        writer = EventFileWriter(str(folder / run))
        for i, epoch in enumerate(EPOCHS):
            for value in (plain("mqe", MQE[run][i]), tensor("topographic_error", ERROR[run][i])):
                writer.add_event(Event(step=epoch, wall_time=i, summary=Summary(value=[value])))
        writer.close()


KINDS: dict[str, Callable[[Path], None]] = {
    function.__name__: function
    for function in (
        tidy, wandb_charts, wandb_history, mlflow_csv, mlflow_answer, mlflow_folders,
        tensorboard_csv, tensorboard_json, tensorboard_events,
    )
}  # fmt: skip
NAMED = {"run_id": "experiment", "epochs": "t"}


def read(
    *paths: Path, named: dict[str, str] | None = None, **known: Any
) -> tuple[list[Run], Report, Exports]:
    exports = Exports(named)
    return *ingest(readers_of(paths, Known(**known), exports)), exports


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_same_runs(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path)
    named = NAMED if kind == "tidy" else {}
    runs, report, _ = read(tmp_path, named=named, total_epochs=30.0, dataset="mine")
    assert not report.skipped
    assert {run.dataset for run in runs} == {"mine"}
    by_name = {report.given[run.run_id]["name"]: run for run in runs}
    assert set(by_name) == {FAST, SLOW}
    for name, run in by_name.items():
        assert run.history.epochs == EPOCHS
        assert run.history.mqe == MQE[name]
        assert run.history.topographic_error == ERROR[name]
        assert run.history.dead_neuron_ratio == (None, None, None)
        assert (run.final_mqe, run.final_topographic_error) == (MQE[name][-1], ERROR[name][-1])
        assert run.history.total_epochs == 30
        assert not run.censored
    assert by_name[SLOW].run_id == "slow"
    assert by_name[FAST].run_id.startswith("lr-0.5-sigma-2-")


def test_a_run_may_have_a_file_a_metric_in_several_paths(tmp_path: Path) -> None:
    tensorboard_csv(tmp_path)
    runs, _, exports = read(*sorted(tmp_path.iterdir()))
    assert len(runs) == 2
    assert exports.left == {"loss"}
    assert exports.read == {"mqe": {"mqe"}, "topographic_error": {"topographic_error"}}


def test_settings_and_tags_are_kept(tmp_path: Path) -> None:
    mlflow_folders(tmp_path)
    runs, report, _ = read(tmp_path)
    assert {run.history.context.map_rows for run in runs} == {8}
    assert report.given["slow"] == {"name": "slow", "config": {"decay": "linear", "who": "me"}}


def test_a_column_that_changes_within_a_run_is_no_setting(tmp_path: Path) -> None:
    text = "run,epoch,mqe,seed,loss\na,1,.5,7,.1\na,2,.4,7,.2\n"
    (tmp_path / "t.csv").write_text(text)
    _, report, _ = read(tmp_path / "t.csv")
    assert report.given["a"]["config"] == {"seed": "7"}


@pytest.mark.parametrize(("status", "censored"), [("3", False), ("4", True), ("5", True)])
def test_a_run_that_mlflow_saw_fail_is_censored(
    tmp_path: Path, status: str, censored: bool
) -> None:
    mlflow_folders(tmp_path)
    for file in tmp_path.rglob("*f00/meta.yaml"):
        file.write_text(f"run_id: x\nstatus: {status}\n")
    assert {run.censored for run in read(tmp_path)[0]} == {censored}


def test_a_run_before_its_budget_is_censored(tmp_path: Path) -> None:
    tidy(tmp_path)
    runs, report, _ = read(tmp_path, named=NAMED, total_epochs=300.0)
    assert all(run.censored for run in runs)
    assert report.censored == 2


def test_a_torn_event_file_is_read_up_to_there(tmp_path: Path) -> None:
    tensorboard_events(tmp_path)
    for file in tmp_path.rglob("events*"):
        file.write_bytes(file.read_bytes()[:-9])
    runs, _, _ = read(tmp_path)
    assert {run.history.mqe for run in runs} == set(MQE.values())
    assert {run.history.topographic_error[-1] for run in runs} == {None}


def test_files_of_one_name_are_runs_of_their_folders(tmp_path: Path) -> None:
    for seed in (1, 2):
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / "log.csv").write_text(f"epoch,mqe\n1,{seed}\n2,.5\n")
    assert [run.run_id for run in read(tmp_path)[0]] == ["log", "seed2-log"]


def test_json_with_other_names(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    history = {"epoch": [1, 2], "quantization_error": [0.5, 0.4], "te": [0, 0], "dead": [0, 0]}
    path.write_text(json.dumps({**history, "name": "run 17 (copy)"}))
    runs, _, _ = read(path, named={"dead_neuron_ratio": "dead"})
    assert runs[0].history.mqe == (0.5, 0.4)
    assert runs[0].run_id.startswith("run-17-copy-")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "column of `epochs`, but has a, b.*--columns epochs=COLUMN"),
        ("epoch,err\n1,2\n", "column of `mqe`, but has epoch, err.*--columns mqe=COLUMN"),
        ("Step,fast - loss\n1,2\n", "metric `mqe`, but has loss.*--columns mqe=NAME"),
        ("", "but has none"),
    ],
)
def test_what_is_of_no_kind_names_its_columns(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    (item,) = chain.from_iterable(readers_of([tmp_path / "t.csv"]))
    assert re.search(said, str(item))


def test_a_row_of_another_width_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("epoch,mqe\n1,.5\n2\n3,.4\n")
    runs, report, _ = read(tmp_path / "t.csv")
    assert runs[0].history.epochs == (1, 3)
    assert "row 3" in report.skipped[0]


def test_rows_without_mqe_are_told_and_no_label_moves(tmp_path: Path) -> None:
    rows = [["run", "epoch", "mqe", "te"]]
    ends: dict[str, Any] = {"whole": 0.25, "blank": "", "diverged": "nan", "gap": 0.25}
    for run, end in ends.items():
        rows += [[run, e, 1 / e, 0.1] for e in range(50, 1000, 50)] + [[run, 1000, end, 0.1]]
    rows[rows.index(["gap", 500, 1 / 500, 0.1])][2] = ""
    write_csv(tmp_path / "t.csv", *rows)
    found, report, exports = read(tmp_path / "t.csv", total_epochs=1000.0)
    runs = {run.run_id: run for run in found}
    assert {name: run.censored for name, run in runs.items()} == {
        "whole": False, "blank": True, "gap": False,
    }  # fmt: skip
    assert runs["gap"].final_mqe == 0.25
    assert len(runs["gap"].history) == 19
    (skipped,) = report.skipped
    assert "run diverged: `mqe` must be a number to the end, but is nan from epoch 1000" in skipped
    assert exports.left_out == [
        "run blank: 1 of 20, mqe is empty at 1000", "run gap: 1 of 20, mqe is empty at 500",
    ]  # fmt: skip
    assert exports.open_ended == ["blank"]
    notes = "\n".join(exports.notes())
    assert "rows without mqe left out, of 2 runs" in notes
    assert "1 kept as censored: blank" in notes
    assert exports.as_dict()["left_out"] == exports.left_out


def test_a_chart_has_empty_cells_at_the_steps_of_other_runs(tmp_path: Path) -> None:
    head = ["Step", "a - eval/mqe", "b - eval/mqe"]
    rows: list[list[Any]] = [[1, 0.5, 0.6], [2, 0.4, ""], [3, "", 0.5], [4, "", 0.4]]
    write_csv(tmp_path / "c.csv", head, *rows)
    runs, report, exports = read(tmp_path / "c.csv")
    assert {run.run_id: run.history.epochs for run in runs} == {"a": (1, 2), "b": (1, 3, 4)}
    assert (report.skipped, exports.left_out, report.censored) == ([], [], 0)


@pytest.mark.parametrize("kind", ["mlflow_csv", "mlflow_answer", "mlflow_folders"])
def test_two_metrics_of_a_run_that_fit_one_field_are_named(tmp_path: Path, kind: str) -> None:
    KINDS[kind](tmp_path)
    for file in sorted(tmp_path.rglob("*")):
        if file.name == "mqe":  # logged at other steps: nothing contradicts
            (file.parent / "eval" / "mqe").write_text("99 0.9 5\n")
            file.rename(file.parent / "eval" / "qe")
        elif file.is_file() and file.suffix:
            text = file.read_text().replace('"mqe", "value"', '"qe", "value"')
            text = text.replace(",mqe,", ",qe,")
            if file.name == "metrics.csv":
                text += "".join(f'"{run}",val/mqe,0.9,5,1\r\n' for run in (FAST, SLOW))
            if file.suffix == ".json":
                value = json.loads(text)
                first = value["metrics"][0]
                value["metrics"].append({**first, "key": "val/mqe", "step": 5})
                text = json.dumps(value)
            file.write_text(text)
    runs, report, _ = read(tmp_path)
    assert not runs
    assert len(report.skipped) == 2
    for said in report.skipped:
        assert re.search("`mqe` must be in one column, but got '.*qe.*--columns mqe=", said)
    runs, report, _ = read(tmp_path, named={"mqe": "qe"})
    assert {run.history.mqe for run in runs} == set(MQE.values())
    assert not report.skipped


def test_a_parameter_is_no_checkpoint(tmp_path: Path) -> None:
    mlflow_folders(tmp_path)
    for run in (tmp_path / "1").glob("*f00"):
        for name, value in (("lr", "0.5"), ("epochs", "40"), ("budget", "30")):
            (run / "params" / name).write_text(value)
    runs, report, exports = read(tmp_path)
    assert {run.history.epochs for run in runs} == {EPOCHS}
    assert {run.history.total_epochs for run in runs} == {30}
    assert (report.skipped, exports.left_out) == ([], [])
    assert report.given["slow"]["config"]["lr"] == "0.5"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch,mqe,note,mqe\n1,.5,,.4\n", "t.csv: `mqe` .* '2 of the name mqe'.*--columns mqe="),
        ("epoch,qe,quantization_error\n1,.5,.4\n", "'qe and quantization_error'.*--columns mqe="),
        ("epoch,mqe\n", "t.csv: must have rows below its header"),
        ("Step,a - mqe,a - mqe\n1,.5,.4\n", "`chart` must be of runs with a name each"),
    ],
)
def test_a_table_that_may_be_meant_otherwise_is_refused(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    runs, report, _ = read(tmp_path / "t.csv")
    assert not runs
    assert re.search(said, report.skipped[0])


def test_json_with_two_names_of_one_field(tmp_path: Path) -> None:
    path = tmp_path / "h.json"
    history = {"epochs": [1, 2], "topographic_error": [0, 0], "dead_neuron_ratio": [0, 0]}
    both = {**history, "qe": [0.5, 0.4], "quantization_error": [0.9, 0.8]}
    path.write_text(json.dumps(both))
    assert "'qe and quantization_error'" in read(path)[1].skipped[0]
    path.write_text(json.dumps({**history, "qe": [0.5, 0.4], "mqe": [0.9, 0.8]}))
    assert "`qe` must be a known field" in read(path)[1].skipped[0]
    for order in (["qe", "mqe"], ["mqe", "qe"]):
        path.write_text(json.dumps({**history, **{n: [0.9, 0.8] for n in order}, "qe": [0.5, 0.4]}))
        assert read(path, named={"mqe": "qe"})[0][0].history.mqe == (0.5, 0.4)
