"""What is hidden in training: exactly what a class of users leaves out, as often as it says."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from made_up import make_runs

from oracle.history.columns import Columns, columns_of
from oracle.history.geometry import geometry_of
from oracle.training import hidden
from oracle.training.hidden import (
    EVERYTHING,
    GROUPS,
    HIDDEN_OFTEN,
    MISSING_RATIO,
    PROFILES,
    RATIOS,
    hide,
    hide_inputs,
    hide_ratio,
)
from oracle.types import RunContext, Schedule

#: A field of each group, by which it shows whether the group is hidden.
PROBES = {
    "scale": lambda c: np.isnan(c.size["mqe_of_mean"]),
    "geometry": lambda c: np.isnan(c.geometry).all(axis=1),
    "schedule": lambda c: np.isnan(c.plan["radius"]).all(axis=1),
    "rates": lambda c: np.isnan(c.step["radius"]).all(axis=1),
    "budget": lambda c: np.isnan(c.total_epochs),
    "map": lambda c: np.isnan(c.size["map_rows"]),
    "samples": lambda c: np.isnan(c.size["n_samples"]),
    "updates": lambda c: np.isnan(c.size["total_updates"]),
    "batch": lambda c: np.isnan(c.size["batch_size"]),
    "kind": lambda c: ~c.kind[:, :-2].any(axis=1),
    "torus": lambda c: ~c.kind[:, -2:].any(axis=1),
}


@pytest.fixture(scope="module")
def known() -> Columns:
    """Runs of which everything is known."""
    shape = geometry_of(np.random.default_rng(0).normal(size=(200, 4)), 64)
    histories = []
    for run in make_runs(50):
        context = run.history.context.model_dump() | {
            "topology": "hexagonal",
            "toroidal": True,
            "neighborhood": "gaussian",
            "initialization": "random",
            "batch_size": 1.0,
            "geometry": shape,
            "schedule": Schedule(progress=(0.0, 1.0), learning_rate=(0.5, 0.1), radius=(3.0, 1.0)),
        }
        n = len(run.history)
        histories.append(
            run.history.model_copy(
                update={
                    "context": RunContext.model_validate(context),
                    "learning_rate": (0.3,) * n,
                    "radius": (2.0,) * n,
                }
            )
        )
    return columns_of(histories)


def many(known: Columns, runs: int) -> Columns:
    return copy.deepcopy(known.take(np.arange(runs) % len(known)))


def gone(c: Columns) -> list[frozenset[str]]:
    """The groups hidden of each run."""
    flags = {name: probe(c) for name, probe in PROBES.items()}
    return [frozenset(n for n in flags if flags[n][i]) for i in range(len(c))]


def everything(c: Columns) -> dict[str, np.ndarray]:
    arrays = {f"step {k}": v for k, v in c.step.items()}
    arrays |= {f"size {k}": v for k, v in c.size.items()} | {
        f"plan {k}": v for k, v in c.plan.items()
    }
    arrays |= {"kind": c.kind[:, :-2], "torus": c.kind[:, -2:]}
    return arrays | {"total_epochs": c.total_epochs, "geometry": c.geometry, "length": c.length}


FIELDS = {
    "scale": {"size mqe_of_mean"},
    "geometry": {"geometry"},
    "schedule": {"plan learning_rate", "plan radius"},
    "rates": {"step learning_rate", "step radius"},
    "budget": {"total_epochs"},
    "map": {"size map_rows", "size map_cols"},
    "samples": {"size n_samples", "size n_features"},
    "updates": {"size total_updates"},
    "batch": {"size batch_size"},
    "kind": {"kind"},
    "torus": {"torus"},
}


@pytest.mark.parametrize("group", EVERYTHING)
def test_a_group_is_hidden_wholly_and_alone(known: Columns, group: str) -> None:
    c = many(known, 6)
    rows = np.array([True, False, True, False, False, True])
    hide(c, {group: rows})
    for name, values in everything(c).items():
        before = everything(known.take(np.arange(6)))[name]
        np.testing.assert_array_equal(values[~rows], before[~rows])
        if name in FIELDS[group]:
            assert not np.nan_to_num(values[rows]).any()
        else:
            np.testing.assert_array_equal(values[rows], before[rows])
    assert gone(c) == [frozenset({group}) if row else frozenset() for row in rows]


def test_every_profile_hides_exactly_its_groups(
    known: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden, "GROUPS", dict.fromkeys(GROUPS, 0.0))
    monkeypatch.setattr(hidden, "MISSING_RATIO", dict.fromkeys(MISSING_RATIO, 0.0))
    runs = 20_000
    c = many(known, runs)
    hide_inputs(c, 1.0, np.random.default_rng(0))
    found = gone(c)
    assert sum(rate for rate, _ in PROFILES.values()) == pytest.approx(1.0)
    expected: dict[frozenset[str], float] = {}
    for rate, groups in PROFILES.values():
        expected[frozenset(groups)] = expected.get(frozenset(groups), 0.0) + rate
    assert set(found) == set(expected)
    for groups, rate in expected.items():
        share = found.count(groups) / runs
        assert share == pytest.approx(rate, abs=5 * (rate / runs) ** 0.5), groups


def test_four_arrays_leave_the_brief_alone() -> None:
    assert set(PROFILES["four arrays"][1]) == set(EVERYTHING) - {"budget"}


def test_single_inputs_are_hidden_as_often_as_they_say(
    known: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden, "PROFILES", {"all": (1.0, ())})
    runs = 20_000
    for scale in (1.0, HIDDEN_OFTEN):
        c = many(known, runs)
        hide_inputs(c, scale, np.random.default_rng(1))
        found = gone(c)
        for group, rate in GROUPS.items():
            share = sum(group in groups for groups in found) / runs
            assert share == pytest.approx(scale * rate, abs=5 * (scale * rate / runs) ** 0.5), group


def test_hidden_more_often_no_profile_is_lost() -> None:
    assert sum(rate for rate, _ in list(PROFILES.values())[1:]) * HIDDEN_OFTEN <= 1.0 + 1e-9


def test_nothing_is_hidden_at_scale_0(known: Columns) -> None:
    c = many(known, 50)
    hide_inputs(c, 0.0, np.random.default_rng(0))
    for name, values in everything(c).items():
        np.testing.assert_array_equal(values, everything(known)[name])


def test_mqe_and_the_counter_are_never_hidden(known: Columns) -> None:
    c = many(known, 2000)
    hide_inputs(c, 2.0, np.random.default_rng(0))
    before = many(known, 2000)
    for name in ("mqe", "epochs"):
        np.testing.assert_array_equal(c.step[name], before.step[name])


def test_a_ratio_goes_missing_as_it_does_in_life() -> None:
    runs, time = 40_000, 9
    values = np.tile(np.arange(time) / 10.0, (runs, 1))
    hide_ratio(values, 2.0, np.random.default_rng(0))
    missing = np.isnan(values)
    throughout = missing.all(axis=1)
    ended = (
        ~throughout & missing.any(axis=1) & ~(np.diff(missing.astype(int), axis=1) < 0).any(axis=1)
    )
    ended &= missing[:, -1]
    at_times = missing.any(axis=1) & ~throughout & ~ended
    told = np.arange(time) / 10.0
    np.testing.assert_array_equal(np.where(missing, told, values), np.tile(told, (runs, 1)))
    rate = {name: 2.0 * share for name, share in MISSING_RATIO.items()}
    assert throughout.mean() == pytest.approx(rate["throughout"], abs=0.006)
    # Gaps may look like an end, or like nothing at all, by chance.
    assert ended.mean() == pytest.approx(rate["from then on"], abs=0.008)
    assert at_times.mean() == pytest.approx(rate["at times"], abs=0.008)
    assert (~missing[ended][:, 0]).all()


def test_ratios_go_missing_each_by_itself(known: Columns) -> None:
    c = many(known, 4000)
    hide_inputs(c, 2.0, np.random.default_rng(3))
    missing = [np.isnan(c.step[ratio][:, 1:]).any(axis=1) for ratio in RATIOS]
    assert (missing[0] & ~missing[1]).any()
    assert (missing[1] & ~missing[0]).any()
