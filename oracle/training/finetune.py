"""Adapt a shipped oracle to one's own runs, and keep it only where it got better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oracle.evaluation.intervals import Array, clusters_of, interval, mean_of
from oracle.forecast.forecaster import Oracle
from oracle.history.features import finals_of
from oracle.history.quality_score import lacking, scores_of, weights_of, weights_without
from oracle.model.artifact import Artifact
from oracle.training.architectures import Architecture
from oracle.training.batches import Settings
from oracle.training.export import models_of
from oracle.training.fit import Fitted, fit
from oracle.types import TARGETS, Run, Scale

#: Fine-tuning is short and careful: the network already knows SOMs.
EPOCHS = 15
LEARNING_RATE = 3e-4
BATCH_SIZE = 32
#: Shares of the budget at which the old and the new oracle are compared; 0 is the plan alone.
SHARES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Verdict:
    """Old against new on runs that trained neither.

    Attributes:
        before, after: mean absolute error of the quality score, over SHARES.
        change: 95 % interval of after - before, a bootstrap over what was held out: tables, or
            runs; None of fewer than two.
        prefixes: how many forecasts each mean is over.
        scale: of the score.
    """

    before: float
    after: float
    change: tuple[float, float] | None
    prefixes: int
    scale: Scale

    @property
    def better(self) -> bool:
        """Whether the new one errs less by more than chance: luck must not replace an oracle."""
        return self.change is not None and self.change[1] < 0

    def __str__(self) -> str:
        word = "better" if self.better else "no better than chance allows"
        if self.after >= self.before:
            word = "no better"
        interval = "unknown" if self.change is None else "{:+.4f}..{:+.4f}".format(*self.change)
        return (
            f"On {self.prefixes} held-out prefixes the quality score's mean absolute error was "
            f"{self.before:.4f} and is {self.after:.4f} ({self.scale} scale; "
            f"95 % interval of the change {interval}): {word}."
        )


def finetune(
    artifact: Artifact,
    train: Sequence[Run],
    validation: Sequence[Run],
    folder: Path,
    name: str,
    settings: Settings,
    verbose: int = 1,
) -> list[Fitted]:
    """Go on training every seed of an artifact on one's own runs.

    Args:
        artifact: where to begin.
        train, validation: usable runs, see `oracle.history.dataset.usable`.
        folder, name: as for `oracle.training.fit.fit`.
        settings: epochs, batch size, learning rate and seed are used.
        verbose: Keras' progress bar, 0 = silent.
    """
    fitted = []
    settings = replace(settings, architecture=artifact.manifest.architecture, dropout=0.0)
    networks = artifact.manifest.ensemble.networks
    for i, (network, model) in enumerate(zip(networks, models_of(artifact), strict=True)):
        fitted.append(
            fit(
                train,
                validation,
                replace(
                    settings,
                    architecture=artifact.manifest.architecture,
                    dropout=0.0,
                    seed=settings.seed + i,
                ),
                folder,
                name if len(networks) == 1 else f"{name}_seed{i}",
                spec=Architecture(network),
                start_from=model,
                scaling=artifact.manifest.scaling,
                verbose=verbose,
            )
        )
    return fitted


def compare(before: Oracle, after: Oracle, runs: Sequence[Run], by: str = "table") -> Verdict:
    """Score two oracles on the same prefixes of held-out runs.

    Args:
        before, after: the old one and the new one.
        runs: that trained neither.
        by: what was held out, "table" or "run": the bootstrap draws these.
    """
    cut = [
        (run, prefix)
        for run in runs
        for share in SHARES
        if run.history.total_epochs and (prefix := run.history.at(share)) is not None
    ]
    relative = all(run.history.context.mqe_of_mean for run, _ in cut)
    scale = Scale.RELATIVE if relative else Scale.RAW
    unit = np.array([run.history.context.mqe_of_mean or 1.0 for run, _ in cut])
    outcome = finals_of([run for run, _ in cut]).T
    counted = weights_without(lacking(outcome))
    weights = weights_of(unit if relative else np.ones_like(unit), counted)
    # A run of which a metric is undefined that others have (a 1x1 map) counts for neither.
    truth = scores_of(outcome, weights)
    known = np.isfinite(truth)
    cut = [pair for pair, is_known in zip(cut, known, strict=True) if is_known]
    weights, truth = weights[:, known], truth[known]

    def errors(oracle: Oracle) -> Array:
        forecasts = oracle.forecast_many([prefix for _, prefix in cut])
        median = np.array([[f.median(target) for target in TARGETS] for f in forecasts])
        return np.asarray(np.abs(scores_of(median.T, weights) - truth))

    old, new = errors(before), errors(after)
    tables = np.array([run.dataset for run, _ in cut])
    held_out = clusters_of(tables) if by == "table" else np.array([run.run_id for run, _ in cut])
    change = interval(mean_of, np.stack([new - old, np.ones_like(old)], axis=1), held_out)
    return Verdict(float(old.mean()), float(new.mean()), change, len(cut), scale)
