"""`make site`: a strict build, where a dead link or anchor is a failure; nothing from outside."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import oracle

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    (folder / "0.0.9").mkdir()  # of a version that was built before
    (folder / "0.0.9" / "index.html").write_text("old")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / oracle.__version__


def test_versions_stand_beside_each_other(site: Path) -> None:
    versions = json.loads((site.parent / "versions.json").read_text("utf-8"))
    assert [one["version"] for one in versions] == [oracle.__version__, "0.0.9"]
    assert versions[0]["aliases"] == ["latest"]
    assert f"url={oracle.__version__}/index.html" in (site.parent / "index.html").read_text()
    assert '"provider":"mike"' in (site / "index.html").read_text("utf-8").replace(" ", "")


def test_every_page_is_there(site: Path) -> None:
    pages = {
        page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        for page in (ROOT / "docs").rglob("*.md")
    } - {"README.html"}
    assert len(pages) > 30
    assert not [page for page in pages if not (site / page).is_file()]


def test_the_reference_has_every_public_name(site: Path) -> None:
    text = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    missing = [n for n, home in oracle._HOME.items() if f'id="{home}.{n}"' not in text]
    assert not missing


def test_it_loads_nothing_from_outside(site: Path) -> None:
    loading = re.compile(r'<(?:script|link|img|iframe)\b[^>]*(?:src|href)="?(?:https?:)?//[^">]*')
    found = {
        tag for page in site.rglob("*.html") for tag in loading.findall(page.read_text("utf-8"))
    }
    assert not {tag for tag in found if 'rel="canonical"' not in tag}
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:", style.read_text("utf-8")), style


def test_search_finds_a_reason(site: Path) -> None:
    index = (site / "search/search_index.json").read_text("utf-8")
    assert "too_few_runs" in index
    assert '"location":"reasons.html' in index.replace(" ", "")
