"""The vectorised encoding says what its formulas, written out for one row, say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.history.columns import columns_of
from oracle.history.dataset import read_dataset
from oracle.history.features import FEATURES, encode_columns
from oracle.history.geometry import geometry_of
from oracle.types import METRICS, Geometry, History, Run, RunContext, Schedule

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"
RUNS = read_dataset(SAMPLE)[::7]
#: Plans are read on this grid.
GRID = [i / 32 for i in range(33)]
#: Numbers of the table's shape: shares stand as they are, of the others the logarithm is taken.
AS_THEY_ARE = ("variance_1", "variance_2", "variance_5", "distinct")
GEOMETRY_FLOORS = {
    **{"participation": 0.1, "dimension": 0.1, "offset": 0.1, "neighbor_distance": 1e-3},
    **{"distance_spread": 1e-2, "row_step": 1e-2},
    **{f"quantization_{size}": 1e-2 for size in ("4", "16", "64", "map")},
}
_TABLES = np.random.default_rng(0)
SHAPES = [
    geometry_of(_TABLES.normal(size=(60, 3)), 20),
    geometry_of(np.repeat(_TABLES.uniform(size=(9, 2)) + 7, 3, axis=0)),
]


def known(value: float | None) -> float:
    return np.nan if value is None else float(value)


def log(value: float, floor: float) -> float:
    return float(np.log(max(value, 0.0) + floor)) if value == value else np.nan


def plan(context: RunContext, name: str) -> list[float]:
    schedule = context.schedule
    values = schedule and getattr(schedule, name)
    return [np.nan] * 33 if not values else list(np.interp(GRID, schedule.progress, values))


def carried(values: list[float | None]) -> list[float]:
    """The plan row, where nothing is measured, then each value or the last one told."""
    level = [np.nan]
    for value in values:
        level.append(level[-1] if value is None else float(value))
    return level


def row(h: History, t: int) -> dict[str, float]:
    """Every feature of row `t`, missing = NaN: 0 is the plan, `t` the t-th checkpoint."""
    c, out = h.context, {}
    if c.n_samples is None or c.n_features is None:  # of either alone nothing is learned
        c = c.model_copy(update={"n_samples": None, "n_features": None})
    if c.map_rows is None or c.map_cols is None:
        c = c.model_copy(update={"map_rows": None, "map_cols": None})
    scale = known(c.mqe_of_mean)
    unit = scale if scale == scale else max([*h.mqe, np.nan][0], 1e-300)
    levels = {
        "mqe": carried([float(np.log(min(v / unit, 1e6) + 1e-3)) for v in h.mqe[:t]]),
        **{m: carried(getattr(h, m)[:t]) for m in METRICS[1:]},
    }
    for name, level in levels.items():
        now, seen = level[-1], [v for v in level if v == v]
        measured = bool(t) and getattr(h, name)[t - 1] is not None
        out[f"{name}_to_first"] = now - seen[0] if seen else np.nan
        out[f"{name}_to_previous"] = now - level[-2] if t else np.nan
        out[f"{name}_to_best"] = now - min(seen) if seen else np.nan
        out[f"{name}_known"] = 1.0 if measured else 0.5 if seen else 0.0
        out[name] = now if seen else 0.5
    del out["mqe_known"], out["mqe"]  # always known
    out["mqe_known_scale"] = float(scale == scale)
    out["mqe_relative"] = levels["mqe"][-1] if scale == scale else np.nan

    progress = [0.0, *(e / known(h.total_epochs) for e in h.epochs[:t])]
    p = progress[-1]
    out |= {
        "index": log(t, 1.0),
        "progress": p,
        "progress_log": log(p, 1e-3),
        "progress_to_previous": p - progress[-2] if t else 0.0,
        "progress_known": float(p == p),
    }
    whens = {"now": p, "first_third": p + (1 - p) / 3, "second_third": p + (1 - p) * 2 / 3}
    read: dict[str, float] = {}
    for name in ("learning_rate", "radius"):
        values = plan(c, name)
        for when, at in whens.items():
            read[f"{name}_{when}"] = float(np.interp(at, GRID, values)) if at == at else np.nan
        read[f"{name}_end"] = values[-1] if p == p else np.nan
        area = [float(np.trapezoid(values[: i + 1], GRID[: i + 1])) for i in range(33)]
        done = float(np.interp(p, GRID, area)) if p == p else np.nan
        read[f"{name}_rest_mean"] = (area[-1] - done) / (1 - p) if p != 1 else values[-1]
        still = [v for at, v in zip(GRID, values, strict=True) if at > p] or [values[-1]]
        read[f"{name}_rest_most"] = max(read[f"{name}_now"], *still) if p == p else np.nan
        read[f"{name}_start"] = values[0]
        given_now = (None, *(getattr(h, name) or [None] * len(h)))[t]
        if given_now is not None:
            read[f"{name}_now"] = float(given_now)
        out[f"{name}_known"] = float(read[f"{name}_now"] == read[f"{name}_now"])
        out[f"{name}_planned"] = float(read[f"{name}_end"] == read[f"{name}_end"])
        floor = 1e-5 if name == "learning_rate" else 1e-2
        out |= {k: log(v, floor) for k, v in read.items() if k.startswith(name)}

    rows, cols, samples = known(c.map_rows), known(c.map_cols), known(c.n_samples)
    neurons, updates, batch = rows * cols, known(c.total_updates), known(c.batch_size)
    side = max(rows, cols) if rows == rows and cols == cols else np.nan
    rate = read["learning_rate_rest_mean"]
    work = updates / neurons * (1 - p)
    near, start = (c.neighborhood or "").lower(), (c.initialization or "").lower()
    out |= {
        "radius_to_map": log(read["radius_now"] / side, 1e-3),
        "radius_end_to_map": log(read["radius_end"] / side, 1e-3),
        "work_left": log(work * (rate if rate == rate else 1.0), 1e-3),
        "work_left_known": float(work == work),
        "map_rows": log(rows, 1.0),
        "map_cols": log(cols, 1.0),
        "neurons": log(neurons, 1.0),
        "map_known": float(neurons == neurons),
        "samples": log(samples, 1.0),
        "samples_known": float(samples == samples),
        "dimensions": log(known(c.n_features), 1.0),
        "dimensions_known": float(c.n_features is not None),
        "neurons_per_sample": log(neurons / samples, 1e-3),
        "dead_floor": max(1 - samples / neurons, 0.0),
        "passes": log(updates / samples, 1e-3),
        "passes_known": float(updates == updates),
        "batch": log(batch, 1.0),
        "batch_share": log(batch / samples, 1e-4),
        "batch_known": float(batch == batch),
        "deviation": log(scale / np.sqrt(known(c.n_features)), 1e-3),
        "hexagonal": float(c.topology not in (None, "rectangular")),
        "topology_known": float(c.topology is not None),
        "gaussian": float("gauss" in near),
        "compact": float(near in ("bubble", "epanechnikov", "triangle", "cutgauss", "ep")),
        "neighborhood_known": float(bool(near) and "gauss" not in near),
        "random": float("rand" in start),
        "sample": float("sample" in start or "data" in start),
        "pca": float("pca" in start),
        "initialization_known": float(bool(start)),
        "toroidal": float(c.toroidal is True),
        "toroidal_known": float(c.toroidal is not None),
    }
    told = {g: known(getattr(c.geometry, g, None)) for g in (*AS_THEY_ARE, *GEOMETRY_FLOORS)}
    out |= {g: told[g] for g in AS_THEY_ARE}
    out |= {g: log(told[g], floor) for g, floor in GEOMETRY_FLOORS.items()}
    out["geometry_known"] = float(any(v == v for v in told.values()))
    return out


def risen(schedule: Schedule, draw: st.DrawFn) -> Schedule:
    """The same plan with a peak somewhere: what is still to come is no longer the least."""
    peak = draw(st.integers(0, len(schedule.progress) - 1))
    columns = {name: getattr(schedule, name) for name in ("learning_rate", "radius")}
    return schedule.model_copy(
        update={
            name: tuple(v + 2 * max(values) * (i == peak) for i, v in enumerate(values))
            for name, values in columns.items()
            if values is not None
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A recorded prefix with parts of what is known taken away."""
    run: Run = draw(st.sampled_from(RUNS))
    whole = run.history
    prefix = whole.prefix(draw(st.integers(0, len(whole))))
    shape = draw(st.sampled_from(SHAPES))
    if shape is not None:
        some = draw(st.sets(st.sampled_from(sorted(Geometry.model_fields))))
        shape = shape.model_copy(update=dict.fromkeys(some))
    context = prefix.context.model_copy(update={"geometry": shape, "toroidal": draw(st.booleans())})
    hidden = draw(st.sets(st.sampled_from(sorted(RunContext.model_fields))))
    context = context.model_copy(update=dict.fromkeys(hidden))
    if context.schedule is not None and draw(st.booleans()):
        one = Schedule(progress=context.schedule.progress, radius=context.schedule.radius)
        context = context.model_copy(update={"schedule": one})
    if context.schedule is not None and draw(st.booleans()):
        context = context.model_copy(update={"schedule": risen(context.schedule, draw)})
    changed: dict[str, object] = {"context": context}
    for name in ("total_epochs", "learning_rate", "radius"):
        if draw(st.booleans()):
            changed[name] = None
    for name in METRICS[1:]:
        gone = draw(st.lists(st.booleans(), min_size=len(prefix), max_size=len(prefix)))
        values = getattr(prefix, name)
        changed[name] = tuple(None if g else v for g, v in zip(gone, values, strict=True))
    return prefix.model_copy(update=changed)


@settings(max_examples=60, deadline=None)
@given(st.lists(histories(), min_size=1, max_size=3))
def test_every_feature_follows_its_formula(some: list[History]) -> None:
    encoded = encode_columns(columns_of(some))
    for i, history in enumerate(some):
        for t in range(1 + len(history)):
            expected = row(history, t)
            assert expected.keys() == set(FEATURES)
            values = np.nan_to_num([expected[name] for name in FEATURES], nan=0.0)
            values = np.clip(values, -25, 25)
            np.testing.assert_allclose(encoded[i, t], values, rtol=1e-6, atol=1e-6)
        assert not encoded[i, 1 + len(history) :].any()
