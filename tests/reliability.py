"""What the checks share that are rows of a page: a result, a table, and the page.

`make fuzz`, `make fault` and `make soak` run the long forms of docs/reliability.md, `make scale`
either form of docs/scale.md; tests/fault/test_reliability.py and tests/scale/test_scale.py run all
of them in short. With `--write` a run enters its results into the page.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reliability.md"
#: Seconds since 1970 at which what is still to be checked is left; also for child processes.
_UNTIL = "RELIABILITY_UNTIL"


def cases(n: int, step: int = 1) -> Iterator[int]:
    """Count to `n`, or as far as the time goes that `--minutes` gives."""
    for i in range(0, n, step):
        if is_over():
            return
        yield i


def is_over() -> bool:
    """Whether the time of `--minutes` is over."""
    return time.time() > float(os.environ.get(_UNTIL, "inf"))


@dataclass
class Result:
    """What one check found.

    Attributes:
        checked: how many cases.
        failures: one line each for the first that failed.
        failed: how many failed.
        missed: what kept no bound of the plan though nothing went wrong: "2 of 60 starts".
        seen: figures worth telling.
        bound: of the rate of failures, where it is not 3/N; "-" where there is none.
    """

    checked: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    missed: str = ""
    seen: dict[str, object] = field(default_factory=dict)
    bound: str = ""

    def check(self, condition: object, otherwise: str) -> None:
        """Count one case."""
        self.checked += 1
        if not condition:
            self.failed += 1
            if len(self.failures) < 10:
                self.failures.append(otherwise)

    def add(self, other: Result) -> None:
        """Count another part of the same check."""
        self.checked += other.checked
        self.failed += other.failed
        self.failures += other.failures[: 10 - len(self.failures)]

    def assert_ok(self) -> None:
        """Fail the test with what failed; a check that checked nothing fails too."""
        assert self.checked > 0
        assert not self.failed, f"{self.failed} of {self.checked}: " + "; ".join(self.failures)


@dataclass(frozen=True)
class Check:
    """One row of the plan.

    Attributes:
        target: "module:function" taking (folder, n).
        holds_when: what must be true.
        short: n of the test that runs on every change.
        long: n of the long form.
        needs: mark of the test, where not every machine can run it.
    """

    name: str
    target: str
    what: str
    holds_when: str
    short: int
    long: int
    needs: str = ""

    def run(self, folder: Path, n: int) -> Result:
        """Run the check."""
        module, _, function = self.target.partition(":")
        run: Callable[[Path, int], Result] = getattr(import_module(module), function)
        return run(folder, n)


def main(
    verb: str, checks: tuple[Check, ...], page: Path = PAGE, *, in_short: bool = False
) -> None:
    """Run checks from the command line.

    Args:
        verb: of the Makefile.
        checks: all there are.
        page: where `--write` enters them.
        in_short: run the short form unless `--long` is given.
    """
    parser = argparse.ArgumentParser(prog=f"make {verb}")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(c.name for c in checks)}")
    parser.add_argument("--n", type=int, help="cases; default: the form's")
    parser.add_argument("--minutes", type=float, help="leave what is not checked by then (T1-T4)")
    parser.add_argument("--write", action="store_true", help=f"enter into docs/{page.name}")
    parser.add_argument("--long", action="store_true", default=not in_short, help="the long form")
    args = parser.parse_args()
    failed = False
    for check in checks:
        if args.names and check.name not in args.names:
            continue
        n = args.n or (check.long if args.long else check.short)
        began = time.monotonic()
        if args.minutes:
            os.environ[_UNTIL] = str(time.time() + 60 * args.minutes)
        with tempfile.TemporaryDirectory() as folder:
            result = check.run(Path(folder), n)
        took = time.monotonic() - began
        verdict = "FAILED" if result.failed else "missed" if result.missed else "holds"
        print(f"{check.name:5} {verdict:7} {result.checked:9} checked {took:7.1f} s  {check.what}")
        missed = [f"missed: {result.missed}"] if result.missed else []
        for line in (*result.failures, *missed, *(f"{k}: {v}" for k, v in result.seen.items())):
            print(f"      {line}")
        failed |= verdict != "holds"
        if args.write:
            limit = f" --minutes {args.minutes:g}" if args.minutes else ""
            write_row(check, result, f"make {verb} ARGS='{check.name} --n {n}{limit}'", page)
    sys.exit(failed)


def write_row(check: Check, result: Result, command: str, page: Path = PAGE) -> None:
    """Enter one result into the page's table, in the order of the plan."""
    head, rows, tail = _parted(page)
    bound = (result.bound or f"{3 / max(1, result.checked):.2g}") if not result.failed else "-"
    failed = f"{result.failed}, missed: {result.missed}" if result.missed else f"{result.failed}"
    seen = ", ".join(f"{name} {value}" for name, value in result.seen.items())
    where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    rows[check.name] = (
        f"| {check.name} | {check.what} | {check.holds_when} | {result.checked:,} | "
        f"{failed} | {bound} | {seen or '-'} ({where}) | `{command}` |"
    )
    ordered = [rows[name] for name in sorted(rows, key=_order)]
    page.write_text("\n".join([*head, *ordered, *tail]) + "\n")


def rows_of_page(page: Path = PAGE) -> dict[str, str]:
    """The rows that were entered so far, by name."""
    return _parted(page)[1]


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
