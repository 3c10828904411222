"""The report of `oracle replay`: the policy in force first, what it saved and lost, then others."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from typing import Any

from oracle.evaluation.replay_policies import CLAIRVOYANT, IN_FORCE, ONE_BY_ONE
from oracle.reports.page import (
    Cell,
    Conclusion,
    Section,
    anchor,
    figure,
    folded,
    paragraph,
    side_by_side,
    table,
)
from oracle.reports.svg import WIDE, Axis, Chart
from oracle.reports.words import number, percent, short, span

#: What `oracle replay` says where no other runs were named to choose on.
OTHER_HALF = "the other half of the tables"
#: ... and where there is no other half.
ONE_TABLE = (
    "One table has no other half to choose a setting on, so nothing is stopped below. "
    "Name other recorded runs with --choose-on."
)
#: Saved less than this, a policy is not worth its name; rows of the table of runs.
LITTLE, MAX_RUNS = 0.05, 300
INKS = ("ours", "too", "s1", "s2", "s3", "s4", "s5")


def conclude(found: dict[str, Any]) -> Conclusion:
    """Say in a sentence whether the policy in force is good enough for these runs, and why.

    It is measured by the largest of the limits on good runs lost.

    Args:
        found: as `oracle replay --json` has it.
    """
    force, limit = found["in_force"], max(float(x) for x in found["chosen"])
    saved, lost, good = force["saved"], force["lost"], force["good_runs"]
    ends = span(saved["low"], saved["high"])
    said = (
        f"The policy in force ({force['says']}) would have saved {percent(saved['value'], 1)} of "
        f"all epochs{f' ({ends})' if ends else ''} and lost {force['lost_runs']} of {good} good "
        f"runs ({span(lost['low'], lost['high'], 1)})"
    )
    if lost["value"] > limit:
        sentence = f"{said}; at most {percent(limit)} was the limit."
        if lost["low"] <= limit:
            word = "Lost more than asked, on too few good runs to say"
            return Conclusion(word, "warn", sentence)
        return Conclusion("Not good enough for these runs", "bad", sentence)
    if saved["value"] < LITTLE:
        return Conclusion("Saves next to nothing on these runs", "warn", f"{said}.")
    if lost["high"] <= limit:
        return Conclusion("Good enough for these runs", "good", f"{said}.")
    needed = ceil(log(0.025) / log(1 - limit))
    sentence = (
        f"{said}. So few good runs do not show that at most {percent(limit)} are lost: none lost "
        f"of {needed} would, with 95 % confidence."
    )
    return Conclusion("Good as far as these runs tell", "good", sentence)


def of_replay(found: dict[str, Any]) -> list[Section]:
    """Lay out what was found: the policy in force first, then others, every figure of each.

    Args:
        found: as `oracle replay --json` has it.
    """
    force = found["in_force"]
    ours = _figures(Cell(f"in force: {force['says']}"), force)
    rest = [
        _figures(Cell(f"risk {_label(one)}"), one) for one in found["curves"].get(ONE_BY_ONE, ())
    ]
    bound = [_figures(Cell("clairvoyant"), c) for c in found["curves"].get(CLAIRVOYANT, ())]
    first = table(HEAD, [ours, *rest, *bound], ours[0].said)
    others = "".join(
        folded(name, table(HEAD, [line for one in curve for line in _with_converged(one)]))
        for name, curve in found["curves"].items()
        if name not in (ONE_BY_ONE, CLAIRVOYANT)
    )
    intervals = "Small: 95 % intervals, by table where there are several."
    sections = [
        Section(
            "What it would have saved and lost",
            f"The policy in force, then the same rule at other risks, one run after another. "
            f"{intervals}",
            first + others,
        ),
        Section(
            "Saved against lost",
            "Every policy at each of its settings; what is up and left is better. The number at a "
            "point is its setting, for ours the risk. The lines at the ring are its intervals.",
            _picture(found),
        ),
    ]
    for limit, rows in found["chosen"].items():
        title = f"At most {percent(float(limit))} of the good runs lost"
        sections.append(Section(title, *_chosen(found, rows)))
    if proofs := found.get("certificates"):
        said = "".join(
            paragraph(f"{name}: {made['says'] if made else 'no risk can be shown to hold.'}")
            for name, made in proofs.items()
        )
        sections.append(Section("What is proven", "", said))
    if len(force["by_table"]) > 1:
        lines = [
            [
                name,
                str(of["runs"]),
                percent(of["saved"], 1),
                f"{of['lost_runs']} of {of['good_runs']}",
            ]
            for name, of in force["by_table"].items()
        ]
        sections.append(Section("By table", "The policy in force.", side_by_side(
            table(["", "runs", "epochs saved", "good runs lost"], lines))))  # fmt: skip
    if found["excluded"]:
        lines = [[reason, str(n)] for reason, n in found["excluded"].items()]
        sections.append(Section("Left out", "", table(["why", "runs"], lines)))
    return [*sections, _runs(force["runs"])]


HEAD = ("", "epochs saved", "compute saved", "saved of runs not good", "good runs lost", "regret")


def _figures(name: Cell, of: dict[str, Any]) -> list[Any]:
    saved, lost = of["saved"], of["lost"]
    return [
        name,
        Cell(percent(saved["value"], 1), span(saved["low"], saved["high"])),
        percent(of["compute_saved"]["value"], 1),
        percent(of["bad_saved"]["value"], 1),
        Cell(percent(lost["value"], 2), span(lost["low"], lost["high"], 1)),
        f"{of['regret']['value']:.4f}",
    ]


def _with_converged(one: dict[str, Any]) -> list[list[Any]]:
    lines = [_figures(Cell(_label(one)), one)]
    if one["converged"]["value"]:
        more = one["gained_more"]["value"]
        said = (
            f"{percent(one['converged']['value'], 1)} converged; of these {percent(more, 1)} would "
            f"have gained more, on average {one['given_up']['value']:+.4f}"
        )
        lines[0][0] = Cell(_label(one), said)
    return lines


def _label(one: dict[str, Any]) -> str:
    return one["label"] or short(one["setting"])


def _chosen(found: dict[str, Any], rows: Sequence[dict[str, Any]]) -> tuple[str, str]:
    lead = f"Each policy's setting was chosen on {found['chosen_on']}."
    if found["tables"] < 2 and found["chosen_on"] == OTHER_HALF:
        lead = ONE_TABLE
    lines, notes = [], []
    for row in rows:
        if few := row.get("too_few"):
            notes.append(
                f"{row['policy']}: too few runs; 0 of {few['good']} good ones lost still allows "
                f"{percent(few['bound'])} ({percent(few['confidence'])} confidence), "
                f"{few['needed']} are needed"
            )
        elif row["settings"] and all(s is None for s in row["settings"]):
            notes.append(f"{row['policy']}: no setting keeps the limit")
        else:
            lines.append(_figures(Cell(row["policy"]), row))
    return lead, (table(HEAD, lines) if lines else "") + "".join(paragraph(n + ".") for n in notes)


def _picture(found: dict[str, Any]) -> str:
    curves, force = found["curves"], found["in_force"]
    lost = [one["lost"]["value"] for curve in curves.values() for one in curve]
    end = min(1.05, max(0.06, 1.25 * max([*lost, force["lost"]["high"]])))
    shares = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    x = Axis(-0.0015, end, "good runs lost", percent, knee=0.02,
             ticks=tuple((s, percent(s)) for s in shares))  # fmt: skip
    chart = Chart(x, Axis(0.0, 1.0, "epochs saved", percent), "Saved against lost", WIDE)
    for one in curves.get(CLAIRVOYANT, ()):
        chart.level(one["saved"]["value"], "good", "clairvoyant: all that can be saved")
    legend, heads = [], []
    for i, (name, curve) in enumerate((n, c) for n, c in curves.items() if n != CLAIRVOYANT):
        ink = INKS[i % len(INKS)]
        legend.append(("line", ink, name))
        points = sorted((one["lost"]["value"], one["saved"]["value"], _label(one)) for one in curve)
        chart.line([(at, saved) for at, saved, _ in points], ink)
        for at, saved, label in points:
            said = f"{name}, {label}: {percent(saved, 1)} saved, {percent(at, 2)} lost"
            chart.dot(at, saved, ink, said, size=3)
            heads.append((*chart.place(at, saved), label, ink))
    taken: list[tuple[float, float]] = []
    for px, py, label, ink in heads:  # names that would lie on another are told by pointing
        if len(label) <= 8 and all(abs(px - x) > 34 or abs(py - y) > 12 for x, y in taken):
            taken.append((px, py))
            chart.text(px + 6, py + 4, label, ink)
    at, up = force["lost"], force["saved"]
    chart.lying(up["value"], at["low"], at["high"], "ink")
    if up["low"] is not None:
        chart.bar(at["value"], up["low"], up["high"], "ink")
    said = f"in force, {force['says']}: {percent(up['value'], 1)} saved, "
    said += f"{percent(at['value'], 2)} lost"
    chart.dot(at["value"], up["value"], "ink", said, mark="O", size=6)
    px, py = chart.place(at["value"], up["value"])
    chart.text(px + 10, py - 8, "in force", "ink")
    return figure(chart.svg(), "", [("ring", "ink", IN_FORCE), *legend])


def _runs(runs: Sequence[dict[str, Any]]) -> Section:
    good = sorted(
        (run for run in runs if run["good"]),
        key=lambda run: (run["stopped_at"] is None, run["table"], run["rank"]),
    )
    lines = [
        [
            Cell(run["run_id"], name=anchor(run["run_id"])),
            Cell(run["table"]),
            number(run["score"]),
            f"{run['rank']} of {run['of']}",
            "ran on" if run["stopped_at"] is None else f"lost at {percent(run['stopped_at'])}",
        ]
        for run in good[:MAX_RUNS]
    ]
    lead = "What the policy in force would have done with each; those lost first."
    head = ["run", "table", "quality score", "rank", ""]
    return Section("The good runs, one by one", lead, table(head, lines, words=2))
