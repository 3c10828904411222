"""A table of samples: which of its lines and columns are samples, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.errors import DatasetError
from oracle.history.sample_table import read_table


def written(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


HEADERS = {
    "names": "a,b,c\n.2,.4,.1\n.3,.5,.2\n",
    "pandas' own names": "0,1,2,3\n.2,.4,.1,.3\n.3,.5,.2,.4\n",
    "... of whole numbers": "0,1,2,3\n5,0,2,9\n1,8,2,0\n",
    "... from 1, as R names": "1,2\n.2,.4\n.3,.5\n",
    "years": "2019,2020\n.2,.4\n.3,.5\n-2,.1\n",
    "wavelengths": "400.5,410.5,420.5\n.2,.4,.1\n.3,.5,.2\n",
    "an index without a name": ",x,y\n0,.2,.4\n1,.3,.5\n",
}
DATA = {
    "no header": ".2,.4\n.3,.5\n",
    "whole numbers": "0,0\n2,0\n",
    "rising ones": "0,2,5,7\n1,3,4,9\n",
    "a sample like the others": "0.1,0.2\n.2,.4\n.3,.5\n",
    "one line": "0,1,2,3\n",
    "one column": "0\n1\n2\n",
    "years among years": "2019,2020\n2018,2021\n2017,2022\n",
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header(tmp_path: Path, case: str) -> None:
    table = read_table(written(tmp_path, HEADERS[case]))
    assert len(table.values) == HEADERS[case].count("\n") - 1
    assert "first line taken as the header" in table.notes[0]
    assert table.names


@pytest.mark.parametrize("case", DATA)
def test_no_header(tmp_path: Path, case: str) -> None:
    table = read_table(written(tmp_path, DATA[case]))
    assert len(table.values) == DATA[case].count("\n")
    assert "first line taken as data" in table.notes[0]
    assert not table.names


def test_what_may_be_either_is_asked(tmp_path: Path) -> None:
    path = written(tmp_path, "0,1,2\n1,0,2\n2,2,1\n")
    with pytest.raises(DatasetError, match=r"row 1.*--header or --no-header.*0, 1, 2"):
        read_table(path)
    assert len(read_table(path, header=True).values) == 2
    assert len(read_table(path, header=False).values) == 3


def test_the_owner_knows_better(tmp_path: Path) -> None:
    path = written(tmp_path, HEADERS["years"])
    assert len(read_table(path, header=False).values) == 4
    assert len(read_table(written(tmp_path, DATA["no header"]), header=True).values) == 1


def test_an_index_of_pandas_is_left_out_and_said(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, HEADERS["an index without a name"]))
    assert table.values.tolist() == [[0.2, 0.4], [0.3, 0.5]]
    assert table.names == ("x", "y")
    assert "counts the rows" in table.notes[1]


def test_a_first_column_that_does_not_count_is_kept(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, ",x\n0.5,.2\n1.5,.3\n"))
    assert table.values.shape == (2, 2)


def test_columns_are_left_out_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "id,x,species\n7,.2,setosa\n9,.3,virginica\n")
    with pytest.raises(DatasetError, match=r"row 2, column 3: `species`.*--without 'species'"):
        read_table(path)
    table = read_table(path, without=("species", "id"))
    assert table.values.tolist() == [[0.2], [0.3]]
    assert table.names == ("x",)
    counting = read_table(written(tmp_path, "id,x\n1,.2\n2,.3\n"))
    assert counting.values.shape == (2, 2)
    assert "column id counts the rows: --without id leaves it out" in counting.notes
    path = written(tmp_path, "id,x,species\n7,.2,setosa\n9,.3,virginica\n")
    with pytest.raises(DatasetError, match=r"id, x, species.*'kind'"):
        read_table(path, without=("kind",))
    with pytest.raises(DatasetError, match="no header"):
        read_table(written(tmp_path, "1,2\n3,5\n"), header=False, without=("x",))


@pytest.mark.parametrize("cell", ["", "NA", "nan", "inf", "x"])
def test_a_missing_value_is_named(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DatasetError, match="row 3, column 2"):
        read_table(written(tmp_path, f"a,b\n1,2\n3,{cell}\n"))


def test_a_row_of_another_width_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="row 3: `row` must be 2 cells wide, but got 1"):
        read_table(written(tmp_path, "a,b\n1,2\n3\n"))
