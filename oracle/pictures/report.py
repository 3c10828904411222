"""Reports as one self-contained HTML file each, in the live page's style: nothing is fetched."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

#: What `oracle replay` says where no other runs were named to choose on.
OTHER_HALF = "the other half of the tables"
#: ... and where there is no other half.
ONE_TABLE = (
    "One table has no other half to choose a setting on, so nothing is stopped below. "
    "Name other recorded runs with --choose-on."
)

_STYLE = """
:root { color-scheme: light dark; --paper: #f6f8fa; --surface: #fff; --line: #dfe5ea;
  --ink: #1c2530; --muted: #566270; --ours: #1f4e8c; --tint: #e8eff7; }
@media (prefers-color-scheme: dark) { :root { --paper: #0e141b; --surface: #151d26;
  --line: #28343f; --ink: #e7edf3; --muted: #a2afbc; --ours: #82b1ea; --tint: #1b2b40; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 14px/1.55 system-ui,
  -apple-system, "Segoe UI", Arial, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 1080px; margin: 0 auto; padding: 36px 20px 64px; }
h1 { font-size: 26px; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 6px; }
h2 { font-size: 16px; margin: 0 0 4px; } p { margin: 0 0 10px; } .muted { color: var(--muted); }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 18px; }
img { display: block; max-width: 100%; margin: 12px auto 4px; background: #fff;
  border-radius: 6px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; margin-top: 8px; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); text-align: left;
  white-space: nowrap; } th { color: var(--muted); font-weight: 520; font-size: 12.5px; }
tr:last-child > * { border-bottom: 0; } .n { text-align: right; }
tr.ours td { color: var(--ours); font-weight: 620; background: var(--tint); }
pre { overflow-x: auto; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; margin: 8px 0; }
footer { color: var(--muted); margin-top: 22px; font-size: 12.5px; overflow-wrap: anywhere; }
@media (max-width: 640px) { main { padding: 20px 12px 40px; } section { padding: 14px; }
  .wide img { max-width: none; width: 640px; } }
@media print { section { break-inside: avoid; } }
"""


class Section(NamedTuple):
    """One part of a report.

    Attributes:
        title: heading, plain text.
        lead: a sentence under it, plain text.
        body: HTML made by `table`, `text` and `picture_of`.
    """

    title: str
    lead: str
    body: str


def write_report(
    path: str | Path, title: str, summary: str, sections: Iterable[Section], footer: str = ""
) -> None:
    """Write one HTML file."""
    parts = [
        f"<section><h2>{escape(s.title)}</h2>"
        + (f'<p class="muted">{escape(s.lead)}</p>' if s.lead else "")
        + f"{s.body}</section>"
        for s in sections
    ]
    Path(path).write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="muted">{escape(summary)}</p>{"".join(parts)}'
        f"<footer>{escape(footer)}</footer></main></body></html>\n",
        encoding="utf-8",
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], ours: str | None = None) -> str:
    """Lay out a table; numbers stand right, the row whose first cell is `ours` is marked."""
    lines = []
    for row in rows:
        mark = ' class="ours"' if ours is not None and row[0] == ours else ""
        cells = "".join(_cell(value, i) for i, value in enumerate(row))
        lines.append(f"<tr{mark}>{cells}</tr>")
    names = "".join(_head(name, i) for i, name in enumerate(head))
    return (
        f'<div class="wide"><table><thead><tr>{names}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _head(name: str, column: int) -> str:
    mark = ' class="n"' if column else ""
    return f"<th{mark}>{escape(name)}</th>"


def _cell(value: Any, column: int) -> str:
    shown = "–" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
    mark = ' class="n"' if column else ""
    return f"<td{mark}>{escape(shown)}</td>"


def text(lines: str) -> str:
    """Show text as it is, columns kept."""
    return f"<pre>{escape(lines)}</pre>"


def picture_of(path: str | Path, alt: str) -> str:
    """Embed a PNG file."""
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return f'<div class="wide"><img alt="{escape(alt)}" src="data:image/png;base64,{data}"></div>'


def of_evaluation(found: dict[str, Any], pictures: Sequence[str | Path]) -> list[Section]:
    """Lay out what `oracle evaluate` found: `found` as its --json has it."""
    errors = [row for row in found["errors"] if row["mae"] is not None]
    prefixes = sorted({row["progress"] for row in errors})
    head = ["", *(f"{p:.0%} seen" for p in prefixes)]
    sections = [Section("In pictures", "", "".join(picture_of(p, Path(p).stem) for p in pictures))]
    for score in dict.fromkeys(row["score"] for row in errors):
        by_name: dict[str, dict[float, float]] = {}
        for row in errors:
            if row["score"] == score:
                by_name.setdefault(row["forecaster"], {})[row["progress"]] = row["mae"]
        rows = [[name, *(cells.get(p) for p in prefixes)] for name, cells in by_name.items()]
        sections.append(
            Section(
                _plain(score), "Mean absolute error, lower is better.", table(head, rows, "oracle")
            )
        )
    covered = [
        [
            f"{_plain(row['score'])}, {row['progress']:.0%} seen",
            f"{row['coverage_50%']:.1%}",
            f"{row['coverage_90%']:.1%}",
        ]
        for row in found["coverage"]
    ]
    lead = "Share of outcomes inside the interval, by the randomised transform."
    sections.append(
        Section("Coverage", lead, table(["", "50 % interval", "90 % interval"], covered))
    )
    screened = [
        [row["forecaster"], f"{row['left_out']:.0%}", f"{row['lost']:.1%}"]
        for row in found["screening"]
        if row["progress"] == 0
    ]
    if screened:
        lead = "How many of the best tenth of a table's runs a forecast from the plan alone loses."
        head = ["", "worst left out", "best lost"]
        sections.append(Section("Before the first checkpoint", lead, table(head, screened)))
    left_out = [[reason, count] for reason, count in found["excluded"].items() if count]
    if left_out:
        sections.append(Section("Left out", "", table(["why", "runs"], left_out)))
    return sections


def of_replay(found: dict[str, Any], picture: str | Path) -> list[Section]:
    """Lay out what `oracle replay` found: `found` as its --json has it."""
    sections = [Section("Saved against lost", "", picture_of(picture, "saved against lost"))]
    head = ["", "epochs saved", "95 %", "compute saved", "good runs lost", "95 %"]
    lead = f"Each policy's setting was chosen on {found['chosen_on']}."
    if found["tables"] < 2 and found["chosen_on"] == OTHER_HALF:
        lead = ONE_TABLE
    for limit, rows in found["chosen"].items():
        lines = []
        for row in rows:
            saved, lost = row["saved"], row["lost"]
            if few := row.get("too_few"):
                text = f"too few runs: 0 of {few['good']} good ones lost still allows "
                note = f"{text}{few['bound']:.0%}, {few['needed']} are needed"
                lines.append([row["policy"], note, "", "", "", ""])
                continue
            lines.append(
                [
                    row["policy"],
                    f"{saved['value']:.1%}",
                    _span(saved, ".0%"),
                    f"{row['compute_saved']['value']:.1%}",
                    f"{lost['value']:.2%}",
                    _span(lost, ".1%"),
                ]
            )
        sections.append(
            Section(
                f"At most {float(limit):.0%} of the good runs lost",
                lead,
                table(head, lines),
            )
        )
    return sections


def _span(estimate: dict[str, Any], form: str) -> str:
    low, high = estimate["low"], estimate["high"]
    return "" if low is None else f"{low:{form}} to {high:{form}}"


def _plain(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[0].upper()}{words[1:]}"
