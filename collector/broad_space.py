"""What users of all libraries run: the space of the shipped oracles' training and calibration.

`sample_broad` takes the core of `collector.space.sample_wide` and goes on where searches of real
libraries go: a thousand passes over a small table, batch maps of 5 to 500 epochs, trainings in
phases whose radius and rate may jump up, rates that grow or end at 0, a radius as wide as the map,
kernels that reach further or less far than their radius says, chains, tiny and huge maps, tori.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collector.space import (
    Configuration,
    Decay,
    Phase,
    log_uniform,
    pick,
    sample_ea,
    sample_wide,
)

#: Kernels whose radius a library may mean in another way. Bubbles of MiniSom mean what they say.
_REACHING = ("gaussian", "disc", "exponential", "epanechnikov", "cone")
#: Reach of the kernel over the radius that is told -> how often. XPySom and Somoclu: 0.5;
#: sklearn-som: 0.71; R's kohonen: 0.33; the rest: users who told half or twice the radius.
REACHES: dict[str, float] = {
    "1": 62,
    "0.5": 13,
    "0.7071": 7,
    "0.3333": 5,
    "1.4142": 4,
    "2": 4,
    "between": 5,
}
#: Most neurons of a map.
MAX_NEURONS = 4000
PASSES = (20.0, 1000.0)
BATCH_EPOCHS = (5.0, 500.0)


def sample_broad(rng: np.random.Generator, n_samples: int) -> Configuration:
    """Draw one run of the compiled core on a table of `n_samples` rows."""
    kind = pick(rng, {"wide": 38, "long": 26, "batch": 14, "phases": 12, "extreme": 10})
    c = sample_wide(rng, n_samples)
    if kind == "long":
        c = _long(rng, c)
    elif kind == "batch":
        c = _batch(rng, n_samples)
    elif kind == "phases":
        c = _in_phases(rng, c)
    elif kind == "extreme":
        c = _extreme(rng, c)
    if kind != "wide" or rng.random() < 0.4:
        c = _varied(rng, c)
    return replace(
        c,
        clock=rng.random() < 0.05,
        flat_measure=c.grid.endswith("torus") and rng.random() < 0.5,
        turned=c.grid.startswith("hexagonal") and rng.random() < 0.5,
    )


def sample_searches(rng: np.random.Generator, n_samples: int) -> Configuration:
    """Draw one run of what searches and libraries most often train on a table of `n_samples` rows.

    `sample_broad` covers the space; this gives its busiest places the runs they deserve.
    """
    kind = pick(rng, {"nexussom": 45, "batch": 40, "minisom": 15})
    if kind == "nexussom":
        return _nexussom(rng, n_samples)
    if kind == "minisom":
        return sample_ea(rng, n_samples).compiled(n_samples)
    return _library_batch(rng, n_samples)


def _nexussom(rng: np.random.Generator, n_samples: int) -> Configuration:
    """As NexusSOM's evolutionary search proposes: batches that grow, over hundreds of steps."""
    side = np.sqrt(5 * np.sqrt(n_samples)) * log_uniform(rng, 0.6, 1.6)
    rows = max(3, round(side))
    cols = rows if rng.random() < 0.8 else max(3, round(side * rng.uniform(0.6, 1.2)))
    first, last = rng.uniform(0.02, 5.0), rng.uniform(0.5, 15.0)  # percent of the table
    steps = log_uniform(rng, 120, 1000)
    passes = float(np.clip(steps * (first + last) / 200 * log_uniform(rng, 0.7, 4.0), 2, 600))
    drops = ("linear", "exp_drop", "log_drop", "step_down")
    rate = log_uniform(rng, 0.2, 1.0)
    longer = max(rows, cols)
    return Configuration(
        mode="blocks",
        rows=rows,
        cols=cols,
        grid="hexagonal-cube" if rng.random() < 0.8 else "rectangular",
        neighborhood="gaussian",
        initialization=pick(rng, {"unit_interval": 60, "data_range": 20, "sample": 20}),
        rate=Decay(
            pick(rng, {"linear": 40, "exp_drop": 40, "log_drop": 12, "step_down": 8}),
            rate,
            rate * log_uniform(rng, 1e-3, 0.7),
            rng.uniform(0.5, 45),
        ),
        radius=Decay(
            drops[rng.choice(4, p=(0.4, 0.4, 0.12, 0.08))],
            longer * rng.uniform(0.25, 1.0),
            1.0 if rng.random() < 0.7 else log_uniform(rng, 0.5, 2.0),
            rng.uniform(0.5, 45),
        ),
        passes=passes,
        batch=passes * n_samples / steps,
        growth=float(np.clip(last / first, 1.0, 30.0)),
        sections=int(rng.integers(1, 6)),
        order="replacement" if rng.random() < 0.7 else "shuffled",
    )


