"""The tables of docs/libraries.md, and docs/quality/libraries.json that they are made of."""

from __future__ import annotations

import json
import re
from typing import Any

from bench.libraries.accuracy import RECORD, ROOT, SHARE, SHARES

PAGE = ROOT / "docs/libraries.md"
RESULT = ROOT / "docs/quality/libraries.json"


def tables(found: dict[str, Any]) -> str:
    """Give the page's tables."""
    lines = [
        "| Library | runs | mqe, topographic error: largest difference to its own | "
        "weights as without the watch | error of the score at 10 / 20 / 50 % | last value | "
        "inside 90 % | abstains |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for library, one in found["libraries"].items():
        if not one:
            lines.append(f"| {library} | not installed here | | | | | | |")
            continue
        apart = ", ".join("none of its own" if d is None else f"{d:.0e}" for d in one["apart"])
        same = f"{one['same']} of {one['repeated']} bit for bit"

        def row(name: str, form: str, of: dict[str, Any] = one["judged"]) -> str:
            return " / ".join(format(of[f"{s:g}"][name], form) for s in SHARES if f"{s:g}" in of)

        lines.append(
            f"| {library} | {one['runs']} | {apart} | {same} | {row('error', '.3f')} | "
            f"{row('last', '.3f')} | {row('inside', '.0%')} | {row('abstains', '.0%')} |"
        )
    lines += [
        "",
        f"By `{found['model']}`, on tables that trained nothing; told is what is read from the "
        "map alone. The score is mqe / mqe_of_mean + topographic error + half the dead-neuron "
        "ratio. Few runs: a hint, not a claim; docs/quality.md has the claims.",
        "",
        f"What a part of the context is worth, on the runs of {RECORD}: the error "
        f"at {SHARE:.0%} of the run without it, times the error with it. `context_of` says once "
        "which fields are missing.",
        "",
        "| left out | error times |",
        "|---|---|",
        *(f"| {name} | {times:.2f} |" for name, times in found["worth"].items()),
    ]
    return "\n".join(lines)


def write(found: dict[str, Any]) -> None:
    """Write the page's tables and what they are made of."""
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    begin = "<!-- what it gives: written by `python -m bench.libraries` -->\n"
    new = re.sub(
        f"(?s)({re.escape(begin)}).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{tables(found)}\n\n{match[2]}",
        text,
    )
    PAGE.write_text(new, encoding="utf-8")
