"""The shape of a table as a map sees it: a dozen cheap numbers, never the data.

Everything is measured on at most `MAX_ROWS` rows, chosen by the table's size alone, so the same
table gives the same numbers everywhere. Distances stand over the mean distance of these rows to
their mean, so they compare between tables and scalings. docs/data.md gives every definition.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.types import FloatArray, Geometry

Flags = npt.NDArray[np.bool_]

#: Rows looked at; of these, rows whose variances, neighbours and quantisation are measured.
MAX_ROWS, SPECTRUM_ROWS, NEAR_ROWS, QUANTIZED_ROWS = 1024, 400, 100, 200
#: Neighbours of the intrinsic dimension's estimate.
NEIGHBORS = 10
MAX_DIMENSION = 1e3
#: Sizes of random codebooks; the smaller ones are averaged over disjoint draws of 64 rows.
CODEBOOKS = (4, 16, 64)
MAX_CODEBOOK = 768
#: Squared distance below which two rows are the same: the rounding of a matrix product.
SAME = 1e-10
#: Columns above which the covariance is read from the rows' inner products.
MANY_FEATURES = 64


def geometry_of(
    samples: FloatArray, n_neurons: float | None = None, ignored: Flags | None = None
) -> Geometry | None:
    """Measure a table's shape.

    Args:
        samples: [sample, feature] as the map sees them; rows with entries that are not finite
            are left out.
        n_neurons: neurons of the map; None leaves `quantization_map` unknown.
        ignored: [sample, feature], True where the map ignores an entry: the mean stands there.

    Returns:
        None where there is no shape: fewer than two distinct rows.
    """
    with np.errstate(all="ignore"):
        return _measured(samples, n_neurons, ignored)


def _measured(
    samples: FloatArray, n_neurons: float | None, ignored: Flags | None
) -> Geometry | None:
    rng = np.random.default_rng(samples.shape)
    n = len(samples)
    at = rng.choice(n, min(n, MAX_ROWS), replace=False)  # in random order
    rows = np.array(samples[at], dtype=np.float64)
    instead = np.zeros(samples.shape[1])  # used where entries are ignored
    if ignored is not None:
        gone = ignored[at]
        known = np.where(gone, 0.0, rows)
        instead = known.sum(axis=0) / np.maximum((~gone).sum(axis=0), 1)
        rows = np.where(gone, instead, rows)
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
    before = at[:NEAR_ROWS][at[:NEAR_ROWS] + 1 < n]
    after = samples[before + 1]
    if ignored is not None:
        after = np.where(ignored[before + 1], instead, after)
    follows = (after - mean) / unit - rows[:NEAR_ROWS][at[:NEAR_ROWS] + 1 < n]
    found: dict[str, Any] = {
        **_spectrum(rows[:SPECTRUM_ROWS]),
        "distance_spread": float(away.std() / unit),
        "offset": float(np.linalg.norm(mean) / unit),
        "row_step": _row_step(follows, rows[: NEAR_ROWS + 1]),
        **_neighbours(rows),
        **_quantizations(rows, n, n_neurons),
    }
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


def _row_step(follows: FloatArray, random: FloatArray) -> float | None:
    """Mean length of the steps from rows to the next one over that between random rows."""
    steps = np.linalg.norm(follows, axis=1)
    steps = steps[np.isfinite(steps)]
    apart = np.linalg.norm(random[1:] - random[:-1], axis=1).mean()
    return float(steps.mean() / apart) if len(steps) and apart > 0 else None


def _half_squared(rows: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared distances by one matrix product.

    Returns:
        [row, other] less the rows' own squares, and these, [row, 1].
    """
    wide = np.empty((others.shape[1] + 1, len(others)))
    np.multiply(others.T, -2.0, out=wide[:-1])
    np.einsum("ij,ij->i", others, others, out=wide[-1])
    ones = np.ones((len(rows), 1))
    own = np.einsum("ij,ij->i", rows, rows)[:, None]
    return np.concatenate((rows, ones), axis=1) @ wide, own


def _neighbours(rows: FloatArray) -> dict[str, float | None]:
    """Nearest neighbours: share of distinct rows, how near the next one is, Levina and Bickel's
    dimension (2004, with MacKay and Ghahramani's average).
    """
    squared, own = _half_squared(rows[:NEAR_ROWS], rows)
    np.fill_diagonal(squared, np.inf)
    # Below the rounding of the matrix product two rows are the same.
    same = squared < SAME - own
    share = 1.0
    if same.any():
        # A row counts as distinct where no row before it is the same.
        share = 1.0 - float(np.tril(same[:, : len(same)], -1).any(axis=1).mean())
        squared[same] = np.inf
    k = min(NEIGHBORS, squared.shape[1] - 1)
    nearest = np.sort(np.partition(squared, k - 1, axis=1)[:, :k], axis=1) + own
    nearest = nearest[np.isfinite(nearest[:, -1])]
    found: dict[str, float | None] = {"distinct": share}
    if not len(nearest):
        return {**found, "neighbor_distance": None, "dimension": None}
    found["neighbor_distance"] = float(np.sqrt(nearest[:, 0]).mean())
    # Equal distances have no slope: the largest dimension that is told.
    inverse = float(np.log(nearest[:, -1:] / nearest[:, :-1]).mean() / 2) if k > 2 else None
    found["dimension"] = None if inverse is None else 1 / max(inverse, 1 / MAX_DIMENSION)
    return found


def _quantizations(rows: FloatArray, n: int, n_neurons: float | None) -> dict[str, float]:
    """Quantization errors of a table of `n` rows with so many of them as the codebook.

    Measured on rows outside the codebook; those inside have none. A larger codebook is drawn anew
    and may by chance do worse than a smaller one: then it errs as the smaller one does.
    """
    sizes = {f"quantization_{size}": size for size in CODEBOOKS}
    if n_neurons is not None:
        sizes["quantization_map"] = round(n_neurons)
    found, measured = {}, dict[int, tuple[FloatArray, FloatArray]]()
    error = np.inf
    for name, wanted in sorted(sizes.items(), key=itemgetter(1)):
        if wanted >= n:
            found[name] = 0.0
            continue
        size = min(wanted, MAX_CODEBOOK, len(rows) - 1)
        draws = max(1, min(CODEBOOKS[-1], len(rows) // 2) // size)
        inside = draws * size
        if inside not in measured:
            outside = rows[inside : inside + QUANTIZED_ROWS]
            squared, own = _half_squared(outside, rows[:inside])
            measured[inside] = np.ascontiguousarray(squared.T), own[:, 0]
        squared, own = measured[inside]  # [inside, outside]
        nearest = squared.reshape(draws, size, -1).min(axis=1) + own
        drawn = (1 - wanted / n) * float(np.sqrt(np.maximum(nearest, 0.0)).mean())
        found[name] = error = min(error, drawn)
    return found
