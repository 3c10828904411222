"""The audit of stored populations: what was said of their ended runs, read once a run.

Outcomes are only appended, so a look reads what came since: of a run that went to its end the few
decisions that are held against it.
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sqlalchemy import Connection, Row, func, select

from oracle.audit.audit import Audit, audit
from oracle.audit.ended import NEAR, SEEN, EndedRun, Look, look_at, stored_said_good
from oracle.audit.proven import proven_of
from oracle.audit.settings import SettingsFound, settings_found
from oracle.errors import RunNotFound
from oracle.forks import Lock
from oracle.history.quality_score import scores_among, scores_of, weights_of
from oracle.server.runs import counts
from oracle.server.runs.table import settings_of
from oracle.server.storage.schema import decisions, outcomes, runs
from oracle.types import (
    MAX_REFERENCE_RUNS,
    Certificate,
    FloatArray,
    ModelInfo,
    Policy,
    Reason,
    Scale,
)
from oracle.types.about import Setting

#: Populations kept in memory, and outcomes read at once.
MAX_CACHED = 64
_PAGE = 500
#: Points of the curve of the best.
MAX_POINTS = 80
#: Reasons of stops that are no policy's rule.
_NOT_RULED = (Reason.OVERRULED, Reason.CONVERGED)

_VALUES = ("final_mqe", "final_topographic_error", "final_dead_neuron_ratio")


class Measure(NamedTuple):
    """What a search is audited by.

    Attributes:
        policy: gives the weights and the share that counts as good.
        promise: (share seen, error) of the model's own.
        model: in use.
        certificates: what was proven of it.
    """

    policy: Policy
    promise: tuple[tuple[float, float], ...] = ()
    model: ModelInfo | None = None
    certificates: tuple[Certificate, ...] = ()


class _Kept(NamedTuple):
    """An ended run as it was read; its rank depends on the others."""

    run: EndedRun
    values: tuple[float | None, ...]
    scale: float | None
    at: float
    unlike: int
    looks: int
    settings: dict[str, Setting]
    whole: bool
    used: float


class _Known:
    """What was read of one population.

    Args:
        mark: of the population as it was when this was begun.
    """

    def __init__(self, mark: tuple[int, int]) -> None:
        self.mark, self.outcome_id = mark, 0
        self.kept: OrderedDict[str, _Kept] = OrderedDict()
        self.told: tuple[Any, Audit] | None = None
        self.found: tuple[Any, SettingsFound] | None = None

    def read(self, connection: Connection, owner: str, population: str) -> None:
        """Read what came since; what was read stays so if it is broken off."""
        query = (
            select(outcomes, *(c.label(f"of_{c.name}") for c in _OF_RUN))
            .join(runs, runs.c.id == outcomes.c.run)
            .where(outcomes.c.owner == owner, outcomes.c.population == population)
            .order_by(outcomes.c.id)
            .limit(_PAGE)
        )
        while page := connection.execute(query.where(outcomes.c.id > self.outcome_id)).all():
            latest = {row.run: row for row in page}
            said = _said_of(connection, [row for row in latest.values() if _is_known(row)])
            for row in latest.values():
                self.kept.pop(row.run_id, None)
                if not row.withdrawn:
                    self.kept[row.run_id] = _kept(row, said.get(row.run, ()))
            self.outcome_id = page[-1].id
            while len(self.kept) > MAX_REFERENCE_RUNS:
                self.kept.popitem(last=False)

    def _scores(self, policy: Policy) -> FloatArray:
        kept = self.kept.values()
        values = np.array([k.values for k in kept], np.float64).reshape(-1, 3).T
        return scores_among(values, [k.scale for k in kept], policy.quality_weights)

    def audit(self, measure: Measure) -> Audit:
        """Hold it all against how it ended; made once for the same outcomes."""
        asked, policy = (self.outcome_id, measure), measure.policy
        if self.told is None or self.told[0] != asked:
            kept, scores = list(self.kept.values()), self._scores(policy).tolist()
            ranked = [k.run._replace(rank_by=s) for k, s in zip(kept, scores, strict=True)]
            unlike, looks = sum(k.unlike for k in kept), sum(k.looks for k in kept)
            promise = dict(measure.promise)
            made = audit(ranked, policy.good_share, promise=promise, unlike=unlike, looks=looks)
            proven = proven_of(measure.certificates, policy, measure.model, ranked)
            self.told = asked, made.model_copy(update={"proven": proven})
        return self.told[1]

    def best(self, policy: Policy) -> tuple[str, float, float] | None:
        """Give the best run that went to its end: its id, its score, when it ended."""
        kept, scores = list(self.kept.values()), self._scores(policy)
        whole = [i for i, k in enumerate(kept) if k.whole and not np.isnan(scores[i])]
        if not whole:
            return None
        i = min(whole, key=lambda i: scores[i])
        return kept[i].run.run_id, float(scores[i]), kept[i].at

    def curve(self, policy: Policy) -> tuple[tuple[tuple[float, float, float], ...], bool]:
        """Give the best so far by runs ended and epochs used, and whether scores are relative."""
        kept, scores = list(self.kept.values()), self._scores(policy).tolist()
        relative = any(k.scale is not None for k in kept)
        found: list[tuple[float, float, float]] = []
        used, best = 0.0, float("inf")
        for i, (one, score) in enumerate(zip(kept, scores, strict=True)):
            used += one.used
            if one.whole and score < best:
                best = score
                found.append((i + 1, used, best))
        if found and found[-1][0] < len(kept):
            found.append((len(kept), used, best))
        step = max(1, -(-len(found) // MAX_POINTS))
        return tuple(found[:-1:step] + found[-1:]), relative

    def settings(self, policy: Policy, share: float) -> SettingsFound:
        """Tell which settings are good; made once for the same outcomes."""
        asked = (self.outcome_id, policy, share)
        if self.found is None or self.found[0] != asked:
            settings = [k.settings for k in self.kept.values()]
            self.found = asked, settings_found(settings, self._scores(policy), share)
        return self.found[1]


class Audits:
    """The populations that were asked for lately; safe for threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._lock = Lock()
        self._outdated = False

    def audit(self, connection: Connection, owner: str, name: str, measure: Measure) -> Audit:
        """Audit a population.

        Raises:
            RunNotFound: no run of that population.
        """
        with self._lock:
            return self._now(connection, owner, name).audit(measure)

    def settings(
        self, connection: Connection, owner: str, name: str, policy: Policy, share: float
    ) -> SettingsFound:
        """Tell which settings of a population are good.

        Raises:
            RunNotFound: no run of that population.
        """
        with self._lock:
            return self._now(connection, owner, name).settings(policy, share)

    def best(
        self, connection: Connection, owner: str, name: str, policy: Policy
    ) -> tuple[str, float, float] | None:
        """Give the best run of a population that went to its end: id, score, when it ended."""
        with self._lock:
            return self._now(connection, owner, name).best(policy)

    def curve(
        self, connection: Connection, owner: str, name: str, policy: Policy
    ) -> tuple[tuple[tuple[float, float, float], ...], bool]:
        """Give the best of a population so far, and whether its scores are relative."""
        with self._lock:
            return self._now(connection, owner, name).curve(policy)

    def _now(self, connection: Connection, owner: str, name: str) -> _Known:
        population = counts.of_population(connection, owner, name)
        if population is None:
            raise RunNotFound("There is no such population.")
        key, mark = (owner, name), (population.id, population.forgotten)
        if self._outdated:
            self._known.clear()
            self._outdated = False
        known = self._known.pop(key, None)
        if known is None or known.mark != mark:
            known = _Known(mark)
        self._known[key] = known
        if len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)
        known.read(connection, owner, name)
        return known

    def forget_all(self) -> None:
        """Forget everything: the database may be another one."""
        self._outdated = True


