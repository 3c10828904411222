"""One line that tells how a search went: stops, savings, the best, why nothing was stopped."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from oracle.decision.wrong_stops import Tally
from oracle.history.quality_score import scores_among
from oracle.types import METRICS, TARGETS, FloatArray, ParetoPolicy, Policy
from oracle.types.policy import POLICIES

#: For how long a second training that was begun and has not ended is taken to be at work, seconds.
AT_WORK_S = 3600.0


class Member(NamedTuple):
    """One run of a population, as the file keeps it."""

    run_id: str
    name: str | None
    state: str
    progress: float | None
    final_mqe: float | None
    final_topographic_error: float | None
    final_dead_neuron_ratio: float | None
    mqe_of_mean: float | None
    held_at: float | None
    policy: str | None
    started_at: float | None
    ended_at: float | None
    reason: str | None
    about: str | None
    spread: float | None
    spreads: str | None
    spent_before: float = 0.0

    @property
    def is_trained_anew(self) -> bool:
        """Whether a second training of it is at work, or was killed not long ago."""
        began, ended = self.started_at or 0.0, self.ended_at or 0.0
        return self.state == "stopped" and began > ended and time.time() - began < AT_WORK_S

    @property
    def said(self) -> dict[str, Any]:
        """What was said of it: config, tags and notes, those that were."""
        return dict(json.loads(self.about or "{}"))

    @property
    def config(self) -> dict[str, Any]:
        """What it was begun with, as `watch(config=...)` was told; empty where it was not."""
        return dict(self.said.get("config") or {})

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values; what is not known is left out."""
        values = {name: value for name, value in self._asdict().items() if value is not None}
        if not self.spent_before:
            values.pop("spent_before", None)
        if self.policy is not None:
            values["policy"] = json.loads(self.policy)
        if self.spreads is not None:
            values["spreads"] = json.loads(self.spreads)
        values.pop("about", None)
        values.update(self.said)
        return values


#: Of each state: runs, budgets that they used, those that ended before, and what was used before.
COUNTS = (
    "SELECT state, count(*), sum(coalesce(progress, 1)),"
    " count(*) FILTER (WHERE coalesce(progress, 1) < 1), sum(spent_before) FROM run"
)


def counted(
    name: str, rows: Sequence[tuple[str, int, float, int, float]], others: tuple[str, ...]
) -> Tally:
    """Count a population from the rows of COUNTS.

    Args:
        name: of the population.
        rows: a row a state.
        others: the populations that are there where this one is not.
    """
    runs = Counter({state: n for state, n, *_ in rows})
    used = {state: spent for state, _, spent, *_ in rows}
    planned = float(runs["finished"] + runs["stopped"])
    # Of a run that its own loop left early the rest was not planned, and not saved.
    saved = planned - used.get("finished", 0.0) - used.get("stopped", 0.0)
    saved -= sum(before for *_, before in rows)
    planned += used.get("left", 0.0)
    return Tally(
        finished=runs["finished"],
        stopped=runs["stopped"],
        live=runs["live"],
        saved=saved / planned if planned else 0.0,
        left=runs["left"],
        abandoned=runs["abandoned"],
        name=name,
        # Of finished runs those end before their budget that have converged.
        converged=next((early for state, _, _, early, _ in rows if state == "finished"), 0),
        others=others,
    )


def line(tally: Tally, members: Sequence[Member]) -> str:
    """Summarise a population.

    Args:
        tally: its counts.
        members: its runs, in the order of their ends.
    """
    told = [f"{tally.name}: {tally}" if members else str(tally)]
    ended = [m for m in members if m.final_mqe is not None and m.state != "abandoned"]
    if ended:
        told.append(_best(ended, policy_told(members) or Policy()))
    if members and not tally.stopped:
        reasons = Counter(m.reason.partition(": ")[0] for m in members if m.reason)
        for reason, _ in reasons.most_common(1):
            last = next(m.reason for m in reversed(members) if (m.reason or "").startswith(reason))
            told.append(f"nothing was stopped, mostly because {str(last).partition(': ')[2]}")
    return "; ".join(told)


def policy_told(members: Sequence[Member]) -> Policy | None:
    """Give the policy of the last run that tells one; what only a later version knows is left out.

    Args:
        members: of a population, in the order of their ends.
    """
    stored = next((m.policy for m in reversed(members) if m.policy is not None), None)
    told: dict[str, Any] = json.loads(stored or "{}")
    rule = POLICIES.get(told.get("name", ""))
    if rule is None:
        return None
    with suppress(ValidationError):
        return rule.model_validate({k: v for k, v in told.items() if k in rule.model_fields})
    return None


def _best(ended: Sequence[Member], policy: Policy) -> str:
    values = np.array([[getattr(m, t) for t in TARGETS] for m in ended], dtype=np.float64).T
    if isinstance(policy, ParetoPolicy):
        return _front(ended, values[[METRICS.index(o) for o in policy.objectives if o in METRICS]])
    weights = policy.quality_weights
    scores = scores_among(values, [m.mqe_of_mean for m in ended], weights)
    if np.isnan(scores).all():
        return "no run has a quality score"
    best = int(np.nanargmin(scores))
    asked = [name for name, w in zip(METRICS, weights, strict=True) if w]
    known = [name for name in asked if np.isfinite(values[METRICS.index(name)]).any()]
    what, value, of_what = "quality score", scores[best], ""
    if len(asked) == 1:
        what, value = asked[0].replace("_", " "), values[METRICS.index(asked[0]), best]
    elif len(known) < len(asked):
        of_what = f" of {' and '.join(known).replace('_', ' ')} alone"
    which = ended[best].name or ended[best].run_id
    return f"best {what}{of_what} {value:.4g} ({which}, {_kind(ended[best])})"


def _front(ended: Sequence[Member], points: FloatArray) -> str:
    """Count the Pareto front of points [objective, run] and those on it that are maps."""
    told = np.isfinite(points).all(axis=0)
    ended, points = [ended[int(i)] for i in np.flatnonzero(told)], points[:, told]
    no_worse = (points[:, :, None] <= points[:, None, :]).all(axis=0)
    on_front = np.flatnonzero(~(no_worse & ~no_worse.T).any(axis=0))
    maps = sum(ended[int(i)].state != "stopped" for i in on_front)
    forecasts = len(on_front) - maps
    which = f"{maps} of them whole, {forecasts} forecast" if forecasts else "all of them whole"
    return f"{len(on_front)} runs on the Pareto front, {which}"


def _kind(member: Member) -> str:
    return {"stopped": "a forecast", "left": "left by its own loop"}.get(member.state, "whole")


def kind_of(policy: str | None) -> str | None:
    """Give a policy but for what a search changes that finishes some of its stopped runs.

    Nor is `learn` told: searches of before do not have it. What a policy of before lacks has the
    default that stands for it.
    """
    if policy is None:
        return None
    own: dict[str, Any] = json.loads(policy)
    with suppress(ValidationError):  # of a later version
        own = Policy.model_validate(own).model_dump(mode="json")
    return json.dumps({k: v for k, v in own.items() if k not in _NOT_ITS_KIND}, sort_keys=True)


_NOT_ITS_KIND = ("control", "min_progress", "learn")
