"""What a release is made of: citation, fragments of the changelog, workflows, the site's order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import oracle
from docs import changelog

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github").rglob("*.yml"))


def test_the_citation_is_of_this_version() -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert told["cff-version"] == "1.2.0"
    assert told["version"] == oracle.__version__
    assert {"title", "authors", "message", "license"} <= set(told)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.name)
def test_workflows_and_templates_are_yaml(file: Path) -> None:
    assert isinstance(yaml.safe_load(file.read_text("utf-8")), dict)


def test_a_release_is_trusted_and_attested_and_has_no_key() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["steps"][-1]["with"] == {"attestations": True}
    assert any("attest-build-provenance" in str(step) for step in jobs["build"]["steps"])
    assert "secrets." not in text
    assert "password" not in text
    verbs = re.findall(r"make (\w+)", text + (ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert verbs
    assert all(re.search(rf"^{verb}:", makefile, re.M) for verb in verbs)


def test_the_fragments_that_there_are_can_be_gathered() -> None:
    found = changelog.fragments(ROOT / "changes")
    text = changelog.gathered((ROOT / "CHANGELOG.md").read_text("utf-8"), found, "9.9.9", "a day")
    for files in found.values():
        for file in files:
            assert file.read_text("utf-8").splitlines()[0] in text


def test_a_release_gathers_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "frames.added.md").write_text("Frames.\nOf pandas.\n")
    (tmp_path / "slip.fixed.md").write_text("A slip.")
    unreleased = "### Added\n\n- Old.\n\n### Changed\n\n- C.\n\n"
    older = "## [0.1.0] - x\n\n- First.\n"
    before = f"# Changelog\n\n## [Unreleased]\n\n{unreleased}{older}"
    found = changelog.fragments(tmp_path)
    assert changelog.gathered(before, found, "0.2.0", "2026-01-02") == (
        "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-01-02\n\n"
        "### Added\n\n- Old.\n- Frames.\n  Of pandas.\n\n### Changed\n\n- C.\n\n"
        "### Fixed\n\n- A slip.\n\n## [0.1.0] - x\n\n- First.\n"
    )
    with pytest.raises(SystemExit, match="must have a section"):
        changelog.check(f"v{oracle.__version__}", before.replace("0.1.0", "0.0.9"))
    with pytest.raises(SystemExit, match="the tag must be"):
        changelog.check("v9.9.9", before)


@pytest.mark.parametrize("name", ["note.md", "x.news.md", "x.added.txt"])
def test_a_file_that_is_no_fragment_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(SystemExit, match=re.escape(name)):
        changelog.fragments(tmp_path)


def test_every_page_is_in_the_reading_order() -> None:
    index = (ROOT / "docs/README.md").read_text("utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert not [page for page in sorted(pages) if f"]({page})" not in index]
    table = (ROOT / "docs/libraries.md").read_text("utf-8")
    libraries = {page.name for page in (ROOT / "docs/libraries").glob("*.md")}
    assert not [page for page in sorted(libraries) if f"](libraries/{page})" not in table]
