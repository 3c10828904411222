"""Reports are one file that fetches nothing and shows what it is given as text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oracle.pictures.report import (
    OTHER_HALF,
    Section,
    of_evaluation,
    of_replay,
    picture_of,
    table,
    text,
    write_report,
)

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c4890000000d4944415478"
    "9c6360000002000001e221bc330000000049454e44ae426082"
)  # fmt: skip
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "error.png"
    path.write_bytes(PIXEL)
    return path


def test_one_file_and_nothing_fetched(tmp_path: Path, picture: Path) -> None:
    out = tmp_path / "out.html"
    sections = [Section(HOSTILE, HOSTILE, picture_of(picture, HOSTILE) + text(HOSTILE))]
    write_report(out, HOSTILE, HOSTILE, sections, HOSTILE)
    html = out.read_text(encoding="utf-8")
    assert "<script" not in html
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", html)
    assert html.count("&lt;script&gt;") == 8  # the title stands twice


def test_tables_mark_ours_and_tell_what_is_unknown() -> None:
    html = table(["", "error"], [["oracle", 0.12345], ["last", None]], "oracle")
    assert '<tr class="ours"><td>oracle</td><td class="n">0.1235</td></tr>' in html
    assert "–" in html


def test_an_evaluation_and_a_replay_are_laid_out(picture: Path) -> None:
    found = {
        "errors": [
            {"score": "quality_relative", "forecaster": name, "progress": 0.2, "mae": mae}
            for name, mae in (("oracle", 0.05), ("last", 0.2), ("ridge", None))
        ],
        "coverage": [
            {"score": "final_mqe", "progress": 0.2, "coverage_50%": 0.5, "coverage_90%": 0.9}
        ],
        "screening": [
            {"forecaster": "oracle", "progress": share, "left_out": 0.5, "lost": lost}
            for share, lost in ((0.0, 0.017), (0.2, 0.444))
        ],
        "excluded": {"too short": 2, "censored": 0},
    }
    sections = of_evaluation(found, [picture])
    plan = "Before the first checkpoint"
    assert [s.title for s in sections] == [
        "In pictures", "Quality relative", "Coverage", plan, "Left out",
    ]  # fmt: skip
    assert "1.7%" in sections[3].body
    assert "44.4%" not in sections[3].body
    share = {"value": 0.5, "low": 0.4, "high": 0.6}
    row = {"policy": "oracle", "saved": share, "compute_saved": share, "lost": share}
    replayed = of_replay({"chosen": {"0.01": [row]}, "chosen_on": "others", "tables": 2}, picture)
    assert "50.0%" in replayed[1].body
    assert replayed[1].title == "At most 1% of the good runs lost"
    assert replayed[1].lead == "Each policy's setting was chosen on others."
    chosen = {"chosen": {"0.01": [row]}, "chosen_on": OTHER_HALF}
    alone = of_replay({**chosen, "tables": 1}, picture)
    assert "no other half to choose" in alone[1].lead
