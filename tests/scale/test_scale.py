"""Every row of docs/scale.md in short; `make scale ARGS=--long` runs them long."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault.test_reliability import MARKS
from reliability import Check
from reliability_page import rows_of_page

from scale.checks import CHECKS, PAGE


@pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.name, marks=MARKS[check.needs]) for check in CHECKS]
)
def test_it_holds_in_short(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path, check.short).assert_ok()


def test_the_page_has_every_row_as_it_is_checked() -> None:
    rows, checks = rows_of_page(PAGE), {check.name: check for check in CHECKS}
    assert len(checks) == len(CHECKS)
    assert set(rows) == set(checks), "enter rows with --write"
    for name, row in rows.items():
        check = checks[name]
        assert row.startswith(f"| {name} | {check.what} | {check.holds_when} |"), name
