"""Oracle: a loaded model that turns a history into a forecast.

The same few steps for one history, for a thousand and for a run that is followed:
features -> network -> conformal correction -> joint draws -> `Forecast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from oracle.artifact import Artifact, read_artifact, resolve
from oracle.calibration import KNOTS, Calibration, seed_of, shown
from oracle.errors import ArtifactIncompatible, must_be
from oracle.features import (
    Array,
    Columns,
    Float32,
    anchor,
    columns_of,
    decode,
    encode_columns,
    far_enough,
    thin,
)
from oracle.quality import QualityCalibration
from oracle.quantiles import between, quantiles_of
from oracle.runtime import open_artifact
from oracle.support import Support
from oracle.types import (
    LEVELS,
    QUALITY_WEIGHTS,
    TARGETS,
    Forecast,
    History,
    ModelInfo,
    QualityForecast,
    RunContext,
    Scale,
)

#: Share of outcomes that the outer levels should hold.
COVERAGE = LEVELS[-1] - LEVELS[0]
#: "Worse" means more than this above the best mqe seen.
WORSE = 1.05
_WEIGHTS = np.array(QUALITY_WEIGHTS)


class Oracle:
    """Forecasts how runs will end. Thread-safe; load it once a process.

    Use `Oracle.load()`; the constructor takes an artifact that was already verified.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self.info: ModelInfo = artifact.info
        self._session = open_artifact(artifact)
        self._mean = np.asarray(artifact.manifest.scaling.mean, np.float32)
        self._std = np.asarray(artifact.manifest.scaling.std, np.float32)
        numbers = artifact.calibration
        try:
            self._calibration = Calibration.from_json(numbers["calibration"])
            self._quality = QualityCalibration.from_json(numbers["quality"])
            self._support = Support.from_json(numbers["support"])
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactIncompatible(
                must_be("calibration.json", "as this version writes it", str(error), "Train again.")
            ) from error

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Load and verify a model folder.

        Args:
            path: a model folder. None: the one that ORACLE_MODEL names, else the activated one,
                else the shipped default.

        Raises:
            ArtifactNotFound: nothing is there.
            ArtifactCorrupt: a file is missing or altered, or the golden self-test fails.
            ArtifactIncompatible: made for another version.
        """
        return cls(read_artifact(resolve(path)))

    def __repr__(self) -> str:
        return f"Oracle({self.info.name!r}, version={self.info.version!r})"

    def forecast(self, history: History) -> Forecast:
        """Forecast the three final values of one run from its checkpoints so far."""
        columns = columns_of([thin(history)])
        rows = encode_columns(columns)
        quantiles = self._session.run(self._scale(rows), columns.length.astype(np.int32))
        return self._forecast(history, columns, 0, rows[0], quantiles[0])

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast many runs at once: the same answers as one by one, several times faster."""
        if not histories:
            return []
        columns = columns_of([thin(history) for history in histories])
        rows = encode_columns(columns)
        real = [rows[i, :n] for i, n in enumerate(columns.length)]
        quantiles = self._session.run_many([self._scale(r) for r in real])
        return [
            self._forecast(history, columns, i, real[i], quantiles[i])
            for i, history in enumerate(histories)
        ]

    def follow(
        self,
        context: RunContext | None = None,
        *,
        total_epochs: float | None = None,
        run_id: str | None = None,
        dataset: str | None = None,
        population: str | None = None,
    ) -> Follower:
        """Follow one run whose checkpoints come one by one.

        Args:
            context: what is known before the run starts.
            total_epochs: the budget, in the unit of the epochs that will be reported.
            run_id, dataset, population: names, see `History`.
        """
        return Follower(
            self,
            {
                "context": context or RunContext(),
                "total_epochs": total_epochs,
                "run_id": run_id,
                "dataset": dataset,
                "population": population,
            },
        )

    def _scale(self, rows: Float32) -> Float32:
        scaled: Float32 = rows - self._mean
        scaled /= self._std
        np.minimum(scaled, 8.0, out=scaled)
        return np.maximum(scaled, -8.0, out=scaled)

    def _forecast(
        self, history: History, columns: Columns, i: int, rows: Float32, quantiles: Float32
    ) -> Forecast:
        """Turn the network's answer for run `i` of `columns` into a forecast."""
        values, floor = anchor(columns, i)
        progress = history.progress
        changes = self._calibration.knots(quantiles.astype(np.float64), progress)
        knots = decode(changes, values, floor)
        seed = seed_of(np.array([history.epochs, history.mqe]).tobytes())
        draws = decode(self._calibration.draws(changes, seed), values, floor).T
        final = shown(knots).tolist()
        scale = history.context.mqe_of_mean
        draws, score = self._quality.adjust(draws, scale or 1.0, progress)
        # P(final mqe <= WORSE * best), read off the calibrated quantiles.
        not_worse = between(WORSE * min(history.mqe), knots[0].tolist(), KNOTS)
        forecast = Forecast(
            run_id=history.run_id,
            progress=progress,
            n_checkpoints=len(history),
            model=self.info,
            final={target: tuple(values) for target, values in zip(TARGETS, final, strict=True)},
            quality=_quality(draws, score, scale),
            coverage=COVERAGE,
            support=self._support.score(rows, history),
            will_worsen=1 - not_worse,
            mqe_of_mean=scale,
        )
        return forecast.with_draws(draws)


