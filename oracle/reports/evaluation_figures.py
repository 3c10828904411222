"""The pictures of an evaluation, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.evaluation.accuracy import ORACLE
from oracle.evaluation.scored import SCORES, Scored
from oracle.reports.page import anchor, figure
from oracle.reports.svg import SMALL, Axis, Chart, around
from oracle.reports.words import number, percent, plain, short

#: Share of a run after which it is judged whether forecasts are good enough.
EARLY = 0.2
#: Rows of the table of runs, which points lead to.
MAX_RUNS = 300
INKS = ("s1", "s2", "s3", "s4", "s5")

Rows = Sequence[dict[str, Any]]


def rows_of(rows: Rows, score: str) -> list[dict[str, Any]]:
    """Those of one score, where it is known."""
    return [row for row in rows if row["score"] == score and row["mae"] is not None]


def early_of(scored: Scored) -> int:
    """Give the prefix nearest to EARLY."""
    return min(range(len(scored.progress)), key=lambda p: abs(scored.progress[p] - EARLY))


def worst_first(scored: Scored) -> list[int]:
    """Give the runs that are listed, the worst forecast first."""
    s = SCORES.index("quality_relative")
    if not np.isfinite(scored.true[:, s]).any():
        s = SCORES.index("quality_raw")
    error = np.abs(scored.predicted[ORACLE][early_of(scored), :, s] - scored.true[:, s])
    order = np.argsort(-np.nan_to_num(error, nan=-1.0), kind="stable")
    return [int(i) for i in order[:MAX_RUNS]]


def pictures(found: dict[str, Any], scored: Scored) -> list[str]:
    """Draw error, coverage and residuals of the main score."""
    main = found["main_score"]
    rows = [row for row in rows_of(found["errors"], main) if row["progress"] < 1]
    shares = sorted({row["progress"] for row in rows})
    if not shares:
        return []
    seen = Axis(shares[0] - 0.02, shares[-1] + 0.02, "share of the run seen", percent,
                ticks=tuple((p, percent(p)) for p in shares))  # fmt: skip
    names = [ORACLE, *(n for n in dict.fromkeys(r["forecaster"] for r in rows) if n != ORACLE)]
    y = around([0.0, *(row["mae"] for row in rows)], "mean absolute error", floor_at=0.0)
    errors, legend = Chart(seen, y, "Mean absolute error by share of the run seen"), []
    for i, name in enumerate(names):
        mine = [row for row in rows if row["forecaster"] == name]
        ink = "ours" if name == ORACLE else INKS[(i - 1) % len(INKS)]
        legend.append(("line", ink, name))
        errors.line([(row["progress"], row["mae"]) for row in mine], ink)
        for row in mine:
            if name == ORACLE and row["mae_interval"]:
                low, high = row["mae_interval"]
                errors.bar(row["progress"], low, high, ink)
            said = f"{name}, {percent(row['progress'])} seen: {row['mae']:.4f}"
            errors.dot(row["progress"], row["mae"], ink, said)
    share = Axis(0.0, 1.0, "outcomes inside", percent)
    covered = Chart(seen, share, "Coverage of the 50 % and 90 % intervals")
    for level, ink in ((0.5, "too"), (0.9, "ours")):
        covered.level(level, ink)
        for row in found["coverage"]:
            if row["score"] == main:
                value, ends = row[f"coverage_{level:.0%}"], row[f"coverage_{level:.0%}_interval"]
                if ends:
                    covered.bar(row["progress"], ends[0], ends[1], ink)
                covered.dot(row["progress"], value, ink, percent(value, 1))
    inside = [("dot", "ours", "90 % interval"), ("dot", "too", "50 % interval"),
              ("dashed", "faint", "what it promises")]  # fmt: skip
    spread, how = _residuals(scored, seen, main)
    return [
        figure(errors.svg(), "Error", [*legend, ("bar", "ours", "95 %")]),
        figure(covered.svg(), "Outcomes inside its intervals", [*inside, ("bar", "faint", "95 %")]),
        figure(spread, "Which way it errs", how),
    ]  # fmt: skip


def _residuals(scored: Scored, seen: Axis, main: str) -> tuple[str, list[tuple[str, str, str]]]:
    s = SCORES.index(main)
    spread: list[tuple[float, list[float]]] = []
    for i, share in enumerate(scored.progress):
        values = scored.predicted[ORACLE][i, :, s] - scored.true[:, s]
        if share < 1 and np.isfinite(values).any():
            found = np.nanquantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
            spread.append((share, [float(v) for v in found]))
    y = around([v for _, q in spread for v in q] + [0.0], "forecast minus outcome")
    chart = Chart(seen, y, "Forecast minus outcome by share of the run seen")
    chart.level(0.0, "faint")
    for share, q in spread:
        chart.bar(share, q[0], q[4], "ours")
        chart.bar(share, q[1], q[3], "ours", thick=True)
        chart.dot(share, q[2], "ours", number(q[2]), mark="O", size=4)
    return chart.svg(), [("ring", "ours", "median"), ("thick", "ours", "half of the runs"),
                         ("bar", "ours", "nine of ten")]  # fmt: skip


def transform(scored: Scored, main: str) -> str:
    """Draw which quantiles of the forecasts the outcomes were: flat is honest."""
    before_end = [i for i, p in enumerate(scored.progress) if p < 1.0]
    pit = scored.pit[before_end][:, :, SCORES.index(main)].ravel()
    counts, edges = np.histogram(pit[np.isfinite(pit)], bins=20, range=(0, 1))
    shares = counts / max(1, counts.sum()) * 20
    y = Axis(0.0, max(2.0, float(shares.max()) * 1.08), "density")
    chart = Chart(Axis(0.0, 1.0, "quantile that the outcome was", percent), y, "Transform")
    for low, high, height in zip(edges[:-1] + 0.004, edges[1:] - 0.004, shares, strict=True):
        ends = [(float(low), 0.0, float(height)), (float(high), 0.0, float(height))]
        chart.band(ends, "ours")
    chart.level(1.0, "faint")
    how = "flat is honest; high at both ends: too narrow; high in the middle: too wide"
    return figure(chart.svg(), "Where outcomes fell in the forecast", [("dashed", "faint", how)])


def scatters(scored: Scored) -> list[str]:
    """Draw forecast against outcome, one chart a target; a point leads to its run's row."""
    early, drawn = early_of(scored), []
    shown = scored.predicted[ORACLE][early]
    main = SCORES.index("quality_relative")
    if not np.isfinite(scored.true[:, main]).any():
        main = SCORES.index("quality_raw")
    links = {scored.runs[i].run_id for i in worst_first(scored)}
    for s, name in ((main, "quality score"), (0, "final mqe"), (1, "topographic error"),
                    (2, "dead neurons")):  # fmt: skip
        true, said = scored.true[:, s], shown[:, s]
        known = np.flatnonzero(np.isfinite(true) & np.isfinite(said))
        if not len(known):
            continue
        values = np.concatenate([true[known], said[known]])
        top = float(np.quantile(values, 0.995)) * 1.04 or 1.0
        form, tick = (percent, percent) if s in (1, 2) else (number, short)
        x, y = (Axis(0.0, top, label, tick) for label in ("outcome", "forecast"))
        chart = Chart(x, y, f"Forecast against outcome: {name}", (SMALL[0], 290))
        chart.line([(0.0, 0.0), (top, top)], "faint")
        for i in known:
            run = scored.runs[i].run_id
            told = (
                f"{run} ({scored.runs[i].dataset}): ended {form(true[i])}, forecast {form(said[i])}"
            )
            href = f"#{anchor(run)}" if run in links else ""
            chart.dot(float(true[i]), float(said[i]), "ours many", told, size=3, href=href)
        error = float(np.abs(true[known] - said[known]).mean())
        drawn.append(figure(chart.svg(), f"{plain(name)}, off by {number(error)}"))
    return drawn
