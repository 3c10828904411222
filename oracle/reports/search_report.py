"""The report of `oracle report`: a search as the live page shows it, to forward."""

from __future__ import annotations

from collections import Counter
from typing import Any

from oracle.audit.audit import Audit
from oracle.audit.settings import SettingFound
from oracle.reports.page import (
    Cell,
    Section,
    anchor,
    folded,
    paragraph,
    side_by_side,
    table,
    text,
)
from oracle.reports.search import Search, SearchRun, hours, sentence
from oracle.reports.search_figures import (
    best_so_far,
    coverage,
    importance,
    parallel,
    promised,
    slices,
)
from oracle.reports.search_front import front_section
from oracle.reports.words import NONE, count, number, percent, plain, setting, span
from oracle.types.reason import STOPS

#: Rows of the table of runs, and its columns of settings.
MAX_RUNS, COLUMNS = 300, 6


def of_search(search: Search) -> list[Section]:
    """Lay out a search: what was saved, best so far, the oracle, settings, runs."""
    listed = _listed(search)
    links = {run.run_id for run in listed}
    numbers = table(["", ""], [[Cell(what, told), n] for what, n, told in _numbers(search)])
    sections = [Section("In numbers", "", numbers)]
    if (front := front_section(search, links)) is not None:
        sections.append(front)
    if picture := best_so_far(search, links):
        lead = "Every run that ended, in order; a point leads to its row. Lower is better."
        sections.append(Section("Best so far", lead, picture))
    sections.append(_right(search))
    sections.append(_settings(search))
    return [*sections, _runs(search, listed)]


def _numbers(search: Search) -> list[list[Any]]:
    ended, best, audit = search.ended, search.best, search.audit
    planned, used = search.spent
    counts = Counter(run.state for run in search.runs)
    rows: list[list[Any]] = [
        ["Runs", f"{len(search.runs)}", f"{counts['finished']} finished, {counts['stopped']} "
         f"stopped, {counts['running']} still training"],
        [f"{plain(search.counted)} saved", percent(search.saved, 1),
         f"{count(planned - used)} of {count(planned)} planned, of ended runs whose budget "
         "is known"],
    ]  # fmt: skip
    if search.hours:
        took, spared = search.hours
        told = f"beside {hours(took)} used; by each run's own pace"
        rows.append(["Time saved", hours(spared), told])
    if len(search.objectives) > 1:
        told = " and ".join(one.replace("_", " ") for one in search.objectives)
        rows.append(["On the Pareto front", str(len(search.front)), f"finished runs; {told}"])
    elif best is not None:
        link = Cell(number(best.score), href=f"#{anchor(best.run_id)}")
        unit = "mqe relative to the table's" if search.unit else "raw mqe"
        rows.append(["Best quality score", link, f"{best.run_id}; {unit}, lower is better"])
    if audit is not None:
        lost = audit.lost
    if audit is not None and lost.asked:
        rows.append(["Good runs lost, by what it said", f"{lost.expected:.1f}",
                     f"sum of P(good) over {lost.asked} of {lost.stops} stops; as many stops at "
                     f"random would cost {number(lost.by_chance, 2)}"])  # fmt: skip
    if search.lost is not None:
        rows.append(["Good runs lost", f"{search.lost.stopped} of {search.lost.good}",
                     "how the stopped runs went on is recorded"])  # fmt: skip
    elif audit is not None:
        measured = lost.measured
        said = "no control has ended yet" if measured.rate is None else (
            f"{span(measured.low, measured.high)}, at most {percent(lost.upper)} at every look; "
            f"random stops: {percent(lost.chance)}"
        )  # fmt: skip
        wrong = sum(one.good for one in audit.controls)
        rows.append(["Wrong stops, by controls", f"{wrong} of {len(audit.controls)}", said])
    elif search.controls:
        rows.append(["Wrong stops, by controls", "", search.controls])
    if not counts["stopped"]:
        reasons = Counter(run.reason for run in ended if run.reason)
        for reason, n in reasons.most_common(3):
            rows.append(["Nothing was stopped", f"{n} runs", reason.replace("_", " ")])
    return rows


def _right(search: Search) -> Section:
    audit, title = search.audit, "Is the oracle right on these runs?"
    if audit is None:
        return Section(title, "Its decisions were not kept where this was read from, so that "
                       "nothing can be held against how the runs ended.", "")  # fmt: skip
    lead = f"{sentence(audit.word)} {sentence(audit.sentence)} To do: {audit.advice}"
    body = side_by_side(coverage(audit), promised(audit))
    known = any(one.promised is not None for one in audit.mistakes)
    lines = [
        [f"{percent(one.seen)} seen", str(one.n), _error(one.error)]
        + ([_error(one.promised)] if known else [])
        for one in audit.mistakes
    ]
    head = ["Mean error of the score", "runs", "on this search"]
    head += ["on the model's test tables"] if known else []
    told = "Weighted so that controls stand for the stops they were drawn from."
    if search.lost is not None:
        told = "Each run by its recorded end, also of those that are stopped here."
    told += f" Of {audit.looks} decisions, {audit.unlike} called their run unlike what it knows."
    return Section(title, lead, body + table(head, lines) + paragraph(told) + _bands(audit)
                   + _controls(audit))  # fmt: skip


