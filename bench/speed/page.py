"""docs/speed.md: what the speed benches print, each entered by its own command."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"


def enter(command: str, printed: str) -> None:
    """Put what `command` printed into its section, a new one at the end where there is none."""
    section = f"## `{command}`\n\n```\n{printed.rstrip()}\n```\n"
    page = PAGE.read_text(encoding="utf-8")
    old = re.compile(rf"## `{re.escape(command)}`\n.*?(?=\n## |\Z)", re.DOTALL)
    found, changes = old.subn(lambda _: section, page)
    PAGE.write_text(found if changes else f"{page.rstrip()}\n\n{section}", encoding="utf-8")
