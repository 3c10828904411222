"""The live page's panels as SVG: best so far, is the oracle right, which settings are good."""

from __future__ import annotations

from math import ceil, isfinite, log10

import numpy as np

from oracle.audit.audit import Audit
from oracle.audit.settings import SettingFound
from oracle.reports.page import anchor, figure
from oracle.reports.search import Search, SearchRun
from oracle.reports.svg import SMALL, WIDE, Axis, Chart, around
from oracle.reports.words import number, percent, setting, short
from oracle.types import Reason
from oracle.types.about import Setting

#: The worst share of runs stands on the upper edge, so that it presses no others together.
CLIPPED = 0.2
#: Settings that are drawn, on parallel axes and as slices; live runs that wait at the right.
PARALLEL, SLICES, LIVE = 6, 4, 40
#: Lines of parallel coordinates: the best ones and as many others, spread over the rest.
LINES = 400


def best_so_far(search: Search, links: set[str]) -> str:
    """Draw every ended run in order, the line of the best, and live runs at the right."""
    ended = [run for run in search.ended if run.score is not None]
    if not ended:
        return ""
    scores = sorted(run.score or 0.0 for run in ended)
    top = scores[min(len(scores) - 1, ceil((1 - CLIPPED) * len(scores)))]
    live = [run for run in search.of("running") if run.quality][:LIVE]
    shown = [s for s in scores if s <= top] + [q for r in live for q in (r.quality or ())[:3]]
    y = around(shown, "quality score, lower is better")
    y = Axis(y.low, max(y.high, top), y.label)
    n = len(ended)
    room = max(1.0, 0.025 * n) * (len(live) + 1) if live else 0.0
    ticks = Axis(0.0, float(max(2, n))).marks(7)
    x = Axis(0.0, max(2.0, n + room), "runs ended, in order",
             ticks=tuple((v, f"{v:.0f}") for v, _ in ticks if v <= n and v == int(v)))  # fmt: skip
    chart = Chart(x, y, f"{n} ended runs by quality score, and the best so far", WIDE)
    beyond = sum(s > y.high for s in scores)
    line: list[tuple[float, float]] = []
    for i, run in enumerate(ended):
        score, href = run.score or 0.0, f"#{anchor(run.run_id)}" if run.run_id in links else ""
        if run.state == "stopped":
            if run.quality and run.quality[1] <= y.high:
                chart.bar(i + 1, run.quality[1], run.quality[3], "faint thin")
            chart.dot(i + 1, score, "faint", _said(run), mark="x", size=3, href=href)
        else:
            chart.dot(i + 1, score, "good", _said(run), size=3.2, href=href)
            if not line or score < line[-1][1]:
                line.append((i + 1, score))
    if line:
        chart.steps([*line, (n, line[-1][1])], "ours")
        chart.dot(line[-1][0], line[-1][1], "ours", f"best: {_said(search.best)}", mark="O", size=6)
    for i, run in enumerate(live):
        if run.quality:
            at = n + room * (i + 1) / (len(live) + 1)
            chart.bar(at, run.quality[0], run.quality[4], "too")
            chart.bar(at, run.quality[1], run.quality[3], "too", thick=True)
            chart.dot(at, run.quality[2], "too", _said(run), mark="O", size=3.5)
    legend = [
        ("dot", "good", "finished"),
        ("cross", "faint", "stopped, at its forecast, with 50 %"),
        ("line", "ours", "best so far"),
    ]
    if live:
        legend.append(("ring", "too", "still training, with 50 and 90 %"))
    if beyond:
        said = f"{beyond} worse than {number(y.high)}, on the upper edge"
        legend.append(("cross", "faint", said))
    return figure(chart.svg(), "", legend)


def _said(run: SearchRun | None) -> str:
    if run is None:
        return ""
    seen = "" if run.seen is None or run.state == "finished" else f" at {percent(run.seen)}"
    score = run.score if run.score is not None else (run.quality or (None,) * 5)[2]
    chance = "P(gain)" if run.reason == Reason.UNLIKELY_GAIN else "P(good)"
    good = (
        ""
        if run.p_good is None or run.state == "finished"
        else f", {chance} {percent(run.p_good, 1)}"
    )
    return f"{run.run_id}: {run.state}{seen}, {number(score)}{good}"


