"""What is known of a run before it starts, read from the map and the data so that nobody types it.

A library whose schedule can be read from its object has an adapter in `oracle.integrations`
(`oracle.history.libraries`). Any other map gives at least its size, through `get_weights()`,
`_weights`, `weights` or `codebook`, or by being an array itself.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from oracle.errors import InvalidHistory, OracleWarning, callers_level, must_be
from oracle.history.geometry import geometry_of
from oracle.history.libraries import adapter_of
from oracle.history.missing import lacking
from oracle.types import FloatArray, RunContext, Schedule, explain

Flags = npt.NDArray[np.bool_]

#: Where libraries keep the weights [rows, cols, features].
_WEIGHTS = ("_weights", "weights", "codebook")
#: Scales beyond these are no RunContext's, see `oracle.types.MqeOfMean`.
_LEAST_SCALE, _MOST_SCALE = 1e-150, 1e150
#: What was missing in a context and has been told.
_LACKING_TOLD: set[tuple[str, ...]] = set()
#: Characters of a value that is no number, in a message.
_SHOWN = 30
#: Rows of the table whose residuals are held at once.
_BLOCK_ROWS = 65_536


def context_of(
    som: Any,
    data: Any,
    *,
    num_iteration: int | None = None,
    use_epochs: bool = False,
    initialization: str | None = None,
    ignore_mask: Any = None,
    topology: str | None = None,
    toroidal: bool | None = None,
    neighborhood: str | None = None,
    schedule: Schedule | dict[str, Any] | None = None,
    total_updates: int | None = None,
    batch_size: float | None = None,
    training: dict[str, Any] | None = None,
) -> RunContext:
    """Fill a RunContext from a map and its data; what cannot be read is left out, never guessed.

    Nothing here raises: a map or a table that cannot be read gives a warning and an emptier
    context, which the forecast answers with wider intervals.

    Args:
        som: a map of a library that docs/libraries.md names, any object with its weights [rows,
            cols, features] in a usual place, or the weights themselves.
        data: samples [sample, feature] as the map sees them; what a masked array masks is left
            out, as with `ignore_mask`.
        num_iteration, use_epochs: as in `MiniSom.train`; other libraries count steps in one way
            of their own, or know their number.
        initialization: how the weights began, e.g. random, sample, pca; few libraries keep it.
        ignore_mask: [sample, feature], True where the map ignores an entry (NexusSOM).
        topology, toroidal, neighborhood, schedule, total_updates, batch_size: what the caller
            knows better.
        training: what the library's own training method will be told besides, by its names.
    """
    found: dict[str, Any] = {}
    samples, mask = None, None
    try:
        samples, missing = table(data)
        mask = _both(missing, ignore_mask)
        found = _of_table(samples, mask)
    except Exception as error:
        _warn(f"the table could not be read ({_told(error)})")
    try:
        found.update(_sizes(som))  # whatever may be wrong with the rest
        found.update(_of_map(som, samples, num_iteration, use_epochs, training or {}))
    except Exception as error:
        _warn(f"the map could not be read ({_told(error)})")
    try:
        found.update(_shape(samples, mask, found.get("map_rows"), found.get("map_cols")))
    except Exception as error:  # the rest is worth more
        _warn(f"the table's shape could not be read ({_told(error)})")
    given = {
        "initialization": initialization,
        "topology": topology,
        "toroidal": toroidal,
        "neighborhood": neighborhood,
        "schedule": schedule,
        "total_updates": total_updates,
        "batch_size": batch_size,
    }
    found.update({name: value for name, value in given.items() if value is not None})
    try:
        context = RunContext.model_validate(found)
    except ValidationError as error:
        _warn(f"a value does not fit ({explain(error)})")
        return RunContext()
    _tell_lacking(context)
    return context


def _tell_lacking(context: RunContext) -> None:
    """Say, once for the same fields, which are missing and what they would be worth."""
    missing = lacking(context)
    names = tuple(name for fields, _ in missing for name in fields)
    if names and names not in _LACKING_TOLD:
        _LACKING_TOLD.add(names)
        told = ", ".join(
            f"{' and '.join(f'`{name}`' for name in fields)} ({worth:.2g} times)"
            for fields, worth in missing
        )
        _warn(
            f"the context lacks {told}: so much larger is the error at a fifth of a run without "
            "all that is known of this kind"
        )


def _both(missing: Flags | None, ignore_mask: Any) -> Flags | None:
    """Join what a masked array lacks and what the map ignores."""
    ignored = None if ignore_mask is None else np.asarray(ignore_mask, dtype=bool)
    if missing is None or ignored is None:
        return missing if ignored is None else ignored
    return np.asarray(missing | ignored)


def _shape(
    samples: FloatArray | None, mask: Flags | None, rows: float | None, cols: float | None
) -> dict[str, Any]:
    if samples is None:
        return {}
    neurons = None if rows is None or cols is None else rows * cols
    return {"geometry": geometry_of(samples, neurons, mask)}


def _of_table(samples: FloatArray, ignore_mask: Flags | None) -> dict[str, Any]:
    known = samples if ignore_mask is None else np.where(ignore_mask, 0.0, samples)
    bad = not_finite(known)
    if bad:
        _warn(
            f"the table has {bad}: fill them or leave their rows out, else no map can be measured "
            "on it"
        )
    scale = None if bad else mqe_of_mean(known, ignore_mask)
    if not bad and not (scale is not None and _LEAST_SCALE <= scale <= _MOST_SCALE):
        _warn(
            "the table has no scale, for its rows are all equal, or further apart than numbers "
            "go: a map needs two different rows at least"
        )
        scale = None
    return {
        "n_samples": samples.shape[0],
        "n_features": _seen_features(samples, ignore_mask),
        "mqe_of_mean": scale,
    }


def _of_map(
    som: Any,
    samples: FloatArray | None,
    num_iteration: int | None,
    use_epochs: bool,
    training: dict[str, Any],
) -> dict[str, Any]:
    adapter = adapter_of(som)
    if adapter is None or samples is None:
        return {}
    plan = adapter.planned(som, samples, num_iteration, use_epochs, **training)
    return {name: value for name, value in plan.items() if value is not None}


def _sizes(som: Any) -> dict[str, Any]:
    weights = _weights_of(som)
    if weights is None:
        return {}
    rows, cols = weights.shape[:2]
    return {"map_rows": rows, "map_cols": cols}


def _seen_features(samples: FloatArray, ignore_mask: Flags | None) -> int:
    """Count the columns that the map sees; NexusSOM keeps an id column that it ignores."""
    return int(samples.shape[1] if ignore_mask is None else (~ignore_mask).any(axis=0).sum())


def table(data: Any) -> tuple[FloatArray, npt.NDArray[np.bool_] | None]:
    """Give the samples as floats [sample, feature], and where a masked array has none.

    Raises:
        InvalidHistory: where they are not a table with a row, or hold what is no number.
    """
    if hasattr(data, "toarray"):
        raise InvalidHistory(must_be("data", "dense", type(data).__name__, "Pass its toarray()."))
    try:
        samples = np.asarray(data, dtype=float)
    except (TypeError, ValueError):
        advice = "Leave such columns out, or code them as numbers."
        raise InvalidHistory(must_be("data", "numbers", _no_number(data), advice)) from None
    if samples.ndim != 2 or not samples.size:
        raise InvalidHistory(must_be("data", "a table [sample, feature]", samples.shape))
    masked = sys.modules.get("numpy.ma")  # an import of it costs more than all else here
    is_masked = masked is not None and masked.is_masked(data)
    return samples, masked.getmaskarray(data) if masked is not None and is_masked else None


def _no_number(data: Any) -> str:
    """Tell the first value that is no number, and where; by its column's name in a data frame."""
    cells = None
    with suppress(ValueError):  # rows of several lengths
        cells = np.asarray(data, dtype=object)
    if cells is None or cells.ndim != 2:
        return f"a {type(data).__name__} that is no table"
    names = list(getattr(data, "columns", range(cells.shape[1])))
    for (row, column), cell in np.ndenumerate(cells):
        try:
            float(cell)
        except (TypeError, ValueError):
            return f"{str(cell)[:_SHOWN]} at row {row}, column {names[column]}"
    return f"a {type(data).__name__} of {cells.dtype}"