class Follower:
    """One run followed checkpoint by checkpoint: each forecast costs one step of the network.

    Forecasts equal those of `Oracle.forecast` on the history so far. A bidirectional trunk has no
    state to keep, so it reads the whole history again each time.
    """

    def __init__(self, oracle: Oracle, fixed: dict[str, object]) -> None:
        self._oracle, self._fixed = oracle, fixed
        session = oracle._session
        self._state: Float32 | None = session.start() if session.streams else None
        self._last_kept: float | None = None
        self.history: History | None = None

    def update(
        self,
        epoch: float,
        *,
        mqe: float,
        topographic_error: float | None,
        dead_neuron_ratio: float | None,
        learning_rate: float | None = None,
        radius: float | None = None,
    ) -> Forecast:
        """Add one checkpoint and forecast.

        Raises:
            InvalidHistory: where the checkpoint breaks a rule; the run stays as it was.
        """
        new = {
            "epochs": epoch,
            "mqe": mqe,
            "topographic_error": topographic_error,
            "dead_neuron_ratio": dead_neuron_ratio,
            "learning_rate": learning_rate,
            "radius": radius,
        }
        old = self.history
        columns = {
            name: (*((getattr(old, name) or ()) if old else ()), value)
            for name, value in new.items()
        }
        history = History.parse({**self._fixed, **columns})
        forecast = self._forecast(history)
        self.history = history
        return forecast

    def _forecast(self, history: History) -> Forecast:
        oracle = self._oracle
        if self._state is None:
            return oracle.forecast(history)
        columns = columns_of([thin(history)])
        rows = encode_columns(columns)
        row = oracle._scale(rows[:, -1])
        quantiles, state = oracle._session.step(self._state, row)
        forecast = oracle._forecast(history, columns, 0, rows[0], quantiles[0])
        # A checkpoint that stands too close to the one before is seen only while it is last.
        if self._last_kept is None or far_enough(
            self._last_kept, history.epochs[-1], history.total_epochs
        ):
            self._state, self._last_kept = state, history.epochs[-1]
        return forecast


def _quality(draws: Array, score: Array, scale: float | None) -> tuple[QualityForecast, ...]:
    """The joint quality score's distribution, raw, and relative where the scale is known."""
    scores = {Scale.RAW: score}
    if scale is not None:
        scores = {Scale.RAW: draws @ _WEIGHTS, Scale.RELATIVE: score}
    return tuple(
        QualityForecast(
            scale=name,
            weights=QUALITY_WEIGHTS,
            values=tuple(quantiles_of(drawn, LEVELS).tolist()),
        )
        for name, drawn in scores.items()
    )
