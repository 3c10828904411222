"""What was proven of the policy in force, and whether this search is one that it holds for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oracle.audit.ended import SEEN, EndedRun
from oracle.types import Certificate, Frozen, ModelInfo, Policy, Ratio
from oracle.types.certificate import Way

#: The look of SEEN that certificates are withdrawn by.
EARLY = SEEN.index(0.10)


class Proven(Frozen):
    """A certificate, beside a search.

    Attributes:
        way: how the runs of a population are trained.
        alpha: share of the good runs that is lost at most, mean over tables.
        confidence: with which.
        risk: of the policy that it was made of; null where that has none.
        holds: for this search.
        why: it does not; null where it does.
    """

    way: Way
    alpha: Ratio
    confidence: Ratio
    risk: Ratio | None
    holds: bool
    why: str | None


def proven_of(
    certificates: Iterable[Certificate],
    policy: Policy,
    model: ModelInfo | None,
    runs: Sequence[EndedRun],
) -> tuple[Proven, ...]:
    """Hold each certificate of a model against a search.

    Args:
        certificates: of the model in use.
        policy: in force.
        model: in use.
        runs: of the search, that have ended.
    """
    early = [
        (look, run.score)
        for run in runs
        if run.score is not None and (look := run.looks[EARLY]) is not None
    ]
    unlike = sum(look.quality is None for look, _ in early)
    missed = len(early) - unlike - sum(look.holds(score, 0.9) for look, score in early)
    found = []
    for one in certificates:
        why = one.not_for(policy, model) if model is not None else "no model is in use"
        why = why or one.withdrawn(len(early), missed, unlike)
        found.append(
            Proven(
                way=one.way,
                alpha=one.alpha,
                confidence=1.0 - one.delta,
                risk=getattr(one.policy, "risk", None),
                holds=why is None,
                why=why,
            )
        )
    return tuple(found)
