"""Features: causal from the plan row on, bounded, the same for one and many; targets and back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from oracle.history.columns import MIN_STEP, columns_of, thin, until
from oracle.history.dataset import read_dataset
from oracle.history.features import CARRIED, DEVIATIONS, FEATURES, encode, encode_columns
from oracle.history.geometry import geometry_of
from oracle.history.targets import (
    HORIZONS,
    MAX_LOG,
    MQE_SHARE,
    UNKNOWN_RATIO,
    anchors,
    change_bounds,
    decode,
    encode_outcomes,
    finals_of,
)
from oracle.types import METRICS, History, Run, RunContext

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)[:40]


def without(history: History, *names: str) -> History:
    """The same run with parts of its context, or its budget, unknown."""
    changed: dict[str, object] = {
        "context": history.context.model_copy(
            update=dict.fromkeys(set(names) & set(RunContext.model_fields))
        )
    }
    return history.model_copy(update=changed | dict.fromkeys(set(names) & {"total_epochs"}))


@pytest.mark.parametrize("unknown", [(), ("mqe_of_mean",), ("total_epochs",), ("schedule",)])
def test_a_row_never_changes_when_later_checkpoints_come(
    runs: list[Run], unknown: tuple[str, ...]
) -> None:
    for run in runs[:10]:
        history = thin(without(run.history, *unknown))
        # A ratio that is told in between only is carried from there on, never back.
        gone = tuple(v if i % 3 == 2 else None for i, v in enumerate(history.topographic_error))
        history = history.model_copy(update={"topographic_error": gone})
        whole = encode(history)
        assert len(whole) == 1 + len(history)
        for n in (0, 1, 2, len(history) // 2, len(history) - 1):
            np.testing.assert_array_equal(encode(history.prefix(n)), whole[: 1 + n])


def test_the_plan_row_is_the_same_whatever_follows(runs: list[Run]) -> None:
    """Row 0 tells context and schedule alone: no checkpoint, no counter, no budget."""
    context = runs[0].history.context.model_copy(
        update={"geometry": geometry_of(np.random.default_rng(0).normal(size=(50, 3)), None)}
    )
    plans = [encode(History(context=context, total_epochs=7.0))]
    plans += [encode(r.history.model_copy(update={"context": context}))[:1] for r in runs]
    plans += [rows[:1] for rows in encode_columns(columns_of([r.history for r in runs[:1]] * 2))]
    for plan in plans[1 : len(runs) + 1]:
        np.testing.assert_array_equal(plan, plans[0])
    at = dict(zip(FEATURES, plans[0][0], strict=True))
    assert not any(at[f"{name}_{what}"] for name in METRICS for what in ("to_first", "to_best"))
    assert (at["mqe_relative"], at["topographic_error"]) == (0.0, UNKNOWN_RATIO)
    assert (at["topographic_error_known"], at["dead_neuron_ratio_known"]) == (0.0, 0.0)
    assert (at["progress"], at["progress_known"], at["index"]) == (0.0, 1.0, 0.0)
    assert (at["radius_planned"], at["geometry_known"]) == (1.0, 1.0)
    other = context.model_copy(update={"map_rows": 2.0})
    assert not np.array_equal(encode(History(context=other)), plans[0])


def test_ratios_are_carried_forward_and_said_to_be() -> None:
    history = History(
        epochs=(1.0, 2.0, 3.0, 4.0, 5.0),
        mqe=(0.5, 0.4, 0.3, 0.2, 0.1),
        topographic_error=(None, 0.3, None, 0.1, None),
        dead_neuron_ratio=(0.6, None, None, None, None),
        total_epochs=10.0,
    )
    rows = encode(history)
    at = {name: rows[:, i].astype(np.float64) for i, name in enumerate(FEATURES)}
    error = at["topographic_error"]
    np.testing.assert_allclose(error, [0.5, 0.5, 0.3, 0.3, 0.1, 0.1], atol=1e-7)
    known = [0.0, 0.0, 1.0, CARRIED, 1.0, CARRIED]
    np.testing.assert_array_equal(at["topographic_error_known"], known)
    np.testing.assert_allclose(at["topographic_error_to_first"][2:], [0, 0, -0.2, -0.2], atol=1e-6)
    np.testing.assert_allclose(
        at["topographic_error_to_previous"], [0, 0, 0, 0, -0.2, 0], atol=1e-6
    )
    np.testing.assert_allclose(at["topographic_error_to_best"], 0.0, atol=1e-6)
    np.testing.assert_allclose(at["dead_neuron_ratio"], [0.5] + [0.6] * 5, atol=1e-6)
    values, _ = anchors(columns_of([history]))
    assert values[0, :, 1].tolist() == [UNKNOWN_RATIO, UNKNOWN_RATIO, 0.3, 0.3, 0.1, 0.1]
    assert values[0, :, 2].tolist() == [UNKNOWN_RATIO] + [0.6] * 5


def test_before_the_first_checkpoint_the_scale_is_the_anchor(runs: list[Run]) -> None:
    histories = [run.history for run in runs]
    values, floor = anchors(columns_of([h.prefix(0) for h in histories]))
    scale = np.array([h.context.mqe_of_mean for h in histories])
    np.testing.assert_array_equal(values[:, 0, 0], scale)
    np.testing.assert_array_equal(values[:, 0, 1:], UNKNOWN_RATIO)
    np.testing.assert_allclose(floor[:, 0], MQE_SHARE * scale)
    bare, _ = anchors(columns_of([without(h, "mqe_of_mean") for h in histories]))
    assert np.isnan(bare[:, 0, 0]).all()
    assert np.isfinite(bare[:, 1, 0]).all()


def test_cutting_in_columns_is_cutting_histories(runs: list[Run]) -> None:
    histories = [run.history for run in runs]
    whole = columns_of(histories)
    for share in (0.0, 0.1, 0.37, 1.0):
        cut = until(whole, share)
        rows = encode_columns(cut)
        for i, history in enumerate(histories):
            prefix = history.prefix(0) if share == 0 else history.until(share) or history.prefix(0)
            expected = encode(prefix)
            assert cut.length[i] == len(expected)
            np.testing.assert_array_equal(rows[i, : len(expected)], expected)
            assert not rows[i, len(expected) :].any()
    # Where the budget is unknown the last checkpoint stands for it.
    unknown = [without(h, "total_epochs") for h in histories]
    half = until(columns_of(unknown), 0.5)
    for i, history in enumerate(unknown):
        n = sum(e <= 0.5 * history.epochs[-1] * (1 + 1e-9) for e in history.epochs)
        assert half.length[i] == len(encode(history.prefix(n)))


def test_one_and_many_give_the_same_rows(runs: list[Run]) -> None:
    histories = [thin(run.history) for run in runs]
    many = encode_columns(columns_of(histories))
    for history, rows in zip(histories, many, strict=True):
        np.testing.assert_array_equal(encode(history), rows[: 1 + len(history)])
        assert not rows[1 + len(history) :].any()


def test_the_brief_alone_is_finite_and_masked(brief_history: dict[str, object]) -> None:
    rows = encode(History.parse(brief_history))
    assert rows.shape == (4, len(FEATURES))
    assert np.isfinite(rows).all()
    known = {name: rows[:, i] for i, name in enumerate(FEATURES) if name.endswith("_known")}
    assert not any(
        known[name][1:].any() for name in known if not name.startswith(("topographic", "dead"))
    )
    assert known["topographic_error_known"].tolist() == [0, 1, 1, 1]
    assert known["progress_known"].tolist() == [1, 0, 0, 0]


def test_mqe_and_its_scale_may_be_in_any_unit_but_for_the_tables_own(runs: list[Run]) -> None:
    for factor in (1e-6, 1e6):
        for run in runs[:5]:
            context = run.history.context
            rescaled = run.history.model_copy(
                update={
                    "mqe": tuple(m * factor for m in run.history.mqe),
                    "context": context.model_copy(
                        update={"mqe_of_mean": context.mqe_of_mean * factor}
                    ),
                }
            )
            rows, expected = encode(rescaled), encode(run.history)
            # How far the table is from standardised: the one number that is there to tell the unit.
            deviation = factor * context.mqe_of_mean / context.n_features**0.5
            deviation = float(np.clip(deviation, *DEVIATIONS))
            column = FEATURES.index("deviation")
            np.testing.assert_allclose(rows[:, column], np.log(deviation + 1e-3), rtol=1e-6)
            expected[:, column] = rows[:, column]
            np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_extreme_values_stay_bounded() -> None:
    history = History(
        epochs=(0.0, 1e-9, 5e14),
        mqe=(0.0, 1e150, 1e-150),
        topographic_error=(None, None, 1.0),
        dead_neuron_ratio=(None, 0.0, None),
        total_epochs=5e14,
        context={"mqe_of_mean": 1e-150, "map_rows": 1e15, "map_cols": 1e15, "n_samples": 1e15},
    )
    rows = encode(history)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= 25


def test_thinning_depends_on_earlier_checkpoints_alone() -> None:
    epochs = tuple(float(e) for e in range(1000))
    same = (0.5,) * 1000
    history = History(
        epochs=epochs,
        mqe=same,
        topographic_error=same,
        dead_neuron_ratio=same,
        total_epochs=1000.0,
    )
    thinned = thin(history)
    assert len(thinned) <= 1 / MIN_STEP + 2
    assert thinned.epochs[-1] == 999
    for n in (2, 37, 500):
        shorter = thin(history.prefix(n))
        assert shorter.epochs[:-1] == tuple(e for e in thinned.epochs if e < n - 1)


def values_at(history: History, t: int, metric: str) -> float:
    """What a forecast from row `t` is a change from; the sample's runs have every value."""
    if t:
        return float(getattr(history, metric)[t - 1])
    return float(history.context.mqe_of_mean or 0) if metric == "mqe" else UNKNOWN_RATIO


