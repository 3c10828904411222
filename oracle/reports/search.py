"""A search as its report sees it: runs on one scale, in order of ending, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from oracle.audit.audit import Audit
from oracle.audit.settings import SettingsFound, settings_found
from oracle.decision.hypervolume import nondominated
from oracle.errors import InvalidHistory, must_be
from oracle.history.quality_score import common_scale, scores_among
from oracle.reports.page import Conclusion
from oracle.reports.words import NBSP, number, percent
from oracle.types import METRICS, QUALITY_WEIGHTS, FloatArray, ParetoPolicy, Policy
from oracle.types.about import Setting

State = Literal["running", "stopped", "finished"]
HOUR_S = 3600.0


class SearchRun(NamedTuple):
    """A run of a search.

    Attributes:
        name: that people gave it, told beside the run_id; the run_id where it has none.
        seen: share of its budget, None where that is unknown.
        finals: at its end, after TARGETS; of a stopped one by its forecast; None = not known.
        quality: five quantiles of the score as last forecast, on the search's scale.
        began, ended: seconds of one clock.
        spread: half of the middle half of the forecast score, where its quantiles are not known.
        score: of its finals, set by `search_of`; None = not known, or of another table.
        held: it was let run on as a control.
        p_good: as last said.
        converged: it ended before its budget because the rest would change nothing.
        left: its own loop ended it, and saved nothing by it.
        spent_before: budgets that it used before it was begun anew.
    """

    run_id: str
    name: str
    state: State
    seen: float | None
    epoch: float
    total_epochs: float | None
    finals: tuple[float | None, float | None, float | None]
    mqe_of_mean: float | None = None
    quality: tuple[float, ...] | None = None
    settings: Mapping[str, Setting] = {}
    reason: str | None = None
    p_good: float | None = None
    held: bool = False
    converged: bool = False
    left: bool = False
    spent_before: float = 0.0
    began: float | None = None
    ended: float | None = None
    spread: float | None = None
    score: float | None = None


class LostRuns(NamedTuple):
    """Good runs of a search whose stopped runs are recorded to their end.

    Attributes:
        stopped: good runs that were stopped.
        good: good runs in all.
    """

    stopped: int
    good: int


@dataclass(frozen=True)
class Search:
    """What is told of a search.

    Attributes:
        name: of the population.
        source: where it was read from, for people.
        runs: in order of ending, those that still train last.
        good: share that counts as good.
        weights: of the quality score.
        audit: whether the oracle is right on it; None where the source keeps no decisions.
        controls: what its controls say, where there is no audit.
        counted: what its budgets are counted in.
        lost: good runs that were stopped; None = not known, they were not trained on.
        found: which settings are good.
        objectives: what was minimised, of several after METRICS.
    """

    name: str
    source: str
    runs: tuple[SearchRun, ...]
    good: float = 0.1
    weights: tuple[float, float, float] = QUALITY_WEIGHTS
    audit: Audit | None = None
    controls: str = ""
    counted: str = "epochs"
    lost: LostRuns | None = None
    found: SettingsFound = field(kw_only=True)
    objectives: tuple[str, ...] = field(kw_only=True, default=("score",))

    @property
    def unit(self) -> float | None:
        """The mqe_of_mean of its table: the unit of mqe in the score; None = raw."""
        return common_scale(run.mqe_of_mean for run in self.runs)

    @property
    def ended(self) -> list[SearchRun]:
        """Runs that have ended, in this order."""
        return [run for run in self.runs if run.state != "running"]

    def of(self, state: State) -> list[SearchRun]:
        """Runs in a state."""
        return [run for run in self.runs if run.state == state]

    @property
    def best(self) -> SearchRun | None:
        """The best run that went to its end."""
        whole = [run for run in self.of("finished") if run.score is not None]
        return min(whole, key=lambda run: run.score or 0.0, default=None)

    @property
    def front(self) -> list[SearchRun]:
        """Finished runs that none beats in all of several objectives, by the first of these."""
        if len(self.objectives) < 2:
            return []
        at = [METRICS.index(name) for name in self.objectives]
        whole = [run for run in self.of("finished") if None not in (run.finals[i] for i in at)]
        points: FloatArray = np.array([[run.finals[i] for i in at] for run in whole], np.float64)
        best = {tuple(point) for point in nondominated(points.reshape(-1, len(at))).tolist()}
        members = [(tuple(p), run) for p, run in zip(points.tolist(), whole, strict=True)]
        return [run for p, run in sorted(members, key=lambda one: one[0]) if p in best]

    @property
    def spent(self) -> tuple[float, float]:
        """Epochs planned and used by ended runs whose budget is known."""
        planned = used = 0.0
        for run in self.ended:
            if run.total_epochs:
                whole = min(run.epoch, run.total_epochs) if run.left else run.total_epochs
                planned += whole
                used += run.epoch if run.state == "stopped" or run.converged else whole
                used += run.spent_before * run.total_epochs
        return planned, used

    @property
    def saved(self) -> float | None:
        """Share of the planned epochs that was saved; None where no budget is known."""
        planned, used = self.spent
        return 1.0 - used / planned if planned else None

    @property
    def hours(self) -> tuple[float, float] | None:
        """Worker hours used by ended runs, and saved, by each run's own pace; None = no times."""
        used = saved = 0.0
        for run in self.ended:
            if run.began is None or run.ended is None or run.ended <= run.began:
                continue
            took = run.ended - run.began
            used += took
            if (run.state == "stopped" or run.converged) and run.total_epochs and run.epoch > 0:
                saved += took * max(0.0, run.total_epochs / run.epoch - 1.0)
        return (used / HOUR_S, saved / HOUR_S) if used else None

    @property
    def places(self) -> dict[str, int]:
        """run_id -> rank among the ended runs with a score, 1 = best."""
        known = [run for run in self.ended if run.score is not None]
        order = sorted(known, key=lambda run: run.score or 0.0)
        return {run.run_id: i + 1 for i, run in enumerate(order)}

    def as_json(self) -> dict[str, Any]:
        """Give the figures of the report as JSON values."""
        planned, used = self.spent
        best, took = self.best, self.hours
        return {
            "population": self.name,
            "source": self.source,
            "runs": len(self.runs),
            "running": len(self.of("running")),
            "stopped": len(self.of("stopped")),
            "finished": len(self.of("finished")),
            "counted": self.counted,
            "planned": planned,
            "used": used,
            "saved_share": self.saved,
            "hours": None if took is None else {"used": took[0], "saved": took[1]},
            "lost": None if self.lost is None else self.lost._asdict(),
            "objectives": list(self.objectives),
            "front": [run.run_id for run in self.front],
            "best": None if best is None else {"run_id": best.run_id, "score": best.score},
            "audit": None if self.audit is None else self.audit.model_dump(mode="json"),
            "settings": self.found.model_dump(mode="json"),
        }