def _error(value: float | None) -> str:
    return NONE if value is None else f"{value:.4f}"


def _bands(audit: Audit) -> str:
    covered = [
        [f"{percent(one.seen)} seen", percent(one.level), str(one.n), percent(one.rate),
         span(one.low, one.high)]
        for one in audit.coverage
    ]  # fmt: skip
    good = [
        [f"{percent(one.low_said)} to {percent(one.high_said)}", percent(one.said, 1), str(one.n),
         percent(one.rate), span(one.low, one.high)]
        for one in audit.promised
    ]  # fmt: skip
    body = table(["", "interval", "runs", "ends inside", "95 % bounds"], covered)
    body += table(["P(good) said", "mean", "runs", "came good", "95 % bounds"], good)
    return folded("The same in numbers", body)


def _controls(audit: Audit) -> str:
    if not audit.controls:
        return ""
    lines = []
    for one in audit.controls:
        at = NONE if one.told_at is None else percent(one.told_at)
        came = "wrong: it ended good" if one.good else "right"
        rank = NONE if one.rank is None else f"{one.rank} of {one.of}"
        name = Cell(one.run_id, href=f"#{anchor(one.run_id)}")
        lines.append([name, at, percent(one.p_good, 1), rank, came])
    head = ["", "a stop was due at", "P(good) said", "ended", "the stop would have been"]
    return folded(f"Controls, one by one: {len(lines)}", table(head, lines))


def _settings(search: Search) -> Section:
    found, title = search.found, "Which settings are good?"
    settings = list(found.settings)
    if not settings:
        why = "No setting differs between these runs, or too few of them have ended."
        return Section(title, why, "")
    lead = f"{found.runs} runs; the best {found.best} in colour. {sentence(found.way)}"
    pairs = "".join(
        paragraph(f"{' and '.join(one.names)} explain {percent(one.share)} more together.")
        for one in found.together[:3]
    )
    rows = [[one.name, percent(one.share), span(one.least, one.most), _all(one), _good(one)]
            for one in settings]  # fmt: skip
    head = ["setting", "explains", "5 to 95 %", "tried", "where the best lie"]
    ranges = table(head, rows)
    body = parallel(search, settings) + side_by_side(
        importance(settings), *slices(search, settings)
    )
    return Section(title, lead, body + pairs + ranges
                   + folded("Where the best lie, as Python", text(_python(settings))))  # fmt: skip


def _all(one: SettingFound) -> str:
    if one.kind == "word":
        return ", ".join(one.values)
    return f"{setting(one.low)} to {setting(one.high)}"


def _good(one: SettingFound) -> str:
    if one.kind == "word":
        return ", ".join(one.good_values) or NONE
    if one.good_low is None or one.good_high is None:
        return NONE
    return f"{setting(one.good_low)} to {setting(one.good_high)}"


def _python(settings: list[SettingFound]) -> str:
    lines = ["best = {"]
    for one in settings:
        if one.kind == "word":
            value = repr(list(one.good_values))
        elif one.good_low is None or one.good_high is None:
            continue
        else:
            value = f"({one.good_low:.4g}, {one.good_high:.4g})"
        lines.append(f"    {one.name!r}: {value},")
    return "\n".join([*lines, "}"])


def _listed(search: Search) -> list[SearchRun]:
    """Give the runs of the table: the best first, then those that still train, bounded."""
    scored = [run for run in search.ended if run.score is not None]
    rest = [run for run in search.runs if run.score is None]
    return [*sorted(scored, key=lambda run: run.score or 0.0), *rest][:MAX_RUNS]


def _why(run: SearchRun, how: str) -> str:
    """Say why it was stopped, or was not; of a stopped one files once told why it was not."""
    known = run.reason is not None and (run.state != "stopped" or run.reason in STOPS)
    return str(run.reason).replace("_", " ") if known and run.reason != how else ""


def _runs(search: Search, listed: list[SearchRun]) -> Section:
    names = [one.name for one in search.found.settings[:COLUMNS]]
    if not names:
        names = list(dict.fromkeys(n for run in listed for n in run.settings))[:COLUMNS]
    places = search.places
    lines = []
    for run in listed:
        q = run.quality
        score = run.score if run.score is not None else (q[2] if q else None)
        bar = f"{number(q[1])} to {number(q[3])}" if q and run.state != "finished" else ""
        how = "control, " if run.held else ""
        how += "converged" if run.converged else "left by its loop" if run.left else run.state
        lines.append([
            Cell(run.run_id, "" if run.name == run.run_id else run.name, name=anchor(run.run_id)),
            str(places.get(run.run_id, NONE)),
            Cell(how, _why(run, how)),
            Cell(number(score), bar),
            percent(run.seen),
            *(setting(run.settings.get(name)) for name in names),
        ])  # fmt: skip
    lead = "The best first; small below a forecast: its middle half."
    if len(search.runs) > len(listed):
        lead += f" The first {len(listed)} of {len(search.runs)}."
    head = ["run", "rank", "state", "quality score", "seen", *names]
    return Section("Runs", lead, table(head, lines))
