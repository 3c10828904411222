"""The picture of a forecast shows itself, keeps to its history, and needs no window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oracle.errors import InvalidHistory
from oracle.pictures.fan import draw, save
from oracle.types import METRICS, TARGETS, Forecast, History, ModelInfo, QualityForecast, Scale

PNG = b"\x89PNG\r\n\x1a\n"
FIVE = (0.1, 0.15, 0.2, 0.25, 0.3)


def forecast_of(history: History) -> Forecast:
    return Forecast(
        progress=history.progress,
        n_checkpoints=len(history),
        model=ModelInfo(name="stand-in", version="1", sha256="0" * 64),
        final=dict.fromkeys(TARGETS, FIVE),
        quality=(QualityForecast(scale=Scale.RAW, weights=(1.0, 1.0, 0.5), values=FIVE),),
        coverage=0.9,
        support=0.8,
        will_worsen=0.1,
    )


@pytest.fixture
def history(brief_history: dict[str, Any]) -> History:
    return History(**brief_history, total_epochs=1000)


def test_a_notebook_shows_it(history: History) -> None:
    figure: Any = forecast_of(history).plot(history)
    assert figure._repr_png_().startswith(PNG)
    panels = figure.get_axes()
    assert [len(axes.collections) for axes in panels] == [2, 2, 2]  # the 50 % and 90 % bands
    for axes, metric in zip(panels, METRICS, strict=True):
        assert list(axes.lines[0].get_ydata()) == list(getattr(history, metric))
        assert axes.get_xlim() == (0, 1)


def test_without_a_history_there_are_the_intervals(history: History) -> None:
    for axes in draw(forecast_of(history)).get_axes():
        assert len(axes.lines) == 1


def test_unknown_budget_and_undefined_metrics(
    brief_history: dict[str, Any], tmp_path: Path
) -> None:
    brief_history["topographic_error"] = [None, None, None]
    odd = History(**brief_history)
    save(forecast_of(odd), odd, tmp_path / "fan.png")
    assert (tmp_path / "fan.png").read_bytes().startswith(PNG)


def test_another_history_is_refused(history: History) -> None:
    with pytest.raises(InvalidHistory, match="3 checkpoints"):
        draw(forecast_of(history), history.prefix(2))
