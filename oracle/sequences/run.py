"""What `oracle sequences run` does: one series, one network, as a file sets it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences import numpy_training
from oracle.sequences.config import Config, Data
from oracle.sequences.config import Logging as LoggingSection
from oracle.sequences.csv_series import read_series
from oracle.sequences.forecasting import Evaluation, Forecaster, Task, evaluate
from oracle.sequences.numpy_lstm import NumpyLstm
from oracle.sequences.oscillator import oscillator
from oracle.sequences.series import Array, Series, seasonal, sine, with_spikes
from oracle.sequences.states import Recurrent, layers_of

logger = logging.getLogger("oracle.sequences")

#: Points of a generated series where the file does not say, and of one sine.
POINTS, POINTS_A_SINE = 1000, 200
NUMPY_UNITS = 32

Told = Callable[[int, float, float], None]


@dataclass(frozen=True)
class Fitted:
    """What training gives, by NumPy or Keras: `Result` says what each is."""

    forecaster: Forecaster
    model: Any
    layers: Callable[[], list[Recurrent]]
    train: list[float]
    test: list[float]
    corrected: Array | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Result:
    """One finished run.

    Attributes:
        config: as it was used.
        task: the series and its windows.
        evaluation: of the test windows.
        train_losses, test_losses: of the scaled series, by epoch.
        forecaster: the trained network, in the series' own units.
        model: NumpyLstm or Keras model.
        layers: gives its recurrent layers, for `oracle.sequences.states`; an InvalidSeries where it
            has none.
        seconds: of training.
        corrected: [time, feature] the series as training left it, None where it was not asked to
            correct it, or the correction was called off.
        remarks: what went otherwise than the file says.
    """

    config: Config
    task: Task
    evaluation: Evaluation
    train_losses: list[float]
    test_losses: list[float]
    forecaster: Forecaster
    model: Any
    layers: Callable[[], list[Recurrent]]
    seconds: float
    corrected: Array | None = None
    remarks: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Figures for `--output` and `--json`."""
        series, evaluation = self.task.series, self.evaluation
        return {
            "config": self.config.model_dump(mode="json"),
            "series": {"name": series.name, "points": len(series), "features": series.features},
            "windows": {"train": len(self.task.split.train), "test": len(self.task.split.test)},
            "train_loss": self.train_losses[-1],
            "test_loss": self.test_losses[-1],
            "train_losses": self.train_losses,
            "test_losses": self.test_losses,
            "scores": {name: score._asdict() for name, score in evaluation.scores.items()},
            "coverage_90": evaluation.coverage,
            "pinball": evaluation.pinball,
            "least_mse": series.least_mse,
            "least_mae": series.least_mae,
            "seconds": round(self.seconds, 2),
            "correction": self._correction(),
            "remarks": self.remarks,
        }

    def _correction(self) -> dict[str, float | None] | None:
        """How far the series moved, and how far off it is from the clean one, RMSE."""
        if self.corrected is None:
            return None
        series, moved = self.task.series, self.corrected[:, 0]
        part = self.task.movable
        clean = None if series.clean is None else series.clean[part]
        return {
            "moved_rmse": _rmse(moved[part], series.target[part]),
            "recorded_to_clean_rmse": None if clean is None else _rmse(series.target[part], clean),
            "corrected_to_clean_rmse": None if clean is None else _rmse(moved[part], clean),
        }

    def text(self) -> str:
        """For people."""
        series, split = self.task.series, self.task.split
        loss = "pinball loss" if self.config.model.quantiles else "mean squared error"
        lines = [
            f"{series.name}: {len(series)} points, {len(split.train)} training and "
            f"{len(split.test)} test windows of {split.test.length} in, {split.test.horizon} out",
            f"Training loss {self.train_losses[-1]:.6f}, test loss {self.test_losses[-1]:.6f} "
            f"({loss} of the scaled series), {self.seconds:.1f} s",
            f"  {'on the test windows':24}{'MSE':>12}{'RMSE':>12}{'MAE':>12}{'R2':>9}",
        ]
        for name, s in self.evaluation.scores.items():
            lines.append(f"  {name:24}{s.mse:12.5g}{s.rmse:12.5g}{s.mae:12.5g}{s.r2:9.4f}")
        if series.noise is not None:
            lines.append(
                f"  {'the noise alone':24}{series.noise**2:12.5g}{series.noise:12.5g}"
                f"{series.least_mae:12.5g}"
            )
        if self.evaluation.coverage is not None:
            lines.append(f"The 90 % interval holds {self.evaluation.coverage:.1%} of the outcomes.")
        if (found := self._correction()) is not None:
            lines.append(f"The correction moved the series by {found['moved_rmse']:.4g} (RMSE)")
            if found["corrected_to_clean_rmse"] is not None:
                lines[-1] += (
                    f"; from the clean one it is {found['corrected_to_clean_rmse']:.4g} off, "
                    f"as recorded {found['recorded_to_clean_rmse']:.4g}"
                )
            lines[-1] += "."
        lines.extend(self.remarks)
        return "\n".join(lines)


