"""What the checks share that are rows of a page: a result, a table, and the page.

`make fuzz`, `make fault` and `make soak` run the long forms of docs/reliability.md, `make scale`
either form of docs/scale.md; tests/fault/test_reliability.py and tests/scale/test_scale.py run all
of them in short. With `--write` a run enters its results into the page (reliability_page.py), with
`--more` beside what earlier runs checked of the same row: so a release's size is reached in pieces.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from reliability_page import PAGE, Piece, enter, pieces_of

ROOT = Path(__file__).parents[1]
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
        counts: how often what happened; those of several parts are added up.
        seen: other figures worth telling.
        bound: of the rate of failures, where it is not 3/N; "-" where there is none.
    """

    checked: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    missed: str = ""
    counts: Counter[str] = field(default_factory=Counter)
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
        self.counts += other.counts

    def told(self) -> dict[str, str]:
        """What is worth telling, in words."""
        counts = {name: f"{count:,}" for name, count in self.counts.items()}
        return counts | {name: str(value) for name, value in self.seen.items()}

    def assert_ok(self) -> None:
        """Fail the test with what failed; a check that checked nothing fails too."""
        assert self.checked > 0
        assert not self.failed, f"{self.failed} of {self.checked}: " + "; ".join(self.failures)


@dataclass(frozen=True)
class Check:
    """One row of the plan.

    Attributes:
        target: "module:function" taking (folder, n), or (folder, n, first) where it goes on.
        holds_when: what must be true.
        short: n of the test that runs on every change.
        long: n of the long form.
        needs: mark of the test, where not every machine can run it.
        goes_on: whether the function checks other cases after the first `first` ones, so that
            `--more` can add to what was checked before.
        unit: of which `n` tells how many, among the result's counts; what was checked if not told.
    """

    name: str
    target: str
    what: str
    holds_when: str
    short: int
    long: int
    needs: str = ""
    goes_on: bool = False
    unit: str = ""

    def run(self, folder: Path, n: int, first: int = 0) -> Result:
        """Run the check, of cases that `first` others come before."""
        module, _, function = self.target.partition(":")
        run: Callable[..., Result] = getattr(import_module(module), function)
        return run(folder, n, first) if self.goes_on else run(folder, n)

    def done(self, result: Result) -> int:
        """How many of the `n` cases were checked: fewer, where time was short."""
        return result.counts[self.unit] if self.unit else result.checked


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
    parser.add_argument("--n", type=int, help="cases, with --more in all; default: the form's")
    parser.add_argument("--minutes", type=float, help="leave what is not checked by then (T1-T4)")
    parser.add_argument("--write", action="store_true", help=f"enter into docs/{page.name}")
    parser.add_argument("--more", action="store_true", help="... beside what was checked before")
    parser.add_argument("--long", action="store_true", default=not in_short, help="the long form")
    args = parser.parse_args()
    chosen = [check for check in checks if not args.names or check.name in args.names]
    if args.more and (not args.write or not all(check.goes_on for check in chosen)):
        going_on = ", ".join(check.name for check in checks if check.goes_on) or "none"
        parser.error(f"--more goes with --write and checks that go on ({going_on})")
    verdicts = [_run(check, verb, args, page) for check in chosen]
    sys.exit(any(verdict != "holds" for verdict in verdicts))


def _run(check: Check, verb: str, args: argparse.Namespace, page: Path) -> str:
    """Run one check as the command line says; gives its verdict."""
    n = args.n or (check.long if args.long else check.short)
    earlier = pieces_of(check.name, page) if args.more else []
    first = sum(piece.n for piece in earlier)
    if first and first >= n:
        print(f"{check.name:5} has {first:,} of {n:,}")
        return "holds"
    began = time.monotonic()
    if args.minutes:
        os.environ[_UNTIL] = str(time.time() + 60 * args.minutes)
    with tempfile.TemporaryDirectory() as folder:
        result = check.run(Path(folder), n - first, first)
    took = time.monotonic() - began
    verdict = "FAILED" if result.failed else "missed" if result.missed else "holds"
    print(f"{check.name:5} {verdict:7} {result.checked:9} checked {took:7.1f} s  {check.what}")
    missed = [f"missed: {result.missed}"] if result.missed else []
    for line in (*result.failures, *missed, *(f"{k}: {v}" for k, v in result.told().items())):
        print(f"      {line}")
    if args.write:
        piece = Piece.of(check.name, first, check.done(result), result)
        limit = f" --minutes {args.minutes:g}" if args.minutes else ""
        size = f"{first + piece.n}" if check.goes_on else f"{n}{limit}"
        command = f"make {verb} ARGS='{check.name} --n {size}'"
        row = (check.name, check.what, check.holds_when)
        enter(row, [*earlier, piece], command, page, kept=check.goes_on)
    return verdict
