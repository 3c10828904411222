"""Optuna: a pruner for studies with one objective, and watched trials for several.

One objective: the oracle decides where Optuna asks `trial.should_prune()`.

    study = optuna.create_study(pruner=OraclePruner())

    def objective(trial):
        som, data, n = ...
        for epoch in checkpoints:
            report(trial, epoch, mqe=..., topographic_error=..., dead_neuron_ratio=...,
                   total_epochs=n, context=context_of(som, data, num_iteration=n))
            if trial.should_prune():
                raise optuna.TrialPruned
        return score

Several objectives, for which Optuna has no pruning: the hook decides, and a stopped trial is
told with its forecast and the user attribute `censored`.

    def objective(trial):
        with watched(trial, ("mqe", "topographic_error"), population="runs.db", ...) as run:
            ...
        return run.fitness().objectives(("mqe", "topographic_error"))
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, SupportsFloat

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from oracle.decision.policy import decide, outcome_of
from oracle.hook import WatchedRun, policy_for, watch
from oracle.hook.checkpoints import number
from oracle.hook.fitness import Fitness
from oracle.hook.local import Forecaster, loaded
from oracle.hook.warn_once import Problems
from oracle.types import METRICS, History, Outcome, Policy, Reference, RunContext

#: User attribute of a trial that holds its history.
HISTORY = "oracle_history"
#: User attribute of a trial that was stopped and is told with its forecast.
CENSORED = "censored"


def report(
    trial: Trial,
    epoch: int,
    *,
    mqe: SupportsFloat,
    topographic_error: SupportsFloat | None = None,
    dead_neuron_ratio: SupportsFloat | None = None,
    learning_rate: SupportsFloat | None = None,
    radius: SupportsFloat | None = None,
    total_epochs: float | None = None,
    context: RunContext | None = None,
    value: Literal["score", "mqe"] = "score",
) -> None:
    """Report a checkpoint to Optuna, and all of it to the pruner.

    Args:
        trial: the trial, of a study with one objective.
        epoch, mqe, topographic_error, dead_neuron_ratio, learning_rate, radius: see
            `WatchedRun.report`.
        total_epochs: the budget, in the unit of `epoch`.
        context: what is known before the run starts, see `oracle.context_of`.
        value: what Optuna sees as the intermediate value: the quality score so far, relative
            where the scale is known, or mqe.
    """
    measured = (mqe, topographic_error, dead_neuron_ratio, learning_rate, radius)
    row = (float(epoch), *(number(v) for v in measured))
    history = trial.user_attrs.get(HISTORY) or {"rows": []}
    history["rows"].append(row)
    history["total_epochs"] = total_epochs
    history["context"] = (context or RunContext()).model_dump(mode="json", exclude_none=True)
    trial.set_user_attr(HISTORY, history)
    scale = context.mqe_of_mean if context is not None else None
    rows = history["rows"]
    never = tuple(m for k, m in enumerate(METRICS, 1) if all(r[k] is None for r in rows))
    now = Fitness(float(mqe), row[2], row[3], False, mqe_of_mean=scale, lacking=never)
    trial.report(now.objectives((value,))[0], epoch)


class OraclePruner(BasePruner):
    """Prune a trial whose outcome is unlikely to be among the study's best.

    Any doubt, failure or maximised study means: do not prune.

    Args:
        policy: rule and settings; None = `population`, ranking by the quality score.
        model: a model folder, an `Oracle`, or None for the default one.
        total_epochs: the budget of every trial, for trials that do not say it by `report`.
        context: of every trial, likewise. With these two, plain `trial.report(mqe, step)` will
            do: intermediate values of trials without `report` are taken as mqe.
        n_trials: trials the study is planned to have, None = open-ended.
    """

    def __init__(
        self,
        *,
        policy: Policy | None = None,
        model: str | Forecaster | None = None,
        total_epochs: float | None = None,
        context: RunContext | None = None,
        n_trials: int | None = None,
    ) -> None:
        # A pruned trial is lost to the study: the cautious default, not a search's own.
        self._policy = policy or Policy(name="population")
        self._model, self._n_trials = model, n_trials
        self._total_epochs, self._context = total_epochs, context or RunContext()
        self.problems = Problems()
        self._outcomes: dict[int, Outcome] = {}  # of ended trials, by their storage id
        self._below_risk: dict[int, int] = {}

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Judge whether the trial should be pruned, see `optuna.pruners.BasePruner`."""
        if study.direction is not StudyDirection.MINIMIZE:
            message = "`direction` must be minimize, lower is better; this study is not pruned."
            self.problems.note("direction", message)
            return False
        try:
            return self._prune(study, trial)
        except Exception as error:
            self.problems.note_error("prune", "judge the trial", error)
            return False

    def _prune(self, study: Study, trial: FrozenTrial) -> bool:
        history = self._history(study, trial)
        if history is None:
            return False
        reference = self._reference(study, history.context.mqe_of_mean)
        forecast = loaded(self._model).forecast(history)
        previous = self._below_risk.get(trial._trial_id, 0)
        decision = decide(history, forecast, reference, self._policy, previous=previous)
        self._below_risk[trial._trial_id] = decision.below_risk
        return decision.stop

    def _history(self, study: Study, trial: FrozenTrial) -> History | None:
        told = trial.user_attrs.get(HISTORY)
        if told:
            rows, total = told["rows"], told["total_epochs"]
            context = RunContext.model_validate(told["context"])
        else:
            steps = sorted(trial.intermediate_values.items())
            rows = [(float(step), mqe, None, None, None, None) for step, mqe in steps]
            total, context = self._total_epochs, self._context
        # A trial that reported NaN, or a step twice, is judged by the rest.
        rows = list({row[0]: row for row in rows if row[1] is not None and row[1] >= 0}.values())
        if not rows:
            return None
        return History.of_rows(
            sorted(rows),
            run_id=_run_id(study, trial.number),
            population=study.study_name[:200],
            total_epochs=None if total is None else float(total),
            context=context,
        )

    def _reference(self, study: Study, mqe_of_mean: float | None) -> Reference:
        for trial in study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        ):
            if trial._trial_id not in self._outcomes:
                outcome = self._outcome(study, trial, mqe_of_mean)
                if outcome is not None:
                    self._outcomes[trial._trial_id] = outcome
        return Reference(
            outcomes=tuple(self._outcomes.values()),
            mqe_of_mean=mqe_of_mean,
            population_size=self._n_trials,
        )

    def _outcome(
        self, study: Study, trial: FrozenTrial, mqe_of_mean: float | None
    ) -> Outcome | None:
        history = self._history(study, trial)
        if history is None:
            return None
        if trial.state is TrialState.PRUNED:
            forecast = loaded(self._model).forecast(history)
            return outcome_of(history, forecast, self._policy, mqe_of_mean=mqe_of_mean)
        return Outcome(
            run_id=history.run_id,
            final_mqe=history.mqe[-1],
            final_topographic_error=history.topographic_error[-1],
            final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
        )


@contextmanager
def watched(
    trial: Trial, objectives: tuple[str, ...] = ("score",), **settings: Any
) -> Iterator[WatchedRun]:
    """Watch the training of a trial, of a study with any number of objectives.

    Args:
        trial: the trial; it gets the user attribute `censored`.
        objectives: what is minimised, after METRICS, or `score`.
        settings: of `oracle.watch`; the runs of a study are a population of their own, and the
            policy is `population` for one objective and `pareto` for several, unless given.
    """
    defaults = {
        "policy": policy_for(objectives),
        "population_name": trial.study.study_name[:200],
        "run_id": _run_id(trial.study, trial.number),
    }
    with watch(**{**defaults, **settings}) as run:
        yield run
    trial.set_user_attr(CENSORED, run.fitness().censored)


def _run_id(study: Study, number: int) -> str:
    return f"{re.sub('[^A-Za-z0-9._-]', '-', study.study_name)[:50]}-{number}"
