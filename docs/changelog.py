"""The changelog by fragments: `changes/NAME.KIND.md` each, gathered into CHANGELOG.md at a release.

python -m docs.changelog 0.2.0            # gather: a section of that version, dated today
python -m docs.changelog --check v0.2.0   # is that tag the version, with a section of its own?
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from textwrap import indent

import oracle

ROOT = Path(__file__).parents[1]
KINDS = ("added", "changed", "fixed", "removed", "security")
UNRELEASED = "## [Unreleased]\n"
VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")


def fragments(folder: Path) -> dict[str, list[Path]]:
    """Kind -> its fragments, by name.

    Raises:
        SystemExit: a file is none, or empty.
    """
    found: dict[str, list[Path]] = {kind: [] for kind in KINDS}
    for file in sorted(folder.glob("*")):
        if file.name == "README.md":
            continue
        kind = file.name.removesuffix(".md").rpartition(".")[2]
        if file.suffix != ".md" or kind not in KINDS or not file.read_text("utf-8").strip():
            raise SystemExit(
                f"{file}: must be NAME.KIND.md with a text, KIND of {', '.join(KINDS)}"
            )
        found[kind].append(file)
    return found


def gathered(changelog: str, found: dict[str, list[Path]], version: str, day: str) -> str:
    """The changelog with a section of `version`: what was unreleased there, and the fragments."""
    before, mark, rest = changelog.partition(UNRELEASED)
    if not mark:
        raise SystemExit(f"CHANGELOG.md: must have the line {UNRELEASED.strip()}")
    here, older = re.match(r"(.*?)(?=^## |\Z)(.*)", rest, re.M | re.S).groups()  # type: ignore[union-attr]
    for kind, files in found.items():
        heading = f"### {kind.capitalize()}\n"
        items = "".join(_item(file) for file in files)
        if items and heading in here:
            head, body = here.split(heading, 1)
            section, *others = re.split(r"(?=^### )", body, maxsplit=1, flags=re.M)
            here = f"{head}{heading}{section.rstrip()}\n{items}\n{''.join(others)}"
        elif items:
            here = f"{here.rstrip()}\n\n{heading}\n{items}"
    return f"{before}{mark}\n## [{version}] - {day}\n\n{here.strip()}\n\n{older}".rstrip() + "\n"


def _item(file: Path) -> str:
    return "- " + indent(file.read_text("utf-8").strip(), "  ").removeprefix("  ") + "\n"


def check(tag: str, changelog: str) -> None:
    """Refuse a tag that is not this version, or that the changelog does not tell of.

    Raises:
        SystemExit: saying which.
    """
    if tag != f"v{oracle.__version__}":
        raise SystemExit(f"the tag must be v{oracle.__version__}, but is {tag}")
    if f"## [{oracle.__version__}]" not in changelog:
        raise SystemExit(f"CHANGELOG.md: must have a section ## [{oracle.__version__}]")


def main(words: list[str]) -> None:
    """Gather, or check."""
    file = ROOT / "CHANGELOG.md"
    changelog = file.read_text("utf-8")
    match words:
        case ["--check", tag]:
            check(tag, changelog)
        case [version] if VERSION.fullmatch(version):
            found = fragments(ROOT / "changes")
            today = datetime.now(UTC).date().isoformat()
            file.write_text(gathered(changelog, found, version, today), encoding="utf-8")
            for files in found.values():
                for done in files:
                    done.unlink()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
