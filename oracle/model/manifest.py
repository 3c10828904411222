"""What the JSON files of a model folder hold: manifest.json and golden.json.

The folder itself is `oracle.model.artifact`'s; docs/model.md is the format's reference.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, JsonValue, model_validator

from oracle.errors import must_be
from oracle.forks import cached_property
from oracle.history.targets import OUTPUT_NAMES
from oracle.model.network import Ensemble
from oracle.types import HEAD_LEVELS, Finite, Frozen, History, Name

Float32 = npt.NDArray[np.float32]

#: Version of the folder's layout: 1 held ONNX files, 2 holds the weights alone.
FORMAT = 2

#: Names of artifacts: no path, nothing hidden.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}(\.[A-Za-z0-9_-]{1,40}){0,4}$"


#: Scaled features beyond this say no more than "far away".
CLIP = 8.0


class Scaling(Frozen):
    """Mean and standard deviation of each feature: training, service and evaluation scale by it.

    Bounds keep any numbers from becoming 0 or infinite in float32.
    """

    mean: tuple[Annotated[Finite, Field(ge=-1e3, le=1e3)], ...]
    std: tuple[Annotated[Finite, Field(ge=1e-3, le=1e3)], ...]

    def apply(self, rows: Float32) -> Float32:
        """Standardise [..., feature], clipped to +-CLIP."""
        mean, std = self._arrays
        scaled: Float32 = rows - mean
        scaled /= std
        return scaled.clip(-CLIP, CLIP, out=scaled)

    @cached_property
    def _arrays(self) -> tuple[Float32, Float32]:
        return np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)


class FileEntry(Frozen):
    """Size and digest of one file."""

    size_bytes: Annotated[int, Field(strict=True, ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Frozen):
    """What a model is.

    Attributes:
        format: version of the folder's layout.
        name, version: of the model; the folder may be called otherwise.
        created: when, ISO 8601, UTC.
        architecture: key of `oracle.training.architectures.ARCHITECTURES`, for people.
        ensemble: shape of the networks inside.
        features_version, features: what the network is fed; see `oracle.history.features`.
        targets, levels: what it answers.
        scaling: applied to the features before the network.
        training: facts on data, settings and results, free form.
        files: every other file; filled in by `write_artifact`.
    """

    format: Literal[2] = 2
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,39}$")]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    architecture: Name
    ensemble: Ensemble
    features_version: Annotated[int, Field(strict=True, ge=1)]
    features: tuple[Name, ...]
    targets: tuple[Name, ...] = OUTPUT_NAMES
    levels: tuple[Finite, ...] = HEAD_LEVELS
    scaling: Scaling
    training: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[str, FileEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        ensemble = self.ensemble
        for field, got, want in (
            ("features", len(self.features), ensemble.n_features),
            ("scaling.mean", len(self.scaling.mean), ensemble.n_features),
            ("scaling.std", len(self.scaling.std), ensemble.n_features),
            ("targets", len(self.targets), ensemble.n_targets),
            ("levels", len(self.levels), ensemble.n_levels),
        ):
            if got != want:
                raise ValueError(must_be(field, f"{want} long, as the ensemble is", got))
        return self


class GoldenForecast(Frozen):
    """A history and what was forecast for it: the self-test of everything behind the networks.

    Attributes:
        history: as a user may send it.
        final: target -> quantiles.
        quality: quantiles of the score, each scale that the history allows.
        support, will_worsen: as in `Forecast`.
    """

    history: History
    final: dict[Name, tuple[Finite, ...]]
    quality: tuple[tuple[Finite, ...], ...]
    support: Finite
    will_worsen: Finite


class Golden(Frozen):
    """Inputs and answers: what a model that is loaded must answer on this machine too.

    Attributes:
        sequence: [case][time][feature], scaled, not padded.
        quantiles: [case][target][level] Keras' answers in change space.
        forecasts: whole forecasts; none in a model that is not yet written.
    """

    sequence: tuple[tuple[tuple[Finite, ...], ...], ...] = Field(min_length=1, max_length=64)
    quantiles: tuple[tuple[tuple[Finite, ...], ...], ...]
    forecasts: tuple[GoldenForecast, ...] = Field(default=(), max_length=8)
