"""NexusSOM: a function for the `lstm_early_stop_fn` of `KohonenSOM.train`.

    som = KohonenSOM(dim=data.shape[1], **parameters)
    stop = early_stop(som, data, ignore_mask=ignore_mask, population="runs.db")
    results = som.train(data, ignore_mask=ignore_mask, lstm_early_stop_fn=stop)
    fitness = stop.run.finish()      # the forecast, marked censored, where the run was stopped

NexusSOM hands over all checkpoints so far and takes back (stop, score). The score is the
forecast quality score: lower is better. NexusSOM itself is never imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, expm1, isfinite, log1p, nan
from types import SimpleNamespace
from typing import Any

import numpy as np

from oracle.context import context_of
from oracle.hook import WatchedRun, watch
from oracle.types import METRICS, Decision, Scale, Schedule

#: Points at which a planned schedule is read; linear between them.
PLAN_POINTS = 33
#: Iterations at which the growing batch is counted; longer runs are counted at even steps.
_COUNTED_ITERATIONS = 1000


class EarlyStop:
    """What NexusSOM calls at a checkpoint.

    Attributes:
        run: the watched run; it ends by itself with a stop or with the last checkpoint.
    """

    def __init__(self, run: WatchedRun, total_iterations: int | None) -> None:
        self.run = run
        self._total = total_iterations
        self._reported = 0

    def __call__(self, checkpoints: Sequence[Mapping[str, Any]]) -> tuple[bool, float | None]:
        """Take all checkpoints so far; answer whether to stop, and the forecast score.

        NexusSOM looks only from a fifth of the run on, so several may be new.
        """
        if self.run.state != "live":  # it was told to stop, or it is another training's list
            return self.run.state == "stopped", _score(self.run.decision)
        decision: Decision | None = None
        for checkpoint in checkpoints[self._reported :]:
            values = {name: checkpoint.get(name) for name in _REPORTED}
            decision = self.run.report(checkpoint.get("iteration"), **values)  # type: ignore[arg-type]
        self._reported = len(checkpoints)
        stop = decision is not None and decision.stop
        if stop or (checkpoints and self._is_last(checkpoints[-1])):
            self.run.finish()
        return stop, _score(decision)

    def _is_last(self, checkpoint: Mapping[str, Any]) -> bool:
        return self._total is not None and checkpoint.get("iteration") == self._total - 1


_REPORTED = (*METRICS, "learning_rate", "radius")


def early_stop(
    som: Any, data: Any, *, ignore_mask: Any = None, watch: Any = watch, **settings: Any
) -> EarlyStop:
    """Make the function for `lstm_early_stop_fn` of one training.

    Args:
        som: the `KohonenSOM`, or the parameters it is made of.
        data: samples [sample, feature] as handed to `train`.
        ignore_mask: as handed to `train`.
        watch: `oracle.watch`, or one with settings bound already.
        settings: of `oracle.watch`, e.g. population, policy, run_id, url.
    """
    if isinstance(som, Mapping):
        som = _of_parameters(som)
    samples = len(data)
    try:
        total: int | None = iterations(som, samples)
    except (AttributeError, TypeError, ValueError):
        total = None
    context = context_of(som, data, ignore_mask=ignore_mask)
    return EarlyStop(watch(total_epochs=total, context=context, **settings), total)


def iterations(som: Any, n_samples: int) -> int:
    """Count the iterations of a whole training, as NexusSOM does."""
    return int(n_samples * som.epoch_multiplier)


def planned(
    som: Any, samples: Any, num_iteration: int | None = None, use_epochs: bool = False
) -> dict[str, Any]:
    """Gather what NexusSOM's parameters tell of a run before its first update.

    Args:
        som: a `KohonenSOM`, or an object with its attributes.
        samples: [sample, feature].
        num_iteration, use_epochs: not used; the plan is in the parameters.

    Returns:
        Fields of `RunContext`; what does not follow from the parameters is None.
    """
    n = iterations(som, len(samples))
    return {
        "map_rows": som.m,
        "map_cols": som.n,
        "topology": "hexagonal" if som.map_type == "hex" else "rectangular",
        "neighborhood": "gaussian",
        "initialization": "random",
        "batch_size": 1,  # an iteration takes a batch, but updates after each of its samples
        "total_updates": _updates(som, len(samples), n),
        "schedule": _schedule(som, n),
    }


def decay(kind: str | None, t: float, n: int, start: float, end: float, growth: float) -> float:
    """Evaluate one of NexusSOM's decays at iteration `t` of `n`; NaN for a kind it has not."""
    if n <= 1 or kind == "static":
        return start
    if kind == "step-down":
        tenth = min(t // max(1, n // 10), 9)
        return max(end, start * float(0.7**tenth))
    return start + share(kind, t, n, growth) * (end - start)


def share(kind: str | None, t: float, n: int, growth: float) -> float:
    """Give the share of the way from start to end at iteration `t` of `n`; NaN if unknown."""
    try:
        match kind:
            case "linear-drop" | "linear-growth":
                return t / (n - 1)
            case "exp-drop":
                return expm1(-growth * t / n) / expm1(-growth)
            case "exp-growth":
                return expm1(growth * t / n) / expm1(growth)
            case "log-drop" | "log-growth":
                return log1p(growth * t) / log1p(growth * n)
    except (ArithmeticError, ValueError):
        pass
    return nan


def updates(
    n_samples: int, sections: int, n: int, kind: str | None, start: float, end: float, growth: float
) -> float | None:
    """Count the samples that the batches of `n` iterations take; None where it is not known.

    Args:
        n_samples: samples of the table, split into `sections` of almost equal length.
        n: iterations.
        kind, start, end, growth: how the share of the table that is taken from each section,
            percent, changes.
    """
    lengths = [len(part) for part in np.array_split(np.arange(n_samples), sections)]
    counted = np.unique(np.linspace(0, n - 1, min(n, _COUNTED_ITERATIONS)).astype(int))
    total = 0
    for t in counted.tolist():
        percent = decay(kind, t, n, start, end, growth)
        if not isfinite(percent):
            return None
        wanted = max(1, ceil(n_samples * percent / 100.0))
        total += sum(min(wanted, length) for length in lengths)
    return float(round(total * n / len(counted)))


def _updates(som: Any, n_samples: int, n: int) -> float | None:
    values = (som.num_batches, som.start_batch_percent, som.end_batch_percent)
    if n < 1 or None in values or som.num_batches < 1:
        return None
    sections, start, end = values
    return updates(n_samples, sections, n, som.batch_growth_type, start, end, _growth(som))


def _schedule(som: Any, n: int) -> Schedule | None:
    if n < 2:
        return None
    progress = np.linspace(0.0, 1.0, PLAN_POINTS).tolist()
    columns = {}
    for name, kind, start, end in (
        ("learning_rate", som.lr_decay_type, som.start_learning_rate, som.end_learning_rate),
        ("radius", som.radius_decay_type, som.start_radius, som.end_radius),
    ):
        if start is None or (end is None and kind != "static"):
            continue
        end = start if end is None else end
        values = [decay(kind, min(p * n, n - 1), n, start, end, _growth(som)) for p in progress]
        if all(isfinite(v) and v >= 0 for v in values):
            columns[name] = values
    return Schedule.model_validate({"progress": progress, **columns}) if columns else None


def _growth(som: Any) -> float:
    return nan if som.growth_g is None else float(som.growth_g)


#: Parameters of `KohonenSOM` that the plan needs.
_PARAMETERS = (
    "start_learning_rate", "end_learning_rate", "lr_decay_type", "end_radius",
    "radius_decay_type", "start_batch_percent", "end_batch_percent", "batch_growth_type",
    "epoch_multiplier", "growth_g", "map_type", "num_batches",
)  # fmt: skip


def _of_parameters(parameters: Mapping[str, Any]) -> SimpleNamespace:
    """Stand for a `KohonenSOM` that is not made yet."""
    size = parameters.get("map_size") or (10, 10)
    m, n = size[0] if isinstance(size[0], list | tuple) else size
    ratio = parameters.get("start_radius_init_ratio")
    named = {name: parameters.get(name) for name in _PARAMETERS}
    start_radius = (1.0 if ratio is None else ratio) * max(m, n)
    # get_decay_value is how `context_of` knows a KohonenSOM.
    return SimpleNamespace(**named, m=m, n=n, start_radius=start_radius, get_decay_value=decay)


def _score(decision: Decision | None) -> float | None:
    """Give the median of the forecast quality score, relative where the scale is known."""
    if decision is None or decision.forecast is None:
        return None
    forecast = decision.forecast
    quality = forecast.quality_on(Scale.RELATIVE) or forecast.quality_on(Scale.RAW)
    return None if quality is None else quality.values[forecast.levels.index(0.5)]
