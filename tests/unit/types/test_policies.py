"""Policies as a tagged union: each has its own settings and refuses the others'."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

from oracle.types import (
    GOOD,
    POLICIES,
    QUALITY_WEIGHTS,
    Decision,
    ParetoPolicy,
    Policy,
    PopulationPolicy,
    Reason,
    ThresholdPolicy,
    explain,
)

#: What a policy looked like while one type had every setting.
BEFORE = {
    "weights": [1.0, 1.0, 0.5],
    "threshold": 1.0,
    "caution": 0.5,
    "scale": None,
    "good": 0.1,
    "risk": 0.02,
    "ramp": 0.3,
    "patience": 2,
    "min_progress": 0.1,
    "min_checkpoints": 3,
    "startup_runs": 3,
    "min_support": 0.2,
    "epsilon": 0.001,
    "objectives": ["mqe", "topographic_error", "dead_neuron_ratio"],
    "control": 0.0,
}
#: A value of each setting that is not its default.
OTHER: dict[str, Any] = {
    "weights": (1.0, 0.0, 0.0),
    "threshold": 2.0,
    "caution": 0.1,
    "scale": "relative",
    "good": 0.3,
    "risk": 0.5,
    "ramp": 0.1,
    "startup_runs": 9,
    "epsilon": 9.0,
    "objectives": ("mqe",),
}
FOREIGN = [
    (name, setting)
    for name, policy in POLICIES.items()
    for setting in OTHER
    if setting not in policy.model_fields
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("threshold", ThresholdPolicy),
        ("population", PopulationPolicy),
        ("pareto", ParetoPolicy),
    ],
)
def test_a_name_makes_the_policy_of_that_name(name: str, kind: type[Policy]) -> None:
    made = Policy(name=name, control=0.25)
    for policy in (
        made,
        Policy.model_validate({"name": name, "control": 0.25}),
        Policy.model_validate_json(made.model_dump_json()),
        Policy.model_validate(made),
        copy.deepcopy(made),
        pickle.loads(pickle.dumps(made)),  # noqa: S301
    ):
        assert type(policy) is kind
        assert policy == made
        assert (policy.name, policy.control) == (name, 0.25)
    assert type(Policy()) is type(Policy.model_validate({})) is ThresholdPolicy


@pytest.mark.parametrize(("name", "setting"), FOREIGN, ids="-".join)
def test_another_policys_setting_is_refused_by_name(name: str, setting: str) -> None:
    settings = {"name": name, setting: OTHER[setting]}
    for make in (lambda: Policy(**settings), lambda: Policy.model_validate(settings)):
        with pytest.raises(ValidationError) as refused:
            make()
        told = explain(refused.value)
        assert told.startswith(f"`{setting}` must be left out of a {name} policy, but got ")
        assert "It is a setting of the " in told


@pytest.mark.parametrize("name", POLICIES)
def test_its_own_settings_are_taken(name: str) -> None:
    for setting, value in OTHER.items():
        if setting in POLICIES[name].model_fields:
            assert getattr(Policy(name=name, **{setting: value}), setting) == value


@pytest.mark.parametrize("name", POLICIES)
def test_what_was_written_before_they_were_parted_is_read(name: str) -> None:
    for policy in (
        Policy.model_validate({**BEFORE, "name": name}),
        Policy.model_validate_json(json.dumps({**BEFORE, "name": name})),
    ):
        assert (policy.patience, policy.min_checkpoints, policy.control) == (2, 3, 0.0)
        assert policy.model_dump().keys() == POLICIES[name].model_fields.keys()


@pytest.mark.parametrize("name", ["zz", ["threshold"], None, 3])
def test_an_unknown_name_is_told_with_the_known_ones(name: object) -> None:
    for make in (lambda: Policy(name=name), lambda: Policy.model_validate({"name": name})):
        with pytest.raises(ValidationError) as refused:
            make()
        assert "`name` must be one of threshold, population, pareto" in explain(refused.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "population", "risk": 2}, "`risk` must be below 1"),
        ({"weights": (0.0, 0.0, 0.0)}, "`weights` must be positive for one metric at least"),
        ({"threshold": 0.4}, "`caution` must be at most threshold (0.4)"),
        ({"name": "pareto", "objectives": []}, "`objectives` must be of at least 1 value"),
        ({"colour": 1}, "`colour` must be a known field"),
    ],
)
def test_a_bad_setting_is_told_by_its_own_name(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy.model_validate(settings)
    assert explain(refused.value).startswith(told)


def test_a_caution_may_be_as_high_as_the_threshold() -> None:
    assert ThresholdPolicy(threshold=0.4, caution=0.4).caution == 0.4


def test_what_a_policy_asks_for_and_is_reported_by() -> None:
    mqe = PopulationPolicy(weights=(2.0, 0.0, 0.0), good=0.3)
    assert (mqe.asks, mqe.quality_weights, mqe.good_share) == (("mqe",), (2.0, 0.0, 0.0), 0.3)
    dead = ParetoPolicy(objectives=("dead_neuron_ratio", "wall_clock", "mqe"))
    assert dead.asks == ("mqe", "dead_neuron_ratio")
    assert (dead.quality_weights, dead.good_share) == (QUALITY_WEIGHTS, GOOD)
    assert ThresholdPolicy(weights=(0.0, 1.0, 0.0)).asks == ("topographic_error",)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Continue: it was drawn to run on as a control, although P is 1 %.", Reason.CONTROL),
        ("Continue: it is expected to be the best run so far, although ...", Reason.BEST),
    ],
)
def test_a_decision_recorded_before_is_read(message: str, reason: Reason) -> None:
    recorded = {
        "progress": 0.3,
        "action": "continue",
        "reason": "protected",
        "message": message,
        # One that took every setting, and ignored another rule's.
        "policy": {**BEFORE, "name": "threshold", "risk": 0.5, "epsilon": 9.0},
    }
    for decision in (
        Decision.model_validate(recorded),
        Decision.model_validate_json(json.dumps(recorded)),
    ):
        assert decision.reason is reason
        assert isinstance(decision.policy, ThresholdPolicy)
        assert Decision.model_validate_json(decision.model_dump_json()) == decision
