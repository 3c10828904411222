"""Reports as one self-contained HTML file each, in the live page's style: nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

from oracle.reports.words import NONE, number


class Conclusion(NamedTuple):
    """What a report comes to.

    Attributes:
        word: in two or three words.
        tone: how it is coloured; the word says the same.
        sentence: why, plain text; its first letter is a capital one.
    """

    word: str
    tone: Literal["good", "warn", "bad"]
    sentence: str

    def __str__(self) -> str:
        return f"{self.word}. {self.sentence}"


class Section(NamedTuple):
    """One part of a report.

    Attributes:
        title: heading, plain text.
        lead: a sentence under it, plain text.
        body: HTML made by `table`, `text`, `figure` and `folded`.
    """

    title: str
    lead: str
    body: str


class Cell(NamedTuple):
    """A cell of a table: what it says, what stands small below it, where it leads, its name."""

    said: str
    small: str = ""
    href: str = ""
    name: str = ""


def write_report(
    path: str | Path,
    title: str,
    conclusion: Conclusion,
    summary: str,
    sections: Iterable[Section],
    footer: str = "",
) -> None:
    """Write one HTML file, its conclusion on top."""
    parts = [
        f"<section><h2>{escape(s.title)}</h2>"
        + (f'<p class="muted">{escape(s.lead)}</p>' if s.lead else "")
        + f"{s.body}</section>"
        for s in sections
    ]
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    Path(path).write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="muted">{escape(summary)}</p>'
        f'<p class="conclusion {conclusion.tone}"><strong>{escape(conclusion.word)}</strong>'
        f" {escape(conclusion.sentence)}</p>{''.join(parts)}"
        f"<footer>{escape(footer)}</footer></main></body></html>\n",
        encoding="utf-8",
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], ours: str | None = None, words: int = 1
) -> str:
    """Lay out a table; the row whose first cell is `ours` is marked.

    Args:
        head: names of the columns.
        rows: cells as text, numbers, None or `Cell`.
        ours: first cell of the row to mark.
        words: columns at the left that hold words; the others hold numbers, which stand right.
    """
    lines = []
    for row in rows:
        first = row[0].said if isinstance(row[0], Cell) else row[0]
        mark = ' class="ours"' if ours is not None and first == ours else ""
        cells = "".join(_cell(value, i < words) for i, value in enumerate(row))
        lines.append(f"<tr{mark}>{cells}</tr>")
    names = "".join(f"<th{_side(i < words)}>{escape(name)}</th>" for i, name in enumerate(head))
    said = ", ".join(name for name in head if name)
    return _scrolled(
        f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(lines)}</tbody></table>",
        f"Table of {said}" if said else "Table",
    )


def _scrolled(inside: str, label: str) -> str:
    """Let what may be wider than the page scroll in it, by keyboard, too."""
    name = escape(label)
    return f'<div class="wide" tabindex="0" role="group" aria-label="{name}">{inside}</div>'


def _cell(value: Any, word: bool) -> str:
    cell = value if isinstance(value, Cell) else Cell(_said(value))
    inside = escape(cell.said)
    if cell.href:
        inside = f'<a href="{escape(cell.href)}">{inside}</a>'
    if cell.small:
        inside += f"<small>{escape(cell.small)}</small>"
    name = f' id="{escape(cell.name)}"' if cell.name else ""
    return f"<td{_side(word)}{name}>{inside}</td>"


def _side(word: bool) -> str:
    return "" if word else ' class="n"'


def _said(value: Any) -> str:
    if value is None:
        return NONE
    return number(value) if isinstance(value, float) else str(value)


def text(lines: str) -> str:
    """Show text as it is, columns kept."""
    return f'<pre tabindex="0">{escape(lines)}</pre>'


def paragraph(said: str) -> str:
    """Show a paragraph of plain text."""
    return f"<p>{escape(said)}</p>"


def figure(svg: str, title: str = "", legend: Sequence[tuple[str, str, str]] = ()) -> str:
    """Show an SVG with its title and legend.

    Args:
        svg: made by `Chart.svg`.
        title: plain text.
        legend: (kind, ink, what it is); kinds are line, dashed, dot, ring, cross, bar, thick, band.
    """
    keys = "".join(
        f'<span class="key"><i class="k-{kind} {ink}"></i>{escape(said)}</span>'
        for kind, ink, said in legend
    )
    head = f"<h3>{escape(title)}</h3>" if title else ""
    below = f"<figcaption>{keys}</figcaption>" if keys else ""
    return f"<figure>{head}{_scrolled(svg, title or 'Chart')}{below}</figure>"


def side_by_side(*figures: str) -> str:
    """Lay figures out beside each other, below each other where there is no room."""
    return f'<div class="figures">{"".join(figures)}</div>'


def folded(title: str, body: str) -> str:
    """Show a part that is opened when it is wanted; printed, it is open."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def anchor(run_id: str) -> str:
    """Name the row of a run, for a link to it: what an id may not hold is written as numbers."""
    kept = "".join(c if c.isalnum() and c.isascii() else f"-{ord(c):x}-" for c in run_id)
    return f"run-{kept}"