def not_finite(samples: FloatArray, ignore_mask: Any = None) -> str:
    """Tell how many values are not finite and where the first is; nothing where all are.

    Rows and columns count from 0, as their owner would index them.
    """
    known = np.isfinite(samples)
    if ignore_mask is not None:
        known |= np.asarray(ignore_mask, dtype=bool)
    n_bad = known.size - int(np.count_nonzero(known))
    if not n_bad:
        return ""
    row, column = np.argwhere(~known)[0]
    return f"{n_bad} values that are not finite, the first at row {row}, column {column}"


def mqe_of_mean(samples: FloatArray, ignore_mask: Any = None) -> float | None:
    """Measure the quantization error of the data's mean vector, input-space units.

    Ignored entries count neither for the mean nor for the distance. A table of equal rows has
    no scale, nor has one with entries that are not finite: None.
    """
    ignored = None if ignore_mask is None else np.asarray(ignore_mask, dtype=bool)
    if ignored is None:
        mean = samples.mean(axis=0)
    else:
        known = np.maximum((~ignored).sum(axis=0), 1)
        mean = np.where(ignored, 0.0, samples).sum(axis=0) / known
    total = 0.0
    for start in range(0, len(samples), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        residual = samples[block] - mean
        if ignored is not None:
            residual[ignored[block]] = 0.0
        total += float(np.sqrt(np.einsum("ij,ij->i", residual, residual)).sum())
    scale = total / len(samples)
    return scale if np.isfinite(scale) and scale > 0 else None


def _weights_of(som: Any) -> np.ndarray[Any, Any] | None:
    """Find the weights [rows, cols, features] of any map; None where they are not to be seen."""
    if isinstance(som, np.ndarray | list | tuple):
        return np.asarray(som) if np.ndim(som) == 3 else None
    get = getattr(som, "get_weights", None)
    kept = (getattr(som, name, None) for name in _WEIGHTS)
    for weights in (get() if callable(get) else None, *kept):
        if weights is not None and np.ndim(weights) == 3:
            return np.asarray(weights)
    return None


def _told(error: Exception) -> str:
    text = str(error).rstrip(".")
    return text if isinstance(error, InvalidHistory) else f"{type(error).__name__}: {text}"


def _warn(what: str) -> None:
    # Where warnings are errors the search must go on all the same.
    with suppress(OracleWarning):
        warnings.warn(
            f"SOM Oracle: {what}. The forecast goes on with less context, and wider; "
            "pass what is missing to `context_of` or as a RunContext.",
            OracleWarning,
            stacklevel=callers_level(),
        )
