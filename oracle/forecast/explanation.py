"""Why a forecast is what it is: parts of its history are hidden, and the oracle is asked again.

All questions are asked in one batch. What is hidden is missing as users leave it out, which the
network was trained on (`oracle.training.hidden`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from oracle.errors import InvalidHistory, must_be
from oracle.forecast.quantiles import quantiles_of
from oracle.history.columns import kept_of
from oracle.history.quality_score import scores_of, weights_of
from oracle.types import CHECKPOINT, LEVELS, Contribution, Explanation, Forecast, History, Scale

#: Stretches of checkpoints that are hidden one at a time, at most.
STRETCHES = 10
#: Narrower intervals than this are points.
LEAST_WIDTH = 1e-9

#: Part of the plan, in words -> fields of the context; of `schedule` and `geometry`, one member.
_OF_CONTEXT: dict[str, tuple[str, ...]] = {
    "the scale of the table (mqe_of_mean)": ("mqe_of_mean",),
    "the shape of the table (geometry)": ("geometry",),
    "the size of the table": ("n_samples", "n_features"),
    "the size of the map": ("map_rows", "map_cols", "geometry.quantization_map"),
    "the grid": ("topology", "toroidal"),
    "the neighbourhood function": ("neighborhood",),
    "how the weights began": ("initialization",),
    "the updates planned": ("total_updates",),
    "the batch size": ("batch_size",),
}
#: Most questions: stretches, parts of the plan, two schedules, two metrics, the budget.
MOST_ASKED = STRETCHES + len(_OF_CONTEXT) + 5


def explanation_of(
    forecast_many: Callable[[Sequence[History]], list[Forecast]], history: History
) -> Explanation:
    """Hide each part of a history and ask again.

    Args:
        forecast_many: of the oracle; all histories are asked at once.
        history: the run so far, or its plan.

    Raises:
        InvalidHistory: nothing can be forecast of it.
    """
    history.check_forecastable()
    hidden = [(part, epochs, h) for part, epochs, h in _parts(history) if h.is_forecastable]
    whole, *others = forecast_many([history, *(h for *_, h in hidden)])
    unit = history.context.mqe_of_mean
    quality = _scores(whole, unit)
    parts = [
        _contribution(part, epochs, quality, _scores(forecast, unit))
        for (part, epochs, _), forecast in zip(hidden, others, strict=True)
    ]
    return Explanation(
        run_id=history.run_id,
        progress=history.progress,
        model=whole.model,
        scale=Scale.RAW if unit is None else Scale.RELATIVE,
        quality=tuple(quality.tolist()),
        parts=tuple(parts),
    )


def _scores(forecast: Forecast, unit: float | None) -> np.ndarray:
    """[level] quality scores; all forecasts of a run are scored in the unit of the whole one."""
    draws = forecast.draws
    if draws is None:
        raise InvalidHistory(must_be("forecast.draws", "there", None, "Forecast in process."))
    return np.asarray(quantiles_of(scores_of(draws.T, weights_of(unit or 1.0)), LEVELS))


def _contribution(
    part: str, epochs: tuple[float, float] | None, quality: np.ndarray, without: np.ndarray
) -> Contribution:
    middle = LEVELS.index(0.5)
    widths = [max(q[-1] - q[0], LEAST_WIDTH) for q in (quality, without)]
    return Contribution(
        part=part,
        epochs=epochs,
        without=tuple(without.tolist()),
        shift=float(quality[middle] - without[middle]),
        width=float(widths[0] / widths[1]),
        moved=float(np.abs(quality - without).mean()),
    )


def _parts(history: History) -> Iterator[tuple[str, tuple[float, float] | None, History]]:
    """Yield (what, stretch of epochs, the history without it) of all that the history tells."""
    context = history.context
    for name in ("learning_rate", "radius"):
        plan = context.schedule
        planned = plan is not None and getattr(plan, name) is not None
        if planned or getattr(history, name) is not None:
            schedule = plan.model_copy(update={name: None}) if plan is not None else None
            less = context.model_copy(update={"schedule": schedule})
            what = f"the plan of the {name.replace('_', ' ')}"
            yield what, None, history.model_copy(update={name: None, "context": less})
    for what, fields in _OF_CONTEXT.items():
        if any(getattr(context, field, None) is not None for field in fields):
            yield what, None, history.model_copy(update={"context": _without(history, fields)})
    for metric, what in (
        ("topographic_error", "the topographic error"),
        ("dead_neuron_ratio", "the dead neurons"),
    ):
        values = getattr(history, metric)
        if any(value is not None for value in values):
            yield what, None, history.model_copy(update={metric: (None,) * len(values)})
    if history.epochs and history.total_epochs is not None:
        yield "the budget", None, history.model_copy(update={"total_epochs": None})
    yield from _checkpoints(history)


def _without(history: History, fields: Sequence[str]) -> object:
    context = history.context
    changes: dict[str, object] = {}
    for field in fields:
        member, _, inner = field.partition(".")
        held = getattr(context, member)
        changes[member] = held.model_copy(update={inner: None}) if inner and held else None
    return context.model_copy(update=changes)


def _checkpoints(history: History) -> Iterator[tuple[str, tuple[float, float], History]]:
    """Yield stretches of the checkpoints that the network sees; a single one is all there is."""
    seen = kept_of(history.epochs, history.total_epochs)
    if len(seen) < 2:
        return
    for stretch in np.array_split(np.array(seen), min(STRETCHES, len(seen))):
        first, last = int(stretch[0]), int(stretch[-1])
        keep = [i for i in seen if not first <= i <= last]
        columns = {
            name: tuple(values[i] for i in keep)
            for name in CHECKPOINT
            if (values := getattr(history, name)) is not None
        }
        span = history.epochs[first], history.epochs[last]
        total = history.total_epochs
        at = [f"{min(1.0, e / total):.0%}" if total else f"epoch {e:g}" for e in span]
        one = first == last or at[0] == at[1]
        what = f"the checkpoint at {at[1]}" if one else f"the checkpoints from {at[0]} to {at[1]}"
        yield what, span, history.model_copy(update=columns)
