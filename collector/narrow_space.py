"""Searches as they are late: runs of one library on one table, whose settings lie close together.

`sample_of_search` draws run by run what one search over one table trains: its first runs from the
whole space of a library, its last from around one configuration, as offspring are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from collector.broad_space import sample_broad, sample_searches
from collector.space import Configuration, Decay, log_uniform, sample_ea

#: How far a setting of an offspring lies from its parent's, as a factor, and how often one does.
REACH, CHANGED = 1.5, 0.6


def sample_of_search(
    rng: np.random.Generator, n_samples: int, search: int, *, late: bool
) -> Configuration:
    """Draw one run of a search on a table of `n_samples` rows.

    Args:
        rng: source of what is peculiar to the run.
        n_samples: rows of the table.
        search: seed of what its runs share: the library, and the parent of its last ones.
        late: around the parent, instead of from the whole space.
    """
    shared = np.random.default_rng(search)
    kind = ("minisom", "searches", "broad")[shared.integers(3)]
    parent = _draw(shared, n_samples, kind)
    if not late:
        return _draw(rng, n_samples, kind)
    sides = [_near(rng, side) for side in (parent.rows, parent.cols)]
    rows, cols = (max(1, round(side)) for side in sides)
    if parent.grid == "hexagonal-torus":  # its columns come in pairs
        cols += cols % 2
    passes = _near(rng, parent.passes)
    return replace(
        parent,
        rows=rows,
        cols=cols if rows * cols > 1 else 2,
        rate=_decay_near(rng, parent.rate, most=1.0),
        radius=_decay_near(rng, parent.radius, most=float(1.5 * max(rows, cols))),
        passes=max(0.3, float(round(passes)) if parent.mode == "batch" else passes),
        initialization=parent.initialization,
    )


def _draw(rng: np.random.Generator, n_samples: int, kind: str) -> Configuration:
    if kind == "minisom":
        return sample_ea(rng, n_samples).compiled(n_samples)
    return (sample_searches if kind == "searches" else sample_broad)(rng, n_samples)


def _near(rng: np.random.Generator, value: float) -> float:
    return value * log_uniform(rng, 1 / REACH, REACH) if rng.random() < CHANGED else value


def _decay_near(rng: np.random.Generator, parent: Decay, most: float) -> Decay:
    start = min(most, _near(rng, parent.start))
    end = _near(rng, parent.end)
    return replace(parent, start=start, end=min(end, start) if parent.end <= parent.start else end)
