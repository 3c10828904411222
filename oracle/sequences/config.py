"""The YAML file that sets a run of the workbench: logging, data, model, training.

A file of four short sections is enough; every key has a default, an unknown key or a wrong type
is an error that names it. RANDOM_SEED in the environment overrides `data.random_seed`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from oracle.errors import InvalidSeries, OracleError, must_be
from oracle.sequences.numpy_lstm import MAX_DIM
from oracle.sequences.windows import HORIZONS, Order, Scale
from oracle.training.correction import Kind
from oracle.types import Frozen, explain

SEED_VARIABLE = "RANDOM_SEED"
MAX_BYTES = 1_000_000

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(Frozen):
    """A part of the file: known keys only, and a text is no number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Logging(Section):
    """Where a run logs to.

    Attributes:
        level: least severe level that is written.
        file: rotating log file, None for none.
        max_bytes: size at which it is put aside.
        backups: files put aside that are kept.
    """

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    file: str | None = None
    max_bytes: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 1_000_000
    backups: Annotated[int, Field(ge=1, le=100)] = 3


class Data(Section):
    """The series and its windows.

    Attributes:
        series: a generator, or csv with `file`.
        n_train, n_test: windows in each part, of a series made just long enough; or else
        points: length of the generated series, of whose windows
        train_share: trains.
        sequence_length: steps in.
        horizon: steps out.
        random_seed: of noise, weights and order.
        noise_std: of the generated noise.
        periods: whole sines in the series.
        spikes: share of the points that get a spike.
        file, column, time_column, inputs: see `oracle.sequences.csv_series.read_series`.
        period: steps of a season of the file's series, for the seasonal naive forecast.
        split: chronological, or shuffled as the lecture has it.
        scale: fitted on the training part alone.
        centre: whether each window is forecast from its own mean, so that a trend leads to
            nothing that training has not seen.
    """

    series: Literal["sine", "seasonal", "oscillator", "csv"] = "sine"
    n_train: Count | None = None
    n_test: Count | None = None
    points: Count | None = None
    train_share: Share = 0.8
    sequence_length: Annotated[int, Field(ge=1, le=10_000)] = 20
    horizon: Annotated[int, Field(ge=HORIZONS[0], le=HORIZONS[1])] = 1
    random_seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    noise_std: NonNegative | None = None
    periods: Positive | None = None
    spikes: Annotated[float, Field(ge=0, le=1)] = 0.0
    file: str | None = None
    column: str | None = None
    time_column: str | None = None
    inputs: list[str] = Field(default_factory=list)
    period: Annotated[int, Field(ge=2)] | None = None
    split: Order = "chronological"
    scale: Scale = "standard"
    centre: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        ours = {"file": self.file, "column": self.column, "time_column": self.time_column,
                "inputs": self.inputs or None, "period": self.period}  # fmt: skip
        made = {"points": self.points, "noise_std": self.noise_std, "periods": self.periods,
                "n_train": self.n_train, "n_test": self.n_test}  # fmt: skip
        if self.series == "csv" and self.file is None:
            raise ValueError(must_be("data.file", "the path of a CSV file", None))
        for name, value in (made if self.series == "csv" else ours).items():
            if value is not None:
                rule = f"left out with data.series: {self.series}"
                raise ValueError(must_be(f"data.{name}", rule, value))
        if self.periods is not None and self.series != "sine":
            rule = "left out with every series but sine"
            raise ValueError(must_be("data.periods", rule, self.periods))
        if (self.n_train is None) != (self.n_test is None):
            given, lacks = ("n_test", "n_train") if self.n_train is None else ("n_train", "n_test")
            raise ValueError(must_be(f"data.{lacks}", f"given where {given} is", None))
        if self.n_train is not None and self.points is not None:
            raise ValueError(must_be("data.points", "left out where n_train is given", self.points))
        return self


