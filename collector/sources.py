"""Real tables to train SOMs on: what scikit-learn and statsmodels bundle or generate, or one's own.

Everything loads offline. `oracle.history.tables.ROLES` says what each table may be used for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from oracle.errors import OracleError, must_be
from oracle.history.sample_table import read_table
from oracle.history.tables import ROLES, SCALINGS, Role, role_of, tables

Matrix = npt.NDArray[np.float64]

#: Rows of the longest table; longer ones are subsampled once, with a fixed seed.
MAX_ROWS = 2000
#: Share of missing values above which a column is left out (else the row is).
MAX_MISSING_RATIO = 0.1
#: Values of one series that make a row, for tables that are one time series.
LAGS = 4

_SERIES = ("co2", "sunspots", "nile")
_SEED = 20240229


def _sklearn_bundled(name: str) -> Matrix:
    from sklearn import datasets

    return np.asarray(getattr(datasets, f"load_{name}")().data, dtype=np.float64)


def _image(name: str) -> Matrix:
    """Pixels of a bundled photograph: red, green, blue, row, column [pixel, 5]."""
    from sklearn.datasets import load_sample_image

    image = np.asarray(load_sample_image(f"{name}.jpg"), dtype=np.float64)
    rows, cols = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.column_stack([image.reshape(-1, 3), rows.ravel(), cols.ravel()])


def _generated(name: str) -> Matrix:
    from sklearn import datasets

    rng = np.random.RandomState(_SEED)
    arguments: dict[str, dict[str, Any]] = {
        "blobs": {"n_samples": 500, "n_features": 6, "centers": 7},
        "classification": {"n_samples": 600, "n_features": 15, "n_informative": 6},
        "moons": {"n_samples": 400, "noise": 0.08},
        "circles": {"n_samples": 400, "noise": 0.06, "factor": 0.5},
        "regression": {"n_samples": 500, "n_features": 8, "noise": 5.0},
        "friedman1": {"n_samples": 400, "n_features": 8, "noise": 0.5},
        "friedman2": {"n_samples": 400, "noise": 20.0},
        "friedman3": {"n_samples": 400, "noise": 0.1},
        "s_curve": {"n_samples": 400, "noise": 0.05},
        "swiss_roll": {"n_samples": 400, "noise": 0.3},
        "gaussian_quantiles": {"n_samples": 400, "n_features": 5, "n_classes": 3},
    }
    make = getattr(datasets, f"make_{name}")
    points, target = make(random_state=rng, **arguments[name])
    continuous = ("regression", "friedman1", "friedman2", "friedman3")
    return np.column_stack([points, target]) if name in continuous else np.asarray(points)


def _statsmodels_bundled(name: str) -> Matrix:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = getattr(sm.datasets, name).load_pandas().data
    frame = frame.select_dtypes("number")
    if name in _SERIES:
        series = frame.iloc[:, -1].dropna().to_numpy(dtype=np.float64)
        return np.lib.stride_tricks.sliding_window_view(series, LAGS).copy()
    frame = frame.loc[:, frame.isna().mean() <= MAX_MISSING_RATIO].dropna()
    return np.asarray(frame.to_numpy(dtype=np.float64))


_GENERATED = (
    "blobs", "classification", "moons", "circles", "regression", "friedman1", "friedman2",
    "friedman3", "s_curve", "swiss_roll", "gaussian_quantiles",
)  # fmt: skip
_LOADERS: dict[str, Callable[[str], Matrix]] = {
    **dict.fromkeys(ROLES, _statsmodels_bundled),
    **dict.fromkeys(
        ("iris", "wine", "breast_cancer", "diabetes", "digits", "linnerud"), _sklearn_bundled
    ),
    **dict.fromkeys(("china", "flower"), _image),
    **dict.fromkeys(_GENERATED, _generated),
}


@cache
def load_table(name: str) -> Matrix:
    """Load a named table, unscaled, constant columns left out.

    Returns:
        float64 [row, column], read-only, at most MAX_ROWS rows.

    Raises:
        OracleError: an unknown name; the message lists what there is.
    """
    if name not in _LOADERS:
        raise OracleError(
            must_be("table", f"one of {', '.join(sorted(_LOADERS))}", name, "Choose one of these.")
        )
    table = _at_most(_LOADERS[name](name))
    table = np.ascontiguousarray(table[:, table.std(axis=0) > 0])
    table.setflags(write=False)
    return table


def _at_most(table: Matrix) -> Matrix:
    """Draw MAX_ROWS of a longer table, always the same ones."""
    if len(table) <= MAX_ROWS:
        return table
    rng = np.random.default_rng(_SEED)
    return table[np.sort(rng.choice(len(table), MAX_ROWS, replace=False))]


def scale(table: Matrix, scaling: str) -> Matrix:
    """Scale columns to 0..1 (`minmax`) or to mean 0 and deviation 1 (`standard`).

    Raises:
        OracleError: an unknown scaling.
    """
    if scaling == "minmax":
        low, high = table.min(axis=0), table.max(axis=0)
        return np.asarray((table - low) / np.where(high > low, high - low, 1.0))
    if scaling == "standard":
        deviation = table.std(axis=0)
        return np.asarray((table - table.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
    raise OracleError(must_be("scaling", f"one of {', '.join(SCALINGS)}", scaling))


@dataclass(frozen=True)
class OwnTable:
    """A table of somebody's own, to collect runs on; the same file gives the same runs.

    Attributes:
        path: the file, absolute.
        sha256: of its bytes.
        header, without: how it is read, see `oracle.history.sample_table`.
        scaling: minmax, standard or none.
    """

    path: str
    sha256: str
    header: bool | None = None
    without: tuple[str, ...] = ()
    scaling: str = "standard"

    @classmethod
    def of(cls, path: str | Path, **how: Any) -> OwnTable:
        """Name a file as it is now."""
        file = Path(path).absolute()
        return cls(str(file), sha256(file.read_bytes()).hexdigest(), **how)

    @property
    def dataset(self) -> str:
        """Name of the dataset; a table with the name of one in ROLES has no role by it."""
        name = Path(self.path).name.partition(".")[0] or "table"
        name = f"own-{name}" if role_of(name) else name
        return name if self.scaling == "none" else f"{name}-{self.scaling}"

    def read(self) -> tuple[Matrix, list[str]]:
        """Read and scale it as the maps shall see it, and tell what was done to it.

        Raises:
            OracleError: it is no table of numbers, or not the one that it was.
        """
        if sha256(Path(self.path).read_bytes()).hexdigest() != self.sha256:
            rule = "as it was when the collection began"
            raise OracleError(must_be("--table", rule, self.path, "It was changed meanwhile."))
        found = read_table(self.path, header=self.header, without=self.without)
        notes = [str(found)]
        table = _at_most(found.values)
        if len(table) < len(found.values):
            notes.append(f"{len(table)} rows drawn")
        moving = table.std(axis=0) > 0
        if not moving.all():
            notes.append(f"{int((~moving).sum())} constant columns left out")
        if not moving.any():
            raise OracleError(must_be("--table", "of rows that differ", self.path))
        table = table[:, moving]
        if self.scaling != "none":
            table = scale(table, self.scaling)
        notes.append(f"scaling {self.scaling}")
        return np.ascontiguousarray(table), notes


@cache
def load_own(table: OwnTable) -> Matrix:
    """Read a table once a process."""
    return table.read()[0]


def load_dataset(dataset: str) -> Matrix:
    """Load `<table>-<scaling>`, for example `wine-minmax`."""
    table, _, scaling = dataset.rpartition("-")
    return scale(load_table(table), scaling)


def dataset_names(role: Role) -> tuple[str, ...]:
    """Every `<table>-<scaling>` of a role, in the order of the list."""
    return tuple(f"{table}-{scaling}" for table in tables(role) for scaling in SCALINGS)
