"""The Python blocks of docs/ run as they stand, those of a page one after another.

Where they call the service there is one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Server

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: Path) -> list[str]:
    found: list[str] = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    return found


PAGES = [page for page in sorted(DOCS.rglob("*.md")) if blocks(page)]
URL = "http://127.0.0.1:8000"


def test_the_pages_with_code() -> None:
    assert {"hook.md", "data.md", "searches.md", "client.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_it_runs_without_a_warning(page: Path, tmp_path: Path) -> None:
    code = "\n".join(blocks(page))
    if URL in code:
        with Server(tmp_path / "service") as server:
            run(code.replace(URL, server.url), tmp_path)
    else:
        run(code, tmp_path)


def run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        # A library's own source may have slips that only its first import tells of.
        [sys.executable, "-W", "error", "-W", "ignore::SyntaxWarning", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TQDM_DISABLE": "1"},  # GEMA draws its progress on stderr
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "passed over" not in done.stdout
