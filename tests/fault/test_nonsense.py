"""T16, short form: nonsense finds no support, real runs of unseen tables and libraries do.

The long form, with every kind's own figures, is `python -m bench.support`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import support as bench
from oracle.forecast.support import Support
from oracle.history.dataset import read_dataset
from oracle.training.support_fit import fit_support
from oracle.types import Policy, Run

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data" / "support"
COUNT = 500
THRESHOLD = Policy().min_support
#: The fit on the few runs kept for tests, and every shipped oracle's own.
SHIPPED = sorted(ROOT.glob("models/shipped*/calibration.json"))


@pytest.fixture(scope="module", params=["few runs", *(path.parent.name for path in SHIPPED)])
def support(request: pytest.FixtureRequest) -> Support:
    if request.param == "few runs":
        train, calibrate = (read_dataset(DATA / f"{n}.csv.gz") for n in ("train", "calibrate"))
        return Support.from_json(fit_support(train, calibrate))
    text = (ROOT / "models" / request.param / "calibration.json").read_text()
    return Support.from_json(json.loads(text)["support"])


@pytest.fixture(scope="module")
def unseen() -> list[Run]:
    return read_dataset(DATA / "test.csv.gz")


def refused(support: Support, runs: list[Run], kind: bench.Kind, *, nonsense: bool) -> float:
    """Share of COUNT random prefixes that a policy abstains on."""
    values = bench.scores(support, runs, kind, COUNT, seed=0, nonsense=nonsense)
    return float(np.mean(values < THRESHOLD))


def test_nonsense_has_no_support(support: Support, unseen: list[Run]) -> None:
    shares = {kind.__name__: refused(support, unseen, kind, nonsense=True) for kind in bench.TAUGHT}
    assert np.mean(list(shares.values())) >= 0.95, shares
    # In a random order a noisy run looks as before, and two or three checkpoints tell little.
    assert shares.pop("shuffled_time") >= 0.8
    assert min(shares.values()) >= 0.95, shares


def test_kinds_never_taught_have_little_support(support: Support, unseen: list[Run]) -> None:
    shares = [refused(support, unseen, kind, nonsense=True) for kind in bench.HELD_OUT]
    assert np.mean(shares) >= 0.8, shares


def test_real_runs_of_unseen_tables_are_supported(support: Support, unseen: list[Run]) -> None:
    shares = {kind.__name__: refused(support, unseen, kind, nonsense=False) for kind in bench.REAL}
    # 5 % and what 500 draws of few tables may add.
    assert np.mean(list(shares.values())) <= 0.06, shares
    assert max(shares.values()) <= 0.1, shares


@pytest.mark.parametrize("chosen", [bench.rising, bench.flat, bench.in_batches])
def test_unusual_real_runs_are_supported(
    support: Support, unseen: list[Run], chosen: bench.Chooser
) -> None:
    runs = [run for run in unseen if chosen(run)]
    assert refused(support, runs, bench.as_recorded, nonsense=False) <= 0.1


@pytest.mark.parametrize("kind", [bench.as_recorded, bench.four_arrays, bench.rescaled])
def test_other_libraries_are_supported(support: Support, kind: bench.Kind) -> None:
    runs = read_dataset(DATA / "libraries.csv.gz")
    assert refused(support, runs, kind, nonsense=False) <= 0.05
