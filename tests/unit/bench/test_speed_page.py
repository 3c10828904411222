"""docs/speed.md holds what the benches print, and `make bench` runs them all."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bench.speed import page as speed_page
from bench.speed import train

ROOT = Path(__file__).parents[3]


def test_a_bench_enters_its_block_and_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "speed.md"
    page.write_text("# Speed\n\n## `python -m bench.speed.service`\n\n```\nkept\n```\n")
    monkeypatch.setattr(speed_page, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["train", "--quick", "--write-docs"])
    for seconds in (1.0, 2.0):
        monkeypatch.setattr(train, "measure", lambda *_: {"keras, s": seconds})  # noqa: B023
        train.main()
    text = page.read_text()
    assert "kept" in text
    assert text.count("## `python -m bench.speed.train --quick`") == 1
    assert "standard       keras, s 2.00" in text


def test_make_bench_runs_every_measurement_of_speed() -> None:
    (named,) = re.findall(r"^BENCH \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    there = {path.stem for path in (ROOT / "bench" / "speed").glob("*.py")}
    assert set(named.split()) == there - {"page"}
