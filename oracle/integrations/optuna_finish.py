"""The stopped trials of a study of Optuna that are worth it, trained to their end.

    study.optimize(objective, n_trials=100)
    for trial in finish_promising(study, objective, k=5):
        print(trial.params, trial.value)

Each runs again with the same parameters, as a trial of its own that nothing stops. What waits in
the study's queue waits on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from oracle.decision.second_look import Stopped, ends_of
from oracle.decision.second_look import finish_promising as finish
from oracle.errors import InvalidHistory, must_be
from oracle.integrations.optuna import OraclePruner, finished
from oracle.integrations.optuna_trials import CENSORED, FINISHES, FORECASTS, SPREADS

Objective = Callable[[Trial], float | Sequence[float]]


def finish_promising(
    study: Study,
    objective: Objective,
    *,
    k: int | None = None,
    budget: float | None = None,
    least: float | None = None,
) -> list[FrozenTrial]:
    """Train the stopped trials of a study to their end that are worth it, most promising first.

    Args:
        study: with an `OraclePruner`, or one whose trials were `watched`; minimised.
        objective: as it was optimised.
        k, budget, least: see `oracle.decision.second_look.finish_promising`. Each is trained anew,
            and costs a whole run.

    Returns:
        The new trials, in their order, those that failed left out.

    Raises:
        InvalidHistory: a study that is maximised, or a bound that cannot be.
    """
    if StudyDirection.MAXIMIZE in study.directions:
        advice = "Minimise the negative of what is the better the higher."
        raise InvalidHistory(must_be("study", "minimised, lower is better", "maximize", advice))
    judged = isinstance(study.pruner, OraclePruner) and len(study.directions) == 1
    # Trials may be watched under such a pruner, too, which then knows nothing of them.
    read = partial(_judged if judged and any(_judged(study)) else _watched, study)
    new: list[FrozenTrial] = []

    def train(name: str) -> tuple[float, ...] | None:
        again = _Again(study, int(name))
        again.optimize(objective, n_trials=1)
        ended = next((one for one in finished(study) if one.number == again.number), None)
        if ended is None:
            return None
        new.append(ended)
        return read()[1].get(ended.number)

    stopped, whole = read()
    trials = study.get_trials(deepcopy=False)
    tried = {one.number: one.user_attrs[FINISHES] for one in trials if FINISHES in one.user_attrs}
    at_it = {of for number, of in tried.items() if trials[number].state in _IN_HAND}
    left = [one for one in stopped if int(one.run_id) not in at_it | tried.keys()]
    finish(left, list(whole.values()), train, k=k, budget=budget, least=least)
    return new


#: A stopped trial that is finished by one of these is not offered again.
_IN_HAND = (TrialState.COMPLETE, TrialState.RUNNING)


class _Again(Study):
    """A study whose next trial is a stopped one from its beginning, whatever waits in its queue.

    Args:
        study: whose trial it becomes.
        number: the stopped trial.

    Attributes:
        number: the new trial, once it was asked for.
    """

    def __init__(self, study: Study, number: int) -> None:
        super().__init__(study.study_name, study._storage, study.sampler, study.pruner)
        # As `enqueue_trial` makes it, but begun: no other worker takes it, nor is it left waiting.
        self._begun = create_trial(
            state=TrialState.RUNNING,
            system_attrs={"fixed_params": study.get_trials(deepcopy=False)[number].params},
            user_attrs={FINISHES: number},
        )
        self.number: int | None = None

    def ask(self, fixed_distributions: dict[str, BaseDistribution] | None = None) -> Trial:
        """Give the trial, see `optuna.Study.ask`."""
        begun = self._storage.create_new_trial(self._study_id, template_trial=self._begun)
        trial = Trial(self, begun)
        self.number = trial.number
        return trial


#: The stopped trials of a study, and number -> objectives of those that went to their end.
_Ends = tuple[list[Stopped], dict[int, tuple[float, ...]]]


def _judged(study: Study) -> _Ends:
    """Read the trials that a pruner judges, by what it ranks them by."""
    ends, ranking = cast(OraclePruner, study.pruner).judged(study).ends(study)
    stopped, whole = ends_of(ends, ranking)
    return stopped, {int(name): values for name, values in whole.items()}


def _watched(study: Study) -> _Ends:
    """Read trials that were watched: a stopped one is complete or pruned, with its forecast."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    told = [(one, _forecast_of(one)) for one in ended if one.user_attrs.get(CENSORED)]
    stopped = [
        Stopped(
            str(one.number),
            forecast,
            tuple(one.user_attrs.get(SPREADS) or (0.0,) * len(forecast)),
            cost=1.0,
        )
        for one, forecast in told
        if len(forecast) == len(study.directions)
    ]
    return stopped, {one.number: tuple(one.values) for one in finished(study)}


def _forecast_of(trial: FrozenTrial) -> tuple[float, ...]:
    if trial.state is TrialState.COMPLETE:
        return tuple(trial.values)
    return tuple(trial.user_attrs.get(FORECASTS, ()))  # its own value is that of a map cut short
