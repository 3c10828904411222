"""What a population file does not keep, from the log of its decisions: was the oracle right?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from oracle.audit.audit import Audit, audit
from oracle.audit.ended import EndedRun, Look, look_at, said_good
from oracle.decision.log import read_decisions
from oracle.errors import DatasetError, InvalidHistory, must_be
from oracle.history.quality_score import scores_of, weights_of
from oracle.reports.search import Search, SearchRun
from oracle.types import Decision, Forecast, Policy, Reason, Scale


def audit_of_log(search: Search, log: Path, policy: Policy) -> Audit:
    """Hold what was said of a search's runs against how they ended.

    Args:
        search: its runs, as the population file has them.
        log: the file that `watch(log=...)` wrote, of this search and perhaps of others.
        policy: of the search; tells the share of controls.

    Raises:
        InvalidHistory: no decision of the log is about a run of the search.
        OSError: the log cannot be read.
    """
    ours = {run.run_id for run in search.runs}
    said: dict[str, list[Decision]] = {}
    for one in read_decisions(log):
        if isinstance(one, DatasetError) or one.decision.run_id not in ours:
            continue
        earlier = said.setdefault(one.decision.run_id or "", [])
        if earlier and (earlier[-1].progress or 0.0) >= (one.decision.progress or 0.0):
            earlier.clear()  # the run was begun anew
        earlier.append(one.decision)
    if not said:
        rule = f"the decision log of {search.name}: `watch(log=...)` writes it"
        raise InvalidHistory(must_be("--log", rule, f"{log}, with none about these runs"))
    ended = [_ended(run, said.get(run.run_id, ()), policy) for run in search.ended]
    looks = [one for run in ended for one in run.looks if one is not None]
    unlike = sum(one.quality is None for one in looks)
    return audit(ended, search.good, unlike=unlike, looks=len(looks))


def _ended(run: SearchRun, said: Sequence[Decision], policy: Policy) -> EndedRun:
    whole = run.state == "finished" and not (run.left or run.converged)
    forecasts = [one.forecast for one in said if one.forecast is not None]
    due = next((one for one in said if one.stop or one.reason is Reason.CONTROL), None)
    is_control = whole and run.held
    counts = due is not None and (run.state == "stopped" or is_control)
    return EndedRun(
        run_id=run.run_id,
        score=_score(run, forecasts[-1]) if whole and forecasts else None,
        rank_by=float("nan") if run.score is None else run.score,
        stopped=run.state == "stopped",
        held=(policy.control or None) if is_control else None,
        told=due.progress if due is not None and counts else None,
        p_good=said_good(due) if due is not None and counts else None,
        looks=look_at([_look(one) for one in said if one.progress is not None]),
    )


def _look(said: Decision) -> Look:
    unlike = said.reason is Reason.NO_SUPPORT or said.forecast is None
    quality = None if unlike or said.forecast is None else said.forecast.quality[-1].values
    return Look(said.progress or 0.0, quality, said_good(said))


def _score(run: SearchRun, forecast: Forecast) -> float | None:
    """Score an end as its forecasts are scored: on their scale, with their weights."""
    told = forecast.quality[-1]
    unit = run.mqe_of_mean if told.scale is Scale.RELATIVE else 1.0
    if unit is None or None in run.finals:
        return None
    values = np.array([[value] for value in run.finals], np.float64)
    score = float(scores_of(values, weights_of(unit, told.weights))[0])
    return None if np.isnan(score) else score
