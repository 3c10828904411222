"""docs/quality.md: every target beside what was reached, and what is missing is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.quality import __main__ as quality
from bench.quality import readme
from bench.quality.aims import ERRORS, FOREIGN, aims
from bench.quality.page import page as written
from bench.quality.tables import error_table, plan_table
from bench.quality.told_less import searches_table, told_less_table
from oracle.forecast.forecaster import Oracle

KEPT = Path(__file__).parents[3] / "docs" / "quality"


def kept(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((KEPT / f"{name}.json").read_text())
    return {"command": f"oracle {name}", **found}


def made(ratio: float, mae: float) -> dict[str, Any]:
    """An evaluation with the same error at every prefix, half of boosting's."""
    common = {"score": "quality_relative", "ratio_interval": None, "spearman": 0.9}
    errors = [
        {**common, "forecaster": name, "progress": share, "mae": times * mae}
        | ({"ratio_to_last": ratio} if share else {})
        for name, times in (("oracle", 1), ("boosting", 2), ("last", 5))
        for share in ERRORS
    ]
    screening = [
        {
            "forecaster": name, "progress": share, "left_out": out, "lost": times * out / 50,
            "lost_interval": (0.0, out / 10),
        }
        for name, times in (("oracle", 1), ("boosting", 2))
        for share in (0.0, 0.1)
        for out in (0.3, 0.5)
    ]  # fmt: skip
    covered = {
        "score": "final_mqe", "progress": 0.1, "coverage_50%": 0.63, "coverage_90%": 0.95,
        "coverage_50%_interval": (0.57, 0.66), "coverage_90%_interval": (0.94, 0.96),
    }  # fmt: skip
    return {
        "runs": 10, "tables": 2, "errors": errors, "coverage": [covered], "screening": screening,
        "main_score": "final_mqe",
        "refused": [{"progress": share, "n": 10, "no_support": share / 5} for share in ERRORS],
    }  # fmt: skip


def replayed(saved: float, lost: float) -> dict[str, Any]:
    row = {
        "policy": "oracle, population in step",
        "saved": {"value": saved},
        "compute_saved": {"value": saved},
        "lost": {"value": lost, "low": 0.0, "high": 2 * lost},
    }
    return {"chosen": {"0.01": [row], "0.05": []}}


def row_of(table: str, start: str) -> list[str]:
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_target_stands_beside_what_is_reached() -> None:
    foreign = {"nexussom": made(0.2, 0.035)}
    table = aims(made(0.19, 0.1), replayed(0.7, 0.008), foreign, {}, {})
    ratio = "error / last value's, {}% seen"
    assert row_of(table, ratio.format(10))[1:] == ["0.145", "0.18", "0.190", "no", "no"]
    assert row_of(table, ratio.format(20))[4:] == ["no", "yes"]
    assert row_of(table, ratio.format(50))[4:] == ["yes", "yes"]
    assert row_of(table, "error below boosting's, 30%")[4:] == ["yes", "yes"]
    assert row_of(table, "error below boosting's, 0%")[3:] == ["0.1000", "yes", "yes"]
    assert row_of(table, "error, 0% seen")[1:] == ["0.110", "0.140", "0.1000", "yes", "yes"]
    assert row_of(table, "error, 10% seen")[4:] == ["no", "no"]
    assert row_of(table, "Spearman")[1:] == ["0.93", "0.86", "0.900", "no", "yes"]
    assert row_of(table, "best tenth lost")[1:] == ["0.3%", "1.5%", "1.00%", "no", "yes"]
    # 57 to 63 % reaches 62 but not 56: so few runs may err by that much; 94 to 96 % is asked for.
    assert row_of(table, "final_mqe inside the 50 %")[4:] == ["no", "within sampling error"]
    assert row_of(table, "final_mqe inside the 90 %")[4:] == ["no", "yes"]
    saved = row_of(table, "epochs saved, population in step, at most 1% lost")
    assert saved[1:3] == ["72%", "62%"]
    assert saved[4:] == ["no", "yes"]
    assert row_of(table, "compute saved")[4:] == ["yes", "-"]
    assert row_of(table, "error on nexussom's runs, 20% seen")[3:] == ["0.0350", "no", "yes"]
    assert row_of(table, "error on nexussom's runs, 50% seen")[4:] == ["no", "no"]
    assert "hold a miss" in table


