"""docs/speed.md holds what the benches print, and `make bench` runs these alone."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from bench import speed_page, train

ROOT = Path(__file__).parents[3]


def test_a_bench_enters_its_block_and_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "speed.md"
    page.write_text("# Speed\n\n## `python -m bench.http`\n\n```\nkept\n```\n")
    monkeypatch.setattr(speed_page, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["train", "--quick", "--write-docs"])
    for seconds in (1.0, 2.0):
        monkeypatch.setattr(train, "measure", lambda *_: {"keras, s": seconds})  # noqa: B023
        train.main()
    text = page.read_text()
    assert "kept" in text
    assert text.count("## `python -m bench.train --quick`") == 1
    assert "standard       keras, s 2.00" in text


def test_make_bench_names_benches_that_take_write_docs_or_print() -> None:
    (named,) = re.findall(r"^BENCH \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in named.split():
        code = (ROOT / "bench" / f"{name}.py").read_text()
        assert "def main(" in code
        assert "docs/quality.md" not in code
        assert "docs/savings.md" not in code
