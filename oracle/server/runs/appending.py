"""How a piece of a history joins what is stored of its run: no database here.

A piece may repeat what is stored, word for word; whatever it says otherwise is a conflict that
names the value, unless the run is rewound. Checkpoints that stand too close to be told apart by a
forecast are kept only while they are last, as in the hook, so that a run may be told as often as
one likes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError
from sqlalchemy import Row

from oracle.errors import InvalidHistory, RunConflict
from oracle.history.columns import far_enough
from oracle.server.http.answers import invalid
from oracle.server.http.wire import CheckpointsRequest
from oracle.types import MAX_CHECKPOINTS, History, RunContext

METRICS = ("mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")

#: A checkpoint as a row of the store, its run left out.
Checkpoint = Mapping[str, float | None]


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
    rule = f"`{name}` must be as at the run's first checkpoint, or left out."
    if stored is None:
        return RunConflict(
            f"{rule} It was not told there, and is not known of what was decided since: leave it "
            "out, or DELETE the run and post all of it anew."
        )
    return RunConflict(f"{rule} Stored: {stored!r}.")


def _exactly(epoch: float) -> str:
    return repr(epoch).removesuffix(".0")


class Joined(NamedTuple):
    """What a piece makes of a run.

    Attributes:
        history: the whole of it.
        added: checkpoints that are kept and were not stored.
        dropped: those that stand too close to the one before and are no longer last, by epoch.
        news: how many checkpoints of the piece were new.
    """

    history: History
    added: tuple[Checkpoint, ...]
    dropped: Mapping[float, Checkpoint]
    news: int


def unknown(known: History | None, piece: CheckpointsRequest) -> list[float]:
    """Find epochs of a piece that lie within what is stored, and are not among it."""
    if known is None or not known.epochs:
        return []
    stored = set(known.epochs)
    return [e for e in piece.epochs if e < known.epochs[-1] and e not in stored]


def rewound_to(
    known: History, thinned: Mapping[float, Checkpoint], piece: CheckpointsRequest
) -> float | None:
    """Give the epoch from which on a piece tells a run anew; None where it tells the same.

    Args:
        known: what is stored.
        thinned: what was stored and stood too close to be kept, by epoch.
        piece: what is told now.
    """
    if piece.rewind_from is None or not known.epochs:
        return None
    told, stored = {epoch: i for i, epoch in enumerate(piece.epochs)}, _stored(known, thinned)
    anew = [
        epoch
        for epoch in (*known.epochs, *unknown(known, piece))
        if epoch >= piece.rewind_from
        and (
            epoch not in told
            or epoch not in stored
            or _difference(stored[epoch], piece, told[epoch]) is not None
        )
    ]
    return min(anew, default=None)


def join(
    row: Row[Any],
    known: History | None,
    thinned: Mapping[float, Checkpoint],
    piece: CheckpointsRequest,
) -> Joined:
    """Put a piece to what is stored.

    Raises:
        RunConflict: naming the first value that is stored otherwise.
        InvalidHistory: the whole breaks a rule.
    """
    before = _rows(known) if known is not None else []
    new = _new(known, thinned, piece)
    kept, dropped = list(before), {}
    for i in new:
        if len(kept) > 1 and not far_enough(
            float(kept[-2]["epoch"] or 0), float(kept[-1]["epoch"] or 0), row.total_epochs
        ):
            last = kept.pop()
            dropped[float(last["epoch"] or 0)] = last
        kept.append(checkpoint(piece, i))
    stored = {one["epoch"] for one in before}
    added = tuple(one for one in kept if one["epoch"] not in stored)
    context = known.context if known is not None else piece.context
    return Joined(_history(row, context, kept), added, dropped, len(new))


def _new(
    known: History | None, thinned: Mapping[float, Checkpoint], piece: CheckpointsRequest
) -> list[int]:
    if known is None or not known.epochs:
        return list(range(len(piece)))
    stored = _stored(known, thinned)
    new = []
    for i, epoch in enumerate(piece.epochs):
        if epoch not in stored:
            if epoch < known.epochs[-1]:
                raise RunConflict(
                    f"`epochs.{i}` must come after the last stored one "
                    f"({_exactly(known.epochs[-1])}). {_REWIND}"
                )
            new.append(i)
        elif (name := _difference(stored[epoch], piece, i)) is not None:
            raise RunConflict(
                f"`{name}.{i}` must be {stored[epoch][name]!r} as stored for epoch "
                f"{_exactly(epoch)}. {_REWIND}"
            )
    return new


#: What to do about a contradiction that is none.
_REWIND = "A run that went on from an earlier map says so by `rewind_from`."


def _stored(known: History, thinned: Mapping[float, Checkpoint]) -> dict[float, Checkpoint]:
    return {**thinned, **dict(zip(known.epochs, _rows(known), strict=True))}


def _difference(stored: Checkpoint, piece: CheckpointsRequest, i: int) -> str | None:
    """Name the first value that is told otherwise; what is left out is not told."""
    for name in METRICS:
        given = getattr(piece, name)
        if given is not None and given[i] != stored[name]:
            return name
    return None


def _rows(history: History) -> list[Checkpoint]:
    return [checkpoint(history, i) for i in range(len(history))]


def checkpoint(piece: History, i: int) -> Checkpoint:
    """Give one checkpoint of a piece as a row of the store, its run left out."""
    row: dict[str, float | None] = {"epoch": piece.epochs[i]}
    for name in METRICS:
        column: Sequence[float | None] | None = getattr(piece, name)
        row[name] = column[i] if column is not None else None
    return row


def _history(row: Row[Any], context: RunContext, kept: Sequence[Checkpoint]) -> History:
    if len(kept) > MAX_CHECKPOINTS:
        raise InvalidHistory(f"A run must have at most {MAX_CHECKPOINTS} checkpoints.")
    columns = {name: tuple(one[name] for one in kept) for name in METRICS}
    for name in ("learning_rate", "radius"):
        if all(value is None for value in columns[name]):
            del columns[name]
    try:
        return History(
            run_id=row.run_id,
            dataset=row.dataset,
            population=row.population,
            total_epochs=row.total_epochs,
            context=context,
            epochs=tuple(one["epoch"] for one in kept),  # type: ignore[misc]
            **columns,  # type: ignore[arg-type]
        )
    except ValidationError as error:
        raise invalid(error, History) from None


def last_of(history: History) -> dict[str, Any]:
    """Give the columns of a run that show its last checkpoint."""
    return {
        "n_checkpoints": len(history),
        "epoch": history.epochs[-1],
        "mqe": history.mqe[-1],
        "topographic_error": history.topographic_error[-1],
        "dead_neuron_ratio": history.dead_neuron_ratio[-1],
    }