def test_told_less_and_others_searches_have_aims_too() -> None:
    told_less = {"the four arrays": made(0.1, 0.1), "nexussom without plan": made(0.1, 0.1)}
    row = {"setting": 0.02, "saved": {"value": 0.47}, "lost": {"value": 0.01}}
    searches = {
        "search-a": {"curves": {"oracle, one after another": [row, row | {"setting": 0.2}]}}
    }
    table = aims(made(0.1, 0.1), replayed(0.7, 0.008), {}, told_less, searches)
    # The worst prefix of others' runs counts, and of those alone.
    refused = row_of(table, "refused of others' runs")
    assert refused[1:] == ["3%", "8%", "14.0% (nexussom without plan, 70% seen)", "no", "no"]
    assert row_of(table, "others' runs inside the 90 %")[4:] == ["no", "yes"]
    assert row_of(table, "error / boosting's, the four arrays")[3:5] == [
        "0.50 (0.100 / 0.200)",
        "yes",
    ]
    saved = row_of(table, "saved in others' searches, one after another")
    assert saved[3:] == ["47.0% at 1.0% lost", "no", "yes"]
    less = told_less_table(told_less).splitlines()
    assert less[-1].startswith("| nexussom without plan | 0.100, 0.100, 0.100, 0.100 | 0.200")
    assert less[-1].endswith("| 2.0%, 4.0%, 10.0%, 14.0% |")
    assert "| a | one after another | 0.02 | 47.0% | 1.0% |" in searches_table(searches)


def test_tables_show_what_is_known_before_the_first_checkpoint() -> None:
    found = made(0.19, 0.1)
    lines = plan_table(found).splitlines()
    assert "worst 50% left out" in lines[0].split("|")[4]
    assert lines[2] == "| **oracle** | 0.1000 | 0.900 | 1.0% (0.0%..5.0%) | 0.6% (0.0%..3.0%) |"
    assert lines[3].startswith("| boosting | 0.2000 | 0.900 | 2.0%")
    assert lines[4] == "| last | 0.5000 | 0.900 | - | - |"
    for row in found["errors"]:
        row["ratio_interval"] = (0.1, 0.2)
    errors = error_table(found, "quality_relative").splitlines()
    assert errors[0] == "| | 0% | 10% | 20% | 30% | 50% | 70% |"
    assert errors[-1].startswith("| oracle / last value | - | 0.190 (0.10..0.20) |")
    # Runs whose scale nobody told have nothing to show at 0 %.
    for row in found["errors"]:
        if row["progress"] == 0:
            row["mae"] = None
    assert "| **oracle** | - | 0.1000 |" in error_table(found, "quality_relative")
    assert len(plan_table(found).splitlines()) == 2


def test_what_is_saved_at_too_great_a_loss_is_a_miss() -> None:
    table = aims(made(0.1, 0.1), replayed(0.9, 0.02), {}, {}, {})
    assert row_of(table, "epochs saved")[4:] == ["no", "no"]


def test_the_page_names_aims_commands_and_how_to_add_others() -> None:
    found = kept("evaluate")
    common = (found, kept("floor"), kept("evaluate-minisom"))
    page = written(Oracle.load(), *common, {}, kept("replay"), kept("replay-dense"), {}, {})
    assert "## Aims, and what is reached" in page
    assert "error / last value's, 70% seen, at most" in page
    assert "--foreign NAME=FILE" in page
    for name in ("evaluate", "evaluate-minisom", "replay", "replay-dense"):
        assert kept(name)["command"] in page
    others = dict.fromkeys(FOREIGN, found)
    page = written(Oracle.load(), *common, others, kept("replay"), {}, {}, {})
    for name in FOREIGN:
        assert f"| error on {name}'s runs, 50% seen, at most |" in page
        assert f"| {name} | {found['runs']} of {found['tables']} tables |" in page


def test_the_readme_shows_what_was_measured() -> None:
    text = readme.README.read_text()
    assert readme.with_figures(text) == text, "run `python -m bench.quality.readme`"
    assert readme.with_figures(text.replace("| **oracle** | .", "| **oracle** | 9.")) == text


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "pretraining-5.csv.gz"), (["--quick", "--foreign", "mine=none.csv"], "NAME=FILE")],
)
def test_without_data_it_says_what_to_collect(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr(quality, "DATA", tmp_path)
    monkeypatch.setattr(sys, "argv", ["quality", "--out", str(tmp_path), *options])
    with pytest.raises(SystemExit) as ended:
        quality.main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert options or "docs/training.md" in told