def _library_batch(rng: np.random.Generator, n_samples: int) -> Configuration:
    """As Somoclu, XPySom, IntraSOM, SimpSOM and their like train: whole passes, narrow kernels."""
    c = sample_wide(rng, n_samples)
    while c.neighborhood not in _REACHING:
        c = sample_wide(rng, n_samples)
    kind = pick(rng, {"linear": 50, "exponential": 45, "asymptotic_decay": 5})
    longer = max(c.rows, c.cols)
    has_rate = rng.random() < 0.4
    rate = log_uniform(rng, 0.05, 1.0)
    end = rate * log_uniform(rng, 1e-2, 1.0) if rng.random() < 0.8 else min(1.0, rate * np.e)
    start = max(0.6, longer * (rng.uniform(0.2, 0.6) if rng.random() < 0.75 else 1.0))
    c = replace(
        c,
        mode="batch",
        rule="normalized",
        batch=float(n_samples),
        growth=1.0,
        sections=1,
        by_epoch=False,
        neighborhood=pick(rng, {"gaussian": 85, "disc": 15}),
        passes=float(round(log_uniform(rng, 5, 300))),
        rate=Decay("exponential" if end > rate else kind, rate, end, 1.0),
        radius=Decay(kind, start, min(start, log_uniform(rng, 0.3, 1.2)), 1.0),
        has_rate=has_rate,
        reach=float(pick(rng, {"0.5": 45, "1": 40, "0.7071": 10, "0.3333": 5})),
        grid=pick(rng, {"rectangular": 45, "hexagonal": 35, "torus": 10, "hexagonal-torus": 10}),
    )
    if c.grid == "hexagonal-torus":
        c = replace(c, cols=c.cols + c.cols % 2)
    if rng.random() < 0.25:
        c = _in_phases(rng, c)
    return replace(c, flat_measure=c.grid.endswith("torus") and rng.random() < 0.5)


def _long(rng: np.random.Generator, c: Configuration) -> Configuration:
    """As NexusSOM's searches do: tens to hundreds of passes, over maps of middling size."""
    passes = log_uniform(rng, *PASSES)
    rows, cols = c.rows, c.cols
    if rows * cols > 225 and rng.random() < 0.8:
        shrink = np.sqrt(log_uniform(rng, 25, 225) / (rows * cols))
        rows, cols = max(3, round(rows * shrink)), max(3, round(cols * shrink))
    return _resized(replace(c, passes=float(round(passes)) if c.by_epoch else passes), rows, cols)


def _batch(rng: np.random.Generator, n_samples: int) -> Configuration:
    while True:
        c = sample_wide(rng, n_samples)
        if c.mode == "batch":
            break
    passes = float(round(log_uniform(rng, *BATCH_EPOCHS)))
    if rng.random() < 0.35:
        return _in_phases(rng, replace(c, passes=passes))
    return replace(c, passes=passes)


