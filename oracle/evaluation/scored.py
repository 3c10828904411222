"""Forecasts held against how runs ended: the one place where an oracle is judged.

Every run is cut at the same progress for everybody who forecasts it. What comes of it is told in
full by `oracle.evaluation.accuracy`, in short by `oracle.evaluation.summary`, and as a verdict on
two oracles by `oracle.training.finetune`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from oracle.evaluation.baselines import Baseline
from oracle.evaluation.intervals import Array, Names
from oracle.evaluation.recorded_runs import Forecaster
from oracle.history.quality_score import (
    Weights,
    lacking,
    scores_of,
    weights_of,
    weights_without,
)
from oracle.history.targets import finals_of
from oracle.types import QUALITY_WEIGHTS, TARGETS, Forecast, Run, Scale

Bools = npt.NDArray[np.bool_]

#: What is scored: the targets, mqe and the quality score also where tables compare.
SCORES = (*TARGETS, "relative_mqe", "quality_raw", "quality_relative")
#: The quality score on each scale.
QUALITY = {Scale.RAW: "quality_raw", Scale.RELATIVE: "quality_relative"}


@dataclass(frozen=True)
class Scored:
    """Forecasts of every run at every prefix, by everybody.

    Attributes:
        runs: [run], usable and with known finals or NaN.
        progress: [prefix] nominal.
        true: [run, score] outcomes.
        predicted: forecaster -> [prefix, run, score] medians.
        pit: [prefix, run, score] randomised probability integral transform of the first forecaster.
        support: [prefix, run] of its forecasts, NaN where there is none.
        without: metrics that no run has: the quality score does without.
        excluded: why runs were left out -> how many.
    """

    runs: list[Run]
    progress: tuple[float, ...]
    true: Array
    predicted: dict[str, Array]
    pit: Array
    support: Array
    without: tuple[str, ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def tables(self) -> Names:
        """[run] table names."""
        return np.array([run.dataset for run in self.runs])

    @property
    def sources(self) -> Names:
        """[run] source names."""
        return np.array([run.source for run in self.runs])


def score_runs(
    runs: Sequence[Run],
    forecasters: Mapping[str, Forecaster],
    baselines: Mapping[str, Baseline],
    progress: Sequence[float],
    seed: int = 0,
) -> Scored:
    """Forecast every run at every prefix, and score what came and what was forecast.

    A forecast is NaN where nothing of the run is known at that share of its budget.

    Args:
        runs: recorded to their end.
        forecasters: by name.
        baselines: fitted on other runs, by name.
        progress: shares of the run to show, 0..1.
        seed: of the randomised transform.
    """
    scales = np.array([run.history.context.mqe_of_mean or np.nan for run in runs], np.float64)
    finals = finals_of(runs)
    without = lacking(finals.T)
    weights = weights_without(without)
    true = with_scores(finals, scales, weights)
    rng = np.random.default_rng(seed)
    names = [*forecasters, *baselines]
    predicted = {n: np.full((len(progress), *true.shape), np.nan) for n in names}
    pit = np.full((len(progress), *true.shape), np.nan)
    support = np.full((len(progress), len(runs)), np.nan)
    for p, share in enumerate(progress):
        cut = [run.history.at(share) if run.history.total_epochs else None for run in runs]
        known = [i for i, history in enumerate(cut) if history is not None]
        prefixes = [history for history in cut if history is not None]
        if not prefixes:
            continue
        for name, forecaster in forecasters.items():
            for i, forecast in zip(known, forecaster.forecast_many(prefixes), strict=True):
                predicted[name][p, i] = _medians(forecast, scales[i], weights)
                if name == names[0]:
                    support[p, i] = forecast.support
                    pit[p, i] = _transform(forecast, true[i], scales[i], weights, rng)
        for name, baseline in baselines.items():
            values = baseline.predict(prefixes)
            predicted[name][p, known] = with_scores(values, scales[known], weights)
    return Scored(list(runs), tuple(progress), true, predicted, pit, support, without)


def with_scores(values: Array, scales: Array, weights: Weights = QUALITY_WEIGHTS) -> Array:
    """[..., 3] raw values and their scales [...] -> [..., score], after SCORES."""
    first = np.moveaxis(values, -1, 0)
    relative = values[..., 0] / scales
    raw = scores_of(first, weights_of(1.0, weights))
    quality = scores_of(first, weights_of(scales, weights))
    return np.concatenate([values, np.stack([relative, raw, quality], axis=-1)], axis=-1)


def _medians(forecast: Forecast, scale: float, weights: Weights) -> Array:
    """[score] medians; of the joint scores from the draws where there are any."""
    medians = np.array([forecast.median(t) for t in TARGETS])
    values = with_scores(medians, np.array(scale), weights)
    if forecast.draws is not None:
        joint = with_scores(forecast.draws, np.full(len(forecast.draws), scale), weights)
        values[-2:] = np.median(joint[:, -2:], axis=0)
    return values


def _transform(
    forecast: Forecast, true: Array, scale: float, weights: Weights, rng: np.random.Generator
) -> Array:
    """[score] the transform of a forecast, NaN without draws."""
    if forecast.draws is None:
        return np.full(len(SCORES), np.nan)
    scales = np.full(len(forecast.draws), scale)
    return transform(with_scores(forecast.draws, scales, weights), true, rng)


def transform(drawn: Array, true: Array, rng: np.random.Generator) -> Array:
    """Randomised probability integral transform: uniform for an honest forecast.

    Where draws tie with the outcome (a ratio that has already settled) the transform is drawn
    uniformly over the tie (Czado, Gneiting & Held, Biometrics 65, 2009).

    Args:
        drawn: [draw, score] of one forecast.
        true: [score] outcomes; where one is NaN its transform is.
        rng: breaks the ties.
    """
    near = 1e-9 * (1.0 + np.abs(true))
    below = (drawn < true - near).mean(axis=0)
    upto = (drawn <= true + near).mean(axis=0)
    result: Array = below + rng.uniform(size=len(true)) * (upto - below)
    result[~np.isfinite(true)] = np.nan
    return result


def inside(pit: Array, level: float) -> Bools:
    """[value] whether an outcome lies within the central interval, by its transform."""
    return np.asarray(np.abs(pit - 0.5) <= level / 2)
