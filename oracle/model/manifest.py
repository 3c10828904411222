"""What the JSON files of a model folder hold: manifest.json and golden.json.

The folder itself is `oracle.model.artifact`'s; docs/model.md is the format's reference.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from oracle.errors import must_be
from oracle.model.graph import Network
from oracle.types import HEAD_LEVELS, TARGETS, Finite, Frozen, Name, Positive

#: Version of the folder's layout.
FORMAT = 1

#: Names of artifacts: no path, nothing hidden.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}(\.[A-Za-z0-9_-]{1,40}){0,4}$"


class Scaling(Frozen):
    """Mean and standard deviation of each feature, as JSON numbers."""

    mean: tuple[Finite, ...]
    std: tuple[Positive, ...]


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
        architecture: key of `oracle.training.architectures.ARCHITECTURES`.
        network: shape of the networks inside.
        features_version, features: what the network is fed; see `oracle.history.features`.
        targets, levels: what it answers.
        scaling: applied to the features before the network.
        training: facts on data, settings and results, free form.
        files: every other file; filled in by `write_artifact`.
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,39}$")]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    architecture: Name
    network: Network
    features_version: Annotated[int, Field(strict=True, ge=1)]
    features: tuple[Name, ...]
    targets: tuple[Name, ...] = TARGETS
    levels: tuple[Finite, ...] = HEAD_LEVELS
    scaling: Scaling
    training: dict[str, JsonValue] = Field(default_factory=dict)
    files: dict[str, FileEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        width = self.network.n_features
        for field, got, want in (
            ("features", len(self.features), width),
            ("scaling.mean", len(self.scaling.mean), width),
            ("scaling.std", len(self.scaling.std), width),
            ("targets", len(self.targets), self.network.n_targets),
            ("levels", len(self.levels), self.network.n_levels),
        ):
            if got != want:
                raise ValueError(must_be(field, f"{want} long, as the network is", got))
        return self


class Golden(Frozen):
    """Inputs and Keras' answers: what `runtime.open_artifact` tests the engine with.

    Attributes:
        sequence: [case][time][feature], scaled, not padded.
        quantiles: [case][target][level] in change space.
    """

    sequence: tuple[tuple[tuple[Finite, ...], ...], ...] = Field(min_length=1, max_length=64)
    quantiles: tuple[tuple[tuple[Finite, ...], ...], ...]