@pytest.mark.parametrize("mqe_of_mean", [True, False])
def test_outcomes_go_there_and_back(runs: list[Run], mqe_of_mean: bool) -> None:
    histories = [run.history for run in runs]
    if not mqe_of_mean:
        histories = [
            h.model_copy(update={"context": h.context.model_copy(update={"mqe_of_mean": None})})
            for h in histories
        ]
    columns = columns_of(histories)
    values, floor = anchors(columns)
    finals = finals_of(runs)
    change = encode_outcomes(finals[:, None, :], values, floor)
    for i in range(len(runs)):
        for t in range(0 if mqe_of_mean else 1, int(columns.length[i])):
            if abs(change[i, t, 0]) == MAX_LOG:  # from an mqe of 0, without its scale
                continue
            back = decode(change[i, t], values[i, t], floor[i, t])
            np.testing.assert_allclose(back, finals[i], rtol=1e-9, atol=1e-12)
            assert values[i, t].tolist() == [values_at(histories[i], t, m) for m in METRICS]


def test_decoding_is_monotone_and_stays_possible() -> None:
    change = np.sort(np.random.default_rng(0).normal(0, 3, (3, 50)), axis=1)
    final = decode(change, np.array([0.3, 0.1, 0.9]), 0.003)
    assert (np.diff(final, axis=1) >= 0).all()
    assert (final >= 0).all()
    assert (final[1:] <= 1).all()


