"""The Python blocks of docs/ run as they stand, those of a page one after another."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: Path) -> list[str]:
    found: list[str] = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return found


PAGES = [page for page in sorted(DOCS.glob("*.md")) if blocks(page)]


def test_the_pages_with_code() -> None:
    assert {"hook.md", "data.md", "searches.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_it_runs_without_a_warning(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks(page))],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "passed over" not in done.stdout
