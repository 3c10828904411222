"""What of a search needs somebody: pure rules over what is known of its runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from oracle.audit.audit import Audit
from oracle.types import Frozen

#: A live run is silent once nothing came for so many times its own pace, and at least so long.
SILENT_PACES, SILENT_S = 5.0, 60.0
#: A map with an mqe so many times that of one single neuron at the table's mean has diverged; where
#: that is not known, with so many times its first. Maps that order themselves first grow much less.
DIVERGED, DIVERGED_FROM_FIRST = 1.5, 10.0
#: Share of decisions that call runs unlike the training data, and decisions that it takes.
UNLIKE_SHARE, UNLIKE_FROM = 0.2, 20
#: Names told of one alert.
MOST_NAMED = 20

Kind = Literal[
    "ignored_stops", "silent", "diverged", "support_lost", "control_good", "out_of_promise",
    "new_best", "search_over",
]  # fmt: skip
Level = Literal["act", "look", "know"]
_LEVELS: dict[Kind, Level] = {
    "ignored_stops": "act",
    "out_of_promise": "act",
    "diverged": "look",
    "silent": "look",
    "support_lost": "look",
    "control_good": "look",
    "new_best": "know",
    "search_over": "know",
}


class Alert(Frozen):
    """Something that somebody should know.

    Attributes:
        key: the same as long as it is the same thing: tell one once.
        kind: which rule found it.
        level: act, look or know: how soon.
        title: a few words.
        sentence: what happened.
        advice: what to do.
        run_ids: of the runs, 20 at most.
        n: how many runs there are.
        at: when, seconds since 1970; None = now.
    """

    key: str
    kind: Kind
    level: Level
    title: str
    sentence: str
    advice: str
    run_ids: tuple[str, ...] = ()
    n: Annotated[int, Field(ge=0)] = 0
    at: float | None = None


class LiveRun(NamedTuple):
    """What is known of a run; times in seconds since 1970.

    Attributes:
        first: its mqe at its first checkpoint, and scale: mqe_of_mean; None where not known.
        stops: decisions that said stop; first_stop: share of the budget at the first of them.
        decided: reason -> decisions.
    """

    run_id: str
    state: str
    created_at: float
    updated_at: float
    n_checkpoints: int
    mqe: float
    first: float | None
    scale: float | None
    stops: int
    control: bool
    overridden: bool
    first_stop: float | None
    decided: Mapping[str, int]


class Search(NamedTuple):
    """A search as its alerts see it.

    Attributes:
        best: the best run that went to its end, its score and when it ended.
        unusual: which field lies furthest beyond the training data, in words; None = not known.
    """

    runs: Sequence[LiveRun]
    planned: int | None
    best: tuple[str, float, float] | None
    saved: float | None
    audit: Audit | None
    unusual: str | None = None


def alerts(search: Search, now: float) -> tuple[Alert, ...]:
    """Tell what needs somebody, the most urgent first."""
    found = [
        *_ignored(search.runs),
        *_out_of_promise(search.audit),
        *_diverged(search.runs),
        *_silent(search.runs, now),
        *_support(search),
        *_controls(search.audit),
        *_best(search),
        *_over(search, now),
    ]
    order = ("act", "look", "know")
    return tuple(sorted(found, key=lambda one: order.index(one.level)))


def _alert(
    kind: Kind, key: str, title: str, sentence: str, advice: str, runs: Iterable[str] = (),
    at: float | None = None,
) -> Alert:  # fmt: skip
    names = tuple(runs)
    return Alert(
        key=f"{kind}:{key}",
        kind=kind,
        level=_LEVELS[kind],
        title=title,
        sentence=sentence,
        advice=advice,
        run_ids=names[:MOST_NAMED],
        n=len(names),
        at=at,
    )


def _runs(n: int) -> str:
    return f"{n} run" if n == 1 else f"{n} runs"


def is_ignored(run: LiveRun) -> bool:
    """Whether a run was told to stop and went on, although nobody held or overruled it."""
    if run.control or run.overridden:
        return False
    return run.stops > 1 or (run.stops == 1 and run.state != "stopped")


def _ignored(runs: Sequence[LiveRun]) -> list[Alert]:
    found = [run for run in runs if is_ignored(run)]
    if not found:
        return []
    first = [run.first_stop for run in found if run.first_stop is not None]
    where = f", first at {min(first):.0%} of the budget" if first else ""
    return [
        _alert(
            "ignored_stops",
            "all",
            "Stops are ignored",
            f"{_runs(len(found))} got a stop and went on{where}: nothing is saved by these.",
            "End the training where `decision.stop` is true: `if decision.stop: break`.",
            (run.run_id for run in found),
        )
    ]


def _out_of_promise(audit: Audit | None) -> list[Alert]:
    if audit is None or audit.word != "worse than promised":
        return []
    sentence = f"On these runs the oracle is worse than promised: {audit.sentence}."
    return [_alert("out_of_promise", "now", "Out of its promise", sentence, audit.advice)]


def has_diverged(run: LiveRun) -> bool:
    """Whether a map is worse than none, see DIVERGED."""
    if run.scale is not None:
        return run.mqe > DIVERGED * run.scale
    return run.first is not None and run.mqe > DIVERGED_FROM_FIRST * run.first > 0


def _diverged(runs: Sequence[LiveRun]) -> list[Alert]:
    found = [run for run in runs if run.state == "running" and has_diverged(run)]
    if not found:
        return []
    worst = max(found, key=lambda run: run.mqe)
    than = "one single neuron has" if worst.scale is not None else "it began with"
    times = worst.mqe / (worst.scale or worst.first or 1)
    return [
        _alert(
            "diverged",
            " ".join(sorted(run.run_id for run in found[:MOST_NAMED])),
            "A run diverges" if len(found) == 1 else "Runs diverge",
            f"{worst.run_id} has an mqe of {worst.mqe:.3g}, {times:.1f} times what {than}"
            + (f"; {_runs(len(found) - 1)} more diverge." if len(found) > 1 else "."),
            "Stop it, unless it is meant to; a smaller learning rate keeps maps together.",
            (run.run_id for run in found),
        )
    ]


def pace_of(run: LiveRun) -> float | None:
    """Give the seconds from one checkpoint to the next, None of one alone."""
    if run.n_checkpoints < 2:
        return None
    return (run.updated_at - run.created_at) / (run.n_checkpoints - 1)


def _silent(runs: Sequence[LiveRun], now: float) -> list[Alert]:
    found = []
    for run in runs:
        pace = pace_of(run)
        if run.state != "running" or pace is None:
            continue
        if now - run.updated_at > max(SILENT_S, SILENT_PACES * pace):
            found.append(run)
    if not found:
        return []
    longest = max(now - run.updated_at for run in found)
    return [
        _alert(
            "silent",
            "all",
            "Runs are silent",
            f"Nothing came of {_runs(len(found))} for more than {SILENT_PACES:.0f} times their "
            f"usual step, {_span(longest)} at most.",
            "See whether their processes live; a run that is over is told by POST .../finish.",
            (run.run_id for run in sorted(found, key=lambda run: run.updated_at)),
        )
    ]


def _support(search: Search) -> list[Alert]:
    decided: Counter[str] = Counter()
    for run in search.runs:
        decided.update(run.decided)
    n, unlike = sum(decided.values()), decided["no_support"]
    if n < UNLIKE_FROM or unlike <= UNLIKE_SHARE * n:
        return []
    why = f" What lies furthest from it: {search.unusual}." if search.unusual else ""
    return [
        _alert(
            "support_lost",
            "all",
            "Unlike the training data",
            f"{unlike} of {n} decisions ({unlike / n:.0%}) judge nothing, since their runs are "
            f"unlike what the oracle was trained on.{why}",
            "Bring that field into the range of training or leave it out, or train an oracle on "
            "your own runs (docs/training.md).",
        )
    ]


def _controls(audit: Audit | None) -> list[Alert]:
    found = [one for one in audit.controls if one.good] if audit else []
    return [
        _alert(
            "control_good",
            one.run_id,
            "A control ended good",
            f"{one.run_id} would have been stopped"
            + (f" at {one.told_at:.0%}" if one.told_at is not None else "")
            + f" and ended {one.rank}. of {one.of}.",
            "One is chance, several are not: the audit says how many to expect.",
            [one.run_id],
        )
        for one in found[-MOST_NAMED:]
    ]


def _best(search: Search) -> list[Alert]:
    if search.best is None:
        return []
    name, score, at = search.best
    sentence = f"{name} ended with {score:.3g}, better than every run before."
    advice = "Nothing to do; `promising` tells which stopped runs may beat it."
    return [_alert("new_best", name, "New best", sentence, advice, [name], at)]


def _over(search: Search, now: float) -> list[Alert]:
    live = [run for run in search.runs if run.state == "running"]
    ended = len(search.runs) - len(live)
    if live or not ended or search.planned is None or ended < search.planned:
        return []
    saved = "" if search.saved is None else f", {search.saved:.0%} of the planned epochs saved"
    best = (
        "" if search.best is None else f"; the best is {search.best[0]} with {search.best[1]:.3g}"
    )
    return [
        _alert(
            "search_over",
            "end",
            "The search is over",
            f"All {ended} planned runs have ended{saved}{best}.",
            "A second look trains the stopped runs that may yet be the best (docs/policies.md).",
            at=max(run.updated_at for run in search.runs),
        )
    ]


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
