"""The stopped trials of a study of Optuna that are worth it, trained to their end.

    study.optimize(objective, n_trials=100)
    for trial in finish_promising(study, objective, k=5):
        print(trial.params, trial.value)

Each is enqueued again with the same parameters, and runs as a trial of its own that nothing stops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from oracle.decision.second_look import Stopped, ends_of
from oracle.decision.second_look import finish_promising as finish
from oracle.errors import InvalidHistory, must_be
from oracle.integrations.optuna import OraclePruner, finished
from oracle.integrations.optuna_trials import CENSORED, FINISHES, SPREADS

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
    read = partial(_judged if isinstance(study.pruner, OraclePruner) else _watched, study)
    new: list[FrozenTrial] = []

    def train(name: str) -> tuple[float, ...] | None:
        params = study.get_trials(deepcopy=False)[int(name)].params
        study.enqueue_trial(params, user_attrs={FINISHES: int(name)})
        study.optimize(objective, n_trials=1)
        own = [one for one in finished(study) if one.user_attrs.get(FINISHES) == int(name)]
        new.extend(own[-1:])
        return read()[1].get(own[-1].number) if own else None

    stopped, whole = read()
    again = {one.user_attrs.get(FINISHES) for one in study.get_trials(deepcopy=False)}
    left = [one for one in stopped if int(one.run_id) not in again]
    finish(left, list(whole.values()), train, k=k, budget=budget, least=least)
    return new


#: The stopped trials of a study, and number -> objectives of those that went to their end.
_Ends = tuple[list[Stopped], dict[int, tuple[float, ...]]]


def _judged(study: Study) -> _Ends:
    """Read the trials that a pruner judges, by what it ranks them by."""
    ends, ranking = cast(OraclePruner, study.pruner).judged(study).ends(study)
    stopped, whole = ends_of(ends, ranking)
    return stopped, {int(name): values for name, values in whole.items()}


def _watched(study: Study) -> _Ends:
    """Read trials that were watched: a stopped one is complete, with its forecast."""
    if StudyDirection.MAXIMIZE in study.directions:
        raise InvalidHistory(must_be("study", "minimised, lower is better", "maximize"))
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    stopped = [
        Stopped(
            str(one.number),
            tuple(one.values),
            tuple(one.user_attrs.get(SPREADS) or (0.0,) * len(one.values)),
            cost=1.0,
        )
        for one in complete
        if one.user_attrs.get(CENSORED)
    ]
    return stopped, {one.number: tuple(one.values) for one in finished(study)}
