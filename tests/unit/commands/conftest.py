"""What the tests of measuring commands share: a small model, a dataset, and a way to call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_up import make_runs

from oracle.cli import main
from oracle.forecast.calibration import DRAWS, KNOTS, Calibration
from oracle.forecast.knowledge import KNOWLEDGE
from oracle.forecast.score_calibration import QualityCalibration
from oracle.history.dataset import write_dataset
from oracle.history.targets import OUTPUTS
from oracle.training.support_fit import fit_support
from oracle.types import TARGETS


@pytest.fixture(scope="module")
def model(write_stand_in: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "small"
    offsets = np.zeros((len(KNOWLEDGE), OUTPUTS, len(KNOTS)))
    ranks = np.random.default_rng(0).uniform(size=(DRAWS, len(TARGETS)))
    calibration = {
        "calibration": Calibration(offsets, ranks).to_json(),
        "quality": QualityCalibration(offsets[:, 0]).to_json(),
        "support": fit_support(make_runs(40, "seen", seed=9), make_runs(40, "held", seed=8)),
    }
    write_stand_in(folder, calibration=calibration)
    return str(folder)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "runs.csv"
    runs = [run for t in ("a", "b", "c") for run in make_runs(12, t, seed=ord(t))]
    write_dataset(path, runs, {})
    return str(path)


@pytest.fixture
def oracle(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call
