"""NexusSOM: a function for the `lstm_early_stop_fn` of `KohonenSOM.train`.

    som = KohonenSOM(dim=data.shape[1], **parameters)
    stop = early_stop(som, data, ignore_mask=ignore_mask, population="runs.db")
    results = som.train(data, ignore_mask=ignore_mask, lstm_early_stop_fn=stop)
    fitness = stop.run.finish()      # the forecast, marked censored, where the run was stopped

NexusSOM hands over all checkpoints so far and takes back (stop, score). The score is the
forecast quality score: lower is better. NexusSOM itself is never imported. `decay` and `updates`
are its formulas, for whoever else reads its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from inspect import signature
from math import nan
from types import SimpleNamespace
from typing import Any

import numpy as np

from oracle.history.context import context_of
from oracle.hook import WatchedRun, policy_for, watch
from oracle.hook import watch as plain_watch
from oracle.types import CHECKPOINT, Decision, FloatArray, Scale, Schedule

#: Points at which a planned schedule is read; linear between them.
PLAN_POINTS = 33
#: Iterations whose batches are counted one by one; of more, as many at even steps.
_COUNTED_ITERATIONS = 20_000


_ANOTHER = (
    "the function of `early_stop` is of one training, with its map and table, and another one "
    "calls it: that one is not judged. Make one for each training."
)


class EarlyStop:
    """What NexusSOM calls at a checkpoint of one training.

    Attributes:
        run: the watched run; it ends by itself with a stop or with the last checkpoint.
    """

    def __init__(self, run: WatchedRun, total_iterations: int | None) -> None:
        self.run = run
        self._total = total_iterations
        self._reported = 0
        self._first: str | None = None  # checkpoint as text, which tells trainings apart

    def __call__(self, checkpoints: Sequence[Mapping[str, Any]]) -> tuple[bool, float | None]:
        """Take all checkpoints so far; answer whether to stop, and the forecast score.

        NexusSOM looks only from a fifth of the run on, so several may be new. With a stop the
        score is always a number, as NexusSOM prints it.
        """
        decision: Decision | None = None
        try:
            if self._is_another(checkpoints):
                self.run.problems.note("another_training", _ANOTHER)
                return False, None
            if self.run.state == "live":
                decision = self._report(checkpoints)
        except Exception as error:
            self.run.problems.note_error("checkpoints", "read the checkpoints", error)
        if self.run.decision is not None and self.run.decision.stop:
            score = _score(self.run.decision)
            return True, nan if score is None else score
        return False, _score(decision)

    def _is_another(self, checkpoints: Sequence[Mapping[str, Any]]) -> bool:
        """Whether these are of another training than those before."""
        first = repr(checkpoints[0]) if len(checkpoints) else None  # NaN is equal to itself there
        self._first = self._first or first
        return len(checkpoints) < self._reported or first != self._first

    def _report(self, checkpoints: Sequence[Mapping[str, Any]]) -> Decision | None:
        decision: Decision | None = None
        for checkpoint in checkpoints[self._reported :]:
            self._reported += 1
            values = {name: checkpoint.get(name) for name in CHECKPOINT[1:]}
            decision = self.run.report(checkpoint.get("iteration"), **values)  # type: ignore[arg-type]
        # The newest judges, which has seen the most.
        if decision is not None and (decision.stop or self._is_last(checkpoints[-1])):
            self.run.finish()
        return decision

    def _is_last(self, checkpoint: Mapping[str, Any]) -> bool:
        return self._total is not None and checkpoint.get("iteration") == self._total - 1


def early_stop(
    som: Any, data: Any, *, ignore_mask: Any = None, watch: Any = watch, **settings: Any
) -> EarlyStop:
    """Make the function for `lstm_early_stop_fn` of one training.

    Args:
        som: the `KohonenSOM`, or the parameters it is made of.
        data: samples [sample, feature] as handed to `train`.
        ignore_mask: as handed to `train`.
        watch: `oracle.watch`, or one with settings bound already.
        settings: of `oracle.watch`, e.g. population, policy, run_id, url. With a population or a
            service the policy is that of a search that ranks by the forecast, unless one is given.

    Returns:
        Its `.run.plan()` forecasts the run before `train` is called. Where the policy judges plans
        and stops this one, `.run.state` is "stopped" by now; else NexusSOM first asks at a fifth.
    """
    if settings.get("population") is not None or settings.get("url") is not None:
        settings = {"policy": policy_for(("score",)), **settings}
    total: int | None = None
    with suppress(Exception):  # what cannot be read is told by `context_of`
        som = of_parameters(som) if isinstance(som, Mapping) else som
        total = iterations(som, len(data))
    context = context_of(som, data, ignore_mask=ignore_mask)
    run = watch(total_epochs=total, context=context, **settings)
    if run.judges_plans and run.plan().stop:
        run.finish()
    return EarlyStop(run, total)


def train(
    som: Any,
    data: Any,
    *,
    ignore_mask: Any = None,
    initialization: str | None = None,
    watch: Any = watch,
    **options: Any,
) -> WatchedRun:
    """Train a `KohonenSOM` by its own `train` under watch, at its own checkpoints.

    Args:
        som: the `KohonenSOM`, changed in place.
        data: samples [sample, feature].
        ignore_mask: True where the map ignores an entry.
        initialization: not used; its weights always begin at random.
        watch: `oracle.watch`, or one with settings bound already.
        options: settings of `oracle.watch`; all others are `KohonenSOM.train`'s own.

    Returns:
        The run, ended.
    """
    names = signature(plain_watch).parameters
    settings = {name: options.pop(name) for name in list(options) if name in names}
    stop = early_stop(som, data, ignore_mask=ignore_mask, watch=watch, **settings)
    if stop.run.state == "stopped":  # by its plan alone
        return stop.run
    with stop.run:
        som.train(data, ignore_mask=ignore_mask, lstm_early_stop_fn=stop, **options)
    return stop.run


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
        "topology": "odd-r" if som.map_type == "hex" else "rectangular",
        "toroidal": False,
        "neighborhood": "gaussian",
        "initialization": "random",
        "batch_size": 1,  # an iteration takes a batch, but updates after each of its samples
        "total_updates": _updates(som, len(samples), n),
        "schedule": _schedule(som, n),
    }


# A growth that makes no curve gives NaN, not a warning.
@np.errstate(all="ignore")
def decay(
    kind: str | None, t: FloatArray, n: int, start: float, end: float, growth: float
) -> FloatArray:
    """Evaluate one of NexusSOM's decays at the iterations `t` of `n`; NaN for a kind it has not."""
    if n <= 1 or kind == "static":
        return np.full(t.shape, float(start))
    if kind == "step-down":
        return np.maximum(end, start * 0.7 ** np.minimum(t // max(1, n // 10), 9))
    return start + share(kind, t, n, growth) * (end - start)


@np.errstate(all="ignore")
def share(kind: str | None, t: FloatArray, n: int, growth: float) -> FloatArray:
    """Give the share of the way from start to end at the iterations `t` of `n`; NaN if unknown."""
    match kind:
        case "linear-drop" | "linear-growth":
            return np.asarray(t / (n - 1))
        case "exp-drop":
            return np.asarray(np.expm1(-growth * t / n) / np.expm1(-growth))
        case "exp-growth":
            return np.asarray(np.expm1(growth * t / n) / np.expm1(growth))
        case "log-drop" | "log-growth":
            return np.asarray(np.log1p(growth * t) / np.log1p(growth * n))
    return np.full(t.shape, nan)


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
    if n < 1 or not 1 <= sections <= n_samples:
        return None
    t = np.unique(np.linspace(0, n - 1, min(n, _COUNTED_ITERATIONS)).round())
    percent = decay(kind, t, n, start, end, growth)
    if not np.isfinite(percent).all():
        return None
    wanted = np.maximum(1, np.ceil(n_samples * percent / 100.0))
    # Sections are of two lengths, the longer ones first.
    short, longer = divmod(n_samples, sections)
    taken = longer * np.minimum(wanted, short + 1) + (sections - longer) * np.minimum(wanted, short)
    return float(round(taken.mean() * n))


def _updates(som: Any, n_samples: int, n: int) -> float | None:
    values = (som.num_batches, som.start_batch_percent, som.end_batch_percent)
    if None in values:
        return None
    sections, start, end = values
    return updates(n_samples, sections, n, som.batch_growth_type, start, end, _growth(som))


def _schedule(som: Any, n: int) -> Schedule | None:
    if n < 2:
        return None
    progress = np.linspace(0.0, 1.0, PLAN_POINTS)
    t = np.minimum(progress * n, n - 1)
    columns = {}
    for name, kind, start, end in (
        ("learning_rate", som.lr_decay_type, som.start_learning_rate, som.end_learning_rate),
        ("radius", som.radius_decay_type, som.start_radius, som.end_radius),
    ):
        if start is None or (end is None and kind != "static"):
            continue
        end = start if end is None else end
        values = decay(kind, t, n, start, end, _growth(som))
        if np.isfinite(values).all() and (values >= 0).all():
            columns[name] = values.tolist()
    return Schedule.model_validate({"progress": progress.tolist(), **columns}) if columns else None


def _growth(som: Any) -> float:
    return nan if som.growth_g is None else float(som.growth_g)


#: Parameters of `KohonenSOM` that the plan needs.
_PARAMETERS = (
    "start_learning_rate", "end_learning_rate", "lr_decay_type", "end_radius",
    "radius_decay_type", "start_batch_percent", "end_batch_percent", "batch_growth_type",
    "epoch_multiplier", "growth_g", "map_type", "num_batches",
)  # fmt: skip


def of_parameters(parameters: Mapping[str, Any]) -> SimpleNamespace:
    """Stand for a `KohonenSOM` that is not made yet."""
    size = parameters.get("map_size")
    m, n = (size[0] if isinstance(size[0], list) else size) if isinstance(size, list) else (10, 10)
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
