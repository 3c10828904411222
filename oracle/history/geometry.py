"""The shape of a table as a map sees it: a dozen cheap numbers, never the data.

Everything is measured on at most `MAX_ROWS` rows, chosen by the table's size alone, so the same
table gives the same numbers everywhere. Distances stand over the mean distance of these rows to
their mean, so they compare between tables and scalings. docs/data.md gives every definition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oracle.types import FloatArray, Geometry

#: Rows looked at; of these, rows whose variances, neighbours and quantisation are measured.
MAX_ROWS, SPECTRUM_ROWS, NEAR_ROWS, QUANTIZED_ROWS = 1024, 400, 100, 200
#: Neighbours of the intrinsic dimension's estimate.
NEIGHBORS = 10
#: Sizes of random codebooks; the smaller ones are averaged over disjoint draws of 64 rows.
CODEBOOKS = (4, 16, 64)
MAX_CODEBOOK = 768
#: Columns above which the covariance is read from the rows' inner products.
MANY_FEATURES = 64


def geometry_of(samples: FloatArray, n_neurons: float | None = None) -> Geometry | None:
    """Measure a table's shape.

    Args:
        samples: [sample, feature] as the map sees them; rows with entries that are not finite
            are left out.
        n_neurons: neurons of the map; None leaves `quantization_map` unknown.

    Returns:
        None where there is no shape: fewer than two distinct rows.
    """
    with np.errstate(all="ignore"):
        return _measured(samples, n_neurons)


def _measured(samples: FloatArray, n_neurons: float | None) -> Geometry | None:
    rng = np.random.default_rng(samples.shape)
    n = len(samples)
    at = rng.choice(n, min(n, MAX_ROWS), replace=False)  # in random order
    rows = np.asarray(samples[at], dtype=np.float64)
    finite = np.isfinite(rows).all(axis=1)
    at, rows = at[finite], rows[finite]
    if len(rows) < 2:
        return None
    mean = rows.mean(axis=0)
    rows = rows - mean
    away = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    unit = float(away.mean())
    if not (np.isfinite(unit) and unit > 0):
        return None
    rows /= unit
    found: dict[str, Any] = {
        **_spectrum(rows[:SPECTRUM_ROWS]),
        "distance_spread": float(away.std() / unit),
        "offset": float(np.linalg.norm(mean) / unit),
        "row_step": _row_step(samples, at[:NEAR_ROWS], rows[: NEAR_ROWS + 1] * unit),
        **_neighbours(rows),
        **{f"quantization_{size}": _quantization(rows, n, size) for size in CODEBOOKS},
    }
    if n_neurons is not None:
        found["quantization_map"] = _quantization(rows, n, round(n_neurons))
    return Geometry(**{name: _digits(value) for name, value in found.items()})


def _digits(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.5g}")


def _spectrum(rows: FloatArray) -> dict[str, float]:
    """Shares of the leading principal variances, and how many take part."""
    few = rows[:NEAR_ROWS] if rows.shape[1] > MANY_FEATURES else rows
    gram = few @ few.T if few.shape[1] > len(few) else few.T @ few
    values = np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0)
    share = values / values.sum()
    return {
        "variance_1": min(1.0, float(share[0])),
        "variance_2": min(1.0, float(share[:2].sum())),
        "variance_5": min(1.0, float(share[:5].sum())),
        "participation": float(1 / np.square(share).sum()),
    }


def _row_step(samples: FloatArray, at: Any, random: FloatArray) -> float | None:
    """Mean step from the rows `at` to the next one over that between random rows."""
    at = at[at + 1 < len(samples)]
    steps = np.linalg.norm(samples[at + 1] - samples[at], axis=1)
    steps = steps[np.isfinite(steps)]
    apart = np.linalg.norm(random[1:] - random[:-1], axis=1).mean()
    return float(steps.mean() / apart) if len(steps) and apart > 0 else None


def _squared(rows: FloatArray, others: FloatArray) -> FloatArray:
    """Squared distances [row, other], by a matrix product; the rows are centred."""
    squared = rows @ (-2.0 * others.T)
    squared += np.einsum("ij,ij->i", rows, rows)[:, None]
    squared += np.einsum("ij,ij->i", others, others)
    return squared


def _neighbours(rows: FloatArray) -> dict[str, float | None]:
    """Nearest neighbours: share of distinct rows, how near the next one is, Levina and Bickel's
    dimension (2004, with MacKay and Ghahramani's average).
    """
    squared = _squared(rows[:NEAR_ROWS], rows)
    np.fill_diagonal(squared, np.inf)
    # Below the rounding of the matrix product two rows are the same.
    same = squared < 1e-10
    # A row counts as distinct where no row before it is the same.
    distinct = ~np.tril(same, -1).any(axis=1)
    squared[same] = np.inf
    k = min(NEIGHBORS, squared.shape[1] - 1)
    nearest = np.sort(np.partition(squared, k - 1, axis=1)[:, :k], axis=1)
    nearest = nearest[np.isfinite(nearest[:, -1])]
    found: dict[str, float | None] = {"distinct": float(distinct.mean())}
    if not len(nearest):
        return {**found, "neighbor_distance": None, "dimension": None}
    found["neighbor_distance"] = float(np.sqrt(nearest[:, 0]).mean())
    inverse = np.log(nearest[:, -1:] / nearest[:, :-1]).mean() / 2 if k > 2 else np.nan
    found["dimension"] = min(float(1 / inverse), 1e3) if inverse > 0 else None
    return found


def _quantization(rows: FloatArray, n: int, size: int) -> float:
    """Quantization error of a table of `n` rows with `size` of them as the codebook.

    Measured on rows outside the codebook; those inside have none.
    """
    if size >= n:
        return 0.0
    inside = size / n
    size = min(size, MAX_CODEBOOK, len(rows) - 1)
    draws = max(1, min(CODEBOOKS[-1], len(rows) // 2) // size)
    outside = rows[draws * size :][:QUANTIZED_ROWS]
    squared = _squared(outside, rows[: draws * size])
    nearest = squared.reshape(len(outside), draws, size).min(axis=2)
    return float((1 - inside) * np.sqrt(np.maximum(nearest, 0.0)).mean())
