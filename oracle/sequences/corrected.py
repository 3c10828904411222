"""What data correction is worth: forecasts and series against the clean signal, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.config import Config
from oracle.sequences.run import Told, run
from oracle.sequences.series import Array
from oracle.training.correction import KINDS

#: Series -> its section of the file; periods of 50 points, so that ten windows hold one.
SERIES: dict[str, dict[str, Any]] = {
    "sine": {"series": "sine", "points": 600, "periods": 12.0, "noise_std": 0.1},
    "seasonal": {"series": "seasonal", "points": 600, "centre": True},
    "spikes": {
        "series": "sine", "points": 600, "periods": 12.0, "noise_std": 0.1, "spikes": 0.02,
    },
}  # fmt: skip
#: As the correction's document trains, but for longer windows.
MODEL = {"hidden_dim": 20, "layers": 1, "dropout": 0.2}
EPOCHS = 50
TRAINING = {"epochs": EPOCHS, "learning_rate": 0.01, "batch_size": 32}
LENGTH = 10
RESAMPLES = 2000
ALL = ("none", *KINDS)

#: Series -> kind -> [test RMSE, data RMSE] of each seed.
Rows = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]


def errors(
    architecture: str,
    series: str,
    kind: str,
    seed: int,
    told: Told = lambda epoch, train, test: None,
) -> tuple[float, float]:
    """Train once, with one kind of correction or none.

    Args:
        architecture: of the registry.
        series: a key of SERIES.
        kind: one of ALL.
        seed: of data, first weights and order; kinds share them.
        told: called after each epoch.

    Returns:
        Against the clean signal the RMSE of one-step forecasts of the test part, and of the points
        that may be corrected (with none: as they were recorded).

    Raises:
        InvalidSeries: an unknown series or architecture.
    """
    result = run(config_of(architecture, series, kind, seed), told)
    clean_all = result.task.series.clean
    clean = result.task.series.target if clean_all is None else clean_all
    test, part = result.task.split.test, result.task.movable
    points = result.task.series.target if result.corrected is None else result.corrected[:, 0]
    ahead = clean[test.start + test.length]
    return _rms(result.evaluation.forecast[:, 0] - ahead), _rms((points - clean)[part])


def text(rows: Rows) -> str:
    """For people: medians, and the change from none with its 95 % interval over seeds."""
    lines = [f"{'RMSE to the clean signal':26}{'test':>9}{'change, 95 %':>20}{'data':>9}  seeds"]
    for series, by_kind in rows.items():
        plain = np.array(by_kind["none"])[:, 0]
        for kind, found in by_kind.items():
            test, data = np.array(found).T
            n = min(len(test), len(plain))
            low, high = interval(test[:n] - plain[:n])
            change = "" if kind == "none" else f"{low:+.4f}..{high:+.4f}"
            lines.append(
                f"{series + ', ' + kind:26}{np.median(test):9.4f}{change:>20}"
                f"{np.median(data):9.4f}{len(test):7}"
            )
    return "\n".join(lines)


def interval(differences: Array, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean of differences, one a seed."""
    rng = np.random.default_rng(seed)
    means = rng.choice(differences, (RESAMPLES, len(differences))).mean(axis=1)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def config_of(architecture: str, series: str, kind: str, seed: int) -> Config:
    """The file that one training amounts to.

    Raises:
        InvalidSeries: an unknown series, or an architecture whose inputs cannot be corrected.
    """
    if series not in SERIES:
        raise InvalidSeries(must_be("series", f"one of {', '.join(SERIES)}", series))
    if architecture == "numpy":
        rule = "left out with model.architecture: numpy"
        raise InvalidSeries(must_be("training.correction", rule, kind))
    correction = None if kind == "none" else {"kind": kind}
    return Config.model_validate(
        {
            "data": {**SERIES[series], "sequence_length": LENGTH, "random_seed": seed},
            "model": {"architecture": architecture, **MODEL},
            "training": {**TRAINING, "correction": correction},
        }
    )


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))
