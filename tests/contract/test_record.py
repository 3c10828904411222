"""No commit costs accuracy unseen: the shipped oracle errs as docs/record.md says."""

from __future__ import annotations

from bench.record import FEW, SHARES, errors, last_row
from oracle import Oracle
from oracle.history.dataset import read_dataset
from oracle.history.tables import role_of

#: Rounding of other machines.
SLACK = 1.01


def test_the_shipped_oracle_errs_as_recorded() -> None:
    runs = read_dataset(FEW)
    assert {role_of(run.dataset) for run in runs} == {"test"}
    assert len({run.dataset for run in runs}) == 20
    found = errors(Oracle.load("shipped-default"), runs)
    for share, error in zip(SHARES, found, strict=True):
        assert error <= SLACK * last_row()[f"{share:g}"], f"at {share:.0%}"
