"""What the ended runs of a table teach the forecast of the next one: their residuals.

A run that has ended shows how far its forecasts were off, and runs alike on one table are off
alike. Each outcome is read as a deviation of the forecast that was made of it, at some shares of
the run: z = Phi^-1(F(outcome)). A Gaussian process over plan, metrics and forecast, zero without
runs, tells from them the deviation to expect of another run, mu, and how much narrower its
distribution is, s; level u of the forecast becomes level Phi(mu + s Phi^-1(u)). What the forecast
says of shape and bounds stays (Gaussian process: Rasmussen & Williams 2006, chapter 2; on normal
scores: Snelson, Rasmussen & Ghahramani 2003, "Warped Gaussian Processes").

The kernel was fitted on searches over random tables (`python -m bench.quality.learning_fit`); it is
the same for all targets, but for the noise, and for all shares but the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np

from oracle.forecast.calibration import KNOTS
from oracle.history.columns import Array
from oracle.history.features import FEATURES, Float32
from oracle.history.targets import HORIZONS
from oracle.types import METRICS, TARGETS, Learned

#: Shares of a run at which its forecasts are held against its outcome.
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
#: The latest runs of a population that teach: more cost memory, and lie further back.
TEACHERS = 400
#: The runs most alike that a forecast learns from: more cost more and change no figure.
NEAREST = 48
#: Deviations beyond this say no more than "far off".
MOST = 2.5
#: An outcome is anywhere within so much of itself (relative mqe, or a ratio).
RESOLUTION = 1e-4
#: Least width of a forecast's central half.
NARROWEST = 0.004
#: Beyond this runs have nothing in common; squares of it are still finite.
FARTHEST = 1e3
#: Forecasts and metrics are within 0..1, the plan's features some units wide.
STRETCH = 4.0


def _columns(*begins: str) -> list[int]:
    return [i for i, name in enumerate(FEATURES) if name.startswith(begins)]


#: Parts of the plan in the features of row 0, and how far runs must differ there to be unlike.
_PLAN: dict[str, tuple[list[int], float]] = {
    "schedule": (_columns("learning_rate_", "radius_", "work_left"), 0.476),
    "size": (_columns("map_rows", "map_cols", "neurons", "dead_floor"), 0.422),
    "length": (_columns("passes", "batch"), 3.15),
    "kind": (_columns("hexagonal", "topology_", "gaussian", "compact", "neighborhood_", "random",
                      "sample", "pca", "initialization_", "toroidal"), 1.15),
}  # fmt: skip
_MEDIAN, _WIDTH, _METRIC = 0.328, 0.573, 0.912


@dataclass(frozen=True)
class Kernel:
    """Variances of a deviation, in all about 1: what it has in common with which runs.

    Attributes:
        table: with all runs of the table.
        near: with runs alike.
        far: with runs that are less alike, by the factor REACH.
        noise: with none, after TARGETS.
    """

    table: float
    near: float
    far: float
    noise: tuple[float, float, float]


REACH = 2.66
#: Before the first checkpoint, and after.
KERNELS = (
    Kernel(0.057, 0.34, 0.375, (0.089, 0.472, 0.174)),
    Kernel(0.008, 0.312, 0.337, (0.32, 0.625, 0.403)),
)

#: How much of a kernel's variance (the table's; that of runs alike) holds in a search: one over
#: the whole space teaches little, one of a single library a lot. Each view counts by how well
#: it explains the runs that ended, from this trust on.
VIEWS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))
TRUST = (0.5, 0.2, 0.3)

_NORMAL = NormalDist()
_Z = np.array([_NORMAL.inv_cdf(level) for level in KNOTS])
_MIDDLE, _LOW, _HIGH = (KNOTS.index(level) for level in (0.5, 0.25, 0.75))
#: Slope of what lies beyond the outermost knots: as from the middle to them.
_BEYOND = 3.0


def inputs_of(plan: Float32, metrics: Array, knots: Array) -> Array:
    """Tell where runs lie: the distance of two says how alike they are.

    Args:
        plan: [run, feature] row 0 as the network sees it, scaled.
        metrics: [run, 3] the last known values, mqe over mqe_of_mean.
        knots: [3, run, knot] forecasts of the final values, on the same scale.

    Returns:
        [run, input].
    """
    width = np.log(np.maximum(knots[..., _HIGH] - knots[..., _LOW], NARROWEST)).T
    parts: list[tuple[Array, float]] = [
        *((plan[:, columns].astype(np.float64), length) for columns, length in _PLAN.values()),
        (STRETCH * knots[..., _MIDDLE].T, _MEDIAN),
        (width, _WIDTH),
        (STRETCH * metrics, _METRIC),
    ]
    placed = np.hstack([part / (length * np.sqrt(part.shape[1])) for part, length in parts])
    return np.asarray(np.clip(placed, -FARTHEST, FARTHEST))


def _parts() -> dict[str, slice]:
    widths = {name: len(columns) for name, (columns, _) in _PLAN.items()}
    widths |= dict.fromkeys(("median", "width", "metric"), len(TARGETS))
    ends = np.cumsum([0, *widths.values()]).tolist()
    return {name: slice(a, b) for name, a, b in zip(widths, ends, ends[1:], strict=False)}


#: Where each part stands in the inputs, and how many there are.
PARTS = _parts()
INPUTS = PARTS["metric"].stop


def deviations_of(knots: Array, outcomes: Array) -> Array:
    """Read outcomes as deviations of their forecasts; where it is not one level, the middle.

    Args:
        knots: [3, run, knot] forecasts, non-decreasing.
        outcomes: [run, 3] on the same scale, NaN where undefined.

    Returns:
        [run, 3] within -MOST..MOST, NaN where undefined.
    """
    found = np.full(outcomes.shape, np.nan)
    # np.interp needs what increases.
    rising = knots + np.arange(knots.shape[-1]) * 1e-12
    for run, target in zip(*np.nonzero(np.isfinite(outcomes)), strict=True):
        ends = outcomes[run, target] + np.array((-RESOLUTION, RESOLUTION))
        found[run, target] = np.interp(ends, rising[target, run], _Z).mean()
    return np.asarray(np.clip(found, -MOST, MOST))


def doubt_of(knots: Array) -> Array:
    """Tell how far a last forecast is from being an outcome, beside those before it.

    Args:
        knots: [3, forecast, knot] of one run, the last one last.

    Returns:
        [forecast - 1] variance of the last in that of each other, mean of the targets, 0..1.
    """
    width = np.maximum(knots[..., _HIGH] - knots[..., _LOW], NARROWEST)
    return np.asarray(np.minimum((width[:, -1:] / width[:, :-1]) ** 2, 1.0).mean(axis=0))


@dataclass(frozen=True, eq=False)
class Residuals:
    """What ended runs of one table teach, or one of them.

    Attributes:
        inputs: [run, share, input] float32, NaN where nothing was known at a share.
        deviations: [run, share, 3] float32, NaN where there is none.
        doubt: [run, share] float32 variance of the deviations' outcome itself, in that of the
            forecast: 0 for runs that ended, more for those that were stopped.
    """

    inputs: Float32
    deviations: Float32
    doubt: Float32

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def nothing(cls) -> Self:
        """Make what one run teaches of which nothing is known yet."""
        shapes = (1, len(SHARES), INPUTS), (1, len(SHARES), len(TARGETS)), (1, len(SHARES))
        return cls(*(np.full(shape, np.nan, np.float32) for shape in shapes))

    @classmethod
    def of(cls, several: Sequence[Self]) -> Self:
        """Gather what several runs teach."""
        several = several or [cls.nothing()]
        return cls(
            *(
                np.concatenate([getattr(one, name) for one in several])
                for name in ("inputs", "deviations", "doubt")
            )
        )

    def to_bytes(self) -> bytes:
        """Write what one run teaches."""
        parts = (self.inputs, self.deviations, self.doubt[..., None])
        return np.concatenate(parts, axis=2).astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, written: bytes) -> Self | None:
        """Read what `to_bytes` gave; None where another version wrote it, or it is damaged."""
        width = INPUTS + len(TARGETS) + 1
        if len(written) != 4 * width * len(SHARES):
            return None
        numbers = np.frombuffer(written, "<f4").reshape(1, len(SHARES), width)
        doubt = numbers[..., -1]
        # What was damaged on its way would fail every forecast that learns of it.
        told = np.isfinite(numbers[..., :INPUTS]).all(axis=-1)
        if not (np.isfinite(doubt[told]) & (doubt[told] >= 0.0)).all():
            return None
        return cls(numbers[..., :INPUTS], numbers[..., INPUTS:-1], doubt)

    def learned(self, inputs: Array, progress: float) -> Learned | None:
        """Tell what the runs teach of one more; None where none of them teaches anything.

        Args:
            inputs: [input] the run's, from `inputs_of`.
            progress: its share, 0..1.
        """
        share = max(i for i, s in enumerate(SHARES) if s <= progress + 1e-9)
        known = np.flatnonzero(
            np.isfinite(self.inputs[:, share]).all(axis=1)
            & np.isfinite(self.deviations[:, share]).any(axis=1)
        )
        if not len(known):
            return None
        theirs = self.inputs[known, share].astype(np.float64)
        distance = ((theirs - inputs) ** 2).sum(axis=1)
        if len(known) > NEAREST:
            nearest = np.argpartition(distance, NEAREST)[:NEAREST]
            known, theirs, distance = known[nearest], theirs[nearest], distance[nearest]
        squares = (theirs**2).sum(axis=1)
        between = np.maximum(squares[:, None] + squares - 2 * theirs @ theirs.T, 0.0)
        shift, spread = _expected(
            KERNELS[min(share, 1)],
            between,
            distance,
            self.deviations[known, share].astype(np.float64),
            self.doubt[known, share].astype(np.float64),
        )
        return Learned(
            runs=len(self),
            shift=tuple(np.round(np.clip(shift, -MOST, MOST), 4).tolist()),
            spread=tuple(np.round(np.clip(spread, 0.05, 1.0), 4).tolist()),
        )


def _expected(
    kernel: Kernel, between: Array, distance: Array, deviations: Array, doubt: Array
) -> tuple[Array, Array]:
    """Average what every view expects of a run, by how well it explains those that ended.

    Args:
        kernel: of the share.
        between: [known, known] squared distances of the runs that ended.
        distance: [known] their squared distances from the run.
        deviations: [known, target], NaN where there is none.
        doubt: [known] as `Residuals.doubt`.

    Returns:
        shift [target], and spread [target] beside that of a run nothing is known of.
    """
    table, alike = np.array(VIEWS).T
    noise = np.array(kernel.noise)
    alone = kernel.table + kernel.near + kernel.far
    kept = kernel.table * table + (kernel.near + kernel.far) * alike  # [view]
    missing = np.isnan(deviations)
    z = np.where(missing, 0.0, deviations).T  # [target, known]
    # What is missing is all noise.
    own = noise[:, None] + doubt + np.where(missing.T, 1e6, 0.0)
    own = own + (alone - kept)[:, None, None]  # [view, target, known]
    common, mine = (
        kernel.table * table.reshape(-1, *[1] * d.ndim)
        + alike.reshape(-1, *[1] * d.ndim) * _alike(kernel, d)
        for d in (between, distance)
    )
    covariance = common[:, None] + own[..., None] * np.eye(len(doubt))
    lower = np.linalg.cholesky(covariance)  # [view, target, known, known]
    scale = np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
    several = np.broadcast_to(z, own.shape), np.broadcast_to(mine[:, None], own.shape)
    solved = np.linalg.solve(covariance, np.stack(several, axis=-1))
    fit = -(0.5 * (z * solved[..., 0]).sum(axis=-1) + scale).sum(axis=1) + np.log(TRUST)
    weight = np.exp(fit - fit.max())
    weight /= weight.sum()
    mean = (mine[:, None] * solved[..., 0]).sum(axis=-1)  # [view, target]
    left = alone + noise - (mine[:, None] * solved[..., 1]).sum(axis=-1)
    shift = weight @ mean
    variance = weight @ (left + mean**2) - shift**2
    return shift, np.sqrt(variance / (alone + noise))


def _alike(kernel: Kernel, squared: Array) -> Array:
    """Covariance of deviations of runs that lie so far apart, beside what the table has."""
    far = kernel.far * np.exp(-squared / (2 * REACH**2))
    return np.asarray(kernel.near * np.exp(-squared / 2) + far)


def corrected(changes: Array, learned: Learned) -> Array:
    """Move one run's quantiles by what was learned: level u becomes Phi(shift + spread Phi^-1(u)).

    On the way to the end it counts by the share of what is left.

    Args:
        changes: [output, knot] of one run, non-decreasing in knots.
        learned: what was.
    """
    moved = np.empty_like(changes)
    for output, knots in enumerate(changes):
        horizon, target = divmod(output, len(METRICS))
        part = HORIZONS[horizon]
        at = part * learned.shift[target] + (1 + part * (learned.spread[target] - 1)) * _Z
        moved[output] = np.interp(at, _Z, knots)
        for beyond, end in ((at < _Z[0], 0), (at > _Z[-1], -1)):
            slope = (knots[end] - knots[_MIDDLE]) / _Z[end] * _BEYOND
            moved[output, beyond] = knots[end] + slope * (at[beyond] - _Z[end])
    return np.maximum.accumulate(moved, axis=1)
