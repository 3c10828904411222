"""One run of the compiled core: configuration and table in, a whole history out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.fast_som import FastSom
from collector.schedules import schedule
from collector.space import Configuration, log_uniform
from oracle.errors import OracleError, must_be
from oracle.history.context import mqe_of_mean
from oracle.history.geometry import geometry_of
from oracle.types import History, Run, RunContext, Schedule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_CHECKPOINTS, MAX_CHECKPOINTS = 48, 64
MIN_STEPS = 16
MIN_UPDATES = 30
#: A run that leaves this multiple of mqe_of_mean has diverged and is drawn anew.
MAX_RELATIVE_MQE = 20.0
#: Below this multiple the table has hardly more distinct rows than the map has neurons.
MIN_RELATIVE_MQE = 1e-3
SIGNIFICANT_DIGITS = 7

INITIALIZATIONS = {
    "unit_interval": "random",
    "unit_length": "random",
    "normal": "random",
    "data_range": "random",
    "near_mean": "random",
    "sample": "sample",
    "pca_unit": "pca",
    "pca_scaled": "pca",
}


def initial_weights(
    kind: str, rows: int, cols: int, data: Floats, rng: np.random.Generator
) -> Floats:
    """Draw the first weights [rows, cols, feature] as one of INITIALIZATIONS."""
    shape = (rows, cols, data.shape[1])
    if kind == "unit_interval":
        return rng.random(shape)
    if kind == "unit_length":  # MiniSom's
        weights = 2 * rng.random(shape) - 1
        return np.asarray(weights / np.linalg.norm(weights, axis=-1, keepdims=True))
    if kind == "normal":
        return rng.standard_normal(shape) * log_uniform(rng, 0.01, 1.0)
    if kind == "data_range":
        return rng.uniform(data.min(axis=0), data.max(axis=0), shape)
    if kind == "near_mean":
        width = log_uniform(rng, 0.003, 0.3) * data.std(axis=0)
        return np.asarray(data.mean(axis=0) + width * rng.standard_normal(shape))
    if kind == "sample":
        return data[rng.integers(0, len(data), (rows, cols))]
    if kind in ("pca_unit", "pca_scaled"):
        values, vectors = np.linalg.eigh(np.cov(data, rowvar=False))
        first, second = vectors[:, -1], vectors[:, -2]
        if kind == "pca_scaled":
            first = first * np.sqrt(max(values[-1], 0)) * 2
            second = second * np.sqrt(max(values[-2], 0)) * 2
        along, across = np.linspace(-1, 1, rows), np.linspace(-1, 1, cols)
        plane = along[:, None, None] * first + across[None, :, None] * second
        return np.asarray(data.mean(axis=0) + plane)
    raise OracleError(must_be("initialization", f"one of {', '.join(INITIALIZATIONS)}", kind))


def _values(c: Configuration, steps: int, each: int) -> tuple[Floats, Floats]:
    """Learning rate and radius at all `steps`, which change after every `each` of them."""
    count = steps // each
    begins = [0, *(min(count - 1, max(1, round(p.begins * count))) for p in c.phases), count]
    planned = [(c.rate, c.radius), *((p.rate, p.radius) for p in c.phases)]
    rate: list[Floats] = []
    radius: list[Floats] = []
    for first, last, decays in zip(begins, begins[1:], planned, strict=False):
        if last <= first:  # fewer steps than phases
            continue
        for decay, values in zip(decays, (rate, radius), strict=True):
            t = np.arange(last - first, dtype=np.float64)
            values.append(schedule(decay.kind, t, len(t), decay.start, decay.end, decay.shape))
    joined = (np.repeat(np.maximum(np.concatenate(v), 0.0), each) for v in (rate, radius))
    return next(joined), next(joined)


def _endless(order: str, samples: Ints, length: int, rng: np.random.Generator) -> Ints:
    """Give `length` samples in one of the orders of Configuration.order."""
    if order == "replacement":
        return samples[rng.integers(0, len(samples), length)]
    passes = -(-length // len(samples))
    if order == "mixed":  # MiniSom's random_order without epochs
        return rng.permutation(np.tile(samples, passes)[:length])
    if order == "shuffled":
        return np.concatenate([rng.permutation(samples) for _ in range(passes)])[:length]
    once = rng.permutation(samples) if order == "once" else samples
    return np.tile(once, passes)[:length]


@dataclass(frozen=True)
class _Plan:
    """Which sample is used at which step.

    Attributes:
        order: samples in the order of their updates.
        step_of: step of each update.
        bounds: [step + 1] updates done before each step.
    """

    order: Ints
    step_of: Ints
    bounds: Ints


def _plan(c: Configuration, n_samples: int, rng: np.random.Generator) -> _Plan:
    everything = np.arange(n_samples)
    updates = max(MIN_UPDATES, round(c.passes * n_samples))
    if c.mode == "online":
        if c.by_epoch:
            updates = n_samples * -(-updates // n_samples)
        order = _endless(c.order, everything, updates, rng)
        steps = np.arange(updates)
    elif c.mode == "batch":
        passes = max(2, round(c.passes))
        order, steps = np.tile(everything, passes), np.repeat(np.arange(passes), n_samples)
    elif c.mode == "minibatch":
        size = max(1, min(round(c.batch), n_samples, updates // MIN_STEPS))
        order = _endless(c.order, everything, updates, rng)
        steps = np.arange(updates) // size
    else:
        order, steps = _blocks(c, updates, n_samples, rng)
    counts = np.bincount(steps)
    return _Plan(order, steps, np.concatenate([[0], np.cumsum(counts)]))


def _blocks(
    c: Configuration, updates: int, n_samples: int, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Batches of online updates that grow, an equal number from each section of the table."""
    sections = np.array_split(rng.permutation(n_samples), c.sections)
    mean = min(max(c.batch, float(c.sections)), updates / MIN_STEPS)
    steps = max(MIN_STEPS, round(updates / mean))
    sizes = np.linspace(2 / (1 + c.growth), 2 * c.growth / (1 + c.growth), steps) * mean
    each = np.maximum(1, np.ceil(sizes / c.sections)).astype(np.int64)
    # Rounded up to whole samples a section, small batches grow: keep to the planned updates.
    keep = max(MIN_STEPS, int(np.searchsorted(np.cumsum(each) * c.sections, updates)) + 1)
    each = each[:keep]
    step_of = np.tile(np.repeat(np.arange(len(each)), each), c.sections)
    order = "replacement" if c.order == "replacement" else "shuffled"
    drawn = [_endless(order, section, int(each.sum()), rng) for section in sections]
    in_steps = np.argsort(step_of, kind="stable")
    return np.concatenate(drawn)[in_steps], step_of[in_steps]


