"""Optuna: a pruner for studies with one objective, and watched trials for several.

One objective: the oracle decides where Optuna asks `trial.should_prune()`.

    study = optuna.create_study(pruner=OraclePruner(objectives=("mqe",)))

    def objective(trial):
        som, data, n = ...
        context = context_of(som, data, num_iteration=n)
        for epoch in checkpoints:
            ...
            metrics = measure(som.get_weights(), data)
            report(trial, epoch, **metrics._asdict(), total_epochs=n, context=context)
            if trial.should_prune():
                raise optuna.TrialPruned
        return metrics.mqe

    study.optimize(objective, n_trials=100)
    print(study.pruner.summary())

Several objectives, for which Optuna has no pruning: the hook decides, and a stopped trial is
told with its forecast and the user attribute `censored`.

    def objective(trial):
        with watched(trial, ("mqe", "topographic_error"), population="runs.db", ...) as run:
            ...
        return run.fitness().objectives(("mqe", "topographic_error"))

    front = best_trials(study)      # finished ones alone: no map stands behind a forecast
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, SupportsFloat
from weakref import WeakKeyDictionary

import numpy as np
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from oracle.errors import InvalidHistory, must_be
from oracle.forks import Lock
from oracle.hook import WatchedRun, watch
from oracle.hook.checkpoints import Checkpoint, Checkpoints, number
from oracle.hook.fitness import Fitness, names_of
from oracle.hook.local import Forecaster
from oracle.hook.objective import weights_for
from oracle.hook.remote import planned_size
from oracle.hook.search import settings_of, trained_anew, with_genes
from oracle.hook.set_up import context_given
from oracle.hook.warn_once import Problems
from oracle.integrations.optuna_study import JudgedStudy
from oracle.integrations.optuna_trials import (
    CENSORED,
    FINISHES,
    FORECASTS,
    HISTORY,
    RUN_ID,
    SPREADS,
    Told,
)
from oracle.types import METRICS, POLICIES, Policy, RunContext

#: Studies that a summary tells of, the last ones.
SUMMARISED = 8

_told: WeakKeyDictionary[Trial, Told] = WeakKeyDictionary()
_problems: WeakKeyDictionary[Study, Problems] = WeakKeyDictionary()


def report(
    trial: Trial,
    epoch: SupportsFloat,
    *,
    mqe: SupportsFloat | None,
    topographic_error: SupportsFloat | None = None,
    dead_neuron_ratio: SupportsFloat | None = None,
    learning_rate: SupportsFloat | None = None,
    radius: SupportsFloat | None = None,
    total_epochs: SupportsFloat | None = None,
    context: RunContext | dict[str, Any] | None = None,
    value: Literal["score", "mqe", "topographic_error", "dead_neuron_ratio"] | None = None,
) -> None:
    """Report a checkpoint to Optuna, and all of it to the pruner; as often as you like.

    What lies closer together than 1 % of the budget is not written, and nothing raises for a
    value that does not fit: it is told by a warning, and left out.

    Args:
        trial: the trial, of a study with one objective.
        epoch, mqe, topographic_error, dead_neuron_ratio, learning_rate, radius: see
            `WatchedRun.report`. An epoch before the last one is that of a training resumed from
            an earlier map.
        total_epochs: the budget, in the unit of `epoch`.
        context: what is known before the run starts, see `oracle.context_of`.
        value: what Optuna sees as the intermediate value. None: the pruner's objective where it
            was named, else the quality score so far, relative where the scale is known.
    """
    study: Study | None = getattr(trial, "study", None)  # a FixedTrial has none
    pruner = study.pruner if study is not None else None
    problems = _problems_of(study)
    try:
        told = _told.get(trial) or Told.of(trial) or Told()
        _told[trial] = told
        told.total_epochs = number(total_epochs)
        told.context = RunContext.model_validate({} if context is None else context)
        asked = pruner.asked if isinstance(pruner, OraclePruner) else METRICS
        checkpoint = _checkpoint(
            Checkpoints(problems, asked),
            told,
            epoch,
            mqe,
            topographic_error,
            dead_neuron_ratio,
            learning_rate,
            radius,
        )
        if checkpoint is None or not told.add(checkpoint):
            return
        trial.set_user_attr(HISTORY, told.stored(trial.number))
        name = value or (pruner.objective if isinstance(pruner, OraclePruner) else None) or "score"
        never = tuple(m for m in METRICS if all(getattr(c, m) is None for c in told.kept))
        _, mqe, error, dead, *_ = checkpoint
        scale = told.context.mqe_of_mean
        now = Fitness(mqe, error, dead, censored=False, mqe_of_mean=scale, lacking=never)
        step = int(checkpoint.epoch)
        if step not in _reported(trial):
            trial.report(now.objectives((name,))[0], step)
    except Exception as error:
        problems.note_error("report", "report to the pruner", error)


def _problems_of(study: Study | None) -> Problems:
    """Give those of one study: what is told of it once is news of another."""
    if study is None:
        return Problems()
    if isinstance(study.pruner, OraclePruner):
        return study.pruner.problems_of(study)
    return _problems.setdefault(study, Problems())


def _checkpoint(
    seen: Checkpoints, told: Told, epoch: SupportsFloat, *measured: Any
) -> Checkpoint | None:
    """Check one report as the hook does, after those that came before its epoch."""
    seen.total_epochs, seen.kept = told.total_epochs, told.before(number(epoch) or 0.0)
    return seen.kept[-1] if seen.add(epoch, *measured) else None


def _reported(trial: Trial) -> Collection[int]:
    """Give the steps that Optuna has a value for: it warns of a second one, and ignores it."""
    known = getattr(getattr(trial, "_cached_frozen_trial", None), "intermediate_values", ())
    return known if isinstance(known, Collection) else ()


class OraclePruner(BasePruner):
    """Prune a trial whose outcome is unlikely to be among the study's best.

    Any doubt, failure or maximised study means: do not prune. One pruner may serve several
    studies; each is ranked by itself.

    Args:
        objectives: what the study minimises, one name of METRICS or `score`. None: found from the
            values of its complete trials; where they follow none of these nothing is pruned.
        policy: rule and settings, or the name of a rule, with weights of its own in place of
            `objectives`.
        model: a model folder, an `Oracle`, or None for the default one.
        total_epochs: the budget of every trial, for trials that do not say it by `report`.
        context: of every trial, likewise. With these two, plain `trial.report(mqe, step)` will
            do: intermediate values of trials without `report` are taken as mqe.
        n_trials: trials the study is planned to have, None = open-ended.

    Attributes:
        problems: what went wrong, counted by kind.
        objective: the name that was given, None where it is found.

    Raises:
        InvalidHistory: an objective that is none, or several: see `watched`; a policy, a budget
            or a context that cannot be.
    """

    def __init__(
        self,
        *,
        objectives: tuple[str, ...] | str | None = None,
        policy: str | Policy | None = None,
        model: str | Forecaster | None = None,
        total_epochs: SupportsFloat | None = None,
        context: RunContext | dict[str, Any] | None = None,
        n_trials: int | None = None,
    ) -> None:
        names = None if objectives is None else names_of(objectives)
        if names is not None and len(names) != 1:
            advice = "Optuna prunes studies with one objective; take `watched` for several."
            raise InvalidHistory(must_be("objectives", "one name", objectives, advice))
        self.objective = names[0] if names else None
        if isinstance(policy, str):
            if policy not in POLICIES:
                rule = f"{', '.join(POLICIES)} or a Policy"
                raise InvalidHistory(must_be("policy", rule, policy))
            policy = Policy(name=policy)
        elif policy is not None and not isinstance(policy, Policy):
            raise InvalidHistory(must_be("policy", f"{', '.join(POLICIES)} or a Policy", policy))
        if self.objective is not None and policy is None:
            # A pruned trial is lost to the study: the cautious default, not a search's own.
            policy = Policy(name="population", weights=weights_for(self.objective))
        self._policy, self._model, self._n_trials = policy, model, n_trials
        self._total_epochs = number(total_epochs)
        if total_epochs is not None and not (self._total_epochs or 0) > 0:
            raise InvalidHistory(must_be("total_epochs", "a finite number > 0", total_epochs))
        self._context = context_given(context)
        if n_trials is not None:
            planned_size(n_trials, "n_trials")
        self.problems = Problems()
        self._lock = Lock()
        self._forget()

    @property
    def asked(self) -> tuple[str, ...]:
        """The metrics without which no trial is judged."""
        return METRICS if self._policy is None else self._policy.asks

    def _forget(self) -> None:
        # A storage in memory counts its studies from 0, as every other one does.
        self._studies: WeakKeyDictionary[BaseStorage, dict[int, JudgedStudy]] = WeakKeyDictionary()
        self._latest: deque[JudgedStudy] = deque(maxlen=SUMMARISED)

    def __getstate__(self) -> dict[str, Any]:
        seen = ("_studies", "_latest")
        return {name: value for name, value in vars(self).items() if name not in seen}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Judge whether the trial should be pruned, see `optuna.pruners.BasePruner`."""
        problems = self.problems
        if FINISHES in trial.user_attrs:
            return False
        try:
            judged = self.judged(study)
            problems = judged.problems
            if study.direction is StudyDirection.MINIMIZE:
                return judged.prune(study, trial)
            message = "`direction` must be minimize, lower is better; this study is not pruned."
            problems.note("direction", message)
        except Exception as error:
            problems.note_error("prune", "judge the trial", error)
        return False

    def problems_of(self, study: Study) -> Problems:
        """Give what went wrong in one of its studies."""
        return self.judged(study).problems

    def has_converged(self, trial: Trial) -> bool:
        """Whether what is left of a trial is worth next to nothing, as of `should_prune`.

        Such a trial is not pruned, for it would lose its value: leave the loop and return it. It
        needs a policy with `converged`.
        """
        try:
            return self.judged(trial.study).has_converged(trial._trial_id)
        except Exception as error:
            self.problems.note_error("converged", "look up the trial", error)
            return False

    def summary(self, study: Study | None = None) -> str:
        """Tell in a line a study how it went, and why nothing was pruned when nothing was.

        Args:
            study: None = the last ones that this pruner has judged in this process.
        """
        with self._lock:
            judged = list(self._latest) if study is None else [self.judged(study)]
        lines = [one.summary() for one in judged]
        if self.problems.counts:
            lines.append(f"problems: {self.problems}")
        return "\n".join(lines or ["no study was judged: did its trials ask `should_prune`?"])

    def judged(self, study: Study) -> JudgedStudy:
        """Give one of its studies as it judges it."""
        with self._lock:  # of `optimize(n_jobs=...)`, whose threads share a study
            studies = self._studies.setdefault(study._storage, {})
            if study._study_id not in studies:
                studies[study._study_id] = JudgedStudy(
                    study,
                    self.problems,
                    policy=self._policy,
                    model=self._model,
                    total_epochs=self._total_epochs,
                    context=self._context,
                    n_trials=self._n_trials,
                )
                self._latest.append(studies[study._study_id])
            return studies[study._study_id]


