"""An explanation hides what there is, one part at a time, and tells what that did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import SCALE, forecast_of, make_runs

from oracle.errors import InvalidHistory
from oracle.forecast.calibration import DRAWS, KNOTS, Calibration
from oracle.forecast.explanation import STRETCHES, explanation_of
from oracle.forecast.forecaster import Oracle
from oracle.forecast.knowledge import KNOWLEDGE
from oracle.forecast.score_calibration import QualityCalibration
from oracle.history.targets import OUTPUTS
from oracle.model.attention import Attention
from oracle.training.support_fit import fit_support
from oracle.types import (
    TARGETS,
    Explanation,
    Forecast,
    History,
    RunContext,
    Schedule,
)

RUN = make_runs(3)[0].history
PLANNED = RunContext(
    mqe_of_mean=SCALE,
    map_rows=4,
    map_cols=5,
    topology="hexagonal",
    schedule=Schedule(progress=(0.0, 1.0), learning_rate=(0.5, 0.0), radius=(3.0, 1.0)),
)


class Knows:
    """Forecasts by what is told: mqe 1, better by a tenth with the radius, narrower with a plan."""

    def __init__(self) -> None:
        self.batches: list[list[History]] = []

    def forecast_many(self, histories: Sequence[History]) -> list[Forecast]:
        """Forecast many."""
        self.batches.append(list(histories))
        return [self._forecast(h) for h in histories]

    def _forecast(self, history: History) -> Forecast:
        plan = history.context.schedule
        told = plan is not None and plan.radius is not None
        width = 0.1 if history.context.map_rows is not None else 0.2
        draws = np.zeros((101, 3))
        draws[:, 0] = (0.9 if told else 1.0) + np.linspace(-width, width, 101)
        if history.epochs and 0.5 not in history.mqe:
            draws[:, 0] += 0.3
        return forecast_of(draws, mqe_of_mean=history.context.mqe_of_mean)


def history(n: int = 4, **changes: Any) -> History:
    mqe = [1.0 - 0.3 * i / n for i in range(n)]
    mqe[min(2, n - 1)] = 0.5
    columns = {
        "epochs": [10.0 * (i + 1) for i in range(n)],
        "mqe": mqe,
        "topographic_error": [0.1] * n,
        "dead_neuron_ratio": [None] * n,
        "total_epochs": 100.0 * n,
        "context": PLANNED,
    }
    return History.parse({**columns, **changes})


def test_each_part_is_hidden_once_in_one_batch() -> None:
    oracle = Knows()
    found = explanation_of(oracle.forecast_many, history())
    ((whole, *hidden),) = oracle.batches
    assert whole == history()
    assert len(hidden) == len(found.parts)
    by_name = {part.part: part for part in found.parts}
    assert by_name.keys() == {
        "the plan of the learning rate",
        "the plan of the radius",
        "the scale of the table (mqe_of_mean)",
        "the size of the map",
        "the grid",
        "the topographic error",
        "the budget",
        *(f"the checkpoint at {share}" for share in ("2%", "5%", "8%", "10%")),
    }
    radius = by_name["the plan of the radius"]
    assert radius.shift == pytest.approx(-0.1 / SCALE)
    assert radius.width == pytest.approx(1.0)
    assert by_name["the size of the map"].width == pytest.approx(0.5)
    assert by_name["the size of the map"].shift == pytest.approx(0.0)
    third = by_name["the checkpoint at 8%"]
    assert third.epochs == (30.0, 30.0)
    assert third.shift == pytest.approx(-0.3 / SCALE)
    assert found.by_weight[0] == third
    # Without its scale a run is scored in its unit all the same.
    assert by_name["the scale of the table (mqe_of_mean)"].without == pytest.approx(found.quality)
    assert Explanation.model_validate_json(found.model_dump_json()) == found
    told = str(found).splitlines()
    assert told[1].startswith("  without the checkpoint at 8%")
    assert "0.150 better, as wide" in told[1]


def test_many_checkpoints_are_hidden_in_stretches() -> None:
    oracle = Knows()
    found = explanation_of(oracle.forecast_many, history(200))
    stretches = [part.epochs for part in found.parts if part.epochs is not None]
    assert len(stretches) == STRETCHES
    assert stretches[0][0] == 10.0
    assert stretches[-1][1] == 2000.0
    assert all(a[1] < b[0] for a, b in pairwise(stretches))


def test_what_is_not_told_cannot_be_hidden() -> None:
    plan = History.parse({"context": {"mqe_of_mean": 2.0}})
    found = explanation_of(Knows().forecast_many, plan)
    assert found.parts == ()
    assert "nothing could be hidden" in str(found)
    bare = history(1, context={}, topographic_error=[None], total_epochs=None)
    assert explanation_of(Knows().forecast_many, bare).parts == ()
    with pytest.raises(InvalidHistory, match="mqe_of_mean"):
        explanation_of(Knows().forecast_many, History.parse({"context": {"map_rows": 3}}))


def test_the_oracle_and_its_forecast_explain_alike(tmp_path: Path) -> None:
    oracle = Oracle.load()
    seen = RUN.prefix(8)
    forecast = oracle.forecast(seen)
    found = oracle.explain(seen)
    assert forecast.explain(seen, oracle) == forecast.explain(seen) == found
    quality = forecast.quality[-1]
    assert found.scale == quality.scale
    assert found.quality == pytest.approx(quality.values, abs=1e-4)
    with pytest.raises(InvalidHistory, match="8 checkpoints"):
        forecast.explain(RUN.prefix(7), oracle)
    other = forecast.model_copy(
        update={"model": forecast.model.model_copy(update={"sha256": "0" * 64})}
    )
    with pytest.raises(InvalidHistory, match="the one that made the forecast"):
        other.explain(seen, oracle)


def test_a_network_that_attends_tells_what_it_looked_at(
    write_stand_in: Any, tmp_path: Path
) -> None:
    trunk = Attention(kind="attention", units=8, heads=2, blocks=1)
    oracle = Oracle(write_stand_in(tmp_path / "attends", trunk=trunk, calibration=plain()))
    seen = history(3)
    looked = oracle.explain(seen).attention
    assert [epoch for epoch, _ in looked] == [None, 10.0, 20.0, 30.0]
    assert sum(weight for _, weight in looked) == pytest.approx(1.0, abs=1e-5)
    assert "The network looked most at" in str(oracle.explain(seen))
    figure: Any = oracle.explain(seen).plot()
    assert [axes.get_title("left") for axes in figure.get_axes()][1] == "What the network looked at"
    assert Oracle.load().explain(seen).attention == ()


def plain() -> dict[str, Any]:
    """A calibration that corrects nothing."""
    offsets = np.zeros((len(KNOWLEDGE), OUTPUTS, len(KNOTS)))
    ranks = np.random.default_rng(0).uniform(size=(DRAWS, len(TARGETS)))
    return {
        "calibration": Calibration(offsets, ranks).to_json(),
        "quality": QualityCalibration(offsets[:, 0]).to_json(),
        "support": fit_support(make_runs(40, "seen", seed=9), make_runs(40, "held", seed=8)),
    }


def test_it_is_drawn_a_row_a_part() -> None:
    found = explanation_of(Knows().forecast_many, history())
    figure: Any = found.plot()
    (axes,) = figure.get_axes()
    rows = [tick.get_text() for tick in axes.get_yticklabels()]
    assert rows[0] == "without the plan of the radius"
    assert rows[-1] == "without the checkpoint at 10%"
    assert len(rows) == len(found.parts)
    assert figure._repr_png_().startswith(b"\x89PNG")
    empty = found.model_copy(update={"parts": ()})
    assert empty.plot()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
