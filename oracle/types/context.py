"""What is known of a run before its first checkpoint: plan, map, table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from oracle.errors import must_be
from oracle.types.fields import (
    MAX_SCHEDULE_POINTS,
    Count,
    Flag,
    Frozen,
    Many,
    MqeOfMean,
    Name,
    NonNegative,
    Ratio,
)

#: Grids by name, see `oracle.history.grids`.
Topology = Literal["rectangular", "hexagonal", "odd-r", "even-r", "odd-q", "even-q"]

#: What rounding to a few digits may change a share by.
_ROUNDED = 1e-3
#: What other draws of random codebooks may change a quantization error by: 0.07 at most in ten
#: thousand recorded tables, but half of it where one far row makes up the scale of all.
QUANTIZATION_SCATTER = 1.0
_CODEBOOKS = {"quantization_4": 4.0, "quantization_16": 16.0, "quantization_64": 64.0}


class Schedule(Frozen):
    """The plan of a whole run, known before it starts; linear between its points.

    Attributes:
        progress: share of the budget, strictly increasing within 0..1, 2..64 points.
        learning_rate: learning rate at each point, None where the method has none.
        radius: neighbourhood radius at each point, grid units.
    """

    progress: Many[Ratio] = Field(min_length=2, max_length=MAX_SCHEDULE_POINTS)
    learning_rate: Many[NonNegative] | None = None
    radius: Many[NonNegative] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(b <= a for a, b in zip(self.progress, self.progress[1:], strict=False)):
            raise ValueError(must_be("schedule.progress", "strictly increasing", self.progress))
        for name in ("learning_rate", "radius"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.progress):
                raise ValueError(
                    must_be(
                        f"schedule.{name}",
                        f"as long as schedule.progress ({len(self.progress)})",
                        len(values),
                        "Give one value a point, or leave the column out.",
                    )
                )
        return self


class Geometry(Frozen):
    """The shape of a table as the map sees it (`oracle.history.geometry`), never its data.

    Distances are over the mean distance of the rows to their mean.

    Attributes:
        variance_1, variance_2, variance_5: share of the variance along the first, the first two,
            the first five principal directions.
        participation: (sum of variances)^2 / sum of their squares, 1..n_features.
        dimension: intrinsic dimension by Levina and Bickel's estimate.
        neighbor_distance: mean distance to the nearest other row.
        distance_spread: standard deviation of the distances to the mean.
        offset: distance of the rows' mean from the origin.
        distinct: share of rows that equal no row before them.
        row_step: mean step between consecutive rows over that between random ones; 1 = the rows
            are in no order.
        quantization_4, quantization_16, quantization_64: quantization error with so many random
            rows as the codebook.
        quantization_map: the same with as many rows as the map has neurons.
    """

    variance_1: Ratio | None = None
    variance_2: Ratio | None = None
    variance_5: Ratio | None = None
    participation: Count | None = None
    dimension: Count | None = None
    neighbor_distance: NonNegative | None = None
    distance_spread: NonNegative | None = None
    offset: NonNegative | None = None
    distinct: Ratio | None = None
    row_step: NonNegative | None = None
    quantization_4: NonNegative | None = None
    quantization_16: NonNegative | None = None
    quantization_64: NonNegative | None = None
    quantization_map: NonNegative | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        shares = [
            (name, getattr(self, name)) for name in ("variance_1", "variance_2", "variance_5")
        ]
        told = [(name, share) for name, share in shares if share is not None]
        for (less, low), (more, high) in pairwise(told):
            if high < low - _ROUNDED:
                raise ValueError(_contradicts(more, f"at least {less} ({low:g})", high))
        take_part, first = self.participation, self.variance_1
        if take_part is not None:
            # Shares of the largest v: the sum of their squares lies between v^2 and v.
            least, most = 1.0, float("inf")
            if first is not None and first > 0:
                least = 1 / first
                most = least * least  # may be infinite, where `**` would raise
            if not least * (1 - _ROUNDED) <= take_part <= most * (1 + _ROUNDED):
                why = "" if first is None else f", since variance_1 is {first:g}"
                rule = f"within {least:.5g}..{most:.5g}{why}"
                raise ValueError(_contradicts("participation", rule, take_part))
        if self.distinct == 0:
            raise ValueError(_contradicts("distinct", "above 0: one row at least is", 0))
        self.check_quantization({})
        return self

    def check_quantization(self, neurons: dict[str, float]) -> None:
        """Refuse a codebook that errs more than a smaller one, by more than a draw explains.

        Args:
            neurons: "quantization_map" -> rows of that codebook, where it is known.
        """
        sizes = _CODEBOOKS | neurons
        told = [
            (name, error)
            for name in sorted(sizes, key=sizes.__getitem__)
            if (error := getattr(self, name)) is not None
        ]
        for (smaller, most), (name, error) in pairwise(told):
            if error > most + QUANTIZATION_SCATTER:
                rule = f"at most {smaller} ({most:g}), whose codebook is smaller"
                raise ValueError(_contradicts(name, rule, error))


def _contradicts(name: str, rule: str, came: float) -> str:
    advice = "docs/data.md defines it; leave out what you cannot compute."
    return must_be(f"geometry.{name}", rule, came, advice)


class RunContext(Frozen):
    """What is known of a run before its first checkpoint; every field may be missing.

    Attributes:
        map_rows, map_cols: neurons a side.
        topology: grid of the neurons: rectangular; hexagonal; or which of its lines are shifted,
            odd-r, even-r (rows), odd-q or even-q (columns).
        toroidal: whether the grid has no borders.
        neighborhood: name of the neighbourhood function as the library calls it.
        n_samples, n_features: size of the table as the SOM sees it.
        initialization: how the weights began, e.g. random, sample, pca.
        mqe_of_mean: quantization error of the data's mean vector, input-space units: the
            one scale that compares between tables, initialisations and libraries.
        total_updates: sample updates planned over the whole run.
        batch_size: samples an update averages over (mean over the run), 1 = online.
        schedule: planned learning rate and radius.
        geometry: the shape of the table.
    """

    map_rows: Count | None = None
    map_cols: Count | None = None
    topology: Topology | None = None
    toroidal: Flag | None = None
    neighborhood: Name | None = None
    n_samples: Count | None = None
    n_features: Count | None = None
    initialization: Name | None = None
    mqe_of_mean: MqeOfMean | None = None
    total_updates: Count | None = None
    batch_size: Count | None = None
    schedule: Schedule | None = None
    geometry: Geometry | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.geometry is not None:
            self._check_geometry(self.geometry)
        return self

    def _check_geometry(self, shape: Geometry) -> None:
        """Refuse a geometry that the sizes contradict."""
        features, rows = self.n_features, self.n_samples
        if features is not None:
            if shape.participation is not None and shape.participation > features * (1 + _ROUNDED):
                rule = f"at most n_features ({features:g})"
                raise ValueError(_contradicts("participation", rule, shape.participation))
            for name, count in (("variance_1", 1), ("variance_2", 2), ("variance_5", 5)):
                share, least = getattr(shape, name), min(1.0, count / features)
                if share is not None and share < least - _ROUNDED:
                    rule = f"at least {least:.5g}: n_features is {features:g}"
                    raise ValueError(_contradicts(name, rule, share))
        neurons: dict[str, float] = {}
        if self.map_rows is not None and self.map_cols is not None:
            neurons["quantization_map"] = self.map_rows * self.map_cols
        shape.check_quantization(neurons)
        sizes = _CODEBOOKS | neurons
        for name, size in sizes.items():
            error = getattr(shape, name)
            if rows is not None and size >= rows and error:
                rule = f"0: each of the {rows:g} rows is in the codebook"
                raise ValueError(_contradicts(name, rule, error))


#: What of a context is a setting: one value a run.
_SETTINGS = (
    "map_rows", "map_cols", "topology", "toroidal", "neighborhood", "n_samples", "n_features",
    "initialization", "mqe_of_mean", "total_updates", "batch_size",
)  # fmt: skip


def settings_in(context: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings that a context tells, as JSON has it; a schedule by its ends.

    >>> settings_in({"map_rows": 9, "schedule": {"radius": [4.0, 2.0, 1.0]}})
    {'map_rows': 9, 'radius_start': 4.0, 'radius_end': 1.0}
    """
    found = {name: context[name] for name in _SETTINGS if context.get(name) is not None}
    schedule = context.get("schedule") or {}
    for what in ("learning_rate", "radius"):
        if schedule.get(what):
            found[f"{what}_start"] = schedule[what][0]
            found[f"{what}_end"] = schedule[what][-1]
    return found