@contextmanager
def watched(
    trial: Trial, objectives: tuple[str, ...] | str = ("score",), **settings: Any
) -> Iterator[WatchedRun]:
    """Watch the training of a trial, of a study with any number of objectives.

    Args:
        trial: the trial; it gets the user attribute `censored`.
        objectives: what is minimised, after METRICS, or `score`.
        settings: of `oracle.watch`; the runs of a study are a population of their own, and the
            policy is `population` for one objective and `pareto` for several, unless given. What
            was suggested by now is each run's `config`, unless that is given.
    """
    name = trial.study.study_name
    run_id = settings.pop("run_id", f"{name}-{trial.number}")
    bound = {"population_name": name[:200], **settings_of(objectives, settings)}
    finishes = trial.user_attrs.get(FINISHES)
    whole = nullcontext(bound) if finishes is None else trained_anew(bound, _run_id_of(trial))
    with whole as bound:
        run = watch(**{"run_id": run_id, **with_genes(bound, trial.params)})
        try:
            with run:
                yield run
        finally:  # `raise TrialPruned` leaves by here, too
            _mark(trial, run.fitness(), objectives)


def _mark(trial: Trial, fitness: Fitness, objectives: tuple[str, ...] | str) -> None:
    """Tell with a trial whether it was stopped, and its forecast where it was."""
    trial.set_user_attr(CENSORED, fitness.censored)
    if fitness.censored:
        trial.set_user_attr(FORECASTS, fitness.objectives(objectives))
        trial.set_user_attr(SPREADS, fitness.spreads_of(objectives))
        trial.set_user_attr(RUN_ID, fitness.run_id)


