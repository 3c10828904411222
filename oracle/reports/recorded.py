"""Recorded runs as the search of a report: what a policy would have made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oracle.audit.audit import audit
from oracle.audit.ended import EndedRun, Look, look_at, said_good
from oracle.audit.proven import proven_of
from oracle.evaluation.followed import Followed, Said
from oracle.reports.search import LostRuns, Search, SearchRun, objectives_of, search_of
from oracle.types import Certificate, ModelInfo, Policy, Reason
from oracle.types.context import settings_in


def recorded_search(
    name: str,
    source: str,
    followed: Sequence[Followed],
    policy: Policy,
    *,
    promise: Mapping[float, float] | None = None,
    model: ModelInfo | None = None,
    certificates: Sequence[Certificate] = (),
) -> Search:
    """Make the search of a report; see `oracle.audit.audit.audit` for `promise`."""
    ended = _ended(followed)
    looks = [one for run in ended for one in run.looks if one is not None]
    told = audit(
        ended,
        policy.good_share,
        promise=promise,
        unlike=sum(one.quality is None for one in looks),
        looks=len(looks),
    )
    proven = proven_of(certificates, policy, model, ended)
    good = sum(one.good for one in followed)
    return search_of(
        name,
        source,
        [_run_of(one) for one in followed],
        good=policy.good_share,
        weights=policy.quality_weights,
        audit=told.model_copy(update={"proven": proven}),
        lost=LostRuns(sum(one.stopped and one.good for one in followed), good),
        objectives=objectives_of(policy),
    )


def _ended(followed: Sequence[Followed]) -> list[EndedRun]:
    """Give each run with its recorded end, stopped or not: none stands for another."""
    return [
        EndedRun(
            run_id=one.run.run_id,
            score=one.score,
            rank_by=one.score,
            stopped=one.stopped,
            held=None,
            told=one.said[-1].progress if one.stopped else None,
            p_good=said_good(one.said[-1].decision) if one.stopped else None,
            looks=look_at([_look(said) for said in one.said]),
        )
        for one in followed
    ]


def _look(said: Said) -> Look:
    unlike = said.decision.reason is Reason.NO_SUPPORT
    return Look(said.progress, None if unlike else said.quality, said_good(said.decision))


def _run_of(one: Followed) -> SearchRun:
    history, last = one.run.history, one.said[-1] if one.said else None
    early = one.stopped or one.converged
    seen = last.progress if early and last is not None else 1.0
    settings = settings_in(history.context.model_dump(mode="json", exclude_none=True))
    scale = settings.pop("mqe_of_mean", None)
    mqe, topographic, dead = one.finals
    return SearchRun(
        run_id=one.run.run_id,
        name=one.run.run_id,
        state="stopped" if one.stopped else "finished",
        seen=seen,
        epoch=seen * (history.total_epochs or 1.0),
        total_epochs=history.total_epochs,
        finals=(mqe, topographic, dead),
        mqe_of_mean=scale,
        quality=last.quality if one.stopped and last is not None else None,
        settings=settings,
        reason=last.decision.reason.value if last is not None else None,
        p_good=last.decision.p_good if last is not None else None,
        converged=one.converged,
    )
