"""The report of `oracle show`: one run's forecast, as fans over what was seen, and the decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from oracle.reports.page import Conclusion, Section, figure, paragraph, side_by_side, table
from oracle.reports.svg import Axis, Chart, around
from oracle.reports.words import number, percent, plain, short
from oracle.types import METRICS, TARGETS, Action, Decision, Forecast, History

_WORDS: dict[Action, tuple[str, Literal["good", "warn", "bad"]]] = {
    Action.STOP: ("Stop", "bad"),
    Action.CONTINUE: ("Continue", "good"),
    Action.ABSTAIN: ("Cannot tell", "warn"),
}
UNITS = ("input units", "share of samples", "share of neurons")


def conclude(decision: Decision) -> Conclusion:
    """Say what to do, and why."""
    word, tone = _WORDS[decision.action]
    why = decision.message.removeprefix(f"{word}: ")
    return Conclusion(word, tone, f"{why[:1].upper()}{why[1:]}")


def of_decision(
    decision: Decision, history: History | None, came: History | None = None
) -> list[Section]:
    """Lay out a decision with its forecast.

    Args:
        decision: with its forecast, where there is one.
        history: what it was made of.
        came: the same run to a later checkpoint, drawn beside the forecast.
    """
    advice = "".join(paragraph(said) for said in decision.advice)
    forecast = decision.forecast
    if forecast is None:
        return [Section("What to do", "", advice)] if advice else []
    over = forecast.progress is not None and forecast.progress >= 1.0
    charts = [_chart(forecast, history, came, i, over=over) for i, _ in enumerate(TARGETS)]
    head = ["", *(percent(level) for level in forecast.levels)]
    lines = [
        [plain(target), *(_form(target)(v) for v in values)]
        for target, values in forecast.final.items()
    ]
    lines += [
        [f"Quality score, {q.scale.value}", *(number(v) for v in q.values)]
        for q in forecast.quality
    ]
    seen = ""
    if forecast.progress is not None:
        seen = f", {percent(forecast.progress)} of the budget seen"
    model = f"{forecast.model.name} {forecast.model.version}"
    lead = f"After {forecast.n_checkpoints} checkpoints{seen}; "
    lead += f"support {percent(forecast.support)}; by {model}."
    ended = "The run has used its budget: nothing is left to forecast." if over else ""
    return [
        Section("Forecast", ended or lead, side_by_side(*charts) + advice),
        Section("In numbers", "Quantiles of how it ends.", table(head, lines)),
    ]


def _form(target: str) -> Callable[[float], str]:
    return number if target == TARGETS[0] else lambda value: percent(value, 1)


def _chart(
    forecast: Forecast, history: History | None, came: History | None, i: int, *, over: bool
) -> str:
    metric, target = METRICS[i], TARGETS[i]
    seen = _points(history, metric)
    known = history is None or not len(history) or history.total_epochs is not None
    begin, end = forecast.progress or 0.0, 1.0
    if not known and history is not None:
        begin, end = history.epochs[-1], 1.3 * history.epochs[-1]
    way: list[tuple[float, tuple[float, ...]]] = []
    if not over:
        way = [(1.0, forecast.final[target])]
        if forecast.curve is not None:
            values = getattr(forecast.curve, metric)
            way = list(zip(forecast.curve.of_the_rest, values, strict=True))
    rows = [(begin + s * (end - begin), q) for s, q in way]
    if seen and rows:
        rows = [(begin, (seen[-1][1],) * len(forecast.levels)), *rows]
    later = [p for p in _points(came, metric) if not seen or p[0] >= seen[-1][0]]
    values = [v for _, v in (*seen, *later)] + [v for _, q in rows for v in q]
    tick = short if i == 0 else percent
    x = Axis(0.0, 1.0, "share of the budget", percent) if known else Axis(0.0, end, "epochs")
    chart = Chart(x, around(values, UNITS[i], tick, floor_at=0.0), f"{plain(metric)} to the end")
    legend = [("line", "ink", "seen")] if seen else []
    if len(rows) == 1:
        at, q = rows[0]
        chart.bar(at, q[0], q[-1], "ours")
        chart.bar(at, q[1], q[-2], "ours", thick=True)
        chart.dot(at, q[len(q) // 2], "ours", mark="O")
    elif rows:
        for low, high in ((0, -1), (1, -2)):
            chart.band([(at, q[low], q[high]) for at, q in rows], "ours")
        chart.line([(at, q[len(q) // 2]) for at, q in rows], "ours", dashed=True)
    if rows:
        legend += [("dashed", "ours", "forecast"), ("band", "ours", "50 and 90 %")]
    if later:
        chart.line(later, "faint")
        legend.append(("line", "faint", "what came"))
    chart.line(seen, "ink")
    for at, value in seen[-1:]:
        chart.dot(at, value, "ink")
    q = forecast.final[target]
    form = _form(target)
    ends = form(seen[-1][1]) if over and seen else f"{form(q[len(q) // 2])}"
    return figure(chart.svg(), f"{plain(metric)}: {ends} at the end", legend)


def _points(history: History | None, metric: str) -> list[tuple[float, float]]:
    if history is None:
        return []
    total, values = history.total_epochs or 1.0, getattr(history, metric)
    return [(e / total, v) for e, v in zip(history.epochs, values, strict=True) if v is not None]
