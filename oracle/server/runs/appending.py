"""How a piece of a history joins what is stored of its run: no database here.

A piece may repeat what is stored, word for word; whatever it says otherwise is a conflict that
names the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row

from oracle.errors import InvalidHistory, RunConflict
from oracle.server.http.answers import invalid
from oracle.server.http.wire import CheckpointsRequest
from oracle.types import MAX_CHECKPOINTS, History, RunContext

METRICS = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")


def check_fixed(row: Row[Any], piece: CheckpointsRequest) -> None:
    """Refuse what contradicts the run's first checkpoint; leaving out is no contradiction."""
    told = piece.model_fields_set
    for name in ("dataset", "total_epochs", "population_size"):
        value = getattr(piece, name)
        if name in told and value is not None and value != getattr(row, name):
            raise _other(name, getattr(row, name))
    if piece.population is not None and piece.population != row.population:
        raise _other("population", row.population)
    if "context" in told:
        context = RunContext.model_validate_json(row.context)
        for name in piece.context.model_fields_set:
            value = getattr(piece.context, name)
            if value is not None and value != getattr(context, name):
                raise _other(f"context.{name}", getattr(context, name))


def _other(name: str, stored: object) -> RunConflict:
    return RunConflict(
        f"`{name}` must be as at the run's first checkpoint, or left out. Stored: {stored!r}."
    )


def _exactly(epoch: float) -> str:
    return repr(epoch).removesuffix(".0")


def new_checkpoints(known: History | None, piece: CheckpointsRequest) -> list[int]:
    """Find which checkpoints of the piece are new; the others must be the same.

    Raises:
        RunConflict: naming the first value that differs.
    """
    if known is None:
        return list(range(len(piece)))
    at = {epoch: i for i, epoch in enumerate(known.epochs)}
    new = []
    for i, epoch in enumerate(piece.epochs):
        j = at.get(epoch)
        if j is None:
            if epoch < known.epochs[-1]:
                raise RunConflict(
                    f"`epochs.{i}` must come after the last stored one "
                    f"({_exactly(known.epochs[-1])})."
                )
            new.append(i)
            continue
        for name in METRICS:
            given, stored = getattr(piece, name), getattr(known, name)
            value = stored[j] if stored is not None else None
            if given is not None and given[i] != value:
                raise RunConflict(
                    f"`{name}.{i}` must be {value!r} as stored for epoch {_exactly(epoch)}."
                )
    return new


def checkpoint(piece: History, i: int) -> dict[str, float | None]:
    """One checkpoint of a piece as a row of the store, its run left out."""
    row: dict[str, float | None] = {"epoch": piece.epochs[i]}
    for name in METRICS:
        column: Sequence[float | None] | None = getattr(piece, name)
        row[name] = column[i] if column is not None else None
    return row


def joined(
    row: Row[Any], known: History | None, piece: CheckpointsRequest, new: list[int]
) -> History:
    """Make the whole history of the run."""
    if known is None:
        known_columns: dict[str, Any] = {name: [] for name in ("epochs", *METRICS)}
        n = 0
    else:
        n = len(known)
        known_columns = {
            name: list(getattr(known, name) or [None] * n) for name in ("epochs", *METRICS)
        }
    if n + len(new) > MAX_CHECKPOINTS:
        raise InvalidHistory(f"A run must have at most {MAX_CHECKPOINTS} checkpoints.")
    for i in new:
        known_columns["epochs"].append(piece.epochs[i])
        for name, value in checkpoint(piece, i).items():
            if name != "epoch":
                known_columns[name].append(value)
    for name in ("learning_rate", "radius"):
        if all(value is None for value in known_columns[name]):
            del known_columns[name]
    try:
        return History(
            run_id=row.run_id,
            dataset=row.dataset,
            population=row.population,
            total_epochs=row.total_epochs,
            context=known.context if known is not None else piece.context,
            **known_columns,
        )
    except ValidationError as error:
        raise invalid(error, History) from None
