"""`steps` trains as `MiniSom.train` does, bit for bit, whatever MiniSom is told."""

from __future__ import annotations

import itertools
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from minisom import MiniSom

from oracle.integrations.minisom import in_force, plan, planned, steps, updates_of

DATA = np.random.default_rng(3).normal(size=(23, 4))
LEARNING_RATE_DECAYS = ["asymptotic_decay", "inverse_decay_to_zero", "linear_decay_to_zero"]
SIGMA_DECAYS = ["asymptotic_decay", "inverse_decay_to_one", "linear_decay_to_one"]
NEIGHBORHOODS = ["gaussian", "mexican_hat", "bubble", "triangle"]


def halving(rate: float, t: int, end: int) -> float:
    return float(rate * 0.5 ** (4 * t / end))


class Counting:
    """A decay that depends on how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, rate: float, t: int, end: int) -> float:
        self.calls += 1
        return rate / self.calls


def noisy(rate: float, t: int, end: int) -> float:
    return float(rate * (0.5 + np.random.rand() / 2 + random.random() / 10))


def som(**changes: Any) -> MiniSom:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MiniSom's advice on sigma and topology
        settings = {"sigma": 2.0, "learning_rate": 0.7, "random_seed": 11, **changes}
        return MiniSom(4, 5, 4, **settings)


def assert_same(a: MiniSom, b: MiniSom) -> None:
    assert a.get_weights().tobytes() == b.get_weights().tobytes()
    assert a._activation_map.tobytes() == b._activation_map.tobytes()
    # Whatever is drawn next, both draw the same.
    assert a._random_generator.rand() == b._random_generator.rand()


def train_both(iterations: int, make: Callable[[], MiniSom] = som, **options: Any) -> None:
    one, two = make(), make()
    one.train(DATA, iterations, **options)
    total = updates_of(len(DATA), iterations, options.get("use_epochs", False))
    assert list(steps(two, DATA, iterations, **options)) == list(range(1, total + 1))
    assert_same(one, two)


@pytest.mark.parametrize("random_order", [False, True])
@pytest.mark.parametrize(("use_epochs", "iterations"), [(False, 71), (True, 3), (False, 5)])
@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("neighborhood", NEIGHBORHOODS)
@pytest.mark.parametrize(
    ("rate", "sigma"), [*itertools.product(LEARNING_RATE_DECAYS, SIGMA_DECAYS), (halving, None)]
)
def test_same_weights_as_train(
    rate: Any,
    sigma: str | None,
    neighborhood: str,
    topology: str,
    use_epochs: bool,
    iterations: int,
    random_order: bool,
) -> None:
    train_both(
        iterations,
        lambda: som(
            decay_function=rate,
            sigma_decay_function=sigma or "asymptotic_decay",
            neighborhood_function=neighborhood,
            topology=topology,
        ),
        random_order=random_order,
        use_epochs=use_epochs,
    )


@pytest.mark.parametrize("distance", ["euclidean", "cosine", "manhattan", "chebyshev"])
@pytest.mark.parametrize("start", ["random_weights_init", "pca_weights_init"])
def test_same_weights_from_any_start_and_distance(start: str, distance: str) -> None:
    def make() -> MiniSom:
        made = som(activation_distance=distance)
        getattr(made, start)(DATA)
        return made

    train_both(60, make, random_order=True)


@pytest.mark.parametrize("use_epochs", [False, True])
def test_fixed_points_are_honoured(use_epochs: bool) -> None:
    train_both(4 if use_epochs else 80, fixed_points={0: (1, 2), 7: (3, 4)}, use_epochs=use_epochs)


def test_lists_are_taken_as_minisom_takes_them() -> None:
    one, two = som(), som()
    one.train(list(DATA), 30)
    list(steps(two, list(DATA), 30))
    assert_same(one, two)


@pytest.mark.parametrize("use_epochs", [False, True])
@pytest.mark.parametrize("decay", [Counting, lambda: noisy])
def test_asking_for_the_schedule_changes_nothing(
    decay: Callable[[], Any], use_epochs: bool
) -> None:
    def run(asking: bool) -> tuple[bytes, float, float]:
        np.random.seed(5)
        random.seed(5)
        made = som(decay_function=decay())
        if asking:
            planned(made, DATA, 4, use_epochs)
        for done in steps(made, DATA, 4, use_epochs=use_epochs):
            if asking:
                in_force(made, done, len(DATA), 4, use_epochs)
        return made.get_weights().tobytes(), np.random.rand(), random.random()

    assert run(asking=True) == run(asking=False)


def test_stopping_early_leaves_the_map_as_it_is_then() -> None:
    whole, cut = som(), som()
    for done in steps(whole, DATA, 50):
        if done == 20:
            wanted = whole.get_weights().copy()
            break
    for done in steps(cut, DATA, 50):
        if done == 20:
            break
    assert (cut.get_weights() == wanted).all()


@pytest.mark.parametrize("use_epochs", [False, True])
def test_plan_is_what_the_updates_then_use(use_epochs: bool) -> None:
    made, iterations = som(decay_function=halving), 12 if use_epochs else 300
    used: list[float] = []
    original = made._learning_rate_decay_function
    schedule = plan(made, len(DATA), iterations, use_epochs)

    def recording(rate: float, t: int, end: int) -> float:
        used.append(original(rate, t, end))
        return used[-1]

    made._learning_rate_decay_function = recording
    total = max(steps(made, DATA, iterations, use_epochs=use_epochs))
    assert schedule is not None
    assert schedule.learning_rate is not None
    assert schedule.radius is not None
    assert schedule.progress[0] == 0
    assert schedule.progress[-1] == 1
    at = [round(p * (total - 1)) for p in schedule.progress]
    assert list(schedule.learning_rate) == [used[i] for i in at]
    assert in_force(made, 100, len(DATA), iterations, use_epochs)[0] == used[99]


def test_an_undefined_decay_is_left_out_of_the_plan() -> None:
    schedule = plan(som(decay_function=lambda rate, t, end: float("nan")), len(DATA), 40)
    assert schedule is not None
    assert schedule.learning_rate is None
    assert schedule.radius is not None


def test_a_single_update_has_no_plan() -> None:
    assert plan(som(), len(DATA), 1) is None


def test_planned_tells_what_minisom_knows() -> None:
    made = som(topology="hexagonal", neighborhood_function="mexican_hat")
    found = planned(made, DATA, 7, use_epochs=True)
    assert (found["topology"], found["neighborhood"]) == ("hexagonal", "mexican_hat")
    assert found["total_updates"] == 7 * len(DATA)
    assert found["schedule"] == plan(made, len(DATA), 7, use_epochs=True)
    assert "schedule" not in planned(made, DATA, None)


@pytest.mark.parametrize(
    ("iterations", "data", "fixed"),
    [(0, DATA, None), (5, DATA[:, :2], None), (5, DATA, {99: (0, 0)}), (5, DATA, {0: (9, 9)})],
)
def test_refuses_what_minisom_refuses(iterations: int, data: Any, fixed: Any) -> None:
    with pytest.raises(ValueError, match=r".") as wanted:
        som().train(data, iterations, fixed_points=fixed)
    with pytest.raises(ValueError, match=r".") as got:
        list(steps(som(), data, iterations, fixed_points=fixed))
    assert str(got.value) == str(wanted.value)