def coverage(audit: Audit) -> str:
    """Draw the share of ends within each interval, by share seen, with Wilson's bounds."""
    shares = sorted({one.seen for one in audit.coverage})
    seen = Axis(min(shares) - 0.05, max(shares) + 0.08, "share of the run seen", percent,
                ticks=tuple((s, percent(s)) for s in shares))  # fmt: skip
    chart = Chart(seen, Axis(0.0, 1.0, "ends inside", percent), "Coverage by share seen")
    for level, ink, aside in ((0.9, "ours", 0.0), (0.5, "too", 0.012)):
        chart.level(level, ink)
        for one in audit.coverage:
            if one.level == level and one.rate is not None:
                said = f"{percent(one.rate)} ({percent(one.low)} to {percent(one.high)}) of {one.n}"
                chart.bar(one.seen + aside, one.low, one.high, ink)
                chart.dot(one.seen + aside, one.rate, ink, said)
    return figure(chart.svg(), "Ends inside its intervals", [
        ("dot", "ours", "90 % interval"), ("dot", "too", "50 % interval"),
        ("dashed", "faint", "promised"), ("bar", "faint", "95 % bounds"),
    ])  # fmt: skip


def promised(audit: Audit) -> str:
    """Draw P(good) said against how many came good."""
    share = Axis(0.0, 1.0, "P(good) said", percent)
    chart = Chart(share, Axis(0.0, 1.0, "came good", percent), "P(good) said against came")
    chart.line([(0.0, 0.0), (1.0, 1.0)], "faint", dashed=True)
    for one in audit.promised:
        if one.rate is not None:
            said = f"said {percent(one.said)}, came {percent(one.rate)} of {one.n} runs"
            chart.bar(one.said, one.low, one.high, "ours")
            chart.dot(one.said, one.rate, "ours", said)
    return figure(chart.svg(), "P(good): said against came", [("dashed", "faint", "as said"),
                  ("bar", "ours", "95 % bounds")])  # fmt: skip


def importance(settings: list[SettingFound]) -> str:
    """Draw how much of the score each setting explains, with its spread."""
    shown = settings[:12]
    names = tuple((len(shown) - i - 0.5, one.name[:22]) for i, one in enumerate(shown))
    top = max((one.most for one in shown), default=0.0)
    x = Axis(0.0, max(0.05, 1.05 * top), "share of the score explained", percent)
    y = Axis(0.0, float(len(shown)), ticks=names)
    chart = Chart(x, y, "What explains the quality score", (SMALL[0], 64 + 26 * len(shown)), 130)
    for (at, _), one in zip(names, shown, strict=True):
        said = f"{one.name}: {percent(one.share)} ({percent(one.least)} to {percent(one.most)})"
        chart.lying(at, 0.0, one.share, "too", thick=True)
        chart.lying(at, one.least, one.most, "ink")
        chart.dot(one.share, at, "ours", said, size=3)
    return figure(chart.svg(), "What explains the quality score", [("thick", "too", "share"),
                  ("line", "ink", "5 to 95 % of halves of the runs")])  # fmt: skip


def place(one: SettingFound, value: Setting) -> float | None:
    """Place a value on a setting's axis, 0..1; None where it has none."""
    if value is None:
        return None
    if one.kind == "word":
        words = [*one.values]
        if str(value) not in words:
            return None
        return (words.index(str(value)) + 0.5) / len(words)
    if isinstance(value, str) or not isfinite(value):
        return None
    low, high = one.low or 0.0, one.high or 0.0
    if one.log:
        low, high, value = log10(low), log10(high), log10(max(float(value), low))
    return (float(value) - low) / ((high - low) or 1.0)


