"""Fit the support score: a small network that tells recorded prefixes from corrupted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neural_network import MLPClassifier

from oracle.forecast.knowledge import told_by
from oracle.forecast.support import (
    GROUPS,
    KNOT_LEVELS,
    SUPPORT_VERSION,
    Support,
    describe_each,
    described_rows,
    group_of,
)
from oracle.history.columns import Array, Columns, columns_of
from oracle.history.features import FEATURES_VERSION, Float32, encode_columns
from oracle.training.corruptions import CORRUPTIONS, absurd_sizes, draw_prefixes, with_plan
from oracle.training.hidden import hide_inputs
from oracle.types import Run

#: Fewer calibration histories of a group than this: all groups' stand in.
_ENOUGH = 300
#: Histories encoded at a time.
_CHUNK = 1000

#: Share of the examples that have no checkpoint yet.
_PLANS = 0.05
#: Factor on the rates at which inputs are hidden: every group needs examples.
_HIDDEN_OFTEN = 1.6

_HIDDEN = 64
_BATCH = 512
_EPOCHS = 24
_LEARNING_RATE = 2e-3
_L2 = 0.03
#: Prefixes to fit on, of each class, and prefixes to calibrate on.
_EXAMPLES = 60_000
_CALIBRATION = 24_000
#: At most so many prefixes of one run.
_EXAMPLES_A_RUN = 60
#: Users draw their runs otherwise than the calibration: their answers may lie so much lower.
_MARGIN = 0.4
#: Inputs that hardly vary count as varying this much.
_LEAST_SPREAD = 0.03


def fit_support(
    train: Columns | Sequence[Run], calibrate: Columns | Sequence[Run], seed: int = 0
) -> dict[str, Any]:
    """Fit the score on recorded runs; under a minute of one core for any number of runs.

    Args:
        train: the runs the network was trained on.
        calibrate: runs of tables that it was not trained on.
        seed: of every draw.

    Returns:
        Plain numbers for a JSON file, for `Support.from_json`.
    """
    rng = np.random.default_rng(seed)
    train, calibrate = _columns(train), _columns(calibrate)
    examples = min(_EXAMPLES, _EXAMPLES_A_RUN * len(train))
    real = _draw_real(train, examples, rng)[0]
    fake = _draw_fake(train, examples, rng)
    mean, spread = real.mean(axis=0), np.maximum(real.std(axis=0), _LEAST_SPREAD)
    low, high = real.min(axis=0), real.max(axis=0)
    x = np.concatenate([real, np.clip(fake, low, high)])
    y = np.zeros(len(x), np.float32)
    y[: len(real)] = 1.0
    network = _fit_network((x - mean) / spread, y, rng)
    numbers: dict[str, Any] = {
        "version": SUPPORT_VERSION,
        "features_version": FEATURES_VERSION,
        "mean": _short(mean),
        "spread": _short(spread),
        "low": _short(low),
        "high": _short(high),
        **{name: _short(value) for name, value in network.items()},
        "knots": np.tile(np.arange(len(KNOT_LEVELS) - 1.0), (GROUPS, 1)).tolist(),
    }
    count = min(_CALIBRATION, _EXAMPLES_A_RUN * len(calibrate))
    unseen, groups, told = _draw_real(calibrate, count, rng)
    logits = Support.from_json(numbers).answer(unseen)
    numbers["knots"] = _short(_knots(logits.astype(np.float64), groups, told))
    return numbers


def _columns(runs: Columns | Sequence[Run]) -> Columns:
    return runs if isinstance(runs, Columns) else columns_of([run.history for run in runs])


def _short(values: npt.NDArray[Any]) -> Any:
    """Six significant digits, for a small file."""
    return np.vectorize(lambda v: float(f"{v:.6g}"), otypes=[float])(values).tolist()


def _describe_columns(c: Columns) -> tuple[Float32, list[int], list[int]]:
    """Descriptions, groups, and what each history tells (`oracle.forecast.knowledge.told_by`)."""
    described, groups, told = list[Float32](), list[int](), list[int]()
    for begin in range(0, len(c), _CHUNK):
        part = c.take(np.arange(begin, min(begin + _CHUNK, len(c))))
        longest = int(part.length.max())
        part.step = {k: v[:, :longest] for k, v in part.step.items()}
        part = with_plan(part)
        encoded = [
            described_rows(rows[:length])
            for rows, length in zip(encode_columns(part), part.length, strict=True)
        ]
        described.append(describe_each(encoded))
        groups += map(group_of, encoded)
        told += told_by(np.stack([rows[-1] for rows in encoded]))
    return np.concatenate(described), groups, told


def _draw_real(
    c: Columns, count: int, rng: np.random.Generator
) -> tuple[Float32, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    inputs, groups, told = [], list[int](), list[int]()
    for part, shortest in ((round(count * (1 - _PLANS)), 1), (round(count * _PLANS), 0)):
        prefixes = draw_prefixes(c, part, max(shortest, 1), rng)
        if not shortest:
            prefixes = _plans(prefixes)
        hide_inputs(prefixes, _HIDDEN_OFTEN, rng)
        described, of, tell = _describe_columns(prefixes)
        inputs.append(described)
        groups += of
        told += tell
    return np.concatenate(inputs), np.array(groups), np.array(told)


def _plans(c: Columns) -> Columns:
    """The plans alone, no checkpoint."""
    step = {k: v[:, :0] for k, v in c.step.items()}
    return replace(c, step=step, length=np.zeros(len(c), np.int64))


def _draw_fake(c: Columns, count: int, rng: np.random.Generator) -> Float32:
    parts = []
    for corrupt, (share, shortest) in CORRUPTIONS.items():
        prefixes = draw_prefixes(c, round(share * count), shortest, rng)
        hide_inputs(prefixes, _HIDDEN_OFTEN, rng)
        corrupt(prefixes, rng)
        parts.append(_describe_columns(prefixes)[0])
    plans = _plans(draw_prefixes(c, round(_PLANS * count), 1, rng))
    absurd_sizes(plans, rng)
    parts.append(_describe_columns(plans)[0])
    return np.concatenate(parts)


def _fit_network(x: Float32, y: Float32, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Fit logit = out @ relu(hidden @ x), one hidden layer, on cross-entropy."""
    model = MLPClassifier(
        (_HIDDEN,),
        batch_size=min(_BATCH, len(x)),
        learning_rate_init=_LEARNING_RATE,
        alpha=_L2,
        random_state=int(rng.integers(2**31)),
    )
    x = x.astype(np.float32)
    for _ in range(_EPOCHS):  # one by one: as many as this are meant, whether it converged or not
        model.partial_fit(x, y, classes=(0, 1))
    (hidden, out), (hidden_bias, out_bias) = model.coefs_, model.intercepts_
    return {"hidden": hidden, "hidden_bias": hidden_bias, "out": out[:, 0], "out_bias": out_bias[0]}


def _knots(logits: Array, groups: npt.NDArray[np.int64], told: npt.NDArray[np.int64]) -> Array:
    """The network's answers at KNOT_LEVELS, [group, level].

    Of the classes of knowledge in a group the one that is answered lowest counts: what a history
    leaves out is no reason to refuse it.
    """
    levels = KNOT_LEVELS[1:]
    knots = np.empty((GROUPS, len(levels)))
    for group in range(GROUPS):
        inside = groups == group
        parts = [logits[inside & (told == what)] for what in np.unique(told)]
        parts = [part for part in (*parts, logits[inside]) if len(part) >= _ENOUGH] or [logits]
        knots[group] = np.min([np.quantile(part, levels) for part in parts], axis=0) - _MARGIN
    return np.maximum.accumulate(knots + 1e-6 * np.arange(len(levels)), axis=1)