def _run_id_of(trial: Trial) -> str | None:
    """The name of the stopped run that a trial finishes; None where its trial kept none."""
    finishes = trial.user_attrs[FINISHES]
    stopped = next(t for t in trial.study.get_trials(deepcopy=False) if t.number == finishes)
    known: str | None = stopped.user_attrs.get(RUN_ID)
    return known


def finished(study: Study) -> list[FrozenTrial]:
    """Give the complete trials whose values are of a map: those that were not stopped."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if not trial.user_attrs.get(CENSORED)]


def best_trials(study: Study) -> list[FrozenTrial]:
    """Give the Pareto front, or the best trial, of the finished trials of a study.

    `study.best_trials` ranks forecasts among them; no map stands behind those.
    """
    trials = [trial for trial in finished(study) if np.isfinite(trial.values).all()]
    if not trials:
        return []
    signs = [-1.0 if d is StudyDirection.MAXIMIZE else 1.0 for d in study.directions]
    points = np.array([trial.values for trial in trials]) * signs
    no_worse = (points[:, None] <= points[None]).all(axis=2)  # [a, b]: a nowhere worse than b
    dominated: set[int] = set(np.flatnonzero((no_worse & ~no_worse.T).any(axis=0)).tolist())
    return [trial for n, trial in enumerate(trials) if n not in dominated]
