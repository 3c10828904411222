"""Oracle: a loaded model that turns a history into a forecast.

The same few steps for one history, for a thousand and for a run that is followed:
features -> network -> conformal correction -> joint draws -> `Forecast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from oracle.errors import ArtifactIncompatible, must_be
from oracle.forecast.calibration import KNOTS, Calibration, along, rotated, seed_of, shown
from oracle.forecast.quantiles import between, quantiles_of
from oracle.forecast.score_calibration import QualityCalibration
from oracle.forecast.support import Support
from oracle.forks import uncut
from oracle.history.features import (
    Float32,
    columns_of,
    decode,
    encode_columns,
    far_enough,
    last_anchors,
    thin,
)
from oracle.history.quality_score import scores_of, weights_of
from oracle.model.artifact import Artifact, read_artifact, resolve
from oracle.model.runtime import open_artifact
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
#: Runs whose draws are made at once: what they need still fits into a core's cache.
TOGETHER = 16


class Oracle:
    """Forecasts how runs will end. Thread-safe; load it once a process.

    Use `Oracle.load()`; the constructor takes an artifact that was already verified.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.info: ModelInfo = artifact.info
        self.manifest, self.card = artifact.manifest, artifact.card
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

    @uncut()
    def forecast(self, history: History) -> Forecast:
        """Forecast the three final values of one run from its checkpoints so far."""
        thinned = thin(history)
        columns = columns_of([thinned])
        rows = encode_columns(columns)
        quantiles = self._session.run(self._scale(rows), columns.length.astype(np.int32))
        return self._forecasts([history], [thinned], list(rows), quantiles)[0]

    @uncut()
    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast many runs at once: the same answers as one by one, several times faster."""
        if not histories:
            return []
        thinned = [thin(history) for history in histories]
        columns = columns_of(thinned)
        rows = encode_columns(columns)
        scaled = self._scale(rows)
        quantiles = self._session.run_many([scaled[i, :n] for i, n in enumerate(columns.length)])
        forecasts: list[Forecast] = []
        real = [rows[i, :n] for i, n in enumerate(columns.length)]
        for at in range(0, len(histories), TOGETHER):
            part = slice(at, at + TOGETHER)
            forecasts += self._forecasts(
                histories[part], thinned[part], real[part], quantiles[part]
            )
        return forecasts

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

    def _forecasts(
        self,
        histories: Sequence[History],
        thinned: Sequence[History],
        rows: Sequence[Float32],
        quantiles: Float32,
    ) -> list[Forecast]:
        """Turn the network's answers into forecasts.

        Args:
            histories: as they came.
            thinned: what the network saw of them.
            rows: [time, feature] of each, unscaled.
            quantiles: [run, 3, level] the network's, change space.
        """
        values, floor = (a[..., None] for a in last_anchors(thinned))
        progress = along([h.progress for h in histories])
        unit = np.array([h.context.mqe_of_mean or 1.0 for h in histories])
        changes = self._calibration.knots(quantiles.astype(np.float64), progress)
        knots = decode(changes, values, floor)
        draws = decode(self._calibration.draws(changes), values, floor)
        draws, score = self._quality.adjust(draws, unit, progress)
        final = shown(knots).transpose(1, 0, 2).tolist()
        raw = quantiles_of(scores_of(draws, weights_of()), LEVELS).tolist()
        relative = quantiles_of(score, LEVELS).tolist()
        support = self._support.score(rows, histories)
        mqe_knots = knots[0].tolist()
        forecasts = []
        for i, history in enumerate(histories):
            mqe_of_mean = history.context.mqe_of_mean
            quality = [_quality(Scale.RAW, raw[i])]
            if mqe_of_mean is not None:
                quality.append(_quality(Scale.RELATIVE, relative[i]))
            # P(final mqe <= WORSE * best), read off the calibrated quantiles.
            not_worse = between(WORSE * min(history.mqe), mqe_knots[i], KNOTS)
            seed = seed_of(np.array([history.epochs, history.mqe]).tobytes())
            forecast = Forecast(
                run_id=history.run_id,
                progress=history.progress,
                n_checkpoints=len(history),
                model=self.info,
                final=dict(zip(TARGETS, map(tuple, final[i]), strict=True)),
                quality=tuple(quality),
                coverage=COVERAGE,
                support=support[i],
                will_worsen=1 - not_worse,
                mqe_of_mean=mqe_of_mean,
            )
            forecasts.append(forecast.with_draws(rotated(draws[:, i], seed).T))
        return forecasts


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

    @uncut()
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
        thinned = thin(history)
        rows = encode_columns(columns_of([thinned]))
        row = oracle._scale(rows[:, -1])
        quantiles, state = oracle._session.step(self._state, row)
        forecast = oracle._forecasts([history], [thinned], list(rows), quantiles)[0]
        # A checkpoint that stands too close to the one before is seen only while it is last.
        if self._last_kept is None or far_enough(
            self._last_kept, history.epochs[-1], history.total_epochs
        ):
            self._state, self._last_kept = state, history.epochs[-1]
        return forecast


def _quality(scale: Scale, values: Sequence[float]) -> QualityForecast:
    return QualityForecast(scale=scale, weights=QUALITY_WEIGHTS, values=tuple(values))
