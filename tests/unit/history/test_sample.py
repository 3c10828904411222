"""The shipped sample dataset is sound and its documented command made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from collector.ea_run import run_one
from oracle.history.dataset import metadata_path, read_dataset, split_runs

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"
FACTS = json.loads(metadata_path(SAMPLE).read_text())


def test_two_hundred_real_runs_in_a_small_file() -> None:
    runs = read_dataset(SAMPLE)
    assert len(runs) == FACTS["runs"] == 200
    assert {run.source for run in runs} == {"minisom"}
    assert max(len(run.history) for run in runs) <= 30
    assert len({run.dataset for run in runs}) == FACTS["tables"] == 16
    assert SAMPLE.stat().st_size < 1_500_000
    assert hashlib.sha256(SAMPLE.read_bytes()).hexdigest() == FACTS["sha256"]


def test_whole_tables_can_be_held_out() -> None:
    split = split_runs(read_dataset(SAMPLE))
    assert split.by == "table"
    assert not split.excluded


def test_the_documented_command_makes_these_runs() -> None:
    text = (SAMPLE.parent / "README.md").read_text()
    for part in (f"--seed {FACTS['seed']}", f"--tables {FACTS['settings']['tables']}"):
        assert part in text
    # The shortest run on a table of scikit-learn: rounding has no time to grow on another CPU.
    runs = read_dataset(SAMPLE)
    index, run = min(
        ((i, run) for i, run in enumerate(runs) if run.dataset == "iris-minmax"),
        key=lambda pair: pair[1].history.total_epochs or 0,
    )
    again = run_one(index, FACTS["seed"], FACTS["settings"])
    assert again.history.epochs == run.history.epochs
    assert again.history.mqe == pytest.approx(run.history.mqe, rel=1e-6)
