"""Write decisions to a log: of what each rests on, only what the file lacks.

The lines of one decision are one write to a file opened for appending, so that lines of several
processes never mix. A line torn by a crash is closed by the next process that writes: it looks at
the file while it holds a lock that nobody writes under, for half a line may be somebody's who is
about to end it. The format is `oracle.decision.log`'s.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oracle.decision.file_lock import locked
from oracle.decision.log import FORMAT, digest_of
from oracle.forks import Lock
from oracle.types import CHECKPOINT, Decision, History, Outcome, Reference

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
#: The end of a line that is whole.
_END = re.compile(rb'"is":"([0-9a-f]{16})"\}\n')
#: Runs and populations whose digests a process keeps at hand.
_KEPT = 64

Row = tuple[float | None, ...]


class DecisionLog:
    """Append decisions to a file.

    Args:
        path: the file, made where it is missing; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()

    def append(
        self, history: History, reference: Reference | None, previous: int, decision: Decision
    ) -> None:
        """Write one decision, and what it rests on as far as the file lacks it.

        Raises:
            OSError: the file cannot be written.
        """
        writer = _writers.setdefault(self.path, _Writer(self.path))
        writer.append(history, reference, previous, decision)


class _Writer:
    """This process' one writer of a file: all its runs know what is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._seen: tuple[int, ...] = ()  # process and file that `_there` is of
        self._size = 0
        self._there: set[str] = set()
        self._chains: OrderedDict[str, _Chain] = OrderedDict()

    def append(
        self, history: History, reference: Reference | None, previous: int, decision: Decision
    ) -> None:
        with self._lock:
            descriptor = os.open(self._path, _FLAGS, 0o644)
            try:
                found = os.fstat(descriptor)
                seen = (os.getpid(), found.st_dev, found.st_ino)
                new = self._seen != seen or found.st_size < self._size
                with locked(descriptor, alone=new):
                    begin = self._read(descriptor) if new else b""
                    lines = _Lines(self._there, self._chain)
                    lines.add(history, reference, previous, decision)
                    raw = begin + b"".join(lines.made)
                    if os.write(descriptor, raw) < len(raw):
                        raise OSError(f"{self._path}: the line could not be written whole.")
                self._seen, self._size = seen, os.fstat(descriptor).st_size
                self._there |= lines.new
            except BaseException:
                self._seen = ()  # look at the file again before the next line
                raise
            finally:
                os.close(descriptor)

    def _read(self, descriptor: int) -> bytes:
        """Learn what the file holds; give the line end that a torn last line lacks."""
        self._there = set()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""  # a device or a pipe keeps nothing; reading it may never end
        last = b"\n"
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            for last in file:
                if match := _END.search(last):
                    self._there.add(match[1].decode())
        return b"" if last.endswith(b"\n") else b"\n"

    def _chain(self, name: str) -> _Chain:
        chain = self._chains.setdefault(name, _Chain())
        self._chains.move_to_end(name)
        while len(self._chains) > _KEPT:
            self._chains.popitem(last=False)
        return chain


_writers: dict[Path, _Writer] = {}


class _Chain:
    """Digests of a list that mostly grows: each is of an item and of all before it."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._digests: list[str] = []

    def digests(self, begin: str | None, items: Sequence[Any]) -> list[str]:
        known = 0
        for mine, item in zip(self._items, items, strict=False):
            if mine is not item and mine != item:
                break
            known += 1
        del self._items[known:], self._digests[known:]
        for item in items[known:]:
            before = self._digests[-1] if self._digests else begin
            value = item.model_dump(mode="json") if isinstance(item, Outcome) else item
            self._items.append(item)
            self._digests.append(digest_of([before, value]))
        return self._digests


class _Lines:
    """The lines of one decision.

    Args:
        there: digests of what the file holds.
        chain: gives the chain of a run or population by its name.
    """

    def __init__(self, there: set[str], chain: Callable[[str], _Chain]) -> None:
        self._there, self._chain = there, chain
        self.new: set[str] = set()
        self.made: list[bytes] = []

    def add(
        self, history: History, reference: Reference | None, previous: int, decision: Decision
    ) -> None:
        fixed = history.model_dump(mode="json", exclude_none=True, exclude=set(CHECKPOINT))
        run = self._name("run", fixed)
        told: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(),
            "run_id": history.run_id,
            "decision": _short(decision),
            "policy": self._name("policy", decision.policy.model_dump(mode="json")),
        }
        if decision.model is not None:
            told["model"] = self._name("model", decision.model.model_dump(mode="json"))
        if previous:
            told["previous"] = previous
        if reference is not None:
            facts = reference.model_dump(mode="json", exclude_defaults=True, exclude={"outcomes"})
            last = self._outcomes(history.population_name or "", reference.outcomes)
            told["reference"] = {"runs": len(reference.outcomes), "outcomes": last, **facts}
        rows = _rows(history)
        digests = [run, *self._chain(f"run {run}").digests(run, rows)]
        written = max(i for i, d in enumerate(digests) if d in self._there or d in self.new)
        checkpoints = {"after": digests[written], "checkpoints": rows[written:]}
        self._line("decision", digests[-1], {**told, **checkpoints})

    def _name(self, what: str, value: dict[str, Any]) -> str:
        """Give the digest of a thing, and write it down where the file lacks it."""
        digest = digest_of(value)
        if digest not in self._there:
            self._line(what, digest, {"value": value})
        return digest

    def _outcomes(self, population: str, outcomes: Sequence[Outcome]) -> str | None:
        before = None
        digests = self._chain(f"population {population}").digests(None, outcomes)
        for outcome, digest in zip(outcomes, digests, strict=True):
            if digest not in self._there:
                value = outcome.model_dump(mode="json", exclude_defaults=True)
                self._line("outcome", digest, {"value": value, "after": before})
            before = digest
        return before

    def _line(self, what: str, digest: str, told: dict[str, Any]) -> None:
        line = {"format": FORMAT, "what": what, **told, "is": digest}
        self.made.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self.new.add(digest)


def _rows(history: History) -> list[Row]:
    columns = (getattr(history, name) or (None,) * len(history) for name in CHECKPOINT)
    return list(zip(*columns, strict=True))


def _short(decision: Decision) -> dict[str, Any]:
    """Leave out what the line says elsewhere, and the curve: half a line that no rule asks."""
    without: Any = {"policy": True, "model": True, "run_id": True}
    forecast = decision.forecast
    if forecast is not None:
        told_once = {"model", "run_id"} if forecast.model == decision.model else set()
        without["forecast"] = {"curve", *told_once}
    return decision.model_dump(mode="json", exclude_defaults=True, exclude=without)