def run(config: Config, told: Told = lambda epoch, train, test: None) -> Result:
    """Make or read the series, train, score.

    Args:
        config: see `oracle.sequences.config`.
        told: called after each epoch with its number from 1, training and test loss.

    Raises:
        InvalidSeries, DatasetError: what the file asks for cannot be done.
    """
    task = task_of(config.data)
    _check_dims(config, task)
    with log_to(config.logging):
        logger.info("%s, %d points, seed %d", task.series.name, len(task.series),
                    config.data.random_seed)  # fmt: skip

        def logged(epoch: int, train: float, test: float) -> None:
            logger.info("epoch %d: training loss %.6f, test loss %.6f", epoch, train, test)
            told(epoch, train, test)

        began = time.perf_counter()
        if config.model.architecture == "numpy":
            fitted = _fit_numpy(config, task, logged)
        else:
            from oracle.sequences.keras_run import fit_keras  # TensorFlow takes seconds to load

            fitted = fit_keras(config, task, logged)
        seconds = time.perf_counter() - began
        made = evaluate(task, fitted.forecaster)
        logger.info("test: %s", made.scores["model"])
        for remark in fitted.remarks:
            logger.warning(remark)
    return Result(
        config,
        task,
        made,
        fitted.train,
        fitted.test,
        fitted.forecaster,
        fitted.model,
        fitted.layers,
        seconds,
        fitted.corrected,
        fitted.remarks,
    )


def task_of(data: Data) -> Task:
    """The series that a file asks for, cut, split and scaled."""
    share = data.train_share
    if data.n_train is not None and data.n_test is not None:
        # Between the parts stand horizon - 1 windows that neither has, see `windows.split`.
        total = data.n_train + data.n_test + data.horizon - 1
        points, share = total + data.sequence_length + data.horizon - 1, data.n_train / total
    else:
        points = data.points or POINTS
    return Task.of(
        _series(data, points),
        data.sequence_length,
        data.horizon,
        share=share,
        order=data.split,
        scale=data.scale,
        centre=data.centre,
        seed=data.random_seed,
    )


def _series(data: Data, points: int) -> Series:
    seed = data.random_seed
    if data.series == "csv":
        series = read_series(
            data.file or "",
            data.column,
            time_column=data.time_column,
            inputs=data.inputs,
            period=data.period,
        )
    elif data.series == "sine":
        noise = 0.05 if data.noise_std is None else data.noise_std
        series = sine(points, data.periods or points / POINTS_A_SINE, noise, seed)
    elif data.series == "seasonal":
        series = seasonal(points, 1.0 if data.noise_std is None else data.noise_std, seed)
    else:
        if data.noise_std:
            rule = "left out or 0 with data.series: oscillator"
            raise InvalidSeries(must_be("data.noise_std", rule, data.noise_std))
        series = oscillator(points)
    return with_spikes(series, data.spikes, seed=seed + 1) if data.spikes else series


def _check_dims(config: Config, task: Task) -> None:
    """Refuse sizes that the series contradicts, rather than change them silently."""
    features, horizon = task.series.values.shape[1], config.data.horizon
    for name, given, needed, why in (
        ("input_dim", config.model.input_dim, features, "features of the series"),
        ("output_dim", config.model.output_dim, horizon, "data.horizon"),
    ):
        if given is not None and given != needed:
            raise InvalidSeries(must_be(f"model.{name}", f"{needed} ({why})", given))


def _rmse(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean((a - b) ** 2)))


def _fit_numpy(config: Config, task: Task, told: Told) -> Fitted:
    part, seed = task.split, config.data.random_seed
    units = config.model.hidden_dim or NUMPY_UNITS
    model = NumpyLstm(task.series.values.shape[1], units, config.data.horizon, seed)
    losses = numpy_training.fit(
        model,
        task.inputs(part.train.x),
        task.targets(part.train),
        task.inputs(part.test.x),
        task.targets(part.test),
        epochs=config.training.epochs,
        learning_rate=config.training.learning_rate,
        batch_size=config.training.batch_size,
        optimizer=config.training.optimizer,
        clip_norm=config.training.clip_norm,
        seed=seed,
        told=told,
    )
    forecaster = task.forecaster(lambda x: numpy_training.predict(model, x))
    return Fitted(forecaster, model, lambda: layers_of(model), losses.train, losses.test)


@contextmanager
def log_to(section: LoggingSection) -> Iterator[None]:
    """Write what is logged meanwhile to the section's rotating file, if it names one."""
    if section.file is None:
        yield
        return
    path = Path(section.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        path, maxBytes=section.max_bytes, backupCount=section.backups, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(section.level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()
