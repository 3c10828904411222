"""Every reader takes every form that spreadsheets and other programs give a text file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import make_runs

from collector.recorded.ingest import ingest, readers_of
from oracle.errors import DatasetError
from oracle.history.dataset import COLUMNS, read_dataset, write_dataset
from oracle.history.files import csv_lines, not_a_number, read_text, separator_of
from oracle.history.records import read_history
from oracle.history.sample_table import read_table

NEXUSSOM = Path(__file__).parents[2] / "data" / "nexussom"


def separated(by: str, end: str = "\n") -> Callable[[str], bytes]:
    def change(text: str) -> bytes:
        out = io.StringIO()
        rows = csv.reader(io.StringIO(text))
        csv.writer(out, delimiter=by, lineterminator=end).writerows(rows)
        return out.getvalue().encode()

    return change


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 without its mark": lambda text: text.encode("utf-16-le"),
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "gzip by another name": lambda text: gzip.compress(text.encode()),
    "gzip of UTF-16": lambda text: gzip.compress(text.encode("utf-16")),
    "empty lines at the end": lambda text: f"{text}\n\n  \n".encode(),
}
TABLES: dict[str, Callable[[str], bytes]] = {
    **ENCODINGS,
    "semicolons": separated(";"),
    "tabs": separated("\t"),
    "tabs of UTF-16 (Excel: Unicode text)": lambda t: separated("\t")(t).decode().encode("utf-16"),
    "line ends of Windows": separated(",", "\r\n"),
    "Excel's line of its own": lambda text: b"sep=;\r\n" + separated(";")(text),
    "rows of empty cells": lambda text: (text + "," * text.partition("\n")[0].count(",")).encode(),
}
CHECKPOINTS = "epoch,mqe,topo_error,dead_ratio\n10,0.5,0.1,0.2\n50,0.3,,0.15\n100,0.25,0.08,0.1\n"
HISTORY = {
    "epochs": [10, 50, 100],
    "mqe": [0.5, 0.3, 0.25],
    "topographic_error": [0.1, None, 0.08],
    "dead_neuron_ratio": [0.2, 0.15, 0.1],
}


@pytest.mark.parametrize("form", TABLES)
def test_a_dataset(tmp_path: Path, form: str) -> None:
    runs = make_runs(3)
    write_dataset(tmp_path / "plain.csv", runs, {})
    file = tmp_path / "other.csv"
    file.write_bytes(TABLES[form]((tmp_path / "plain.csv").read_text()))
    assert read_dataset(file) == runs
    assert ingest(readers_of([file]))[0] == runs


@pytest.mark.parametrize("form", TABLES)
def test_a_table_of_samples(tmp_path: Path, form: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(TABLES[form]("a,b\n0.5,1\n-2,3e-1\n"))
    table = read_table(file)
    assert table.values.tolist() == [[0.5, 1.0], [-2.0, 0.3]]
    assert table.names == ("a", "b")


@pytest.mark.parametrize("form", TABLES)
def test_results_of_nexussom(tmp_path: Path, form: str) -> None:
    shutil.copytree(NEXUSSOM, tmp_path / "results")
    file = tmp_path / "results" / "seed_42" / "results.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_bytes(TABLES[form]("".join(lines[:-1])))  # the last row is torn on purpose
    runs, report = ingest(readers_of([tmp_path / "results"]))
    assert [run.run_id for run in runs] == [run.run_id for run in ingest(readers_of([NEXUSSOM]))[0]]
    assert len(report.skipped) == 3


@pytest.mark.parametrize("form", ENCODINGS)
def test_checkpoints_of_nexussom(tmp_path: Path, form: str) -> None:
    shutil.copytree(NEXUSSOM, tmp_path / "results")
    for file in (tmp_path / "results").rglob("training_checkpoints.json"):
        file.write_bytes(ENCODINGS[form](file.read_text()))
    assert ingest(readers_of([tmp_path / "results"]))[0] == ingest(readers_of([NEXUSSOM]))[0]


@pytest.mark.parametrize("form", ENCODINGS)
def test_a_history_as_json(tmp_path: Path, form: str) -> None:
    file = tmp_path / "h.json"
    file.write_bytes(ENCODINGS[form](json.dumps(HISTORY)))
    history = read_history(file)
    assert history.mqe == (0.5, 0.3, 0.25)
    ingested = ingest(readers_of([file]))[0][0].history
    assert ingested.run_id == "h"  # by its file
    assert ingested.model_copy(update={"run_id": None}) == history


@pytest.mark.parametrize("form", TABLES)
def test_a_history_as_csv(tmp_path: Path, form: str) -> None:
    file = tmp_path / "h.csv"
    file.write_bytes(TABLES[form](CHECKPOINTS))
    history = read_history(file)
    assert {name: list(getattr(history, name)) for name in HISTORY} == HISTORY
    assert history.learning_rate is None


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('sep=,\n\na,b\n1,"x\ny"\n\n2,z\n')
    assert [line.number for line in csv_lines(file)] == [3, 5, 7]


@pytest.mark.parametrize(
    ("line", "by"),
    [("a,b", ","), ("a;b", ";"), ("a\tb", "\t"), ("0,5;1,5", ";"), ("a", ","), ("", ","),
     ('"a;b",c', ","), ('"a\tb";"c,d"', ";")],
)  # fmt: skip
def test_what_separates_stands_outside_quotes(line: str, by: str) -> None:
    assert separator_of(line) == by


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04....", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0....", "Excel workbook"),
        (b"SQLite format 3\x00...", "SQLite database"),
        (b"PAR1....", "Parquet"),
        (b"\x93NUMPY...", "NumPy file"),
        ("größe,b\n1,2\n".encode("latin-1"), "CSV UTF-8"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "ended before"),
    ],
)
def test_what_is_no_csv_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    for read in (read_dataset, read_table, lambda f: list(csv_lines(f))):
        with pytest.raises(DatasetError, match=said) as error:
            read(file)
        assert str(error.value).startswith(str(file))


def test_a_quote_that_never_ends_is_said(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('a,b\n1,"2\n')
    with pytest.raises(DatasetError, match="unexpected end"):
        read_table(file)
    assert [line.cells for line in csv_lines(file, strict=False)][1] == ["1", "2\n"]


def test_what_is_no_dataset_says_how_it_begins(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(CHECKPOINTS)
    with pytest.raises(DatasetError, match=r"begins with 'epoch, mqe, topo_error'.* ingest"):
        read_dataset(file)


@pytest.mark.parametrize(
    ("cell", "said"),
    [("0,25", "point, not a comma"), ("1.234,5", "point, not a comma"), ("-0,1e3", "point"),
     ("25 %", "0.25 for 25 %"), ("12,5%", "0.25 for 25 %")],
)  # fmt: skip
def test_a_number_as_a_spreadsheet_shows_it_is_said(tmp_path: Path, cell: str, said: str) -> None:
    write_dataset(tmp_path / "plain.csv", make_runs(1), {})
    (header, row) = csv.reader((tmp_path / "plain.csv").read_text().splitlines())
    row[COLUMNS.index("final_mqe")] = cell
    dataset = tmp_path / "d.csv"
    with dataset.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([header, row])
    with pytest.raises(DatasetError, match=f"row 2, column final_mqe.*{said}"):
        read_dataset(dataset)
    table = tmp_path / "t.csv"
    table.write_text(f"a;b\n1;{cell}\n")
    with pytest.raises(DatasetError, match=f"row 2, column 2.*{said}"):
        read_table(table)


def test_words_are_no_numbers_without_advice() -> None:
    assert not_a_number("mqe", "lots").endswith("got 'lots'.")


def test_a_text_that_unpacks_to_more_than_is_wanted_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "h.json"
    file.write_bytes(gzip.compress(b" " * 5_000_000))
    with pytest.raises(DatasetError, match="4000000 characters at most"):
        read_history(file)
    assert len(read_text(file, most=5_000_000)) == 5_000_000
