"""What is known of a run when it is forecast: the classes that calibration keeps apart.

How wrong a network is depends on how much of the run it has seen and on what it was told. Offsets
are learned for each class of knowledge: histories without a plan are calibrated on histories
without a plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from oracle.forecast.quantiles import between
from oracle.history.columns import Array
from oracle.history.features import FEATURES, Float32

#: Shares of the run at which offsets are learned; linear between. `plan`: no checkpoint yet.
STRETCHES = (0.02, 0.06, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
#: What may be told, where the progress is known.
TOLD = ("all", "no scale", "no plan", "no plan, no scale", "no ratios")
#: Every class, in the order of the offsets.
KNOWLEDGE = (
    *(f"{told} at {at}" for told in TOLD for at in ("plan", *STRETCHES)),
    "no progress",
)
#: Fewer examples of a class than this lean on all classes of their stretch.
ENOUGH = 400
#: Classes that do not tell how a map is trained: what is honest on the whole may be far too sure
#: for one library, so these lean towards the widest of the ways to train: by this share in the
#: tails, half as much in the middle.
UNSURE, CAUTION = ("no plan", "no plan, no scale", "no ratios", "no progress"), 0.8
#: Fewer examples of one way than this say nothing of it.
ENOUGH_OF_A_WAY = 100

_AT = {name: i for i, name in enumerate(FEATURES)}
_TELLING = [
    _AT[name]
    for name in (
        *("index", "progress_known", "radius_planned", "mqe_known_scale"),
        *("topographic_error_known", "dead_neuron_ratio_known"),
    )
]
_PER_TOLD = 1 + len(STRETCHES)


def told_by(last: Float32) -> list[int]:
    """Tell what each run's last row [run, feature] knows: an index of TOLD, -1 = no progress."""
    return [_told(*row) for row in last[:, _TELLING].tolist()]


def _told(
    index: float, progress: float, plan: float, scale: float, topographic: float, dead: float
) -> int:
    # Plain numbers: for one run they are read in a third of an array's time.
    if not progress:
        return -1
    if index and not topographic == dead == 1.0:
        return TOLD.index("no ratios")
    return (0 if plan else 2) + (0 if scale else 1)


def weights_of(last: Float32, progress: Sequence[float | None]) -> Array:
    """What the offsets of each class weigh for each run, [run, len(KNOWLEDGE)].

    Args:
        last: [run, feature] the last encoded row of each.
        progress: share of the budget at the last checkpoint; None = unknown.
    """
    weights = np.zeros((len(last), len(KNOWLEDGE)))
    begun = (last[:, _AT["index"]] > 0).tolist()
    rows = zip(weights, told_by(last), begun, progress, strict=True)
    for row, told, has_begun, at in rows:
        first = told * _PER_TOLD
        if not has_begun:
            row[max(first, 0)] = 1.0
        elif told < 0 or at is None:
            row[-1] = 1.0
        else:
            x = between(at, STRETCHES, range(len(STRETCHES)))
            low = min(int(x), len(STRETCHES) - 2)
            row[first + 1 + low], row[first + 2 + low] = 1 - x + low, x - low
    return weights


def learn_by_knowledge(
    surprise: Array,
    knowledge: Array,
    levels: tuple[float, ...],
    ways: npt.NDArray[np.int64] | None = None,
) -> Array:
    """Learn conformal offsets for each class.

    Args:
        surprise: [example, output, knot] (outcome - quantile) / spread, NaN where undefined.
        knowledge: [example, len(KNOWLEDGE)] from `weights_of`.
        levels: of the knots.
        ways: [example] how each run was trained, any numbers; None = all alike.

    Returns:
        [len(KNOWLEDGE), output, knot]; 0 where nothing can be learned.
    """
    # All classes of a stretch together stand in where one has too few examples.
    stretch = [*list(range(_PER_TOLD)) * len(TOLD), _PER_TOLD]
    pooled = np.zeros((len(knowledge), _PER_TOLD + 1))
    for i, at in enumerate(stretch):
        pooled[:, at] += knowledge[:, i]
    nothing = np.zeros(surprise.shape[1:])
    together = [_offsets(surprise, pooled[:, at], levels, nothing) for at in range(_PER_TOLD + 1)]
    learned = []
    for i, at in enumerate(stretch):
        share = min(1.0, knowledge[:, i].sum() / ENOUGH)
        own = _offsets(surprise, knowledge[:, i], levels, together[at])
        own = share * own + (1 - share) * together[at]
        if ways is not None and KNOWLEDGE[i].startswith(UNSURE):
            own = _cautious(own, surprise, knowledge[:, i], levels, ways)
        learned.append(own)
    return np.stack(learned)


def _cautious(
    own: Array,
    surprise: Array,
    weight: Array,
    levels: tuple[float, ...],
    ways: npt.NDArray[np.int64],
) -> Array:
    """Lean offsets [output, knot] towards those of the way to train that needs the widest."""
    each = [
        _offsets(surprise[at], weight[at], levels, own)
        for way in np.unique(ways)
        if weight[at := ways == way].sum() >= ENOUGH_OF_A_WAY
    ]
    if not each:
        return own
    level = np.array(levels)
    lowest, highest = np.minimum(own, np.min(each, axis=0)), np.maximum(own, np.max(each, axis=0))
    widest = np.where(level < 0.5, lowest, np.where(level > 0.5, highest, own))
    share = np.where(np.abs(level - 0.5) > 0.3, CAUTION, CAUTION / 2)
    return np.asarray(own + share * (widest - own))


def _offsets(surprise: Array, weight: Array, levels: tuple[float, ...], otherwise: Array) -> Array:
    """Weighed level-quantiles of the surprises, [output, knot]; of too few, `otherwise`."""
    out = otherwise.copy()
    for k in range(surprise.shape[1]):
        use = (weight > 0.05) & np.isfinite(surprise[:, k, 0])
        if use.sum() < 50:
            continue
        w = weight[use]
        for j, level in enumerate(levels):
            values = surprise[use, k, j]
            order = np.argsort(values)
            share = (np.cumsum(w[order]) - 0.5 * w[order]) / w.sum()
            out[k, j] = np.interp(level, share, values[order])
    return out
