"""MiniSom, trained one update at a time: the same weights as `MiniSom.train`, bit for bit.

`MiniSom.train` cannot be called in pieces, because its decay would begin anew each time, and it
has no callback. `train` is its loop under watch, `steps` the same loop with a seam between two
updates; `plan` and `in_force` read the schedule that MiniSom will follow, `planned` is what
`oracle.history.context` asks for. MiniSom itself is never imported: the caller's object is used.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np

from oracle.errors import OracleError, must_be
from oracle.history.context import context_of
from oracle.hook import WatchedRun, watch
from oracle.integrations.measuring import Measuring
from oracle.types import FloatArray, Schedule

#: Points at which a planned schedule is read; linear between them.
PLAN_POINTS = 33
#: MiniSom's own decays, of the learning rate and of the radius.
RATES = ("asymptotic_decay", "inverse_decay_to_zero", "linear_decay_to_zero")
RADII = ("asymptotic_decay", "inverse_decay_to_one", "linear_decay_to_one")


def updates_of(n_samples: int, num_iteration: int, use_epochs: bool = False) -> int:
    """Count the sample updates of a whole training."""
    return n_samples * num_iteration if use_epochs else num_iteration


def steps(
    som: Any,
    data: Any,
    num_iteration: int,
    *,
    random_order: bool = False,
    use_epochs: bool = False,
    fixed_points: Mapping[int, tuple[int, int]] | None = None,
) -> Iterator[int]:
    """Train `som` as `MiniSom.train` does, pausing after every update.

    Closing the generator early leaves the map as it is then. The order of the samples is
    drawn once from the map's own generator, as MiniSom does.

    Args:
        som: a `minisom.MiniSom`, changed in place.
        data: samples [sample, feature], indexed but never copied.
        num_iteration: sample updates, or epochs with `use_epochs`.
        random_order, use_epochs, fixed_points: as in `MiniSom.train`.

    Yields:
        How many sample updates are done, 1..`updates_of(...)`.

    Raises:
        ValueError, TypeError: MiniSom's own, for input it refuses.
    """
    som._check_iteration_number(num_iteration)
    som._check_input_len(data)
    n = len(data)
    # MiniSom shuffles all iterations at once, or one epoch's order that it then repeats.
    order = np.arange(n) if use_epochs else np.arange(num_iteration) % n
    if random_order:
        som._random_generator.shuffle(order)
    if fixed_points:
        som._check_fixed_points(fixed_points, data)
    winners = fixed_points or {}
    for done in range(updates_of(n, num_iteration, use_epochs)):
        index = order[done % len(order)]
        sample = data[index]
        winner = som.winner(sample)
        som.update(sample, winners.get(index, winner), _time(done, n, use_epochs), num_iteration)
        yield done + 1


def in_force(
    som: Any, done: int, n_samples: int, num_iteration: int, use_epochs: bool = False
) -> tuple[float | None, float | None]:
    """Read the learning rate and radius (grid units) of the update number `done`, from 1.

    A decay that is not a finite number >= 0 there, or cannot be asked safely, gives None.
    """
    t = _time(done - 1, n_samples, use_epochs)
    return (
        _decayed(som, "_learning_rate_decay_function", som._learning_rate, t, num_iteration),
        _decayed(som, "_sigma_decay_function", som._sigma, t, num_iteration),
    )


def plan(som: Any, n_samples: int, num_iteration: int, use_epochs: bool = False) -> Schedule | None:
    """Read the learning rate and radius that MiniSom will follow, decay callables included.

    Returns:
        The schedule at up to PLAN_POINTS points; a column is left out where its decay is not
        finite and >= 0 throughout, and all of it where neither is or there is one update only.
    """
    total = updates_of(n_samples, num_iteration, use_epochs)
    if total < 2:
        return None
    done = np.unique(np.linspace(1, total, PLAN_POINTS).round().astype(int))
    rows = [in_force(som, int(d), n_samples, num_iteration, use_epochs) for d in done]
    rates, radii = ([row[i] for row in rows] for i in (0, 1))
    columns = {
        name: tuple(column)
        for name, column in (("learning_rate", rates), ("radius", radii))
        if None not in column
    }
    progress = tuple(float(p) for p in (done - 1) / (total - 1))
    return Schedule.model_validate({"progress": progress, **columns}) if columns else None


def decay(kind: str, t: FloatArray, total: int, start: float) -> FloatArray:
    """Follow one of RATES or RADII at the steps `t` of `total`, operation by operation."""
    match kind:
        case "asymptotic_decay":
            return start / (1 + t / (total / 2))
        case "inverse_decay_to_zero":
            c = total / 100.0
            return start * c / (c + t)
        case "linear_decay_to_zero":
            return start * (1 - t / total)
        case "inverse_decay_to_one":
            c = (start - 1) / total
            return start / (1 + (t * c))
        case "linear_decay_to_one":
            return start + (t * (1 - start) / total)
    known = dict.fromkeys(RATES + RADII)
    raise OracleError(must_be("decay", f"one of {', '.join(known)}", kind))


def planned(
    som: Any, samples: Any, num_iteration: int | None, use_epochs: bool = False
) -> dict[str, Any]:
    """Gather what MiniSom's object tells of a run before its first update.

    Args:
        som: a `minisom.MiniSom`.
        samples: [sample, feature].
        num_iteration, use_epochs: as in `MiniSom.train`; without them there is no plan.

    Returns:
        Fields of `RunContext`.
    """
    found: dict[str, Any] = {
        "topology": som.topology,
        "toroidal": False,
        "neighborhood": som.neighborhood.__name__.lstrip("_"),
        "batch_size": 1,
    }
    if num_iteration is not None:
        found["total_updates"] = updates_of(len(samples), int(num_iteration), use_epochs)
        found["schedule"] = plan(som, len(samples), num_iteration, use_epochs)
    return found


def train(
    som: Any,
    data: Any,
    num_iteration: int,
    *,
    random_order: bool = False,
    verbose: bool = False,
    use_epochs: bool = False,
    fixed_points: Mapping[int, tuple[int, int]] | None = None,
    checkpoints: int | Sequence[int] = 20,
    initialization: str | None = None,
    watch: Callable[..., WatchedRun] = watch,
    **settings: Any,
) -> WatchedRun:
    """Train `som` as `MiniSom.train` does, under watch: bit-identical where nothing stops it.

    Args:
        som: a `minisom.MiniSom`, changed in place.
        data: samples [sample, feature].
        num_iteration, random_order, use_epochs, fixed_points: as in `MiniSom.train`.
        verbose: print the run's summary at its end.
        checkpoints: how many measurements, equally spaced, or the updates after which to
            measure; the last update is always one.
        initialization: how the weights began: random, sample or pca; MiniSom does not keep it.
        watch: `oracle.watch`, or one with settings bound already.
        settings: of `oracle.watch`, e.g. population, policy, run_id, url.

    Returns:
        The run, ended: `.fitness()`, `.summary()`, `.state`. Its epochs count sample updates. A
        policy that judges plans may stop it before the first.

    Raises:
        ValueError, TypeError: MiniSom's own, for input it refuses.
    """
    total = updates_of(len(data), num_iteration, use_epochs)
    context = context_of(
        som,
        data,
        num_iteration=num_iteration,
        use_epochs=use_epochs,
        initialization=initialization,
    )
    if isinstance(checkpoints, int):
        checkpoints = [round(total * (i + 1) / checkpoints) for i in range(checkpoints)]
    at = {*checkpoints, total}
    order = {"random_order": random_order, "use_epochs": use_epochs, "fixed_points": fixed_points}
    with watch(total_epochs=total, context=context, **settings) as run:
        if run.judges_plans and run.plan().stop:
            return run
        measured = Measuring(run, som.get_weights, data, lambda: som.topology)
        for done in steps(som, data, num_iteration, **order):  # type: ignore[arg-type]
            if done in at:
                values = measured()
                if values is None:
                    continue
                rate, radius = in_force(som, done, len(data), num_iteration, use_epochs)
                if run.report(done, **values, learning_rate=rate, radius=radius).stop:
                    break
    if verbose:
        print(run.summary())
    return run


def _time(done: int, n_samples: int, use_epochs: bool) -> int:
    """Give MiniSom's clock before the update after `done`: epochs, or updates, completed."""
    return done // n_samples if use_epochs else done


def _decayed(som: Any, attribute: str, start: float, t: int, end: int) -> float | None:
    decay = getattr(som, attribute)
    if getattr(decay, "__self__", None) is som:
        value = float(decay(start, t, end))
    else:  # a user's callable may keep state or draw: the question must not change the training
        try:
            decay = copy.deepcopy(decay)
        except (TypeError, copy.Error):
            return None
        with _global_randomness_kept():
            value = float(decay(start, t, end))
    return value if isfinite(value) and value >= 0 else None


@contextmanager
def _global_randomness_kept() -> Iterator[None]:
    """Undo what a user's decay callable draws from the global generators."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)
