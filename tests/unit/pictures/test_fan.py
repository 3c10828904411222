"""The picture of a forecast shows itself, keeps to its history, and needs no window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oracle.errors import InvalidHistory
from oracle.pictures.fan import draw, save
from oracle.types import (
    METRICS,
    TARGETS,
    Curve,
    Forecast,
    History,
    ModelInfo,
    QualityForecast,
    Scale,
)

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
        assert axes.get_xlim() == (0, 1.03)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["seen", "90 %", "50 %", "forecast"]
    assert panels[1].get_ylabel() == "share of samples"
    assert "20.0 %" in panels[1].texts[0].get_text()


SHARES = (0.25, 0.5, 0.75, 1.0)


def with_curve(history: History) -> Forecast:
    """A forecast whose way rises by a tenth to the end in each metric."""
    way = tuple(tuple(v - 0.1 * (1 - share) for v in FIVE) for share in SHARES)
    curve = Curve(of_the_rest=SHARES, **dict.fromkeys(METRICS, way))
    return forecast_of(history).model_copy(update={"curve": curve})


def edges(axes: Any, band: int) -> list[tuple[float, float, float]]:
    """(x, lower, upper) along a band, the widest first."""
    points = axes.collections[band].get_paths()[0].vertices
    found: dict[float, list[float]] = {}
    for x, y in points:
        found.setdefault(round(float(x), 9), []).append(float(y))
    return [(x, min(ys), max(ys)) for x, ys in sorted(found.items())]


def test_the_fan_opens_along_the_curve(history: History) -> None:
    begin = 0.1  # of the budget is seen
    for axes, metric in zip(draw(with_curve(history), history).get_axes(), METRICS, strict=True):
        last = getattr(history, metric)[-1]
        expected = [(begin, last, last)] + [
            (begin + 0.9 * s, FIVE[0] - 0.1 * (1 - s), FIVE[-1] - 0.1 * (1 - s)) for s in SHARES
        ]
        for found, wanted in zip(edges(axes, 0), expected, strict=True):
            assert found == pytest.approx(wanted)
        x, median = axes.lines[1].get_data()
        assert list(x) == pytest.approx([e[0] for e in expected])
        assert median[-1] == FIVE[2]  # the end is the forecast's own


def test_before_the_first_checkpoint_the_fan_is_all_there_is() -> None:
    plan = History(context={"mqe_of_mean": 1.0})
    for history in (plan, None):
        figure = draw(with_curve(plan), history)
        assert "from the plan alone" in figure.get_suptitle()
        for axes in figure.get_axes():
            assert len(axes.lines) == 1
            assert [x for x, _, _ in edges(axes, 0)] == list(SHARES)
            assert axes.get_xlim() == (0, 1.03)
            assert axes.get_xlabel() == "share of the budget"


def test_a_budget_that_is_unknown_leads_somewhat_further(brief_history: dict[str, Any]) -> None:
    history = History(**brief_history)
    axes = draw(with_curve(history), history).get_axes()[0]
    assert [x for x, _, _ in edges(axes, 0)] == pytest.approx([100, 107.5, 115, 122.5, 130])


def test_a_metric_that_was_last_measured_earlier_opens_at_the_present(
    brief_history: dict[str, Any],
) -> None:
    brief_history["dead_neuron_ratio"] = [0.2, 0.15, None]
    history = History(**brief_history, total_epochs=1000)
    axes = draw(with_curve(history), history).get_axes()[2]
    assert edges(axes, 0)[0] == pytest.approx((0.1, 0.15, 0.15))


def test_without_a_history_there_are_the_intervals(history: History) -> None:
    for axes in draw(forecast_of(history)).get_axes():
        assert not axes.collections  # no band from nowhere: nothing is known of the way
        assert [set(line.get_xdata()) for line in axes.lines] == [{1.0}] * 3


def test_a_run_that_is_over_has_no_interval(brief_history: dict[str, Any]) -> None:
    over = History(**brief_history, total_epochs=brief_history["epochs"][-1])
    figure = draw(forecast_of(over), over)
    assert "90 %" not in figure.get_suptitle()
    for axes in figure.get_axes():
        assert not axes.collections
        assert "90 %" not in axes.texts[0].get_text()


def test_what_came_is_drawn_beside_the_forecast(history: History) -> None:
    seen = history.prefix(2)
    for axes, metric in zip(
        draw(forecast_of(seen), seen, came=history).get_axes(), METRICS, strict=True
    ):
        came = next(line for line in axes.lines if line.get_label() == "what came")
        assert list(came.get_ydata()) == list(getattr(history, metric))[1:]


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
