"""The trainer's short judgement says what `oracle evaluate` says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oracle.evaluation import accuracy
from oracle.evaluation.summary import COVERED, SHARES, Summary, summarise
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset
from oracle.training.card import card_text
from oracle.types import Run

SEARCH = Path(__file__).parents[2] / "data/search.csv.gz"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SEARCH)


@pytest.fixture(scope="module")
def found(runs: list[Run]) -> Summary:
    return summarise(Oracle.load(), runs, runs)


def test_coverage_is_that_of_the_evaluation(runs: list[Run], found: Summary) -> None:
    scored = accuracy.score(runs, Oracle.load(), progress=SHARES)
    rows = {
        row["progress"]: row
        for row in accuracy.coverages(scored)
        if row["score"] == "quality_relative"
    }
    assert set(found.coverage) == set(rows) == set(SHARES)
    for share, levels in found.coverage.items():
        assert tuple(levels) == COVERED
        for level, inside in levels.items():
            # Ties are broken at random: a run may fall on either side of the edge.
            assert inside == pytest.approx(
                rows[share][f"coverage_{level:.0%}"], abs=1.5 / len(runs)
            )
            assert 0.0 < inside < 1.0


def test_an_undefined_outcome_is_not_counted(runs: list[Run]) -> None:
    undefined = [run.model_copy(update={"final_topographic_error": None}) for run in runs[:3]]
    mixed = summarise(Oracle.load(), [*undefined, *runs[3:]], runs).coverage[0.5]
    defined = summarise(Oracle.load(), runs[3:], runs).coverage[0.5]
    assert mixed == pytest.approx(defined, abs=1.5 / len(runs))


def test_a_target_that_no_run_has_is_null(runs: list[Run]) -> None:
    undefined = [run.model_copy(update={"final_topographic_error": None}) for run in runs[:6]]
    found = summarise(Oracle.load(), undefined, runs)  # a warning would be an error
    for told in found.as_dict()["by_progress"].values():
        assert told["final_topographic_error"] is None
        assert told["final_mqe"] > 0
        assert told["quality"] > 0  # of what is left
        assert 0.0 <= told["coverage"]["0.9"] <= 1.0
    json.dumps(found.as_dict(), allow_nan=False)
    assert "nan" in str(found)


def test_manifest_and_card_hold_it(found: Summary) -> None:
    told = found.as_dict()["by_progress"]["0.5"]["coverage"]
    assert told == {"0.5": found.coverage[0.5][0.5], "0.9": found.coverage[0.5][0.9]}
    part = {"runs": 1, "tables": 1}
    facts = {
        "command": "oracle train",
        "settings": {"architecture": "lite"},
        "seeds": [0],
        "epochs_run": [1],
        "data": {
            "split_by": "table",
            "excluded": {},
            "constant": {"final_topographic_error": 40},
            "tables": 3,
            "train": part,
            "calibrate": part,
            "test": part,
        },
    }
    card = card_text("x", facts, found)
    assert f"| 50% | {told['0.5']:.1%} | {told['0.9']:.1%} |" in card
    assert "final_topographic_error ends the same in all 40 training runs" in card
    assert "1 run of 1 table" in card
    assert "nothing is known of other tables" not in card
    assert "replaces the one it was tuned from" not in card
    facts["parent"] = {"name": "old", "sha256": "0" * 64}
    facts["data"]["split_by"] = "run"
    card = card_text("x", facts, found)
    assert "3 tables only: " in card
    assert "nothing is known of other tables" in card
    assert "replaces the one it was tuned from" in card
    assert f"{told['0.5']:.1%} / {told['0.9']:.1%}" in str(found)
