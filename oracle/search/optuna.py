"""Optuna: any of its samplers, drawing several times, of which the best forecast is trained.

    space = {"sigma": FloatDistribution(0.5, 8), "learning_rate": FloatDistribution(0.02, 1)}
    sampler = ScreenedSampler(space, Screen(data, budget=5000), TPESampler(seed=1))
    study = optuna.create_study(sampler=sampler)

The study's own sampler learns from what was trained; the oracle knows before anything was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from oracle.search.screen import Screen
from oracle.search.suggest import MOST_CANDIDATES, check_count

#: Draws for each trial, the first ones of a study (random, for most samplers) and the later ones.
FIRST, LATER = 25, 5
#: Trials that count as the first ones.
FIRST_TRIALS = 10


class ScreenedSampler(BaseSampler):
    """Draw each trial's parameters several times and take those that are forecast to end best.

    Args:
        space: name -> distribution of the parameters that are drawn so: those of the library's
            space by their names, or what `parameters` of the `Screen` makes such of. All others
            are the sampler's alone.
        screen: chooses; of one objective, or several.
        sampler: of Optuna; None = `TPESampler()`.
        first, later: draws for each of the first ten trials, and for those after them.

    Raises:
        InvalidSearch: draws that are no whole number from 1 on.
    """

    def __init__(
        self,
        space: Mapping[str, BaseDistribution],
        screen: Screen,
        sampler: BaseSampler | None = None,
        *,
        first: int = FIRST,
        later: int = LATER,
    ) -> None:
        for name, value in (("first", first), ("later", later)):
            check_count(name, value, MOST_CANDIDATES)
        self._space, self._screen = dict(space), screen
        self._sampler = sampler or TPESampler()
        self._draws = first, later

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Give the space that is drawn at once, see `optuna.samplers.BaseSampler`."""
        return self._space | self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw, forecast, take the best."""
        together = self._sampler.infer_relative_search_space(study, trial)
        drawn = [self._drawn(study, trial, together) for _ in range(self._n(study))]
        if len(drawn) == 1:
            return drawn[0]
        named = [{name: one[name] for name in self._space} for one in drawn]
        return drawn[self._screen(named, 1)[0]]

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Leave what is not in the space to the sampler."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        """Seed the sampler anew, in another process."""
        self._sampler.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Tell the sampler of a new trial."""
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Tell the sampler how a trial ended."""
        self._sampler.after_trial(study, trial, state, values)

    def _n(self, study: Study) -> int:
        first, later = self._draws
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return first if len(ended) < FIRST_TRIALS else later

    def _drawn(
        self, study: Study, trial: FrozenTrial, together: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn = self._sampler.sample_relative(study, trial, together)
        for name, distribution in self._space.items():
            if name not in drawn:
                drawn[name] = self._sampler.sample_independent(study, trial, name, distribution)
        return drawn
