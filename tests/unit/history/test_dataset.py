"""Dataset CSV: there and back, broken rows named, splits that leak nothing."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pandas
import pytest
from pyarrow import parquet

from oracle.errors import DatasetError
from oracle.history.dataset import (
    COLUMNS,
    iter_dataset,
    metadata_path,
    read_dataset,
    split_runs,
    usable,
    write_dataset,
)
from oracle.types import History, Run


def a_run(i: int, dataset: str = "t", **changes: object) -> Run:
    values = {
        "run_id": f"r-{i}",
        "source": "test",
        "dataset": dataset,
        "final_mqe": 0.1 + i / 7,
        "final_topographic_error": 0.1,
        "final_dead_neuron_ratio": None if i % 3 == 0 else 0.2,
        "history": History(
            epochs=(1.0, 2.0, 3.0),
            mqe=(0.5, 0.3, 0.1 + i / 7),
            topographic_error=(None, 0.1, 0.1),
            dead_neuron_ratio=(0.1, 0.2, 0.2),
        ),
    }
    return Run.model_validate({**values, **changes})


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "d.parquet"])
def test_there_and_back(tmp_path: Path, name: str) -> None:
    runs = [a_run(i, censored=i == 4) for i in range(9)]
    write_dataset(tmp_path / name, runs, {"seed": 3})
    assert read_dataset(tmp_path / name) == runs
    facts = json.loads(metadata_path(tmp_path / name).read_text())
    assert (facts["runs"], facts["censored"], facts["seed"]) == (9, 1, 3)
    first = (tmp_path / name).read_bytes()
    write_dataset(tmp_path / name, runs, {"seed": 3})
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize(
    "name", ['=HYPERLINK("http://x","y")', "+1", "-2", "@SUM(A1)", "'=1", "'a'"]
)
def test_a_name_is_no_formula_to_a_spreadsheet(tmp_path: Path, name: str) -> None:
    run = a_run(1, dataset=name, source=name)
    write_dataset(tmp_path / "d.csv", [run], {})
    assert read_dataset(tmp_path / "d.csv") == [run]
    (row,) = csv.DictReader((tmp_path / "d.csv").read_text().splitlines())
    for cell in (row["dataset"], row["source"]):
        assert cell == name if name == "'a'" else cell == f"'{name}"


@pytest.mark.parametrize("value", ["1e308", "inf", "-1"])
def test_a_final_mqe_is_one_that_a_history_may_have(tmp_path: Path, value: str) -> None:
    path = broken(tmp_path, "final_mqe", value)
    with pytest.raises(DatasetError, match="final_mqe"):
        read_dataset(path)


def broken(tmp_path: Path, column: str, value: str) -> Path:
    path = tmp_path / "d.csv"
    write_dataset(path, [a_run(1), a_run(2)], {})
    rows = list(csv.reader(path.read_text().splitlines()))
    rows[2][COLUMNS.index(column)] = value
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize(
    ("column", "value", "names"),
    [
        ("final_mqe", "lots", ["row 3", "final_mqe", "lots"]),
        ("final_mqe", "nan", ["row 3", "final_mqe"]),
        ("final_mqe", "-1", ["row 3", "final_mqe"]),
        ("final_topographic_error", "1.2", ["row 3", "final_topographic_error"]),
        ("censored", "maybe", ["row 3", "censored", "maybe"]),
        ("run_id", "a b", ["row 3", "run_id"]),
        ("training_history", "{", ["row 3", "training_history", "JSON"]),
        ("training_history", '{"epochs": []}', ["row 3", "training_history", "epochs"]),
        (
            "training_history",
            '{"context": {"map_rows": 3}}',
            ["row 3", "checkpoint"],
        ),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, column: str, value: str, names: list[str]) -> None:
    with pytest.raises(DatasetError) as error:
        read_dataset(broken(tmp_path, column, value))
    assert all(name in str(error.value) for name in names)


def test_rows_before_a_broken_one_are_read(tmp_path: Path) -> None:
    rows = iter_dataset(broken(tmp_path, "censored", "maybe"))
    assert next(rows).run_id == "r-1"


def test_a_missing_column_a_short_row_and_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("run_id,source\nx,y\n")
    with pytest.raises(DatasetError, match="final_mqe"):
        read_dataset(path)
    path.write_text(",".join(COLUMNS) + "\nx,y\n")
    with pytest.raises(DatasetError, match="row 2"):
        read_dataset(path)
    with pytest.raises(DatasetError, match="existing file"):
        read_dataset(tmp_path / "none.csv")
    path.with_suffix(".csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DatasetError, match="readable"):
        read_dataset(path.with_suffix(".csv.gz"))


def test_what_cannot_be_learned_from_is_left_out_and_counted() -> None:
    flat = a_run(3).history.model_copy(update={"mqe": (0.2, 0.2, 0.2)})
    runs = [
        a_run(1),
        a_run(2, censored=True),
        a_run(3, history=flat),
        a_run(4, history=a_run(4).history.prefix(2)),
    ]
    kept, excluded = usable(runs)
    assert [run.run_id for run in kept] == ["r-1"]
    assert sum(excluded.values()) == 3


def test_no_table_is_in_two_parts_where_there_are_enough() -> None:
    runs = [a_run(i, dataset=f"table{i % 12}") for i in range(240)]
    split = split_runs(runs, seed=1)
    assert split.by == "table"
    parts = [{run.dataset for run in part} for part in (split.train, split.calibrate, split.test)]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert sum(map(len, (split.train, split.calibrate, split.test))) == 240
    assert split_runs(runs, seed=1) == split


def test_named_tables_keep_their_role() -> None:
    datasets = ["wine-minmax", "iris-standard", *(f"pre-{i}" for i in range(60))]
    split = split_runs([a_run(i, dataset=datasets[i % 62]) for i in range(310)])
    assert all(run.dataset != "wine-minmax" for run in (*split.train, *split.calibrate))
    assert all(run.dataset != "iris-standard" for run in (*split.train, *split.test))


def test_few_tables_are_split_by_run() -> None:
    split = split_runs([a_run(i, dataset=f"table{i % 2}") for i in range(100)])
    assert split.by == "run"
    assert (len(split.train), len(split.calibrate), len(split.test)) == (70, 15, 15)
    names = [run.run_id for part in (split.train, split.calibrate, split.test) for run in part]
    assert len(set(names)) == 100


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(DatasetError, match="at least 10 usable runs"):
        split_runs([a_run(i) for i in range(9)])


def test_parquet_holds_numbers_and_truths(tmp_path: Path) -> None:
    runs = [a_run(i, censored=i == 1) for i in range(4)]
    write_dataset(tmp_path / "d.parquet", runs, {})
    table = parquet.read_table(tmp_path / "d.parquet")
    assert table.column_names == list(COLUMNS)
    assert table["final_mqe"].to_pylist() == [run.final_mqe for run in runs]
    assert table["final_dead_neuron_ratio"].to_pylist() == [None, 0.2, 0.2, None]
    assert table["censored"].to_pylist() == [False, True, False, False]
    table.to_pandas().to_parquet(tmp_path / "again.parquet")  # NaN for None
    assert read_dataset(tmp_path / "again.parquet") == runs


def test_a_broken_parquet_is_told_by_row_and_column(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match=r"torn\.parquet.*must be a readable Parquet file"):
        read_dataset(tmp_path / "torn.parquet")
    frame = pandas.DataFrame({c: ["1", "x"] for c in COLUMNS} | {"training_history": "{}"})
    frame.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(DatasetError, match=r"bad\.parquet, row 2, column"):
        read_dataset(tmp_path / "bad.parquet")
    frame[["run_id"]].to_parquet(tmp_path / "few.parquet")
    with pytest.raises(DatasetError, match="must have the columns"):
        read_dataset(tmp_path / "few.parquet")


def test_without_pyarrow_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match="pip install pyarrow"):
        write_dataset(tmp_path / "d.parquet", [a_run(0)], {})
    assert not (tmp_path / "d.parquet").exists()