def _in_phases(rng: np.random.Generator, c: Configuration) -> Configuration:
    """Add one or two phases: a rough and a fine one, or a new start from a wider radius."""
    longer = max(c.rows, c.cols)
    begins = [rng.uniform(0.15, 0.7)]
    if rng.random() < 0.3:
        begins.append(begins[0] + (1 - begins[0]) * rng.uniform(0.25, 0.75))
    phases, rate, radius = [], c.rate, c.radius
    for begin in begins:
        jump = rng.random()
        if jump < 0.35:  # fine: goes on from where the phase before ended
            start, rate_start = max(radius.end, 0.3), max(rate.end, 1e-4)
        elif jump < 0.75:  # up again, IntraSOM's second phase among them
            start = log_uniform(rng, 0.1, 0.6) * longer
            rate_start = rate.start * log_uniform(rng, 0.05, 1.0)
        else:  # down at once
            start, rate_start = log_uniform(rng, 0.5, 2.0), rate.start * 0.1
        start = max(start, 0.3)
        kinds = ("linear", "exponential", "cosine", "constant")
        radius = Decay(kinds[rng.integers(4)], start, min(start, log_uniform(rng, 0.15, 1.5)), 1.0)
        rate = Decay(
            kinds[rng.integers(4)], rate_start, rate_start * log_uniform(rng, 1e-2, 1.0), 1.0
        )
        phases.append(Phase(begin, rate, radius))
    return replace(c, phases=tuple(phases))


def _extreme(rng: np.random.Generator, c: Configuration) -> Configuration:
    """Settings at the rim: growing rates, no rate at the end, wide radii, odd maps."""
    kind = pick(
        rng, {"growing": 22, "wide_radius": 28, "chain": 14, "tiny": 14, "huge": 14, "bubble": 8}
    )
    if kind == "growing":
        start = log_uniform(rng, 0.005, 0.3)
        end = min(1.0, start * log_uniform(rng, 1.2, 10))
        shape = "exponential" if rng.random() < 0.6 else "linear"
        return replace(c, rate=Decay(shape, start, end, 1.0))
    if kind == "wide_radius":
        start = max(c.rows, c.cols) * rng.uniform(0.7, 1.6)
        return replace(c, radius=replace(c.radius, start=start))
    if kind == "chain":
        length = round(log_uniform(rng, 3, 200))
        return _resized(c, 1, length) if rng.random() < 0.5 else _resized(c, length, 1)
    if kind == "tiny":
        rows, cols = int(rng.integers(1, 5)), int(rng.integers(2, 5))
        return _resized(c, rows, cols)
    if kind == "huge":
        rows = round(log_uniform(rng, 25, 63))
        cols = min(round(rows * rng.uniform(0.5, 1.0)), MAX_NEURONS // rows)
        return _resized(c, rows, max(2, cols))
    neighborhood = "bubble" if rng.random() < 0.5 else "disc"
    start = max(1.0, c.radius.start)
    radius = replace(c.radius, start=start, end=min(start, max(0.5, c.radius.end)))
    return replace(c, neighborhood=neighborhood, radius=radius)


def _resized(c: Configuration, rows: int, cols: int) -> Configuration:
    """The same run on another map, its radius in proportion."""
    factor = max(rows, cols) / max(c.rows, c.cols)
    start = max(0.3, c.radius.start * factor)
    end = min(c.radius.end, start) if c.radius.end <= c.radius.start else c.radius.end
    return replace(c, rows=rows, cols=cols, radius=replace(c.radius, start=start, end=end))


def _varied(rng: np.random.Generator, c: Configuration) -> Configuration:
    """Vary what any library may do otherwise: reach, ends of the schedules, torus."""
    if c.neighborhood in _REACHING:
        reach = pick(rng, REACHES)
        c = replace(c, reach=log_uniform(rng, 0.3, 2.0) if reach == "between" else float(reach))
    if rng.random() < 0.12:
        end = min(c.radius.start, log_uniform(rng, 0.05, 0.5))
        c = replace(c, radius=replace(c.radius, end=end))
    if rng.random() < 0.15:
        kind = ("linear", "power", "cosine")[rng.integers(3)]
        c = replace(c, rate=Decay(kind, c.rate.start, 0.0, log_uniform(rng, 0.5, 2.0)))
    if (
        rng.random() < 0.1
        and c.neighborhood not in ("bubble", "triangle")
        and min(c.rows, c.cols) > 3
    ):
        hexagonal = c.grid.startswith("hexagonal")
        # Rows wrap around a hexagonal torus only in pairs of columns.
        c = replace(
            c,
            grid="hexagonal-torus" if hexagonal else "torus",
            cols=c.cols + c.cols % 2 if hexagonal else c.cols,
        )
    return c