def _checkpoints(bounds: Ints, count: int) -> Ints:
    """Choose steps to measure before: 0 and the last, dense early, [checkpoint]."""
    even = np.linspace(0, 1, count // 2 + 1)
    wanted = np.concatenate([even, even**2]) * bounds[-1]
    return np.unique(np.searchsorted(bounds, np.floor(wanted + 1e-9)))


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(float(f"{v:.{SIGNIFICANT_DIGITS}g}") for v in values)


def fast_run(
    c: Configuration, data: Floats, rng: np.random.Generator, *, run_id: str, dataset: str
) -> Run | None:
    """Train one map and record its history.

    Args:
        c: the configuration.
        data: [sample, feature] float64, C-contiguous, scaled.
        rng: source of weights, order and checkpoints.
        run_id, dataset: names for the record.

    Returns:
        The finished run; None where the training diverged or the map holds the whole table.
    """
    n_samples, n_features = data.shape
    plan = _plan(c, n_samples, rng)
    steps, total = len(plan.bounds) - 1, int(plan.bounds[-1])
    each = n_samples if c.by_epoch else 1
    rate, radius = _values(c, steps, each)
    if not c.has_rate:
        rate = np.ones(steps)
    weights = initial_weights(c.initialization, c.rows, c.cols, data, rng)
    som = FastSom(weights, c.grid, c.neighborhood, c.flat_measure)
    felt = radius * c.reach
    scale = mqe_of_mean(data)
    if scale is None:  # nothing to learn from equal rows
        return None
    at = _checkpoints(plan.bounds, int(rng.integers(MIN_CHECKPOINTS, MAX_CHECKPOINTS + 1)))
    measured = []
    done = 0
    for step in at:
        _advance(som, c, data, plan, rate, felt, done, int(step))
        done = int(step)
        values = som.measure(data)
        relative = values[0] / scale
        if not MIN_RELATIVE_MQE < relative < MAX_RELATIVE_MQE:  # also NaN
            return None
        measured.append(values)
    mqe, topographic, dead = (_rounded(column) for column in zip(*measured, strict=True))
    now = np.minimum(at, steps - 1)
    epochs, total_epochs = _counter(c, plan, at, n_samples, rng)
    marks = np.linspace(0, 1, int(rng.integers(17, 34)))
    if c.phases:  # a jump stands between two marks
        jumps = [p.begins + side for p in c.phases for side in (-1e-3, 1e-3)]
        marks = np.unique([*marks, *jumps])
    marked = np.minimum((marks * steps).astype(int), steps - 1)
    rows, cols = (c.cols, c.rows) if c.turned else (c.rows, c.cols)
    context = RunContext(
        map_rows=rows,
        map_cols=cols,
        topology="hexagonal" if c.grid.startswith("hexagonal") else "rectangular",
        # Whoever measures a torus as flat does not know of it.
        toroidal=None if c.flat_measure else c.grid.endswith("torus"),
        neighborhood=_NEIGHBORHOOD_NAMES.get(c.neighborhood, c.neighborhood),
        n_samples=n_samples,
        n_features=n_features,
        initialization=INITIALIZATIONS[c.initialization],
        mqe_of_mean=_rounded([scale])[0],
        total_updates=total,
        batch_size=1 if c.mode == "online" else _rounded([total / steps])[0],
        schedule=Schedule(
            progress=_rounded(marks),
            learning_rate=_rounded(rate[marked]) if c.has_rate else None,
            radius=_rounded(radius[marked]),
        ),
        geometry=geometry_of(data, c.rows * c.cols),
    )
    history = History(
        run_id=run_id,
        dataset=dataset,
        epochs=epochs,
        mqe=mqe,
        topographic_error=topographic,
        dead_neuron_ratio=dead,
        learning_rate=_rounded(rate[now]) if c.has_rate else None,
        radius=_rounded(radius[now]),
        total_epochs=total_epochs,
        context=context,
    )
    return Run(
        run_id=run_id,
        source=f"fast-{c.mode}",
        dataset=dataset,
        final_mqe=mqe[-1],
        final_topographic_error=topographic[-1],
        final_dead_neuron_ratio=dead[-1],
        history=history,
    )


#: What a library with that function would call it.
_NEIGHBORHOOD_NAMES = {
    "disc": "bubble",
    "narrow_gaussian": "gaussian",
    "cone": "triangle",
}


def _advance(
    som: FastSom,
    c: Configuration,
    data: Floats,
    plan: _Plan,
    rate: Floats,
    radius: Floats,
    first: int,
    last: int,
) -> None:
    """Train the steps first..last-1."""
    if c.mode in ("online", "blocks"):
        part = slice(int(plan.bounds[first]), int(plan.bounds[last]))
        som.online(data, plan.order[part], plan.step_of[part], rate, radius)
        return
    for step in range(first, last):
        part = slice(int(plan.bounds[step]), int(plan.bounds[step + 1]))
        som.batch(data, plan.order[part], float(rate[step]), float(radius[step]), rule=c.rule)


def _counter(
    c: Configuration, plan: _Plan, at: Ints, n_samples: int, rng: np.random.Generator
) -> tuple[tuple[float, ...], float]:
    """Count as some library would: sample updates, steps, passes over the table, or seconds."""
    updates, total = plan.bounds[at], float(plan.bounds[-1])
    if c.clock:
        speed = np.exp(0.15 * rng.standard_normal(len(updates)))
        passed = np.cumsum(np.diff(updates, prepend=0) / speed) * log_uniform(rng, 1e-5, 1e-2)
        seconds = _rounded(passed)
        if all(b > a for a, b in pairwise(seconds)):
            return seconds, seconds[-1]
    if c.mode != "online" and rng.random() < 0.5 and len(np.unique(at)) == len(at):
        return tuple(float(s) for s in at), float(len(plan.bounds) - 1)
    if rng.random() < 0.3:
        return tuple(float(u) / n_samples for u in updates), total / n_samples
    return tuple(float(u) for u in updates), total
