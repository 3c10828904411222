"""What a search knows of a table: sizes, scale and shape, for a map of any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import ValidationError

from oracle.errors import InvalidSearch, must_be
from oracle.history.context import mqe_of_mean, not_finite, table
from oracle.history.geometry import CODEBOOKS, MAX_CODEBOOK, geometry_of
from oracle.types import Geometry, RunContext, explain

#: Sizes of random codebooks besides those of every geometry; of others it lies in between.
_MEASURED = (256, MAX_CODEBOOK)


def table_of(data: Any) -> Table:
    """Take a table as it comes: samples, what is told of them, or what was read before.

    Raises:
        InvalidHistory, InvalidSearch: as `Table.of` and `Table.told` say.
    """
    if isinstance(data, Table):
        return data
    return Table.told(data) if isinstance(data, RunContext) else Table.of(data)


@dataclass(frozen=True)
class Table:
    """A table of samples, as far as a forecast asks for it.

    Attributes:
        n_samples, n_features: its size.
        scale: mqe of its mean vector.
        geometry: its shape, but for the codebook of a map's size; None where it is not known.
        codebooks: (rows of a random codebook, its quantization error), increasing.
        by_numbers: whether it was told by its numbers, not by its samples.
    """

    n_samples: int
    n_features: int
    scale: float
    geometry: Geometry | None
    codebooks: tuple[tuple[int, float], ...]
    by_numbers: bool = False

    @classmethod
    def of(cls, data: Any) -> Self:
        """Read a table of samples [sample, feature].

        Raises:
            InvalidHistory: no table of numbers.
            InvalidSearch: nothing can be learned from it: values that are not finite, equal rows.
        """
        samples, mask = table(data)
        if bad := not_finite(samples, mask):
            advice = "Fill them or leave their rows out."
            raise InvalidSearch(must_be("data", "finite numbers", bad, advice))
        scale = mqe_of_mean(samples, mask)
        if scale is None:
            rule = "a table of two different rows at least"
            raise InvalidSearch(must_be("data", rule, f"{len(samples)} alike"))
        seen = samples.shape[1] if mask is None else int((~mask).any(axis=0).sum())
        shapes = {size: geometry_of(samples, size, mask) for size in _MEASURED}
        found = shapes[_MEASURED[0]]
        codebooks = {
            size: shape.quantization_map
            for size, shape in shapes.items()
            if shape is not None and shape.quantization_map is not None
        }
        return cls(len(samples), seen, scale, *_shape(found, codebooks))

    @classmethod
    def told(cls, context: RunContext) -> Self:
        """Take what is told of a table instead of the table itself.

        Raises:
            InvalidSearch: its size or its scale is missing, or it has no two rows.
        """
        told = {name: getattr(context, name) for name in ("n_samples", "n_features", "mqe_of_mean")}
        for name, value in told.items():
            if value is None:
                advice = "No plan can be forecast without."
                raise InvalidSearch(must_be(f"context.{name}", "given", None, advice))
        for name, least in (("n_samples", 2), ("n_features", 1)):
            if round(told[name]) < least:
                rule = f"a number of {least} at least"
                raise InvalidSearch(must_be(f"context.{name}", rule, told[name]))
        shape = context.geometry
        sizes: dict[int, float] = {}
        if shape is not None and None not in (
            context.map_rows,
            context.map_cols,
            shape.quantization_map,
        ):
            sizes[round(context.map_rows * context.map_cols)] = shape.quantization_map  # type: ignore[operator,assignment]
        return cls(
            round(told["n_samples"]),
            round(told["n_features"]),
            float(told["mqe_of_mean"]),
            *_shape(shape, sizes),
            by_numbers=True,
        )

    def told_by(self, name: str) -> str:
        """Name what told one of its numbers, for a message."""
        return f"context.{name}" if self.by_numbers else "data"

    def sampled(self, rows: int) -> Self:
        """Give what would be known of a random sample of its rows; of more, their number alone."""
        if rows > self.n_samples:
            return replace(self, n_samples=rows, geometry=None, codebooks=())
        known = tuple(
            (size, error * (1 - size / rows) / (1 - size / self.n_samples))
            for size, error in self.codebooks
            if size < rows
        )
        return replace(self, n_samples=rows, codebooks=known)

    def with_features(self, n: int) -> Self:
        """Give a table of as many rows and another number of such features."""
        if n == self.n_features:
            return self
        scale = self.scale * (n / self.n_features) ** 0.5
        return replace(self, n_features=n, scale=scale, geometry=None, codebooks=())

    def context(self, rows: int, cols: int, **plan: Any) -> RunContext:
        """Give what is known of a run with a map of so many neurons.

        Raises:
            InvalidSearch: a number that no run can have.
        """
        shape = self.geometry
        if shape is not None and self.codebooks:
            error = self.error_of_codebook(rows * cols)
            shape = shape.model_copy(update={"quantization_map": error})
        try:
            return RunContext(
                map_rows=rows,
                map_cols=cols,
                n_samples=self.n_samples,
                n_features=self.n_features,
                mqe_of_mean=self.scale,
                geometry=shape,
                **plan,
            )
        except ValidationError as error:
            raise InvalidSearch(f"No run can have such a plan: {explain(error)}") from None

    def error_of_codebook(self, size: int) -> float:
        """Give the quantization error of so many random rows: between the sizes measured.

        Of the rows outside a codebook the error falls as a power of its size.
        """
        if size >= self.n_samples:
            return 0.0
        sizes = np.array([s for s, _ in self.codebooks], dtype=float)
        outside = np.array([e / (1 - s / self.n_samples) for s, e in self.codebooks])
        at, errors = np.log(sizes), np.log(np.maximum(outside, 1e-12))
        value = float(np.interp(np.log(size), at, errors))
        if size > sizes[-1] and len(sizes) > 1:  # as it fell last
            slope = (errors[-1] - errors[-2]) / (at[-1] - at[-2])
            value += (np.log(size) - at[-1]) * min(slope, 0.0)
        return float(np.exp(value)) * (1 - size / self.n_samples)


def _shape(
    shape: Geometry | None, sizes: dict[int, float]
) -> tuple[Geometry | None, tuple[tuple[int, float], ...]]:
    """Take the codebooks out of a shape, besides those that were measured."""
    if shape is None:
        return None, ()
    known = {size: getattr(shape, f"quantization_{size}") for size in CODEBOOKS} | sizes
    told = sorted((size, error) for size, error in known.items() if error)  # 0: all rows are in it
    return shape.model_copy(update={"quantization_map": None}), tuple(told)
