"""README tells of searches what docs/savings.md tells, which `python -m bench.ea` writes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_readme_has_the_pages_figures() -> None:
    page = (ROOT / "docs/savings.md").read_text("utf-8")
    screened = re.search(r'"screened" below\): \*\*(\d+)% \((\d+)%\) of the epochs', page)
    assert screened
    readme = " ".join((ROOT / "README.md").read_text("utf-8").replace("**", "").split())
    for one, two in zip(
        re.findall(r"(\d+)% \((\d+)%\) of the epochs", page),
        re.findall(r"(\d+)% \((\d+)%\) of the time", page),
        strict=True,
    ):
        assert re.search(rf"{one[0]} % \({one[1]} %.*?\| {two[0]} % \({two[1]} %\)", readme)
    assert f"with {screened[1]} % of the epochs ({screened[2]} % on the worst" in readme
