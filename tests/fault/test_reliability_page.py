"""How what was found is entered into a page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import reliability
from reliability import Check, Result
from reliability_page import Piece, enter, pieces_of, rows_of_page

PAGE = "# Page\n\n| | Check |\n|---|---|\n| T2 | other |\n\nAfter.\n"
ROW = ("T1", "bodies", "no 5xx")
CHECK = Check("T1", "fault.test_reliability_page:count", "bodies", "no 5xx", 2, 10, goes_on=True)
asked: list[tuple[int, int]] = []


def count(folder: Path, n: int, first: int) -> Result:
    """A check that checks at most four at a time."""
    asked.append((n, first))
    done = min(n, 4)
    result = Result(checked=done, seen={"slowest": f"{first} s"})
    result.counts["refused"] = done
    return result


@pytest.fixture
def page(tmp_path: Path) -> Path:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    return page


def call(monkeypatch: pytest.MonkeyPatch, page: Path, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fuzz", *args])
    with pytest.raises(SystemExit) as ended:
        reliability.main("fuzz", (CHECK, Check("T2", "", "other", "", 1, 1)), page)
    return int(ended.value.code or 0)


def test_a_run_goes_on_where_the_last_one_ended(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked.clear()
    for _ in range(4):
        assert call(monkeypatch, page, "T1", "--write", "--more") == 0
    assert asked == [(10, 0), (6, 4), (2, 8)]
    assert "T1    has 10 of 10" in capsys.readouterr().out
    row = rows_of_page(page)["T1"]
    assert row.startswith("| T1 | bodies | no 5xx | 10 | 0 | 0.3 | refused 10, ")
    assert "slowest 0 s; 4 s; 8 s" in row
    assert "3 runs from" in row
    assert row.endswith("| `make fuzz ARGS='T1 --n 10'` |")
    assert [piece.n for piece in pieces_of("T1", page)] == [4, 4, 2]


def test_without_more_it_begins_anew(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        call(monkeypatch, page, "T1", "--write")
    assert [piece.n for piece in pieces_of("T1", page)] == [4]
    assert rows_of_page(page)["T1"].startswith("| T1 | bodies | no 5xx | 4 |")


@pytest.mark.parametrize("args", [("T1", "--more"), ("T2", "--write", "--more")])
def test_more_is_refused_where_nothing_can_be_added(
    args: tuple[str, ...],
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, page, *args) == 2
    assert "checks that go on (T1)" in capsys.readouterr().err


def test_a_failure_stays_a_failure_beside_pieces_that_hold(page: Path) -> None:
    failed = Piece.of("T1", 0, 5, Result(checked=5, failed=1))
    held = Piece.of("T1", 5, 5, Result(checked=5, missed="1 of 5 starts"))
    enter(ROW, [failed, held], "make fuzz", page, kept=True)
    row = rows_of_page(page)["T1"]
    assert row.startswith("| T1 | bodies | no 5xx | 10 | 1, missed: 1 of 5 starts | - |")
    assert page.read_text().endswith("|\n| T2 | other |\n\nAfter.\n")
