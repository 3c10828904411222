"""A search of several objectives in its report: the front of its finished maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracle.reports.page import Cell, Section, anchor, figure, table
from oracle.reports.search import Search, SearchRun
from oracle.reports.svg import WIDE, Chart, around
from oracle.reports.words import number, percent, setting, short
from oracle.types import METRICS

#: Members that are told of a front, and settings of each.
MAX_MEMBERS, COLUMNS = 50, 6


def front_section(search: Search, links: set[str]) -> Section | None:
    """Draw and list the front; None where one objective alone was minimised, or none has ended.

    Args:
        search: the search.
        links: run_ids that have a row in the table of runs.
    """
    front = search.front
    if not front:
        return None
    names = [one.replace("_", " ") for one in search.objectives]
    lead = (
        f"{len(front)} of {len(search.of('finished'))} finished runs are beaten by none in "
        f"{' and '.join(names)} at once; stopped ones are no maps, and not among them."
    )
    return Section("Pareto front", lead, _picture(search, front, links) + _members(search, front))


def values_of(run: SearchRun, objectives: Sequence[str]) -> list[float]:
    """Give what was minimised, in order; NaN where it is not known."""
    known = dict(zip(METRICS, run.finals, strict=True))
    return [
        float("nan") if known[name] is None else float(known[name] or 0.0) for name in objectives
    ]


def _picture(search: Search, front: list[SearchRun], links: set[str]) -> str:
    across, up = search.objectives[:2]
    points = {run.run_id: values_of(run, (across, up)) for run in search.ended}
    known = {name: at for name, at in points.items() if np.isfinite(at).all()}
    x, y = (
        around(
            [at[i] for at in known.values()],
            f"{name.replace('_', ' ')}, lower is better",
            short if name == "mqe" else percent,
        )
        for i, name in enumerate((across, up))
    )
    chart = Chart(x, y, f"{len(known)} ended runs by {across} and {up}", WIDE)
    members = {run.run_id for run in front}
    if len(search.objectives) == 2:
        chart.steps(sorted((known[run.run_id][0], known[run.run_id][1]) for run in front), "ours")
    for run in search.ended:
        if run.run_id not in known:
            continue
        at = known[run.run_id]
        said = f"{run.run_id}: {number(at[0])}, {number(at[1])}"
        href = f"#{anchor(run.run_id)}" if run.run_id in links else ""
        if run.state == "stopped":
            chart.dot(at[0], at[1], "faint", f"{said} by its forecast", mark="x", size=3, href=href)
        else:
            ink, size = ("ours", 4.5) if run.run_id in members else ("good", 3.0)
            chart.dot(at[0], at[1], ink, said, size=size, href=href)
    return figure(chart.svg(), "", [
        ("dot", "ours", "on the front"), ("dot", "good", "finished"),
        ("cross", "faint", "stopped, at its forecast"),
    ])  # fmt: skip


def _members(search: Search, front: list[SearchRun]) -> str:
    names = [one.name for one in search.found.settings[:COLUMNS]]
    if not names:
        names = list(dict.fromkeys(n for run in front for n in run.settings))[:COLUMNS]
    lines = [
        [
            Cell(run.run_id, "" if run.name == run.run_id else run.name,
                 href=f"#{anchor(run.run_id)}"),
            *(percent(value, 1) if name != "mqe" else number(value)
              for name, value in zip(
                  search.objectives, values_of(run, search.objectives), strict=True)),
            *(setting(run.settings.get(name)) for name in names),
        ]
        for run in front[:MAX_MEMBERS]
    ]  # fmt: skip
    head = ["run", *(one.replace("_", " ") for one in search.objectives), *names]
    return table(head, lines)