_OF_RUN = (
    runs.c.state, runs.c.reason, runs.c.action, runs.c.told, runs.c.p_good, runs.c.epoch,
    runs.c.total_epochs, runs.c.control_share, runs.c.config, runs.c.context,
)  # fmt: skip


class _AsRun(NamedTuple):
    """What is asked of a run's row."""

    state: str
    reason: str | None
    told: str | None
    config: str | None
    context: str

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """Take it out of a row of outcomes."""
        return cls(row.of_state, row.of_reason, row.of_told, row.of_config, row.of_context)


def _is_known(row: Row[Any]) -> bool:
    """Whether a run went to its end, so that what was said can be held against it."""
    run = _AsRun.of(row)
    early = counts.is_left(run) or counts.converged(run)
    return not (row.withdrawn or row.censored or early)


class _Said(NamedTuple):
    """A decision that counts here."""

    epoch: float
    decision: dict[str, Any]


def _kept(row: Row[Any], said: Sequence[_Said]) -> _Kept:
    total = row.of_total_epochs
    stopped = row.of_state == "stopped" and row.of_action == "stop"
    stopped = stopped and row.of_reason not in _NOT_RULED
    share = row.of_control_share if row.control and _is_known(row) else None
    said_gain = row.of_reason == Reason.UNLIKELY_GAIN
    at, p_good = (row.of_epoch, None if said_gain else row.of_p_good) if stopped else (None, None)
    if share:
        due = next((s for s in said if s.decision["reason"] == Reason.CONTROL), None)
        at, p_good = (due.epoch, stored_said_good(due.decision)) if due else (None, None)
    looks = look_at([_look(s, total) for s in said if total])
    near = [look for look in looks if look is not None]
    return _Kept(
        EndedRun(
            run_id=row.run_id,
            score=_score(row, said),
            rank_by=float("nan"),
            stopped=stopped,
            held=share,
            told=min(1.0, at / total) if at is not None and total else None,
            p_good=p_good,
            looks=looks,
        ),
        tuple(getattr(row, name) for name in _VALUES),
        row.mqe_of_mean,
        row.created_at,
        sum(look.quality is None for look in near),
        len(near),
        settings_of(_AsRun.of(row)),
        _is_known(row),
        _used(row),
    )