class Model(Section):
    """The network.

    Attributes:
        architecture: numpy, the LSTM written in NumPy alone, or one of the Keras registry.
        input_dim: features a step, None = those of the series.
        hidden_dim: units of each recurrent layer, None = the architecture's own (numpy: 32).
        output_dim: values forecast, None = the horizon.
        layers: recurrent layers, None = the architecture's own; numpy has one.
        dropout: rate after each recurrent layer, None = none.
        quantiles: whether to forecast the oracle's nine quantiles by its own head, not the mean.
    """

    architecture: str = "numpy"
    input_dim: Annotated[int, Field(ge=1, le=MAX_DIM)] | None = None
    hidden_dim: Annotated[int, Field(ge=1, le=1024)] | None = None
    output_dim: Annotated[int, Field(ge=1, le=HORIZONS[1])] | None = None
    layers: Annotated[int, Field(ge=1, le=8)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    quantiles: bool = False

    @model_validator(mode="after")
    def _numpy_has_one_layer(self) -> Self:
        if self.architecture == "numpy":
            for name, value in (("dropout", self.dropout), ("quantiles", self.quantiles or None)):
                if value is not None:
                    raise ValueError(must_be(f"model.{name}", "left out with numpy", value))
            if self.layers not in (None, 1):
                raise ValueError(must_be("model.layers", "1 with numpy", self.layers))
        return self


class Correction(Section):
    """How the inputs are corrected while training; see `oracle.training.correction`.

    Attributes:
        kind: what the gradient goes through.
        correction_rate: of a step, in units of the scaled series.
        epoch_threshold: epochs before the first correction; None is 45, or nine tenths of fewer
            than 50.
        moving_avg_decay: of the moving average of squared gradients.
    """

    kind: Kind = "raw"
    correction_rate: Positive = 0.001
    epoch_threshold: Annotated[int, Field(ge=0)] | None = None
    moving_avg_decay: Annotated[float, Field(ge=0, lt=1)] = 0.9


class Training(Section):
    """How the network is fitted.

    Attributes:
        epochs: passes over the training windows.
        learning_rate: at the start.
        batch_size: windows a step.
        optimizer: adam or sgd.
        clip_norm: longest gradient.
        correction: None leaves the data alone; Keras architectures only.
    """

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.005
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 32
    optimizer: Literal["adam", "sgd"] = "adam"
    clip_norm: Positive = 1.0
    correction: Correction | None = None


class Config(Section):
    """A whole file."""

    logging: Logging = Logging()
    data: Data = Data()
    model: Model = Model()
    training: Training = Training()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.training.correction is not None and self.model.architecture == "numpy":
            rule = "left out with model.architecture: numpy"
            raise ValueError(must_be("training.correction", rule, self.training.correction.kind))
        if self.training.correction is not None and self.data.split != "chronological":
            rule = "chronological with training.correction, or test windows would be corrected"
            raise ValueError(must_be("data.split", rule, self.data.split))
        return self


def read_config(path: str | Path) -> Config:
    """Read a YAML file; RANDOM_SEED overrides its seed.

    Raises:
        InvalidSeries: no such file, no YAML, an unknown key or a wrong type; names the key.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidSeries(must_be("config", "an existing YAML file", str(path)))
    if path.stat().st_size > MAX_BYTES:
        raise InvalidSeries(must_be("config", f"{MAX_BYTES:,} bytes at most", path.stat().st_size))
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = yaml.load(text, _Loader)  # a SafeLoader: plain data, no objects
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSeries(f"{path}: must be valid YAML, but: {error}.") from None
    if value is None:
        value = {}
    if not isinstance(value, dict):
        rule = "sections with keys: logging, data, model, training"
        raise InvalidSeries(f"{path}: {must_be('config', rule, value)}")
    # A section that is named and left empty has its defaults.
    value = {name: {} if section is None else section for name, section in value.items()}
    try:
        return with_seed(Config.model_validate(value))
    except ValidationError as error:
        raise InvalidSeries(f"{path}: {explain(error)}") from None


def with_seed(config: Config) -> Config:
    """Let RANDOM_SEED, where it is set, override the seed."""
    text = os.environ.get(SEED_VARIABLE, "").strip()
    if not text:
        return config
    if not re.fullmatch(r"\d{1,10}", text) or int(text) >= 2**32:
        raise OracleError(must_be(SEED_VARIABLE, "a whole number below 2^32", text))
    data = config.data.model_copy(update={"random_seed": int(text)})
    return config.model_copy(update={"data": data})


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML as people write it: 5e-3 is a number, and no key stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse the second of two equal keys, which YAML would let win silently."""
        seen: set[str] = set()
        for key, _ in node.value:
            problem = None
            if not isinstance(key, yaml.ScalarNode):
                problem = "a key is no plain text"
            elif key.value in seen:
                problem = f"the key {key.value!r} stands twice"
            if problem is not None:
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
        made: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return made


# YAML 1.1, which PyYAML reads, takes 5e-3 for a text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)
