"""One study of Optuna as a pruner judges it: its outcomes, what it minimises, what was decided."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

import numpy as np
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from oracle.decision.policy import decide, outcome_of
from oracle.decision.second_look import Ended
from oracle.forecast.residuals import TEACHERS, Residuals
from oracle.forks import Lock
from oracle.history.quality_score import common_scale, same_scale
from oracle.hook.checkpoints import CHECK_EVERY, is_soon
from oracle.hook.local import Forecaster, learner, loaded
from oracle.hook.objective import DISAGREES, TELLING_RUNS, agreement, found, weights_for
from oracle.hook.verdicts import Verdicts, unjudged_runs
from oracle.hook.warn_once import Problems
from oracle.integrations.optuna_trials import CENSORED, HISTORY, Told
from oracle.types import (
    TARGETS,
    Action,
    Decision,
    Forecast,
    History,
    Outcome,
    Policy,
    Reason,
    Reference,
    RunContext,
)
from oracle.types.run_names import run_id_of

if TYPE_CHECKING:
    from oracle.forecast.forecaster import Oracle


class JudgedStudy:
    """Judges the trials of one study.

    Args:
        study: the study; only its place in the storage is kept.
        problems: those of all studies of a pruner, among which its own are counted.
        policy: rule and settings; None = `population`, by what the study minimises.
        model: see `oracle.watch`.
        total_epochs, context: of trials that do not say it themselves.
        n_trials: trials the study is planned to have, None = open-ended.
    """

    def __init__(
        self,
        study: Study,
        problems: Problems,
        *,
        policy: Policy | None,
        model: str | Forecaster | None,
        total_epochs: float | None,
        context: RunContext,
        n_trials: int | None,
    ) -> None:
        self._study, self._name = ref(study), study.study_name
        self._maximised = StudyDirection.MAXIMIZE in study.directions
        self.problems, self._policy, self._model = Problems(problems), policy, model
        self._total_epochs, self._context, self._n_trials = total_epochs, context, n_trials
        self._lock = Lock()
        self._ended: dict[int, _Ended] = {}  # by trial id
        self._decided: dict[int, Decision] = {}
        self._looked_at: dict[int, float] = {}  # epoch of the last look at a trial
        self._verdicts = Verdicts()
        # A pruned trial is lost to the study: the cautious default, not a search's own.
        self._ranking = policy or Policy(name="population")
        self._found = policy is not None  # what the study minimises
        self._followed = 0  # complete trials that it was found from

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Judge a trial at its last report."""
        history = self._history(trial)
        if history is None:
            return False
        with self._lock:
            key, epoch = trial._trial_id, history.epochs[-1]
            last, before = self._looked_at.get(key), self._decided.get(key)
            resumed = last is not None and epoch < last
            soon = not resumed and is_soon(last, epoch, history.total_epochs, CHECK_EVERY)
            if before is not None and soon:
                return before.stop and not before.converged
            self._looked_at[key] = epoch
            self._read(study)
            decision = self._decide(history, before.below_risk if before is not None else 0)
            self._decided[key] = decision
            self._verdicts.add(decision)
            self._tell(decision)
            # Optuna has no way to end a trial as complete but its own loop, see `has_converged`.
            return decision.stop and not decision.converged

    def has_converged(self, trial_id: int) -> bool:
        """Whether the last look at a trial found that it has converged."""
        decision = self._decided.get(trial_id)
        return decision is not None and decision.converged

    def ends(self, study: Study) -> tuple[list[Ended], Policy]:
        """Give the trials that have ended and told how, by number, and what they are ranked by."""
        with self._lock:
            self._read(study)
            ended, ranking = list(self._ended.values()), self._ranking
        known = [(one, one.outcome) for one in ended if one.outcome is not None]
        return [
            Ended(
                str(one.number),
                (o.final_mqe, o.final_topographic_error, o.final_dead_neuron_ratio),
                o.censored,
                o.spread,
                (),
                one.scale,
                cost=1.0,
            )
            for one, o in known
        ], ranking

    def summary(self) -> str:
        """Tell in one line how the study went, and why nothing was pruned when nothing was."""
        study = self._study()
        with self._lock:
            if study is not None:
                self._read(study)
            ended = list(self._ended.values())
            why = self._verdicts.why if self._verdicts.counts else None
        pruned = [one for one in ended if one.state is TrialState.PRUNED]
        saved = sum(1 - one.progress for one in pruned if one.progress is not None)
        share = saved / len(ended) if ended else 0.0
        told = [
            f"study {self._name}: {len(pruned)} of {len(ended)} trials pruned, {share:.0%} of all "
            "epochs saved"
        ]
        complete = [one for one in ended if one.value is not None and isfinite(one.value)]
        if complete:
            best = (max if self._maximised else min)(complete, key=lambda one: one.value or 0.0)
            mark = "a forecast" if best.censored else "whole"
            told.append(f"best {best.value:.4g} (trial {best.number}, {mark})")
        if not pruned and why is not None:
            told.append(f"nothing was pruned, mostly because {why}")
        return "; ".join(told)

    def _history(self, trial: FrozenTrial) -> History | None:
        told = Told.of(trial)
        if told is None and HISTORY in trial.user_attrs:
            return None  # of an attempt that died; this one has told nothing yet
        if told is None:
            values, total = trial.intermediate_values, self._total_epochs
            told = Told.of_values(values, total, self._context)
        return told.history(run_id_of(f"{self._name}-{trial.number}"), self._name[:200])

    def _read(self, study: Study) -> None:
        """Take in the trials that have ended since the last look."""
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        ):
            if trial._trial_id not in self._ended:
                self._ended[trial._trial_id] = self._end_of(trial)
        self._follow()

    def _end_of(self, trial: FrozenTrial) -> _Ended:
        """Read how a trial ended; one whose history breaks a rule does so at every look."""
        ended = _Ended(
            trial.number,
            trial.state,
            trial.value if trial.state is TrialState.COMPLETE else None,
            bool(trial.user_attrs.get(CENSORED)),
        )
        try:
            history = self._history(trial)
            return ended if history is None else self._told_by(ended, history)
        except Exception as error:
            doing = f"read how trial {trial.number} ended, so that none is ranked against it"
            self.problems.note_error("ended", doing, error)
            return ended

    def _told_by(self, ended: _Ended, history: History) -> _Ended:
        scale = history.context.mqe_of_mean
        if ended.state is TrialState.COMPLETE:
            outcome = Outcome(
                run_id=history.run_id,
                final_mqe=history.mqe[-1],
                final_topographic_error=history.topographic_error[-1],
                final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
            )
        else:
            forecast = loaded(self._model).forecast(history)
            outcome = outcome_of(history, forecast, self._ranking, mqe_of_mean=scale)
        oracle = self._learner()
        lesson = None if oracle is None else oracle.residuals(history, outcome)
        return ended._replace(
            progress=history.progress, outcome=outcome, scale=scale, lesson=lesson
        )

    def _learner(self) -> Oracle | None:
        return learner(loaded(self._model)) if self._ranking.learn else None

    def _forecast(self, history: History) -> Forecast:
        """Forecast a trial, by what those that have ended teach where they do."""
        oracle = self._learner()
        if oracle is None:
            return loaded(self._model).forecast(history)
        scale = history.context.mqe_of_mean
        lessons = [
            one.lesson
            for one in self._ended.values()
            if one.lesson is not None and same_scale(one.scale, scale)
        ]
        return oracle.forecast(
            history, known=Residuals.of(lessons[-TEACHERS:]) if lessons else None
        )

    def _follow(self) -> None:
        """Find what the study minimises, and whether the ranking goes with it."""
        known = [
            one
            for one in self._ended.values()
            if one.state is TrialState.COMPLETE and one.outcome is not None and not one.censored
        ]
        if len(known) == self._followed:
            return
        self._followed = len(known)
        told = np.array([one.value for one in known], dtype=float)
        values = np.array(
            [[getattr(one.outcome, name) for name in TARGETS] for one in known], dtype=float
        ).T
        unit = common_scale(one.scale for one in known)
        if self._policy is None:
            objective = found(told, values, unit)
            self._found = objective is not None
            if objective is not None:
                weights = weights_for(objective.name)
                self._ranking = Policy(name="population", weights=weights)
            elif len(known) >= TELLING_RUNS:
                self.problems.note("objective", _UNKNOWN)
            return
        tau = agreement(told, values, self._policy.quality_weights, unit)
        if tau is not None and tau < DISAGREES:
            self.problems.note("objective", _DISAGREES.format(tau=tau))

    def _decide(self, history: History, previous: int) -> Decision:
        scale = history.context.mqe_of_mean
        reference = Reference(
            outcomes=tuple(
                one.outcome
                for one in self._ended.values()
                if one.outcome is not None and same_scale(one.scale, scale)
            ),
            mqe_of_mean=scale,
            population_size=self._n_trials,
        )
        forecast = self._forecast(history)
        decision = decide(history, forecast, reference, self._ranking, previous=previous)
        if decision.stop and not self._found:
            why = "No verdict: what the study minimises is not known yet, or none of the metrics."
            doubt = {"action": Action.ABSTAIN, "reason": Reason.UNKNOWN_OBJECTIVE, "message": why}
            decision = decision.model_copy(update=doubt)
        return decision

    def _tell(self, decision: Decision) -> None:
        """Say, once, what keeps the whole study from being judged."""
        if decision.reason is Reason.NO_PROGRESS:
            message = "nothing is pruned without `total_epochs`, of `report` or of the pruner."
            self.problems.note("no_progress", message)
        trials = len(self._looked_at)
        if self._verdicts.are_none and trials > unjudged_runs(self._ranking):
            why = f"none of {trials} trials was ever judged, mostly because {self._verdicts.why}."
            self.problems.note("never_judged", why)


class _Ended(NamedTuple):
    """A trial that has ended; `outcome` and `scale` are None where it told nothing of use.

    `lesson` is what it teaches the forecasts of others.
    """

    number: int
    state: TrialState
    value: float | None
    censored: bool
    progress: float | None = None
    outcome: Outcome | None = None
    scale: float | None = None
    lesson: Residuals | None = None


_UNKNOWN = (
    "what the study minimises goes with none of the metrics nor with the quality score, so "
    'nothing is pruned. Name it where it is one: OraclePruner(objectives=("mqe",)).'
)
_DISAGREES = (
    "what the study minimises does not go with what its trials are ranked by (Kendall's tau "
    '{tau:.2f}): the best may be pruned. Name its objective: OraclePruner(objectives=("mqe",)).'
)