def _used(row: Row[Any]) -> float:
    """Epochs that a run was trained."""
    run = _AsRun.of(row)
    early = row.of_state == "stopped" or counts.converged(run) or counts.is_left(run)
    return float(row.of_epoch if early else row.of_total_epochs or row.of_epoch)


def _look(said: _Said, total: float) -> Look:
    forecast = said.decision.get("forecast")
    unlike = said.decision["reason"] == Reason.NO_SUPPORT
    quality = None if unlike or not forecast else forecast["quality"][-1]["values"]
    return Look(said.epoch / total, quality, stored_said_good(said.decision))


def _score(row: Row[Any], said: Iterable[_Said]) -> float | None:
    """Score an end as its forecasts are scored: on their scale, with their weights."""
    forecast = next((f for s in said if (f := s.decision.get("forecast"))), None)
    if forecast is None:
        return None
    told = forecast["quality"][-1]
    unit = row.mqe_of_mean if told["scale"] == Scale.RELATIVE else 1.0
    if unit is None:
        return None
    values = np.array([[getattr(row, name)] for name in _VALUES], np.float64)
    score = float(scores_of(values, weights_of(unit, tuple(told["weights"])))[0])
    return None if np.isnan(score) else score


def _said_of(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, list[_Said]]:
    """Read the decisions near SEEN, and of controls the first that held their stop back."""
    if not rows:
        return {}
    totals = {row.run: row.of_total_epochs for row in rows}
    d = decisions.c
    counting = (d.run.in_(list(totals)), d.until.is_(None))
    wanted: set[int] = set()
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for one in connection.execute(select(d.id, d.run, d.epoch).where(*counting)):
        total = totals[one.run]
        for i, seen in enumerate(SEEN if total else ()):
            away = abs(one.epoch / total - seen)
            if away <= NEAR and away < best.get((one.run, i), (NEAR * 2, 0))[0]:
                best[one.run, i] = (away, one.id)
    wanted.update(id for _, id in best.values())
    controls = [row.run for row in rows if row.control]
    if controls:
        held = d.decision.like(f'%"reason":"{Reason.CONTROL.value}"%')
        first = select(func.min(d.id)).where(d.run.in_(controls), d.until.is_(None), held)
        wanted.update(connection.scalars(first.group_by(d.run)))
    found: dict[int, list[_Said]] = defaultdict(list)
    for page in _pages(sorted(wanted)):
        query = select(d.run, d.epoch, d.decision).where(d.id.in_(page)).order_by(d.run, d.epoch)
        for one in connection.execute(query):
            found[one.run].append(_Said(one.epoch, json.loads(one.decision)))
    return found


def _pages(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[i : i + _PAGE] for i in range(0, len(ids), _PAGE))
