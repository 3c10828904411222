"""Batches as TensorFlow reads them, and prefixes as validation cuts them."""

from __future__ import annotations

import numpy as np
import pytest
from made_up import make_runs

pytestmark = pytest.mark.tensorflow

pytest.importorskip("keras")

from oracle.history.features import FEATURES, encode  # noqa: E402
from oracle.history.targets import (  # noqa: E402
    OUTPUTS,
    UNKNOWN_RATIO,
    decode,
    finals_of,
)
from oracle.training.batches import (  # noqa: E402
    MIN_STEPS,
    Settings,
    TrainingBatches,
    fit_scaling,
)
from oracle.training.fit import VALIDATION_SHARES, prefixes_of  # noqa: E402
from oracle.training.windows import Windows  # noqa: E402

RUNS = make_runs(50, seed=4)
WINDOWS = Windows(RUNS)
SCALING = fit_scaling(WINDOWS, np.random.default_rng(0))


def batches(per_step: bool, seed: int = 0) -> TrainingBatches:
    return TrainingBatches(WINDOWS, SCALING, Settings(batch_size=8, seed=seed), per_step)


@pytest.mark.parametrize("per_step", [True, False])
def test_the_same_seed_and_epoch_give_the_same_batches(per_step: bool) -> None:
    one, other = batches(per_step), batches(per_step)
    for epoch in (0, 3):
        one.start_epoch(epoch)
        other.start_epoch(epoch)
        for (x, y), (x2, y2) in zip(one, other, strict=True):
            np.testing.assert_array_equal(x["sequence"], x2["sequence"])
            np.testing.assert_array_equal(x["length"], x2["length"])
            np.testing.assert_array_equal(y, y2)
    another = batches(per_step, seed=1)
    another.start_epoch(3)
    assert another[0][0]["sequence"].tobytes() != one[0][0]["sequence"].tobytes()


def test_every_run_is_seen_each_epoch() -> None:
    made = batches(per_step=True)
    assert len(made) == MIN_STEPS
    assert set(made._order[: len(made) * 8].tolist()) == set(range(len(RUNS)))


def test_every_row_or_one_prefix_of_each_run() -> None:
    each, one = batches(per_step=True), batches(per_step=False)
    lengths = set()
    for (x, y), (x1, y1) in zip(each, one, strict=True):
        runs, time, width = x["sequence"].shape
        assert (runs, width) == (8, len(FEATURES))
        assert y.shape == (8, time, OUTPUTS, 2)
        assert y1.shape == (8, OUTPUTS, 2)
        lengths.update(x1["length"].tolist())
        for i, n in enumerate(x1["length"]):
            np.testing.assert_array_equal(y1[i, :, 0], y[i, n - 1, :, 0])
            # The loss of one row stands for those of all.
            np.testing.assert_allclose(y1[i, :, 1], y[i, n - 1, :, 1] * x["length"][i], rtol=1e-6)
    assert min(lengths) == 1  # the plan alone
    assert max(lengths) > 15


def test_features_are_scaled_to_what_training_sees() -> None:
    many = Windows(RUNS * 20)
    scaling = fit_scaling(many, np.random.default_rng(0))
    assert len(scaling.mean) == len(scaling.std) == len(FEATURES)
    batch = many.batch(np.arange(len(many)), 20, np.random.default_rng(5))
    real = np.concatenate([batch.sequence[i, :n] for i, n in enumerate(batch.length)])
    varies = real.std(axis=0) > 0.06
    assert varies.sum() > 15
    scaled = scaling.apply(real)
    assert np.abs(scaled).max() <= 8.0
    assert np.abs(scaled[:, varies].mean(axis=0)).max() < 0.3
    np.testing.assert_allclose(scaled[:, varies].std(axis=0), 1.0, atol=0.35)
    assert min(scaling.std) == pytest.approx(0.05)  # what stands still is not blown up


def test_tensorflow_reads_the_same() -> None:
    made = batches(per_step=True)
    read = next(iter(made.dataset()))
    np.testing.assert_array_equal(read[0]["sequence"].numpy(), made[0][0]["sequence"])
    np.testing.assert_array_equal(read[1].numpy(), made[0][1])


def test_validation_cuts_as_users_do_and_at_the_plan_alone() -> None:
    held_out = prefixes_of(RUNS, VALIDATION_SHARES, SCALING)
    assert VALIDATION_SHARES[0] == 0.0
    finals = finals_of(RUNS)
    for i, run in enumerate(held_out.run):
        share, history = held_out.progress[i], RUNS[run].history
        prefix = history.prefix(0) if share == 0 else history.until(share)
        rows = encode(prefix)
        assert held_out.length[i] == len(rows)
        np.testing.assert_array_equal(held_out.sequence[i, : len(rows)], SCALING.apply(rows))
        back = decode(held_out.outcome[i], held_out.values[i], held_out.floor[i])
        np.testing.assert_allclose(back, finals[run], atol=1e-12)
    plans = held_out.values[held_out.progress == 0]
    assert len(plans) == len(RUNS)
    assert (plans[:, 1:] == UNKNOWN_RATIO).all()
    assert (held_out.weight > 0).all()


def test_nothing_is_cut_where_nothing_was_seen_or_nothing_is_left() -> None:
    late = RUNS[0].model_copy(
        update={
            "history": RUNS[0].history.model_copy(
                update={
                    c: getattr(RUNS[0].history, c)[12:]
                    for c in ("epochs", "mqe", "topographic_error", "dead_neuron_ratio")
                }
            )
        }
    )
    bare = RUNS[1].model_copy(
        update={
            "history": RUNS[1].history.model_copy(
                update={"context": RUNS[1].history.context.model_copy(update={"mqe_of_mean": None})}
            )
        }
    )
    cut = prefixes_of([late, bare], (0.0, 0.1, 0.7, 1.0), SCALING)
    assert [(int(r), float(p)) for r, p in zip(cut.run, cut.progress, strict=True)] == [
        (0, 0.0), (1, 0.0), (1, 0.1), (0, 0.7), (1, 0.7),
    ]  # fmt: skip
    # Without its scale a plan alone has no mqe to be wrong about.
    plan = cut.weight[1]
    assert plan[0] == 0
    assert (plan[1:] > 0).all()
    assert np.isnan(cut.outcome[1, 0])
