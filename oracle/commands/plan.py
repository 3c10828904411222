"""The plan of a run that has not begun, from a table of samples and what its options say."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

import typer

from oracle.errors import InvalidHistory, OracleError, must_be

if TYPE_CHECKING:
    from oracle.types import FloatArray, History, Schedule


def plan_of(
    samples: FloatArray,
    size: str | None,
    passes: float | None,
    batch_size: float | None,
    learning_rate: str | None,
    radius: str | None,
) -> History:
    """Make a history without checkpoints.

    Args:
        samples: [sample, feature] of the table.
        size: neurons, "ROWSxCOLS".
        passes: times over the table.
        batch_size: samples an update averages over.
        learning_rate, radius: "START:END", linear between.

    Raises:
        OracleError: naming the option, its rule and what came.
        InvalidHistory: the table has no scale, so that nothing can be forecast.
    """
    import numpy as np

    from oracle.history.context import context_of, mqe_of_mean
    from oracle.types import History

    if mqe_of_mean(samples) is None:
        rule = "a table of two different rows at least"
        raise InvalidHistory(
            must_be("--table", rule, f"{len(samples)} alike", "No map can be trained on it.")
        )
    if batch_size is not None and not 0 < batch_size <= len(samples):
        rule = f"above 0 and at most the {len(samples)} samples"
        raise OracleError(must_be("--batch-size", rule, batch_size))
    if passes is not None and not 0 < passes <= 1e9:  # NaN is not
        raise OracleError(must_be("--passes", "above 0", passes))
    som = None if size is None else np.broadcast_to(0.0, (*_sides(size), samples.shape[1]))
    schedule = _schedule({"learning_rate": learning_rate, "radius": radius})
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        context = context_of(
            som,
            samples,
            total_updates=None if passes is None else max(1, round(passes * len(samples))),
            batch_size=batch_size,
            schedule=schedule,
        )
    for note in notes:  # a line for people, without the place in our code
        typer.echo(f"Note: {note.message}", err=True)
    return History.parse({"context": context})


def _sides(size: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d{1,5})\s*[xX*]\s*(\d{1,5})\s*", size)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if not all(sides):
        raise OracleError(must_be("--map", "ROWSxCOLS, e.g. 12x8", size))
    return sides


def _schedule(plans: dict[str, str | None]) -> Schedule | None:
    from oracle.types import Schedule

    ends = {
        name: _ends(f"--{name.replace('_', '-')}", text)
        for name, text in plans.items()
        if text is not None
    }
    return Schedule.model_validate({"progress": (0.0, 1.0), **ends}) if ends else None


def _ends(option: str, text: str) -> tuple[float, float]:
    """Read START:END; one number stands for both."""
    start, colon, end = text.partition(":")
    try:
        values = float(start), float(end if colon else start)
    except ValueError:
        values = (-1.0, -1.0)
    if not all(0 <= value < float("inf") for value in values):
        raise OracleError(must_be(option, "START:END, finite numbers >= 0", text))
    return values
