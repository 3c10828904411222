"""A page whose table has one row a check: what was found, entered by `--write`.

Of a check that goes on, what each run found is kept in a file of the page's name beside it,
`docs/reliability/pieces.jsonl`; its row adds them up. A run without `--more` begins anew.
"""

from __future__ import annotations

import json
import platform
import re
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from reliability import Result

PAGE = Path(__file__).parents[1] / "docs/reliability.md"


@dataclass(frozen=True)
class Piece:
    """What one run found of a check.

    Attributes:
        check: its name.
        first: cases that other pieces have checked before.
        n: cases of this piece, in the unit of `--n`.
        checked: what was looked at.
        failed: of these.
        missed: what kept no bound of the plan though nothing went wrong.
        bound: of the rate of failures, where it is not 3/N.
        counts: how often what happened.
        seen: other figures worth telling.
        date: when it ended, UTC.
        where: system, machine and Python.
    """

    check: str
    first: int
    n: int
    checked: int
    failed: int
    missed: str
    bound: str
    counts: dict[str, int]
    seen: dict[str, str]
    date: str
    where: str

    @classmethod
    def of(cls, check: str, first: int, n: int, result: Result) -> Self:
        """Take what a run on this machine found, just now."""
        return cls(
            *(check, first, n, result.checked, result.failed, result.missed, result.bound),
            counts=dict(result.counts),
            seen={name: str(value) for name, value in result.seen.items()},
            date=datetime.now(UTC).date().isoformat(),
            where=f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        )


def pieces_of(check: str, page: Path = PAGE) -> list[Piece]:
    """What earlier runs found of a check that goes on."""
    return [piece for piece in _kept(page) if piece.check == check]


def enter(
    row: tuple[str, str, str], pieces: list[Piece], command: str, page: Path, *, kept: bool
) -> None:
    """Enter a check's pieces as one row of the page's table, in the order of the plan.

    Args:
        row: name, what is checked, when it holds.
        pieces: what the runs found, the last one just now.
        command: that checks as much.
        page: the page.
        kept: keep the pieces, for a run that goes on.
    """
    name, what, holds_when = row
    head, rows, tail = _parted(page)
    rows[name] = f"| {name} | {what} | {holds_when} | {_found(pieces)} | `{command}` |"
    ordered = [rows[name] for name in sorted(rows, key=_order)]
    page.write_text("\n".join([*head, *ordered, *tail]) + "\n")
    if kept:
        others = [piece for piece in _kept(page) if piece.check != name]
        lines = [json.dumps(asdict(piece)) for piece in (*others, *pieces)]
        _file(page).parent.mkdir(exist_ok=True)
        _file(page).write_text("\n".join(lines) + "\n")


def rows_of_page(page: Path = PAGE) -> dict[str, str]:
    """The rows that were entered so far, by name."""
    return _parted(page)[1]


def _found(pieces: list[Piece]) -> str:
    """The columns Checked, Failed, Bound and Seen."""
    checked = sum(piece.checked for piece in pieces)
    failed = sum(piece.failed for piece in pieces)
    missed = "; ".join(piece.missed for piece in pieces if piece.missed)
    bound = pieces[-1].bound or f"{3 / max(1, checked):.2g}"
    counts: Counter[str] = Counter()
    for piece in pieces:
        counts.update(piece.counts)
    told = [f"{name} {count:,}" for name, count in counts.items()]
    for name in {name: None for piece in pieces for name in piece.seen}:
        values = {piece.seen[name]: None for piece in pieces if name in piece.seen}
        told.append(f"{name} {'; '.join(values)}")
    where = "; ".join({piece.where: None for piece in pieces})
    if len(pieces) > 1:
        where += f"; {len(pieces)} runs from {pieces[0].date} to {pieces[-1].date}"
    columns = (
        f"{checked:,}",
        f"{failed}, missed: {missed}" if missed else f"{failed}",
        "-" if failed else bound,
        f"{', '.join(told) or '-'} ({where})",
    )
    return " | ".join(columns)


def _file(page: Path) -> Path:
    return page.with_suffix("") / "pieces.jsonl"


def _kept(page: Path) -> list[Piece]:
    file = _file(page)
    if not file.exists():
        return []
    return [Piece(**json.loads(line)) for line in file.read_text().splitlines()]


def _parted(page: Path) -> tuple[list[str], dict[str, str], list[str]]:
    """Part a page into what stands before the rows of its table, these by name, and the rest."""
    lines = page.read_text().splitlines()
    first = 1 + next(i for i, line in enumerate(lines) if line.startswith("|---|"))
    last = next((i for i in range(first, len(lines)) if lines[i][:1] != "|"), len(lines))
    rows = {row.split("|")[1].strip(): row for row in lines[first:last]}
    return lines[:first], rows, lines[last:]


def _order(name: str) -> tuple[str, int, str]:
    found = re.match(r"([A-Z])(\d+)(.*)", name)
    assert found is not None
    return found[1], int(found[2]), found[3]
