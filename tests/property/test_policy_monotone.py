"""What is better is judged no worse: a better forecast never, a better history nearly never.

The rules are held to that without exception. The network is not: it may make a worse forecast of a
better history, and near the edge of a stop that counts. Such exceptions are named here, and counted
by T22 of docs/reliability.md.
"""

from __future__ import annotations

import numpy as np
import pytest
from fuzz.better import scaled
from fuzz.played import POLICY, POPULATION_SIZE, Check, played
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import SCALE, forecast_of, history_of, made_outcome

from oracle.decision.policy import decide, decide_population
from oracle.forecast.forecaster import Oracle
from oracle.types import METRICS, Action, Decision, Policy, Reference, Scale

#: The exceptions: a better history may be stopped where its worse twin goes on with a P(good) of
#: less than so many times the risk. T22 has seen 3.6 times among 8,087; here it is 2.1.
EDGE = 5.0

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
        "population": {"goal": ["good", "gain"], "good": [0.1, 0.5], "risk": [0.02, 0.3, 0.9]},
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


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle.load()


@pytest.fixture(scope="module")
def going_on(oracle: Oracle) -> list[Check]:
    """Checks of recorded runs that the rule lets go on."""
    checks = played(oracle, POPULATION_SIZE)
    return [c for c in checks if c.decision.action is Action.CONTINUE and c.decision.p_good]


@given(
    st.data(),
    st.lists(st.floats(0.3, 1.0), min_size=3, max_size=3),
    st.sampled_from([0, -1]),
)
@settings(max_examples=200)
def test_a_better_history_is_stopped_near_the_edge_alone(
    oracle: Oracle, going_on: list[Check], data: st.DataObject, factors: list[float], start: int
) -> None:
    """Any metric lower, throughout or at the last checkpoint."""
    worse = data.draw(st.sampled_from(going_on))
    history = scaled(worse.history, dict(zip(METRICS, factors, strict=True)), start)
    forecast = oracle.forecast(history)
    better = decide(history, forecast, worse.reference, POLICY)
    p_good = worse.decision.p_good
    assert p_good is not None
    assert not better.stop or p_good < EDGE * POLICY.risk_at(history.progress or 0.0)
