"""T16, short form: nonsense finds no support, real runs of unseen tables and libraries do.

The long form, with every kind's own figures, is `python -m bench.support`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import support as bench
from oracle.forecast.support import Support
from oracle.history.dataset import read_dataset
from oracle.history.features import encode
from oracle.training.support_fit import fit_support
from oracle.types import History, Policy, Run

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data" / "support"
COUNT = 500
THRESHOLD = Policy().min_support


def _shipped() -> dict[str, Any]:
    """The supports of the shipped oracles, by the first that has it: most have the same."""
    found: dict[str, Any] = {}
    for path in sorted(ROOT.glob("models/shipped*/calibration.json")):
        support = json.loads(path.read_text())["support"]
        if support not in found.values():
            found[path.parent.name] = support
    return found


#: Beside them: the fit on the few runs kept for tests.
SHIPPED = _shipped()


@pytest.fixture(scope="module", params=["few runs", *SHIPPED])
def support(request: pytest.FixtureRequest) -> Support:
    if request.param == "few runs":
        train, calibrate = (read_dataset(DATA / f"{n}.csv.gz") for n in ("train", "calibrate"))
        return Support.from_json(fit_support(train, calibrate))
    return Support.from_json(SHIPPED[request.param])


@cache
def recorded(name: str) -> list[Run]:
    return read_dataset(DATA / f"{name}.csv.gz")


def everything(run: Run) -> bool:
    return True


@cache  # every support is asked about the same ones
def asked(
    name: str, chosen: bench.Chooser, kind: bench.Kind, nonsense: bool
) -> tuple[list[Any], list[History]]:
    """COUNT random prefixes of a file's runs, each treated by `kind`."""
    runs = [run for run in recorded(name) if chosen(run)]
    histories = bench.prefixes(runs, kind, COUNT, seed=0, nonsense=nonsense)
    return [encode(h) for h in histories], histories


def refused(
    support: Support,
    kind: bench.Kind,
    *,
    nonsense: bool,
    name: str = "test",
    chosen: bench.Chooser = everything,
) -> float:
    """Share of COUNT random prefixes that a policy abstains on."""
    return float(np.mean(np.array(support.score(*asked(name, chosen, kind, nonsense))) < THRESHOLD))


def test_nonsense_has_no_support(support: Support) -> None:
    shares = {kind.__name__: refused(support, kind, nonsense=True) for kind in bench.TAUGHT}
    assert np.mean(list(shares.values())) >= 0.95, shares
    # In a random order a noisy run looks as before, and two or three checkpoints tell little.
    assert shares.pop("shuffled_time") >= 0.8
    assert min(shares.values()) >= 0.95, shares


def test_kinds_never_taught_have_little_support(support: Support) -> None:
    shares = [refused(support, kind, nonsense=True) for kind in bench.HELD_OUT]
    assert np.mean(shares) >= 0.8, shares


def test_real_runs_of_unseen_tables_are_supported(support: Support) -> None:
    shares = {kind.__name__: refused(support, kind, nonsense=False) for kind in bench.REAL}
    # 5 % and what 500 draws of few tables may add.
    assert np.mean(list(shares.values())) <= 0.06, shares
    assert max(shares.values()) <= 0.1, shares


@pytest.mark.parametrize("chosen", [bench.rising, bench.flat, bench.in_batches])
def test_unusual_real_runs_are_supported(support: Support, chosen: bench.Chooser) -> None:
    assert refused(support, bench.as_recorded, nonsense=False, chosen=chosen) <= 0.1


@pytest.mark.parametrize("kind", [bench.as_recorded, bench.four_arrays, bench.rescaled])
def test_other_libraries_are_supported(support: Support, kind: bench.Kind) -> None:
    assert refused(support, kind, nonsense=False, name="libraries") <= 0.05
