"""Adapt a shipped oracle to one's own runs, and keep it only where it got better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from oracle.evaluation.intervals import clusters_of, interval, mean_of
from oracle.evaluation.scored import QUALITY, SCORES, score_runs
from oracle.evaluation.summary import SHARES
from oracle.forecast.forecaster import Oracle
from oracle.model.artifact import Artifact
from oracle.training.architectures import Architecture
from oracle.training.batches import Settings
from oracle.training.export import models_of
from oracle.training.fit import Fitted, fit
from oracle.types import Run, Scale

#: Fine-tuning is short and careful: the network already knows SOMs.
EPOCHS = 15
LEARNING_RATE = 3e-4
BATCH_SIZE = 32


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
    *,
    resume: bool = False,
    verbose: int = 1,
) -> list[Fitted]:
    """Go on training every seed of an artifact on one's own runs.

    Args:
        artifact: where to begin.
        train, validation: usable runs, see `oracle.history.dataset.usable`.
        folder, name: as for `oracle.training.fit.fit`.
        settings: epochs, batch size, learning rate and seed are used.
        resume: go on where an interrupted call of the same name stopped.
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
                replace(settings, seed=settings.seed + i),
                folder,
                name if len(networks) == 1 else f"{name}_seed{i}",
                spec=Architecture(network),
                resume=resume,
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
    relative = all(run.history.context.mqe_of_mean for run in runs)
    scale = Scale.RELATIVE if relative else Scale.RAW
    scored = score_runs(runs, {"before": before, "after": after}, {}, SHARES)
    at = SCORES.index(QUALITY[scale])
    # A run of which a metric is undefined that others have (a 1x1 map) counts for neither.
    missed = {n: np.abs(v[:, :, at] - scored.true[:, at]) for n, v in scored.predicted.items()}
    prefix, run = np.nonzero(np.isfinite(missed["before"]))
    old, new = missed["before"][prefix, run], missed["after"][prefix, run]
    names = np.array([r.run_id for r in scored.runs])
    held_out = clusters_of(scored.tables[run]) if by == "table" else names[run]
    change = interval(mean_of, np.stack([new - old, np.ones_like(old)], axis=1), held_out)
    return Verdict(float(old.mean()), float(new.mean()), change, len(old), scale)