def parallel(search: Search, settings: list[SettingFound]) -> str:
    """Draw every run as a line over the settings that differ; the best ones in colour."""
    shown, runs = settings[:PARALLEL], [run for run in search.ended if run.score is not None]
    if len(shown) < 2:
        return ""
    order = sorted(runs, key=lambda run: run.score or 0.0)
    best = order[: max(1, round(search.good * len(order)))]
    rest = order[len(best) :]
    rest = (
        [rest[i] for i in sorted({int(i) for i in np.linspace(0, len(rest) - 1, LINES)})]
        if rest
        else []
    )
    n = len(shown)
    chart = Chart(Axis(0.0, float(n), ticks=()), Axis(0.0, 1.0, ticks=()), "Parallel coordinates",
                  WIDE, 40, 60)  # fmt: skip
    values = [run.score or 0.0 for run in order]
    top = values[min(len(values) - 1, ceil((1 - CLIPPED) * len(values)))]
    low = values[0]
    for group, ink in ((rest, "faint thin"), (best, "ours")):
        for run in group:
            points = [(float(i), at) for i, one in enumerate(shown)
                      if (at := place(one, run.settings.get(one.name))) is not None]  # fmt: skip
            score = min(1.0, ((run.score or 0.0) - low) / ((top - low) or 1.0))
            chart.line([*points, (float(n), score)], ink)
    for i, one in enumerate(shown):
        _axis(chart, float(i), one.name, *_ends(one))
    _axis(chart, float(n), "quality score", number(low), f"{number(top)} and worse")
    legend = [
        ("line", "ours", f"the best {len(best)} of {len(order)}"),
        ("line", "faint", "others"),
    ]
    return figure(chart.svg(), "", legend)


def _ends(one: SettingFound) -> tuple[str, str]:
    if one.kind == "word":
        return one.values[0][:14], one.values[-1][:14]
    return setting(one.low), setting(one.high)


def _axis(chart: Chart, at: float, name: str, low: str, high: str) -> None:
    (x, bottom), (_, top) = chart.place(at, 0.0), chart.place(at, 1.0)
    said = name if len(name) <= 14 else f"{name[:13]}…"
    chart.parts.append(f'<path class="axis" d="M{x} {bottom}V{top}"/>')
    for y, words in ((bottom + 15, low), (top - 2, high), (bottom + 32, said)):
        ink = "ink" if words == said else "muted-ink"
        chart.middle(x, y, words, ink)


def slices(search: Search, settings: list[SettingFound]) -> list[str]:
    """Draw the score along each of the settings that explain most, with its running median."""
    drawn = []
    runs = [run for run in search.ended if run.score is not None]
    scores = sorted(run.score or 0.0 for run in runs)
    if not runs:
        return []
    top = scores[min(len(scores) - 1, ceil((1 - CLIPPED / 2) * len(scores)))]
    y = around([s for s in scores if s <= top], "quality score")
    for one in settings[:SLICES]:
        if one.kind == "word":
            ticks = tuple(((i + 0.5) / len(one.values), word[:10])
                          for i, word in enumerate(one.values))  # fmt: skip
        else:
            ticks = tuple((at, short(v)) for v in _round_values(one)
                          if (at := place(one, v)) is not None)  # fmt: skip
        x = Axis(-0.02, 1.02, one.name[:40], ticks=ticks)
        chart, points = Chart(x, y, f"Quality score by {one.name}"), []
        for run in runs:
            value = run.settings.get(one.name)
            at = place(one, value)
            if at is None or run.score is None:
                continue
            points.append((at, run.score))
            ink, mark = ("faint", "x") if run.state == "stopped" else ("good", "o")
            chart.dot(at, run.score, ink, f"{run.run_id}: {value}, {number(run.score)}",
                      mark=mark, size=2.4)  # fmt: skip
        chart.line(_running(points), "ours")
        drawn.append(figure(chart.svg()))
    return drawn


def _round_values(one: SettingFound) -> list[float]:
    low, high = one.low or 0.0, one.high or 0.0
    axis = Axis(low, high, log=one.log)
    return [value for value, _ in axis.marks(3)] or [low, high]


def _running(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the median of neighbours along a setting; of equal places their median."""
    ordered = sorted(points)
    n = max(5, len(ordered) // 12)
    if len({at for at, _ in ordered}) <= 12:
        groups: dict[float, list[float]] = {}
        for at, score in ordered:
            groups.setdefault(at, []).append(score)
        return [(at, float(np.median(scores))) for at, scores in groups.items()]
    found = []
    for start in range(0, len(ordered) - n + 1, max(1, n // 2)):
        some = ordered[start : start + n]
        found.append((float(np.median([at for at, _ in some])),
                      float(np.median([score for _, score in some]))))  # fmt: skip
    return found
