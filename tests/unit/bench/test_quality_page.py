"""docs/quality.md: every target beside what was reached, and what is missing is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import quality
from bench.aims import FOREIGN, RATIOS, aims
from oracle.forecast.forecaster import Oracle

KEPT = Path(__file__).parents[3] / "docs" / "quality"


def kept(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((KEPT / f"{name}.json").read_text())
    return {"command": f"oracle {name}", **found}


def made(ratio: float, mae: float) -> dict[str, Any]:
    """An evaluation with the same error at every prefix, half of boosting's."""
    common = {"score": "quality_relative", "ratio_to_last": ratio, "ratio_interval": None}
    errors = [
        {**common, "forecaster": name, "progress": share, "mae": times * mae}
        for name, times in (("oracle", 1), ("boosting", 2), ("last", 5))
        for share in RATIOS
    ]
    covered = {
        "score": "final_mqe", "progress": 0.1, "coverage_50%": 0.55, "coverage_90%": 0.95,
        "coverage_50%_interval": (0.52, 0.58), "coverage_90%_interval": (0.94, 0.96),
    }  # fmt: skip
    return {"runs": 10, "tables": 2, "errors": errors, "coverage": [covered]}


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
    table = aims(made(0.19, 0.1), replayed(0.7, 0.008), {"nexussom": made(0.2, 0.035)})
    ratio = "error / last value's, {}% seen"
    assert row_of(table, ratio.format(10))[1:] == ["0.145", "0.18", "0.190", "no", "no"]
    assert row_of(table, ratio.format(20))[4:] == ["no", "yes"]
    assert row_of(table, ratio.format(50))[4:] == ["yes", "yes"]
    assert row_of(table, "error below boosting's, 30%")[4:] == ["yes", "yes"]
    # 52 to 58 % reaches into 46..54: so few runs may err by that much; 94 to 96 % does not.
    assert row_of(table, "final_mqe inside the 50 %")[4] == "within sampling error"
    assert row_of(table, "final_mqe inside the 90 %")[4] == "no"
    saved = row_of(table, "epochs saved, population in step, at most 1% lost")
    assert saved[1:3] == ["72%", "62%"]
    assert saved[4:] == ["no", "yes"]
    assert row_of(table, "compute saved")[4:] == ["yes", "-"]
    assert row_of(table, "error on nexussom's runs, 20% seen")[3:] == ["0.0350", "no", "yes"]
    assert row_of(table, "error on nexussom's runs, 50% seen")[4:] == ["no", "no"]
    assert "hold a miss" in table


def test_what_is_saved_at_too_great_a_loss_is_a_miss() -> None:
    table = aims(made(0.1, 0.1), replayed(0.9, 0.02), {})
    assert row_of(table, "epochs saved")[4:] == ["no", "no"]


def test_the_page_names_aims_commands_and_how_to_add_others() -> None:
    found = kept("evaluate")
    common = (found, kept("floor"), kept("evaluate-minisom"))
    page = quality.page(Oracle.load(), *common, {}, kept("replay"), kept("replay-dense"))
    assert "## Aims, and what is reached" in page
    assert "error / last value's, 70% seen, at most" in page
    assert "--foreign NAME=FILE" in page
    for name in ("evaluate", "evaluate-minisom", "replay", "replay-dense"):
        assert kept(name)["command"] in page
    others = dict.fromkeys(FOREIGN, found)
    page = quality.page(Oracle.load(), *common, others, kept("replay"), {})
    for name in FOREIGN:
        assert f"| error on {name}'s runs, 50% seen, at most |" in page
        assert f"| {name} | {found['runs']} of {found['tables']} tables |" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "pretraining.csv.gz"), (["--quick", "--foreign", "mine=none.csv"], "NAME=FILE")],
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
