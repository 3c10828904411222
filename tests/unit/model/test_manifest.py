"""Scaling is one function for training, service and evaluation: its bounds, to the number."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from oracle.forecast.forecaster import Oracle
from oracle.model.manifest import CLIP, Scaling
from oracle.model.runtime import Session
from oracle.types import History, RunContext

SCALING = Scaling(mean=(1.0, -2.0), std=(0.5, 4.0))


def test_standardised_and_clipped_at_eight() -> None:
    assert CLIP == 8.0
    rows = np.array([[1.0, -2.0], [2.0, 2.0], [0.5, -6.0]], np.float32)
    assert SCALING.apply(rows).tolist() == [[0.0, 0.0], [2.0, 1.0], [-1.0, -1.0]]
    edge = np.array([[5.0, 30.0], [5.1, 30.1], [-3.0, -34.0], [-3.1, -34.1]], np.float32)
    assert SCALING.apply(edge).tolist() == [[8.0, 8.0], [8.0, 8.0], [-8.0, -8.0], [-8.0, -8.0]]
    below = np.array([[4.9, 29.9]], np.float32)
    assert (SCALING.apply(below) < CLIP).all()
    assert (SCALING.apply(below) > CLIP - 0.3).all()


def test_what_is_scaled_stays_as_it_was() -> None:
    rows = np.array([[3.0, 3.0]], np.float32)
    assert SCALING.apply(rows).dtype == np.float32
    assert rows.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("std", [0.0, 9e-4, 1.1e3, -1.0, float("nan"), float("inf")])
def test_a_spread_that_would_not_scale_is_refused(std: float) -> None:
    with pytest.raises(ValidationError, match="std"):
        Scaling(mean=(0.0,), std=(std,))


@pytest.mark.parametrize("mean", [1.1e3, -1.1e3, float("nan")])
def test_a_mean_beyond_any_feature_is_refused(mean: float) -> None:
    with pytest.raises(ValidationError, match="mean"):
        Scaling(mean=(mean,), std=(1.0,))


def test_service_feeds_the_network_what_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle, fed = Oracle.load("lite"), []
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda s, x, n: fed.extend(x) or run(s, x, n))
    far = History(
        epochs=(1, 2, 3), mqe=(1e9, 1.0, 1e9), topographic_error=(1.0, 0.0, 1.0),
        dead_neuron_ratio=(0.0, 1.0, 0.0), total_epochs=1e7,
        context=RunContext(map_rows=1000, map_cols=1000, n_samples=10**9, n_features=10**6),
    )  # fmt: skip
    oracle.forecast(far)
    oracle.forecast_many([far, far])
    assert len(fed) == 3
    assert {float(np.abs(rows).max()) for rows in fed} == {CLIP}
