"""README tells of searches what docs/savings.md tells, which `python -m bench.ea` writes."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: Of a bullet of the page: median over tables and the worst of them, of epochs and of time.
TOLD = re.compile(r"\*\*(.+?) \((.+?)\) of the epochs,\s(.+?) \((.+?)\) of the time\*\*")


def plain(text: str) -> str:
    return text.replace("*", "").replace(" ", "").replace("ontheworsttable", "")


def test_readme_has_the_pages_figures() -> None:
    page = (ROOT / "docs/savings.md").read_text("utf-8").partition("<!-- a second look")[0]
    readme = (ROOT / "README.md").read_text("utf-8")
    libraries = re.findall(r"^## (.+)$", page, re.MULTILINE)
    sections = re.split(r"^## .+$", page, flags=re.MULTILINE)[1:]
    rows = [line.split("|") for line in readme.splitlines() if line.startswith(("| bad", "| ..."))]
    assert len(rows) == 4
    for i, section in enumerate(sections):
        told = TOLD.findall(section)
        assert len(told) == 4
        for row, (one, worst, took, longest) in zip(rows, told, strict=True):
            epochs, time = (plain(cell) for cell in row[2 + 2 * i : 4 + 2 * i])
            assert epochs == plain(f"{one}({worst})"), libraries[i]
            assert time == plain(f"{took}({longest})"), libraries[i]
    head = readme[: readme.index("| bad")]
    assert all(f"{name}: of the epochs | of the time" in head for name in libraries)
    one, worst, *_ = TOLD.findall(sections[0])[1]
    said = f"with {one[:-1]} % of the epochs ({worst[:-1]} % on the worst of six tables)"
    assert said in readme


def test_the_pages_pictures_are_there() -> None:
    page = (ROOT / "docs/savings.md").read_text("utf-8")
    pictures = re.findall(r"\]\((img/savings[^)]*)\)", page)
    assert len(pictures) == len(re.findall(r"^## ", page.partition("<!--")[0], re.MULTILINE))
    assert all((ROOT / "docs" / name).is_file() for name in pictures)
