"""Decisions as JSON lines that replay exactly; each thing that they rest on stands there once.

History, reference and policy hardly change from one decision to the next, so a line names them by
digest and adds what is new:

    {"format": 2, "what": "run", "value": {...}, "is": "5f0c..."}      plan and context of a run
    {"format": 2, "what": "outcome", "value": {...}, "after": "91ab...", "is": "77de..."}
    {"format": 2, "what": "decision", ..., "after": "5f0c...", "checkpoints": [[...]], "is": ...}

An outcome names the one before it, so its digest names a whole reference; a decision names the
history before it, so its digest names a whole history. `is` ends every line: on a torn line, which
has none, nothing is built. Lines of format 1, each with all it rests on within, are read too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, ValidationError

from oracle.decision.policy import decide
from oracle.errors import ArtifactIncompatible, DatasetError, InvalidHistory, must_be
from oracle.types import Decision, Frozen, History, ModelInfo, Outcome, Reference, explain

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle

FORMAT = 2
#: Lines that have all they rest on within.
WHOLE_LINES = 1


class LoggedDecision(Frozen):
    """One decision with all it rests on.

    Attributes:
        format: of its line.
        at: when, UTC.
        history, reference, previous: what `decide` was given beside the policy.
        model: which model forecast; None where none answered.
        decision: what was answered, its policy included; without the forecast's curve.
    """

    format: int = FORMAT
    at: datetime
    history: History
    reference: Reference | None = None
    previous: Annotated[int, Field(ge=0)]
    model: ModelInfo | None = None
    decision: Decision


def read_decisions(path: str | Path) -> Iterator[LoggedDecision | DatasetError]:
    """Yield the decisions of a log, each with all it rests on.

    Args:
        path: the file, also one that is being written.

    Yields:
        A decision, or why a line is passed over: blank, torn, or resting on a torn one.

    Raises:
        OSError: the file cannot be read.
    """
    known = _Known()
    with Path(path).open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                found = known.read(raw)
            except InvalidHistory as error:
                yield DatasetError(str(error), file=str(path), row=number)
                continue
            if found is not None:
                yield found


class _Known:
    """What the lines of a log so far have told, by digest."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._before: dict[str, str | None] = {}  # outcome -> the one before it
        self._histories: dict[str, tuple[str, list[Any]]] = {}  # -> the one before it, new rows
        self._reference: tuple[str, tuple[Outcome, ...]] = ("", ())  # the last one

    def read(self, raw: bytes) -> LoggedDecision | None:
        """Take one line; None where it only tells what others rest on.

        Raises:
            InvalidHistory: it cannot be read.
        """
        if not raw.strip():
            raise InvalidHistory("The line must be of a decision log, but is blank.")
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise InvalidHistory(f"The line must be whole, but is torn: {error}.") from None
        if not isinstance(line, dict) or line.get("format") != FORMAT:
            return whole_line(raw)
        try:
            return self._take(line)
        except KeyError as error:
            message = f"The line rests on {error}, which no line before it tells."
            raise InvalidHistory(message) from None
        except ValidationError as error:
            raise InvalidHistory(explain(error)) from None
        except (TypeError, ValueError) as error:
            raise InvalidHistory(f"The line must be of a decision log, but: {error}.") from None

    def _take(self, line: dict[str, Any]) -> LoggedDecision | None:
        name = line["is"]
        if line["what"] == "decision":
            decision = self._decision(line)
            if line["checkpoints"]:
                self._histories[name] = line["after"], line["checkpoints"]
            return decision
        self._values[name] = line["value"]
        if line["what"] == "outcome":
            self._values[name] = Outcome.model_validate(line["value"])
            self._before[name] = line["after"]
        return None

    def _decision(self, line: dict[str, Any]) -> LoggedDecision:
        history = self._history(line["after"], line["checkpoints"])
        model = self._values[line["model"]] if "model" in line else None
        common = {"run_id": history.run_id, "model": model}
        told = {**common, "policy": self._values[line["policy"]], **line["decision"]}
        if "forecast" in told:
            told["forecast"] = {**common, **told["forecast"]}
        return LoggedDecision.model_validate(
            {
                "at": line["at"],
                "history": history,
                "reference": self._whole(line.get("reference")),
                "previous": line.get("previous", 0),
                "model": model,
                "decision": told,
            }
        )

    def _history(self, after: str, rows: list[Any]) -> History:
        while after in self._histories:
            after, before = self._histories[after]
            rows = [*before, *rows]
        return History.of_rows(rows, **self._values[after])

    def _whole(self, told: dict[str, Any] | None) -> Reference | None:
        """Gather a reference: the outcomes from its last back to one that stands already."""
        if told is None:
            return None
        last: str | None = told["outcomes"]
        new: list[Outcome] = []
        name, (standing, outcomes) = last, self._reference
        while name is not None and name != standing:
            new.append(self._values[name])
            name = self._before[name]
        whole = (*(outcomes if name is not None else ()), *reversed(new))
        if last is not None:
            self._reference = last, whole
        facts = {name: value for name, value in told.items() if name not in ("runs", "outcomes")}
        return Reference(outcomes=whole, **facts)


def whole_line(line: str | bytes) -> LoggedDecision:
    """Read a line of format 1, which has all it rests on within.

    Raises:
        InvalidHistory: it is none.
    """
    try:
        logged = LoggedDecision.model_validate_json(line)
    except ValidationError as error:
        raise InvalidHistory(explain(error)) from None
    if logged.format != WHOLE_LINES:
        advice = "`read_decisions` reads a whole log, whose lines rest on each other."
        raise InvalidHistory(must_be("format", str(WHOLE_LINES), logged.format, advice))
    return logged


def replay_decision(logged: LoggedDecision | str | bytes, oracle: Oracle | None = None) -> Decision:
    """Take a logged decision again from what it rested on.

    Args:
        logged: of `read_decisions`, or a line of format 1.
        oracle: the model that forecast then; None = the default.

    Returns:
        The decision, equal to the logged one.

    Raises:
        InvalidHistory: the line is not of a decision log, or does not stand for itself.
        ArtifactIncompatible: `oracle` is another model than the one that forecast then.
    """
    if not isinstance(logged, LoggedDecision):
        logged = whole_line(logged)
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
        told = logged.decision.forecast
        learned = told.learned if told is not None else None
        forecast = (
            oracle.forecast(logged.history)
            if learned is None
            else oracle.forecast(logged.history, known=learned)
        )
    decision = decide(
        logged.history,
        forecast,
        logged.reference,
        logged.decision.policy,
        previous=logged.previous,
    )
    told = logged.decision.forecast
    curveless = {"forecast": {"curve"}} if told is not None and told.curve is None else None
    # Without draws, as logged.
    return Decision.model_validate_json(decision.model_dump_json(exclude=curveless))


def digest_of(value: Any) -> str:
    """Name a JSON value by what it is."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
