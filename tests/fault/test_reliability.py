"""Every row of docs/reliability.md in short; `make fuzz`, `make fault`, `make soak` run long."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import MARKS as BROWSER
from fuzz import checks as fuzz
from proxying import NGINX
from reliability import Check, Result
from reliability_page import rows_of_page
from serving import postgres_binaries
from soak import checks as soak

from fault import checks as fault

CHECKS = (*fuzz.CHECKS, *fault.CHECKS, *soak.CHECKS)
#: Rows of the plan that are tests and a benchmark of their own: faults under the hook, its cost.
ELSEWHERE = {"T13", "T14"}
POSTGRES = [
    pytest.mark.postgres,
    pytest.mark.skipif(
        postgres_binaries() is None,
        reason="POSTGRESQL IS NOT INSTALLED, so the store on it is NOT tested: "
        "apt-get install postgresql",
    ),
]
MARKS = {
    "": [],
    "browser": BROWSER,
    "tensorflow": [pytest.mark.tensorflow(apart=True)],
    "postgres": POSTGRES,
    "nginx": [
        *POSTGRES,
        pytest.mark.skipif(
            NGINX is None,
            reason="NGINX IS NOT INSTALLED, so replicas behind it are NOT tested: "
            "apt-get install nginx-light",
        ),
    ],
}


@pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.name, marks=MARKS[check.needs]) for check in CHECKS]
)
def test_it_holds_in_short(check: Check, tmp_path: Path) -> None:
    check.run(tmp_path, check.short).assert_ok()


def test_the_page_has_every_row_as_it_is_checked() -> None:
    rows, checks = rows_of_page(), {check.name: check for check in CHECKS}
    assert len(checks) == len(CHECKS)
    assert {f"T{i}" for i in range(1, 20)} - ELSEWHERE <= set(checks)
    assert set(rows) == set(checks), "enter rows with --write"
    for name, row in rows.items():
        check = checks[name]
        assert row.startswith(f"| {name} | {check.what} | {check.holds_when} |"), name


@pytest.mark.parametrize("result", [Result(), Result(checked=2, failed=1, failures=["this"])])
def test_a_check_that_failed_or_checked_nothing_is_no_success(result: Result) -> None:
    with pytest.raises(AssertionError):
        result.assert_ok()
