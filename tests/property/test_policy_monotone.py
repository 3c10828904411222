"""A better forecast never makes a stop more likely, whatever the rule."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import SCALE, forecast_of, history_of, made_outcome

from oracle.decision.policy import decide, decide_population
from oracle.types import Action, Decision, Policy, Reference, Scale

ORDER = {Action.STOP: 0, Action.ABSTAIN: 1, Action.CONTINUE: 1}
share = st.floats(0.0, 1.0)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, Reference, Policy]:
    """Draws, draws none of which is worse, a reference and a policy."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    middle = np.array([draw(st.floats(0.05, 3.0)), draw(share), draw(share)])
    width = draw(st.floats(0.0, 0.5))
    worse = np.clip(middle + width * rng.standard_normal((64, 3)), 0, [9, 1, 1])
    better = worse * (1 - draw(share) * rng.uniform(0, 1, (64, 3)))
    outcomes = tuple(
        made_outcome(
            float(rng.uniform(0, 3)),
            final_topographic_error=float(rng.uniform()),
            final_dead_neuron_ratio=float(rng.uniform()),
            censored=bool(stopped),
            spread=0.1 * float(stopped),
        )
        for stopped in rng.integers(0, 2, draw(st.integers(0, 30)))
    )
    reference = Reference(
        outcomes=outcomes,
        mqe_of_mean=draw(st.sampled_from([None, SCALE])),
        population_size=draw(st.sampled_from([None, 5, 45])),
    )
    own = {
        "threshold": {"scale": [None, Scale.RELATIVE]},
        "population": {"good": [0.1, 0.5], "risk": [0.02, 0.3, 0.9]},
        "pareto": {"risk": [0.02, 0.3, 0.9]},
    }
    name = draw(st.sampled_from(sorted(own)))
    settings = {setting: draw(st.sampled_from(values)) for setting, values in own[name].items()}
    settings["converged"] = draw(st.sampled_from([0.0, 0.0, 0.05, 0.5]))
    policy = Policy(name=name, control=draw(st.sampled_from([0.0, 0.5])), **settings)
    return worse, better, reference, policy


HISTORY = history_of((1.0, 0.8))


def no_more_a_stop(worse: Decision, better: Decision) -> None:
    assert ORDER[better.action] >= ORDER[worse.action]
    if worse.p_good is not None and better.p_good is not None:
        assert better.p_good >= worse.p_good


@given(cases())
@settings(max_examples=150)
def test_one_run(case: tuple[np.ndarray, np.ndarray, Reference, Policy]) -> None:
    worse, better, reference, policy = case
    answers = (decide(HISTORY, forecast_of(d), reference, policy) for d in (worse, better))
    no_more_a_stop(*answers)


@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_a_member_of_a_generation(
    case: tuple[np.ndarray, np.ndarray, Reference, Policy], seed: int
) -> None:
    worse, better, reference, policy = case
    rng = np.random.default_rng(seed)
    others = [forecast_of(rng.uniform(0, [3, 1, 1], (64, 3))) for _ in range(4)]
    answers = (
        decide_population([HISTORY] * 5, [forecast_of(d), *others], reference, policy)[0]
        for d in (worse, better)
    )
    no_more_a_stop(*answers)