def search_of(
    name: str,
    source: str,
    runs: Sequence[SearchRun],
    *,
    good: float,
    weights: tuple[float, float, float],
    audit: Audit | None = None,
    controls: str = "",
    counted: str = "epochs",
    lost: LostRuns | None = None,
    objectives: tuple[str, ...] = ("score",),
) -> Search:
    """Put runs in order and score them.

    Raises:
        InvalidHistory: there is no run, or none has ended.
    """
    if not any(run.state != "running" for run in runs):
        what = f"{len(runs)} that still train" if runs else "none"
        rule = "a search with a run that has ended"
        raise InvalidHistory(must_be("population", rule, f"{name!r} with {what}"))
    ordered = sorted(
        runs, key=lambda run: (run.state == "running", run.ended or 0.0, run.began or 0.0)
    )
    values: FloatArray = np.array([run.finals for run in ordered], np.float64).reshape(-1, 3).T
    over = np.array([run.state != "running" for run in ordered])
    scores = np.full(len(ordered), np.nan)
    scales = [run.mqe_of_mean for run in ordered]
    told = [scale for scale, ended in zip(scales, over, strict=True) if ended]
    scores[over] = scores_among(values[:, over], told, weights)
    scored = tuple(_scored(run, float(score)) for run, score in zip(ordered, scores, strict=True))
    over_scores = scores[over]
    told_settings = [run.settings for run in scored if run.state != "running"]
    found = settings_found(told_settings, over_scores, good)
    about = (audit, controls, counted, lost)
    return Search(
        *(name, source, scored, good, weights), *about, found=found, objectives=objectives
    )


def objectives_of(policy: Policy) -> tuple[str, ...]:
    """Tell what a search by this policy minimises: several metrics, or the quality score."""
    several = policy.asks if isinstance(policy, ParetoPolicy) else ()
    return several if len(several) > 1 else ("score",)


def _scored(run: SearchRun, score: float) -> SearchRun:
    if np.isnan(score):
        return run._replace(score=None)
    quality = run.quality
    if quality is None and run.spread is not None:
        low, high = score - run.spread, score + run.spread
        quality = (low, low, score, high, high)
    return run._replace(score=score, quality=quality)


def conclude(search: Search) -> Conclusion:
    """Say in a sentence what the search came to, and whether the oracle can be believed on it."""
    stopped, best, saved = len(search.of("stopped")), search.best, search.saved
    said = f"{stopped} of {len(search.ended)} ended runs were stopped"
    if saved is not None:
        said += f", which saved {percent(saved)} of all {search.counted}"
    if search.hours and search.hours[1]:
        said += f" ({hours(search.hours[1])} of work)"
    if len(search.objectives) > 1:
        told = " and ".join(one.replace("_", " ") for one in search.objectives)
        said += f"; {len(search.front)} finished runs are on the Pareto front of {told}"
    elif best is not None and best.score is not None:
        said += f"; the best run, {best.run_id}, has a quality score of {number(best.score)}"
    audit = search.audit
    if not stopped:
        return Conclusion("Nothing was stopped", "warn", f"{said}.")
    if audit is None:
        said += "; whether the oracle was right is not known, its decisions were not kept here"
        return Conclusion(f"Saved {percent(saved)}", "warn", f"{said}. {sentence(search.controls)}")
    lost = audit.lost
    if search.lost is not None:
        said += f"; {search.lost.stopped} of {search.lost.good} good runs were lost by it"
    if lost.asked:
        said += (
            f"; its stops cost {lost.expected:.1f} good runs by what it said itself, "
            f"stops at random would have cost {number(lost.by_chance, 2)}"
        )
    word: dict[str, tuple[str, Literal["good", "warn", "bad"]]] = {
        "in its promise": ("The oracle was right on this search", "good"),
        "cannot say yet": ("Too early to say whether the oracle was right", "warn"),
        "worse than promised": ("The oracle was worse than it promised", "bad"),
    }
    title, tone = word[audit.word]
    return Conclusion(title, tone, f"{said}. {sentence(audit.sentence)}")


def sentence(said: str) -> str:
    """Make a sentence of words that may be none."""
    said = re.sub(r"(\d)%", rf"\1{NBSP}%", said)
    return f"{said[:1].upper()}{said[1:].rstrip('.')}." if said else ""


def hours(value: float) -> str:
    """Write a time of work.

    >>> hours(2.5), hours(0.2), hours(0.001)
    ('2.5 h', '12 min', '4 s')
    """
    if value >= 1.0:
        return f"{value:.1f} h"
    return f"{value * 60:.0f} min" if value * 60 >= 1 else f"{value * HOUR_S:.0f} s"