def test_changes_are_bound_where_a_ratio_ends() -> None:
    values = np.array([[0.4, 0.1, 0.9]])
    low, high = change_bounds(values)
    assert low.shape == high.shape == (1, 3 * len(HORIZONS))
    for horizon in range(len(HORIZONS)):
        part = slice(3 * horizon, 3 * horizon + 3)
        assert low[0, part].tolist() == pytest.approx([-np.inf, -0.1, -0.9])
        assert high[0, part].tolist() == pytest.approx([np.inf, 0.9, 0.1])
        np.testing.assert_allclose(decode(low[0, part], values[0], 0.004)[1:], 0.0, atol=1e-12)
        np.testing.assert_allclose(decode(high[0, part], values[0], 0.004)[1:], 1.0, atol=1e-12)


def test_the_sample_is_what_its_name_says() -> None:
    with gzip.open(SAMPLE, "rt") as file:
        header = file.readline()
    assert header.startswith("run_id,source,dataset,final_mqe")
    assert json.loads(SAMPLE.with_name("sample_metadata.json").read_text())["runs"] == 200


def test_a_plan_beyond_all_bounds_is_clipped_without_a_warning() -> None:
    absurd = {"progress": (0.0, 0.5, 1.0), "learning_rate": (1e308, 1e308, 0.0)}
    history = History.parse(
        {
            "epochs": [1, 5],
            "mqe": [0.2, 8e5],
            "topographic_error": [None, None],
            "dead_neuron_ratio": [0.9, 0.1],
            "total_epochs": 10,
            "context": {"schedule": absurd, "total_updates": 10**15, "map_rows": 2, "map_cols": 2},
        }
    )
    assert np.isfinite(encode(history)).all()
