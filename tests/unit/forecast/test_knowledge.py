"""Classes of what is known: who is calibrated with whom, and how much each class weighs."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.forecast.knowledge import (
    ENOUGH,
    KNOWLEDGE,
    STRETCHES,
    TOLD,
    learn_by_knowledge,
    told_by,
    weights_of,
)
from oracle.history.features import FEATURES, encode
from oracle.types import History

LEVELS = (0.1, 0.5, 0.9)


def row(**values: float) -> np.ndarray:
    """A last row of which everything is known, at a checkpoint."""
    known = {
        "mqe_known_scale": 1.0,
        "radius_planned": 1.0,
        "progress_known": 1.0,
        "index": 1.0,
        "topographic_error_known": 1.0,
        "dead_neuron_ratio_known": 1.0,
    }
    found = np.zeros(len(FEATURES), np.float32)
    for name, value in (known | values).items():
        found[FEATURES.index(name)] = value
    return found


def weights(progress: float | None, **values: float) -> dict[str, float]:
    """The classes that weigh anything."""
    found = weights_of(row(**values)[None], [progress])[0]
    return {name: w for name, w in zip(KNOWLEDGE, found.tolist(), strict=True) if w}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "all"),
        ({"mqe_known_scale": 0}, "no scale"),
        ({"radius_planned": 0}, "no plan"),
        ({"radius_planned": 0, "mqe_known_scale": 0}, "no plan, no scale"),
        ({"topographic_error_known": 0}, "no ratios"),
        ({"dead_neuron_ratio_known": 0.5}, "no ratios"),  # carried forward
        ({"topographic_error_known": 0, "mqe_known_scale": 0, "radius_planned": 0}, "no ratios"),
        # Before the first checkpoint no ratio is known of any run.
        ({"topographic_error_known": 0, "dead_neuron_ratio_known": 0, "index": 0}, "all"),
        ({"topographic_error_known": 0, "index": 0, "radius_planned": 0}, "no plan"),
    ],
)
def test_what_is_told_decides_the_class(values: dict[str, float], told: str) -> None:
    assert TOLD[int(told_by(row(**values)[None])[0])] == told
    at = "plan" if values.get("index") == 0 else "0.3"
    assert weights(0.3, **values) == {f"{told} at {at}": pytest.approx(1.0)}


def test_stretches_share_what_lies_between_them() -> None:
    middle = (STRETCHES[2] + STRETCHES[3]) / 2
    assert weights(STRETCHES[2]) == {"all at 0.1": pytest.approx(1.0)}
    assert weights(middle) == {"all at 0.1": pytest.approx(0.5), "all at 0.2": pytest.approx(0.5)}
    for outside, at in ((0.0, STRETCHES[0]), (0.01, STRETCHES[0]), (0.9, 0.9), (1.0, 0.9)):
        assert weights(outside) == {f"all at {at}": pytest.approx(1.0)}


def test_weights_sum_to_one_whatever_is_known() -> None:
    rng = np.random.default_rng(0)
    names = ("mqe_known_scale", "radius_planned", "index", "topographic_error_known")
    rows, progress = [], []
    for _ in range(300):
        told = rng.integers(0, 2, len(names) + 1)
        unknown = bool(told[-1]) and bool(told[2])
        values = dict(zip(names, map(float, told[:-1]), strict=True))
        rows.append(row(**values, progress_known=float(not unknown)))
        progress.append(None if unknown else float(rng.random()))
    found = weights_of(np.stack(rows), progress)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0).all()
    assert ((found > 0).sum(axis=1) <= 2).all()


def test_without_the_budget_there_is_a_class_of_its_own() -> None:
    assert weights(None, progress_known=0) == {"no progress": 1.0}
    # Told one way only, it is not known: what is not sure is not taken for known.
    assert weights(None) == {"no progress": 1.0}
    assert weights(0.3, progress_known=0) == {"no progress": 1.0}


def test_real_histories_fall_where_their_fields_say(brief_history: dict[str, object]) -> None:
    plan = {"progress": [0, 1], "radius": [3, 1]}
    context = {"mqe_of_mean": 1.0, "schedule": plan}
    for changed, name in (
        ({}, "no progress"),
        ({"total_epochs": 500}, "no plan, no scale at 0.2"),
        ({"total_epochs": 500, "context": {"mqe_of_mean": 1.0}}, "no plan at 0.2"),
        ({"total_epochs": 500, "context": {"schedule": plan}}, "no scale at 0.2"),
        ({"total_epochs": 500, "context": context}, "all at 0.2"),
        (
            {"total_epochs": 500, "context": context, "dead_neuron_ratio": [0.2, 0.1, None]},
            "no ratios at 0.2",
        ),
    ):
        history = History.parse({**brief_history, **changed})
        found = weights_of(encode(history)[[-1]], [history.progress])[0]
        assert KNOWLEDGE[int(found.argmax())] == name
        assert found.max() == pytest.approx(1.0)
    for context_, name in ((context, "all at plan"), ({"mqe_of_mean": 1.0}, "no plan at plan")):
        empty = History.parse({"context": context_})
        found = weights_of(encode(empty)[[-1]], [empty.progress])[0]
        assert KNOWLEDGE[int(found.argmax())] == name


def test_each_class_learns_its_own_and_small_ones_lean_on_all_of_their_stretch() -> None:
    rng = np.random.default_rng(0)
    classes = {
        "all at 0.3": (3000, 0.0),
        "no plan at 0.3": (3000, 5.0),
        "no scale at 0.3": (20, 9.0),
        "all at 0.5": (4000, 0.0),
        "no ratios at 0.5": (ENOUGH // 2, 9.0),
    }
    surprise, knowledge = [], []
    for name, (count, shift) in classes.items():
        values = shift + rng.normal(size=(count, 1, 1))
        surprise.append(np.broadcast_to(values, (count, 1, len(LEVELS))))
        weight = np.zeros((count, len(KNOWLEDGE)))
        weight[:, KNOWLEDGE.index(name)] = 1.0
        knowledge.append(weight)
    learned = learn_by_knowledge(np.concatenate(surprise), np.concatenate(knowledge), LEVELS)
    offsets = {name: learned[i, 0] for i, name in enumerate(KNOWLEDGE)}
    np.testing.assert_allclose(offsets["all at 0.3"], [-1.28, 0, 1.28], atol=0.1)
    np.testing.assert_allclose(offsets["no plan at 0.3"], [3.72, 5, 6.28], atol=0.1)
    together = offsets["no ratios at 0.3"]  # nobody's: all classes of the stretch
    assert together[0] < 0 < together[1] < 5 < together[2] + 1
    # Fewer than fifty have no quantiles of their own: nothing is taken off the others'.
    np.testing.assert_allclose(offsets["no scale at 0.3"], together, atol=1e-9)
    # More lean on the others in part.
    assert 0 < (offsets["no ratios at 0.5"] - offsets["all at 0.5"]).max() < 9
    assert not offsets["all at 0.7"].any()
    assert not offsets["no progress"].any()


def test_an_undefined_outcome_teaches_nothing() -> None:
    weight = np.zeros((500, len(KNOWLEDGE)))
    weight[:, 3] = 1.0
    surprise = np.full((500, 2, len(LEVELS)), np.nan)
    surprise[:, 1] = 1.0
    learned = learn_by_knowledge(surprise, weight, LEVELS)
    assert not learned[:, 0].any()
    np.testing.assert_allclose(learned[3, 1], 1.0)
