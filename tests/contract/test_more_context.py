"""Telling more costs nothing: on recorded runs neither support nor coverage falls by it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from bench.record import FEW
from oracle import Oracle
from oracle.evaluation.scored import SCORES, inside, score_runs
from oracle.evaluation.told_less import PARTS, ToldLess
from oracle.history.dataset import read_dataset

Bools = npt.NDArray[np.bool_]

SHARES = (0.1, 0.2, 0.5)
#: In the order in which users come to tell it.
TOLD = ("budget", "sizes", "table", "kind", "plan")
#: Least support that policies judge with, and what an interval promises.
MIN_SUPPORT, PROMISED = 0.05, 0.9
#: Standard errors: of 36 comparisons none may fall further.
SAMPLING = 2.5


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[Bools, Bools]]:
    """What was told last -> [share, run] supported, [share, run] inside the 90 % interval."""
    runs, oracle = read_dataset(FEW), Oracle.load("shipped-default")
    steps = {"the four arrays": TOLD} | {name: TOLD[i + 1 :] for i, name in enumerate(TOLD)}
    quality = SCORES.index("quality_relative")
    told = {}
    for name, hidden in steps.items():
        scored = score_runs(runs, {"oracle": ToldLess(oracle, hidden)}, {}, SHARES)
        told[name] = (
            scored.support >= MIN_SUPPORT,
            inside(scored.pit[..., quality], PROMISED),
        )
    return told


@pytest.mark.parametrize("what", ["supported", "inside"])
@pytest.mark.parametrize("name", TOLD)
def test_telling_it_costs_nothing(
    found: dict[str, tuple[Bools, Bools]], name: str, what: str
) -> None:
    order = list(found)
    k = ("supported", "inside").index(what)
    less, more = found[order[order.index(name) - 1]][k], found[name][k]
    for share, before, after in zip(SHARES, less, more, strict=True):
        error = np.sqrt(np.sum(before != after)) / len(after)
        # Intervals of little told that hold more than they promise may come down to it.
        wanted = min(before.mean(), PROMISED) if what == "inside" else before.mean()
        assert after.mean() >= wanted - SAMPLING * error, f"at {share:.0%}"


def test_the_parts_are_all_there_are() -> None:
    ratios, within = {"topographic_error", "dead_neuron_ratio"}, {"geometry"}  # of table
    assert {*TOLD} | ratios | within == PARTS.keys()
