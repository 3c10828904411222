"""Windows over recorded runs: what a row is told, what it must forecast, and how much it counts."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from made_up import SCALE, make_runs

from oracle.history.columns import MIN_STEP, until
from oracle.history.features import encode
from oracle.history.targets import HORIZONS, MQE_SHARE, OUTPUTS, UNKNOWN_RATIO, decode, finals_of
from oracle.training.windows import (
    HORIZON_WEIGHT,
    LENGTHS,
    PLAN_SHARE,
    Batch,
    Windows,
)
from oracle.types import METRICS, QUALITY_WEIGHTS, History, Run, RunContext

RUNS = make_runs(40, seed=3)
END = HORIZONS.index(1.0)


def windows_of(
    runs: list[Run], length: int = 20, hide: float = 0.0, seed: int = 0
) -> tuple[Windows, Batch]:
    windows = Windows(runs, hide=hide)
    return windows, windows.batch(np.arange(len(runs)), length, np.random.default_rng(seed))


def by_hand(**changed: object) -> Run:
    """Five checkpoints, nothing in a straight line; the finals are not the last ones measured."""
    history = History(
        epochs=(0.0, 20.0, 40.0, 80.0, 100.0),
        mqe=(2.0, 1.0, 0.8, 0.5, 0.4),
        topographic_error=(0.5, 0.3, 0.4, 0.2, 0.1),
        dead_neuron_ratio=(0.9, 0.1, 0.0, 0.2, 0.3),
        total_epochs=100.0,
        context={"mqe_of_mean": 2.0},
    )
    run = Run(
        run_id="hand",
        source="made",
        dataset="made",
        final_mqe=0.38,
        final_topographic_error=0.12,
        final_dead_neuron_ratio=0.31,
        history=history,
    )
    return run.model_copy(update=changed)


def seen_whole(run: Run, hide: float = 0.0) -> Batch:
    """A window that holds every checkpoint of the run: most grids leave some out."""
    _, batch = windows_of([run] * 50, length=48, hide=hide)
    i = int(batch.length.argmax())
    assert batch.length[i] == 1 + len(run.history)
    part = {f.name: getattr(batch, f.name)[i : i + 1] for f in fields(batch)}
    rows = slice(0, 1 + len(run.history))
    return Batch(**{k: v[:, rows] if v.ndim > 1 else v for k, v in part.items()})


def outcome(batch: Batch, run: int, row: int, horizon: float) -> list[float]:
    """What a row must forecast at a horizon, raw units."""
    first = 3 * HORIZONS.index(horizon)
    change = batch.target[run, row, first : first + 3].astype(float)
    return decode(change, batch.values[run, row], batch.floor[run, row]).tolist()


def test_targets_at_horizons_of_a_run_written_out() -> None:
    batch = seen_whole(by_hand())
    assert batch.progress[0].tolist() == [0.0, 0.0, 0.2, 0.4, 0.8, 1.0]
    close = {"abs": 1e-6}
    for row in range(6):
        assert outcome(batch, 0, row, 1.0) == pytest.approx([0.38, 0.12, 0.31], **close)
    for row in (0, 1):  # the plan, and the checkpoint at 0: a quarter of all is to 25
        assert outcome(batch, 0, row, 0.25) == pytest.approx([0.95, 0.325, 0.075], **close)
        assert outcome(batch, 0, row, 0.5) == pytest.approx([0.725, 0.35, 0.05], **close)
        assert outcome(batch, 0, row, 0.75) == pytest.approx([0.5375, 0.225, 0.175], **close)
    # From 20 on a quarter of the rest is to 40, half to 60.
    assert outcome(batch, 0, 2, 0.25) == pytest.approx([0.8, 0.4, 0.0], **close)
    assert outcome(batch, 0, 2, 0.5) == pytest.approx([0.65, 0.3, 0.1], **close)
    assert outcome(batch, 0, 4, 0.5) == pytest.approx([0.45, 0.15, 0.25], **close)
    # At the end nothing is left: what was measured there.
    assert outcome(batch, 0, 5, 0.25) == pytest.approx([0.4, 0.1, 0.3], **close)


def test_every_row_is_a_change_from_its_own_anchor() -> None:
    windows, batch = windows_of(RUNS)
    assert batch.target.shape == batch.weight.shape == (len(RUNS), 21, OUTPUTS)
    np.testing.assert_array_equal(batch.values[:, 0], [[SCALE, UNKNOWN_RATIO, UNKNOWN_RATIO]] * 40)
    np.testing.assert_allclose(batch.floor[:, 0], MQE_SHARE * SCALE)
    finals = finals_of(RUNS)
    for i, run in enumerate(RUNS):
        history = run.history
        for row in range(batch.length[i]):
            p = batch.progress[i, row]
            if row:
                at = int(np.abs(np.array(history.epochs) - 100 * p).argmin())
                assert batch.values[i, row].tolist() == [getattr(history, m)[at] for m in METRICS]
            assert outcome(batch, i, row, 1.0) == pytest.approx(finals[i].tolist(), abs=1e-6)
            for horizon in HORIZONS[1:]:
                asked = 100 * (p + horizon * (1 - p))
                expected = [np.interp(asked, history.epochs, getattr(history, m)) for m in METRICS]
                assert outcome(batch, i, row, horizon) == pytest.approx(expected, abs=1e-6)
    assert len(windows) == 40


def test_rows_are_encoded_as_the_history_of_their_checkpoints() -> None:
    _, batch = windows_of(RUNS, length=8)
    for i, run in enumerate(RUNS):
        at = [round(p * 20) for p in batch.progress[i, 1 : batch.length[i]]]
        columns = ("epochs", *METRICS)
        cut = run.history.model_copy(
            update={c: tuple(getattr(run.history, c)[k] for k in at) for c in columns}
        )
        np.testing.assert_array_equal(batch.sequence[i, : batch.length[i]], encode(cut))
        assert not batch.sequence[i, batch.length[i] :].any()
        assert np.isnan(batch.progress[i, batch.length[i] :]).all()
        assert not batch.weight[i, batch.length[i] :].any()


def test_grids_differ_between_runs_and_keep_their_distance() -> None:
    runs = [
        run.model_copy(
            update={
                "history": run.history.model_copy(
                    update={
                        "epochs": tuple(np.linspace(0, 100, 1000).tolist()),
                        **{m: tuple(np.linspace(0.9, 0.1, 1000).tolist()) for m in METRICS},
                    }
                )
            }
        )
        for run in RUNS
    ]
    seen = set()
    for length in LENGTHS:
        _, batch = windows_of(runs, length=length)
        assert (batch.length <= 1 + length).all()
        for i in range(len(runs)):
            progress = batch.progress[i, 1 : batch.length[i]].tolist()
            assert all(b - a >= MIN_STEP - 1e-12 for a, b in pairwise(progress))
            seen.add(tuple(progress))
    assert len(seen) > 0.8 * len(runs) * len(LENGTHS)


def test_the_plan_counts_for_a_share_of_the_run_and_the_way_for_less_than_the_end() -> None:
    batch = seen_whole(by_hand())
    error = METRICS.index("topographic_error")
    end = batch.weight[0, :, 3 * END + error].astype(float)
    steps = batch.length[0] / 4
    assert end[0] == pytest.approx(PLAN_SHARE * steps)
    # Half by the progress they stand for, at most a fifth each, half even; the end hardly counts.
    gap = np.array([0.2, 0.2, 0.2, 0.2, 0.0])
    expected = (0.5 * gap / gap.sum() + 0.5 / 5) * [1, 1, 1, 1, 0.1] * steps
    np.testing.assert_allclose(end[1:], expected, rtol=1e-6)
    for horizon in HORIZONS[1:]:
        way = batch.weight[0, :, 3 * HORIZONS.index(horizon) + error]
        np.testing.assert_allclose(way, HORIZON_WEIGHT * end, rtol=1e-6)


def test_targets_are_weighed_by_what_they_do_to_the_score() -> None:
    batch = seen_whole(by_hand())
    end = batch.weight[0, :, 3 * END : 3 * END + 3].astype(float)
    relative = batch.values[0, :, 0] / 2.0
    np.testing.assert_allclose(end[:, 0] / end[:, 1], np.clip(relative, 0.1, 2), rtol=1e-5)
    np.testing.assert_allclose(end[:, 2] / end[:, 1], QUALITY_WEIGHTS[2], rtol=1e-5)


def test_what_is_undefined_has_no_weight() -> None:
    gap = by_hand().history.model_copy(update={"topographic_error": (0.5, 0.3, None, 0.2, 0.1)})
    bare = by_hand().history.model_copy(update={"context": RunContext()})
    undefined, gapped, unscaled = (
        seen_whole(by_hand(**changed))
        for changed in ({"final_topographic_error": None}, {"history": gap}, {"history": bare})
    )
    assert all(np.isfinite(b.target).all() for b in (undefined, gapped, unscaled))
    error = METRICS.index("topographic_error")
    assert not undefined.weight[0, :, 3 * END + error].any()
    assert undefined.weight[0, :, 3 * END].all()
    # The end is known; between two checkpoints of which one is not, nothing is.
    assert gapped.weight[0, :, 3 * END + error].all()
    half = 3 * HORIZONS.index(0.5) + error
    assert not gapped.weight[0, [0, 1, 2], half].any()
    assert gapped.weight[0, 4, half] > 0
    # Without its scale the plan alone has no mqe to be a change from.
    assert not unscaled.weight[0, 0, 0::3].any()
    assert unscaled.weight[0, 0, 1::3].all()
    assert unscaled.weight[0, 1:, 3 * END].all()


def test_hidden_inputs_hide_no_outcome() -> None:
    """What a row must forecast stays; what it is told and measured from does not."""
    windows, batch = windows_of(RUNS * 8, hide=2.0)
    finals = finals_of(RUNS * 8)
    told = windows.columns.total_epochs.copy()
    assert 0 < (~batch.told).sum() < len(told)
    assert np.isfinite(told).all()  # the recorded runs themselves are left as they are
    bare = np.isnan(batch.values[:, 0, 0])
    assert 0 < bare.sum() < len(bare)
    assert (batch.unit[bare] == 1.0).all()
    assert (batch.unit[~bare] == SCALE).all()
    for i in np.flatnonzero(~bare):
        row = batch.length[i] - 1
        assert outcome(batch, i, row, 1.0) == pytest.approx(finals[i].tolist(), abs=1e-6)


def test_progress_is_that_of_the_run_whatever_the_features_say() -> None:
    _, batch = windows_of(RUNS, hide=2.0)
    assert (np.nanmax(batch.progress, axis=1) <= 1.0).all()
    assert (batch.progress[:, 0] == 0.0).all()


def test_a_cut_at_a_share_is_the_prefix_that_is_served() -> None:
    windows = Windows(RUNS)
    cut = until(windows.columns, 0.3)
    for i, run in enumerate(RUNS):
        prefix = run.history.until(0.3)
        assert prefix is not None
        assert cut.length[i] == len(encode(prefix))
