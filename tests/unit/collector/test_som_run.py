"""One recorded MiniSom training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from minisom import MiniSom

from collector.som_run import checkpoint_updates, som_run
from oracle.errors import InvalidHistory, OracleError
from oracle.types import History, Run

DATA = np.random.default_rng(8).normal(size=(40, 3))


def make(**changes: Any) -> MiniSom:
    return MiniSom(5, 4, 3, **{"sigma": 1.5, "learning_rate": 0.5, "random_seed": 2, **changes})


def record(som: MiniSom, iterations: int = 200, **options: Any) -> Run:
    return som_run(som, DATA, iterations, run_id="r", dataset="t", **options)


@pytest.mark.parametrize("options", [{}, {"use_epochs": True, "random_order": True}])
def test_the_map_ends_as_train_leaves_it(options: dict[str, Any]) -> None:
    one, two = make(), make()
    one.train(DATA, 6, **options)
    record(two, 6, checkpoints=4, **options)
    assert one.get_weights().tobytes() == two.get_weights().tobytes()


def test_the_last_checkpoint_is_minisoms_own_measurement() -> None:
    som = make()
    run = record(som)
    assert run.final_mqe == pytest.approx(som.quantization_error(DATA), rel=1e-12)
    assert run.final_topographic_error == som.topographic_error(DATA)
    assert run.final_mqe == run.history.mqe[-1]
    assert run.history.progress == 1
    assert not run.censored


def test_schedule_in_force_follows_the_plan() -> None:
    run = record(make(decay_function="linear_decay_to_zero"), 65, checkpoints=list(range(1, 66)))
    plan = run.history.context.schedule
    assert plan is not None
    assert plan.learning_rate is not None
    assert run.history.learning_rate is not None
    progress = (np.array(run.history.epochs) - 1) / 64
    expected = np.interp(progress, plan.progress, plan.learning_rate)
    np.testing.assert_allclose(np.array(run.history.learning_rate, float), expected, rtol=1e-12)


def test_a_stop_is_censored_and_a_stop_at_the_end_is_none() -> None:
    seen: list[int] = []

    def third(history: History) -> bool:
        seen.append(len(history))
        return len(history) == 3

    run = record(make(), checkpoints=10, on_checkpoint=third)
    assert seen == [1, 2, 3]
    assert run.censored
    assert len(run.history) == 3
    assert run.history.progress == pytest.approx(0.3)
    assert not record(make(), checkpoints=1, on_checkpoint=lambda _: True).censored


def test_looking_on_changes_nothing() -> None:
    one, two = make(), make()
    record(one)
    record(two, on_checkpoint=lambda _: False)
    assert one.get_weights().tobytes() == two.get_weights().tobytes()


def test_weights_that_are_no_longer_finite_are_refused() -> None:
    som = make()
    som._weights[...] = np.inf
    with (
        np.errstate(all="ignore"),
        pytest.raises(OracleError, match="`weights` must be finite"),
    ):
        record(som)


@pytest.mark.parametrize("spacing", ["log", "linear"])
@pytest.mark.parametrize(("total", "count"), [(1, 5), (7, 20), (1000, 1), (1000, 20), (10**7, 61)])
def test_checkpoints_end_at_the_end(total: int, count: int, spacing: Any) -> None:
    places = checkpoint_updates(total, count, spacing)
    assert places == sorted(set(places))
    assert places[0] >= 1
    assert places[-1] == total
    assert len(places) <= count


def test_the_number_of_checkpoints_is_bounded() -> None:
    with pytest.raises(InvalidHistory, match=r"`checkpoints` must be within 1\.\.1000"):
        checkpoint_updates(10, 0)
