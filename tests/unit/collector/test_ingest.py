"""Histories of any form: what is read, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from collector.recorded.ingest import Known, Report, ingest, readers_of
from collector.simulate import simulate
from oracle.errors import DatasetError
from oracle.history.dataset import write_dataset
from oracle.history.sample_table import read_table
from oracle.types import Run

NEXUSSOM = Path(__file__).parents[2] / "data" / "nexussom"
#: As the brief logs it.
BRIEF = {
    "epochs": [10, 50, 100, 200, 500, 1000],
    "mqe": [0.5, 0.3, 0.2, 0.15, 0.12, 0.10],
    "topo_error": [0.1, 0.08, 0.06, 0.05, 0.04, 0.04],
    "dead_ratio": [0.15, 0.12, 0.10, 0.08, 0.06, 0.05],
}
FULL = {
    "run_id": "r-17",
    "dataset": "wdbc",
    "population": "wdbc-ea-3",
    "epochs": [10, 50, 100],
    "mqe": [0.5, 0.3, 0.25],
    "topographic_error": [0.1, None, 0.08],
    "dead_neuron_ratio": [0.2, 0.15, 0.12],
    "learning_rate": [0.9, 0.7, 0.5],
    "radius": [6.0, 4.1, 2.8],
    "total_epochs": 1000,
    "context": {"map_rows": 12, "map_cols": 12, "mqe_of_mean": 1.31},
}


def read(*paths: Path, **options: Any) -> tuple[list[Run], Report]:
    return ingest(readers_of(paths, Known(**options)))


def written(folder: Path, name: str, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / name
    path.write_text(text)
    return path


def test_the_briefs_history(tmp_path: Path) -> None:
    (run,), report = read(written(tmp_path, "a1b2_history.json", BRIEF))
    assert run.run_id == "a1b2_history"
    assert (run.final_mqe, run.final_topographic_error) == (0.10, 0.04)
    assert run.final_dead_neuron_ratio == 0.05
    assert not run.censored
    assert run.history.total_epochs is None  # not told, not invented
    assert len(run.history) == 6
    assert report.without_total == 1


def test_the_full_history_cut_short_is_censored(tmp_path: Path) -> None:
    (run,), report = read(written(tmp_path, "h.json", FULL))
    assert (run.run_id, run.dataset, run.source) == ("r-17", "wdbc", "json")
    assert run.censored
    assert run.history.context.mqe_of_mean == 1.31
    assert report.censored == 1


@pytest.mark.parametrize(
    ("epochs", "total", "censored"),
    [(range(10), 10, False), (range(1, 10), 10, True), ((30, 60, 90, 120), 100, False)],
)
def test_a_history_is_whole_as_the_hook_has_it(
    tmp_path: Path, epochs: list[int], total: int, censored: bool
) -> None:
    columns = {n: [0.5] * len(epochs) for n in ("mqe", "topo_error", "dead_ratio")}
    content = {"epochs": list(epochs), "total_epochs": total, **columns}
    (run,), report = read(written(tmp_path, "h.json", content))
    assert run.censored is censored
    assert report.censored == censored


@pytest.mark.parametrize("name", ["many.json", "many.jsonl", "lines.jsonl", "lines.json"])
def test_lists_and_lines(tmp_path: Path, name: str) -> None:
    items = [BRIEF, FULL, BRIEF]
    lines = "\n\n".join(map(json.dumps, items)) + "\n"
    runs, report = read(written(tmp_path, name, lines if "lines" in name else items))
    assert [run.run_id for run in runs][1] == "r-17"
    assert len({run.run_id for run in runs}) == 3
    assert not report.skipped


def test_a_run_with_its_ending(tmp_path: Path) -> None:
    run = next(simulate(1, seed=3))
    path = written(tmp_path, "run.json", run.model_dump_json())
    assert read(path)[0] == [run]


def test_a_folder_of_histories(tmp_path: Path) -> None:
    for i in range(3):
        written(tmp_path, f"{i}_history.json", BRIEF)
    written(tmp_path, "notes.txt", "no history")
    assert [run.run_id for run in read(tmp_path)[0]] == [f"{i}_history" for i in range(3)]


@pytest.mark.parametrize("path", [NEXUSSOM, NEXUSSOM / "seed_42", NEXUSSOM / "seed_42/results.csv"])
def test_nexussom_by_any_of_its_paths(path: Path) -> None:
    runs, report = read(path)
    assert len(runs) == report.runs == 4
    assert len(report.skipped) == 4
    assert report.final_progress == pytest.approx((0.988, 0.995), abs=1e-3)


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz"])
def test_a_dataset_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    runs = list(simulate(5, seed=1))
    write_dataset(tmp_path / name, runs, {})
    assert read(tmp_path / name)[0] == runs


def test_the_first_of_two_with_one_name_counts(tmp_path: Path) -> None:
    path = written(tmp_path, "h.json", FULL)
    runs, report = read(path, path)
    assert len(runs) == 1
    assert report.again == 1
    assert not report.skipped


def test_null_is_not_said(tmp_path: Path) -> None:
    told: dict[str, Any] = {"dataset": "wine", "total_epochs": 2000.0}
    for said in (dict.fromkeys(told), {"total_epochs": None}, {}):
        path = written(tmp_path, "h.json", {**BRIEF, **said})
        (run,), report = read(path, **told)
        assert (run.dataset, run.history.total_epochs) == ("wine", 2000)
        assert run.censored
        assert report.without_total == 0
    kept = written(tmp_path, "h.json", {**BRIEF, "dataset": "iris", "total_epochs": None})
    (run,), _ = read(kept, **told)
    assert (run.dataset, run.history.total_epochs) == ("iris", 2000)


def test_the_scale_fills_in_only_where_it_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path, "h.json", [BRIEF, FULL])
    runs, _ = read(path, mqe_of_mean=2.0)
    assert [run.history.context.mqe_of_mean for run in runs] == [2.0, 1.31]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mqe": [0.5]}, "mqe"),
        ({"epochs": [10, 10, 100]}, "epochs"),
        ({"epochs": [10, 50, 2000]}, "epochs"),
        ({"mqe": [0.5, -0.3, 0.2]}, "mqe"),
        ({"mqe": [0.5, float("nan"), 0.2]}, "mqe"),
        ({"mqe": [0.5, float("inf"), 0.2]}, "mqe"),
        ({"mqe": [0.5, "0.3", 0.2]}, "mqe"),
        ({"topographic_error": [0.1, 1.2, 0.2]}, "topographic_error"),
        ({"dead_neuron_ratio": [0.1, -0.2, 0.2]}, "dead_neuron_ratio"),
        ({"speed": 3}, "speed"),
        ({"run_id": "../x"}, "run_id"),
    ],
)
def test_a_broken_history_is_named_by_its_field(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    good, bad = {**FULL, "run_id": "good"}, {**FULL, **change}
    runs, report = read(written(tmp_path, "h.json", [good, bad]))
    assert [run.run_id for run in runs] == ["good"]
    (reason,) = report.skipped
    assert "h.json, row 2" in reason
    assert named in reason


@pytest.mark.parametrize("content", ["", "{", '{"epochs": [1, 2', "[]]", "nonsense\nlines"])
def test_broken_json_is_told(tmp_path: Path, content: str) -> None:
    runs, report = read(written(tmp_path, "h.json", content))
    assert not runs
    assert "valid JSON" in report.skipped[0]


@pytest.mark.parametrize("content", ["3", "[3]", '"text"', "[null]", "[[1, 2]]"])
def test_json_that_is_no_history_is_told(tmp_path: Path, content: str) -> None:
    runs, report = read(written(tmp_path, "h.json", content))
    assert not runs
    assert len(report.skipped) == 1


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "h.json").write_bytes(b'{"run_id": "\x9c\xff"}')
    assert "UTF-8" in read(tmp_path / "h.json")[1].skipped[0]


def test_a_single_checkpoint_is_no_course(tmp_path: Path) -> None:
    one = {key: values[:1] for key, values in BRIEF.items()}
    runs, report = read(written(tmp_path, "h.json", one))
    assert not runs
    assert "2 checkpoints or more" in report.skipped[0]


def test_checkpoints_without_their_results_are_sent_back() -> None:
    file = next((NEXUSSOM / "seed_42").rglob("training_checkpoints.json"))
    runs, report = read(file)
    assert not runs
    assert "results.csv" in report.skipped[0]


def test_nothing_to_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", written(tmp_path, "notes.txt", "")):
        with pytest.raises(DatasetError, match="must"):
            readers_of([path])


def scale_of(path: Path) -> float | None:
    return Known().with_table(read_table(path), str(path)).mqe_of_mean


def test_a_table_gives_its_scale(tmp_path: Path) -> None:
    for text in ("a,b\n0,0\n2,0\n", "0,0\n2,0\n"):
        assert scale_of(written(tmp_path, "t.csv", text)) == 1.0


@pytest.mark.parametrize(
    ("text", "where"),
    [("a,b\n1,x\n", "row 2, column 2"), ("1,2\n3\n", "row 2"), ("a,b\n", "row"),
     ("1,nan\n", "row 1, column 2"), ("1\n1\n", "differ"), ("", "row")],
)  # fmt: skip
def test_a_broken_table_is_named(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(DatasetError, match=where):
        scale_of(written(tmp_path, "t.csv", text))
