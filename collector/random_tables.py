"""A fresh table for each pretraining run: sub-tables of real tables, or synthetic ones.

With many runs on few tables a model learns the tables; with a table of its own for every run
it learns how maps train.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from collector.sources import load_table, scale
from collector.space import log_uniform
from oracle.history.tables import tables

Matrix = npt.NDArray[np.float64]
_Draw = Callable[[np.random.Generator, int, int], Matrix]

#: Share of tables cut from real ones; the rest is synthetic.
REAL_RATIO = 0.6
MIN_ROWS, MAX_ROWS = 12, 3000
#: (lowest, highest rows, how often): most tables are of middling size, some have a dozen rows.
ROW_RANGES = ((80, 1000, 0.7), (MIN_ROWS, 120, 0.15), (MIN_ROWS, MAX_ROWS, 0.15))


def random_table(rng: np.random.Generator, max_rows: int = MAX_ROWS) -> Matrix:
    """Draw a table, scaled as a user might: [sample, feature], C-contiguous, no constant data."""
    while True:
        rows = _rows(rng, max_rows)
        raw = _real(rng, rows) if rng.random() < REAL_RATIO else _synthetic(rng, rows)
        if rng.random() < 0.15:  # as files often come: by class, by date, by size
            raw = raw[np.argsort(raw[:, rng.integers(raw.shape[1])], kind="stable")]
        raw = raw[:, raw.std(axis=0) > 1e-9 * (1e-9 + np.abs(raw).max(axis=0))]
        if raw.shape[1] < 2 or len(raw) < MIN_ROWS:
            continue
        table = np.ascontiguousarray(_scaled(rng, raw))
        if np.isfinite(table).all() and np.abs(table - table.mean(axis=0)).max() > 1e-9:
            return table


def _rows(rng: np.random.Generator, max_rows: int) -> int:
    low, high, _ = ROW_RANGES[int(rng.choice(len(ROW_RANGES), p=[r[2] for r in ROW_RANGES]))]
    return int(np.clip(log_uniform(rng, low, high), MIN_ROWS, max_rows))


def _features(rng: np.random.Generator, most: int) -> int:
    high = most if rng.random() < 0.08 else min(most, 30)
    if high <= 2 or rng.random() < 0.5:
        return round(log_uniform(rng, 2, max(2, high)))
    return int(rng.integers(2, high + 1))


def _real(rng: np.random.Generator, rows: int) -> Matrix:
    """Cut a random sub-table of a `train` table."""
    names = [name for name in tables("train") if len(load_table(name)) >= MIN_ROWS]
    # Tables with more columns hold more different sub-tables.
    weight = np.array([np.sqrt(load_table(name).shape[1]) for name in names])
    source = load_table(names[rng.choice(len(names), p=weight / weight.sum())])
    columns = rng.choice(source.shape[1], _features(rng, source.shape[1]), replace=False)
    if rng.random() < 0.3:  # keep the order of the source, as users do
        start = rng.integers(0, max(1, len(source) - rows + 1))
        table = source[start : start + rows, columns].copy()
    else:
        table = source[rng.choice(len(source), min(rows, len(source)), replace=False)][:, columns]
    if rng.random() < 0.15:
        table = table.argsort(axis=0).argsort(axis=0).astype(np.float64)
    if rng.random() < 0.2:
        table = scale(table, "standard") @ _rotation(rng, table.shape[1])
    if rng.random() < 0.3 or len(table) < rows:
        table = _jittered(rng, table, rows)
    return table


def _jittered(rng: np.random.Generator, table: Matrix, rows: int) -> Matrix:
    """Repeat rows up to `rows` where there are too few, with noise of a random width."""
    extra = rng.integers(0, len(table), max(0, rows - len(table)))
    table = np.concatenate([table, table[extra]])
    width = log_uniform(rng, 0.003, 0.3) * table.std(axis=0)
    return np.asarray(table + width * rng.standard_normal(table.shape))


def _rotation(rng: np.random.Generator, features: int) -> Matrix:
    return np.asarray(np.linalg.qr(rng.standard_normal((features, features)))[0])


def _synthetic(rng: np.random.Generator, rows: int) -> Matrix:
    features = _features(rng, 64)
    kinds: list[_Draw] = [_mixture, _manifold, _uniform, _heavy_tailed, _categorical, _series]
    weights = [0.32, 0.28, 0.08, 0.1, 0.14, 0.08]
    first, second = (kinds[int(k)] for k in rng.choice(len(kinds), 2, p=weights))
    if features >= 4 and rng.random() < 0.2:  # columns of two kinds side by side
        cut = int(rng.integers(1, features))
        parts = [first(rng, rows, cut), second(rng, rows, features - cut)]
        return np.hstack([scale(part, "standard") for part in parts])
    return first(rng, rows, features)


def _mixture(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    """Anisotropic Gaussians of unequal size and width."""
    groups = round(log_uniform(rng, 1, 15))
    centers = rng.standard_normal((groups, features)) * log_uniform(rng, 0.3, 6)
    member = rng.choice(groups, rows, p=rng.dirichlet(np.full(groups, log_uniform(rng, 0.5, 10))))
    spectrum = np.arange(1, features + 1) ** -rng.uniform(0, 2)
    table = np.empty((rows, features))
    for group in range(groups):
        inside = member == group
        width = spectrum * log_uniform(rng, 0.3, 2)
        noise = rng.standard_normal((int(inside.sum()), features)) * width
        table[inside] = centers[group] + noise @ _rotation(rng, features)
    return table


def _manifold(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    """A smooth sheet of 1..3 latent dimensions, bent into the feature space, with noise."""
    latent = rng.uniform(-1, 1, (rows, int(rng.integers(1, 4))))
    bend = log_uniform(rng, 0.5, 5)
    hidden = np.sin(latent @ rng.standard_normal((latent.shape[1], 12)) * bend + rng.uniform(0, 6))
    table = hidden @ rng.standard_normal((12, features))
    return np.asarray(table + rng.standard_normal(table.shape) * log_uniform(rng, 0.005, 1.0))


def _uniform(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    width = np.arange(1, features + 1) ** -rng.uniform(0, 1.5)
    return np.asarray(rng.uniform(0, 1, (rows, features)) * width)


def _heavy_tailed(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    if rng.random() < 0.5:
        base = rng.standard_t(log_uniform(rng, 1.5, 8), (rows, features))
    else:
        base = np.exp(rng.standard_normal((rows, features)) * rng.uniform(0.3, 1.5))
    mixing = rng.standard_normal((features, features)) * (rng.random((features, features)) < 0.3)
    return np.asarray(base @ (np.eye(features) + mixing))


def _series(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    """Columns that drift and swing along the rows, as measurements over time do."""
    steps = rng.standard_normal((rows, features)) * rng.uniform(0, 1, features)
    trend = np.cumsum(steps, axis=0) * log_uniform(rng, 0.02, 1.0)
    turns = 2 * np.pi * log_uniform(rng, 0.5, 60) * np.arange(rows)[:, None] / rows
    swing = np.sin(turns + rng.uniform(0, 2 * np.pi, features)) * rng.uniform(0, 2, features)
    return np.asarray(trend + swing + steps * log_uniform(rng, 0.05, 2.0))


def _categorical(rng: np.random.Generator, rows: int, features: int) -> Matrix:
    """Integer and one-hot columns that depend on a hidden group."""
    group = rng.integers(0, rng.integers(2, 8), rows)
    columns: list[Matrix] = []
    width = 0
    while width < features:
        levels = int(rng.integers(2, 9))
        shares = rng.dirichlet(np.ones(levels), 8)[group]
        value = (rng.random((rows, 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(0, levels - 1)
        kind = rng.random()
        if kind < 0.4 and width + levels <= features:
            columns.append(np.eye(levels)[value])
        elif kind < 0.8:
            columns.append(value[:, None].astype(np.float64))
        else:
            columns.append((value + rng.standard_normal(rows) * rng.uniform(0, 1))[:, None])
        width += columns[-1].shape[1]
    return np.column_stack(columns)


def _scaled(rng: np.random.Generator, raw: Matrix) -> Matrix:
    """Scale as libraries and users do; some not at all."""
    kind = rng.random()
    if kind < 0.42:
        return scale(raw, "minmax")
    if kind < 0.84:
        return scale(raw, "standard")
    if kind < 0.88:
        return 2 * scale(raw, "minmax") - 1
    if kind < 0.92:  # rows of unit length
        table = scale(raw, "standard" if rng.random() < 0.5 else "minmax")
        return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1), 1e-3)[:, None])
    if kind < 0.96:  # one factor for the whole table
        return np.asarray((raw - raw.mean(axis=0)) / raw.std() * log_uniform(rng, 0.05, 20))
    return scale(raw, "standard") + rng.uniform(-2, 2, raw.shape[1])  # not centred
