"""Oracle: a loaded model that turns a history into a forecast.

The same few steps for one history and for a thousand:
features -> network -> conformal correction -> joint draws -> `Forecast`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from oracle.errors import ArtifactIncompatible, must_be
from oracle.forecast import self_test
from oracle.forecast.calibration import KNOTS, Calibration, along, rotated, seed_of, shown
from oracle.forecast.quantiles import between, quantiles_of
from oracle.forecast.score_calibration import QualityCalibration
from oracle.forecast.support import Support
from oracle.forks import uncut
from oracle.history.features import Float32, columns_of, decode, encode_columns, last_anchors, thin
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
        self._scaling = artifact.manifest.scaling
        numbers = artifact.calibration
        try:
            self._calibration = Calibration.from_json(numbers["calibration"])
            self._quality = QualityCalibration.from_json(numbers["quality"])
            self._support = Support.from_json(numbers["support"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArtifactIncompatible(
                must_be("calibration.json", "as this version writes it", str(error), "Train again.")
            ) from error
        self_test.check(self.forecast_many, artifact.golden.forecasts)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Load and verify a model folder.

        Args:
            path: a model folder. None: the one that ORACLE_MODEL names, else the activated one,
                else the shipped default.

        Raises:
            ArtifactNotFound: nothing is there.
            ArtifactCorrupt: a file is missing or altered, or the self-test fails.
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
        quantiles = self._session.run(self._scaling.apply(rows), columns.length.astype(np.int32))
        return self._forecasts([history], [thinned], list(rows), quantiles)[0]

    @uncut()
    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast many runs at once: the same answers as one by one, several times faster."""
        if not histories:
            return []
        thinned = [thin(history) for history in histories]
        columns = columns_of(thinned)
        rows = encode_columns(columns)
        scaled = self._scaling.apply(rows)
        quantiles = self._session.run_many([scaled[i, :n] for i, n in enumerate(columns.length)])
        forecasts: list[Forecast] = []
        real = [rows[i, :n] for i, n in enumerate(columns.length)]
        for at in range(0, len(histories), TOGETHER):
            part = slice(at, at + TOGETHER)
            forecasts += self._forecasts(
                histories[part], thinned[part], real[part], quantiles[part]
            )
        return forecasts

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


def _quality(scale: Scale, values: Sequence[float]) -> QualityForecast:
    return QualityForecast(scale=scale, weights=QUALITY_WEIGHTS, values=tuple(values))
