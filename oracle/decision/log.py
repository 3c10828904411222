"""Decisions as JSON lines: each holds all that the decision rests on, and replays to it exactly.

One line is one write to a file opened for appending, so lines of several processes never mix.
A line torn by a crash is closed by the next run that writes: it looks at the file's end while it
holds a lock that nobody writes under, for half a line may be somebody's who is about to end it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from oracle.decision.policy import decide
from oracle.errors import ArtifactIncompatible, InvalidHistory, must_be
from oracle.types import (
    Decision,
    Frozen,
    History,
    ModelInfo,
    Reference,
    explain,
)

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
#: How long another writer is waited for, seconds: one that was halted must not halt a training.
WAIT_S = 0.2
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class LoggedDecision(Frozen):
    """One line.

    Attributes:
        format: of the line.
        at: when, UTC.
        history, reference, previous: what `decide` was given beside the policy.
        model: which model forecast; None where none answered.
        decision: what was answered, its policy included.
    """

    format: int = FORMAT
    at: datetime
    history: History
    reference: Reference | None = None
    previous: Annotated[int, Field(ge=0)]
    model: ModelInfo | None = None
    decision: Decision


class DecisionLog:
    """Append decisions to a file, one JSON line each.

    Args:
        path: the file, made where it is missing; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._begun_by: int | None = None  # the process

    def append(
        self, history: History, reference: Reference | None, previous: int, decision: Decision
    ) -> None:
        """Write one line.

        Raises:
            OSError: the file cannot be written.
        """
        line = LoggedDecision(
            at=datetime.now(UTC),
            history=history,
            reference=reference,
            previous=previous,
            model=decision.model,
            decision=decision,
        )
        raw = line.model_dump_json(exclude_none=True).encode() + b"\n"
        descriptor = os.open(self.path, _FLAGS, 0o644)
        try:
            first = self._begun_by != os.getpid()
            with _locked(descriptor, alone=first):
                os.write(descriptor, _closing(descriptor) + raw if first else raw)
            self._begun_by = os.getpid()
        finally:
            os.close(descriptor)


@contextmanager
def _locked(descriptor: int, *, alone: bool) -> Iterator[None]:
    """Hold the file's lock, alone or with others, until the descriptor is closed.

    Without it (no such lock here, or a holder that was halted) the block runs all the same.
    """
    if fcntl is not None:
        how = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                fcntl.flock(descriptor, how)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.001)
                    continue
            except OSError:  # a file system without locks
                pass
            break
    yield


def _closing(descriptor: int) -> bytes:
    """Give the line end that a torn last line lacks."""
    size = os.fstat(descriptor).st_size
    if not size:
        return b""
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return b"" if os.read(descriptor, 1) == b"\n" else b"\n"


def replay_decision(line: str | bytes, oracle: Oracle | None = None) -> Decision:
    """Take a logged decision again from what it rested on.

    Args:
        line: one line of a decision log.
        oracle: the model that forecast then; None = the default.

    Returns:
        The decision, equal to the logged one.

    Raises:
        InvalidHistory: the line is not of a decision log.
        ArtifactIncompatible: `oracle` is another model than the one that forecast then.
    """
    try:
        logged = LoggedDecision.model_validate_json(line)
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None
    if logged.format != FORMAT:
        raise InvalidHistory(must_be("format", str(FORMAT), logged.format))
    forecast = None
    if logged.model is not None:
        if oracle is None:
            from oracle.forecast.forecaster import Oracle  # onnxruntime: only to replay

            oracle = Oracle.load()
        if oracle.info.sha256 != logged.model.sha256:
            raise ArtifactIncompatible(
                must_be(
                    "oracle",
                    f"the model of the log, {logged.model.name} {logged.model.version}",
                    f"{oracle.info.name} {oracle.info.version}",
                    "Load the model folder that was active then.",
                )
            )
        forecast = oracle.forecast(logged.history)
    decision = decide(
        logged.history,
        forecast,
        logged.reference,
        logged.decision.policy,
        previous=logged.previous,
    )
    return Decision.model_validate_json(decision.model_dump_json())  # without draws, as logged
