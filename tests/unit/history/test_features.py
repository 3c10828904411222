"""Features: causal, bounded, the same for one history and for many; targets there and back."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from oracle.history.dataset import read_dataset
from oracle.history.features import (
    FEATURES,
    MAX_LOG,
    MIN_STEP,
    anchors,
    columns_of,
    decode,
    encode,
    encode_columns,
    encode_outcomes,
    finals_of,
    last_anchors,
    thin,
)
from oracle.types import History, Run

SAMPLE = Path(__file__).parents[3] / "data" / "sample.csv.gz"


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SAMPLE)[:40]


def test_a_row_never_changes_when_later_checkpoints_come(runs: list[Run]) -> None:
    for run in runs[:10]:
        history = thin(run.history)
        whole = encode(history)
        for n in (1, 2, len(history) // 2, len(history) - 1):
            np.testing.assert_array_equal(encode(history.prefix(n)), whole[:n])


def test_one_and_many_give_the_same_rows(runs: list[Run]) -> None:
    histories = [thin(run.history) for run in runs]
    many = encode_columns(columns_of(histories))
    for history, rows in zip(histories, many, strict=True):
        np.testing.assert_array_equal(encode(history), rows[: len(history)])
        assert not rows[len(history) :].any()


def test_the_brief_alone_is_finite_and_masked(brief_history: dict[str, object]) -> None:
    rows = encode(History.parse(brief_history))
    assert rows.shape == (3, len(FEATURES))
    assert np.isfinite(rows).all()
    known = {name: rows[:, i] for i, name in enumerate(FEATURES) if name.endswith("_known")}
    assert not any(
        known[name].any() for name in known if not name.startswith(("topographic", "dead"))
    )
    assert known["topographic_error_known"].all()


def test_mqe_and_its_scale_may_be_in_any_unit(runs: list[Run]) -> None:
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
            np.testing.assert_allclose(encode(rescaled), encode(run.history), atol=1e-5)


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
        for t in range(int(columns.length[i])):
            if abs(change[i, t, 0]) == MAX_LOG:  # from an mqe of 0, without its scale
                continue
            back = decode(change[i, t], values[i, t], floor[i, t])
            np.testing.assert_allclose(back, finals[i], rtol=1e-9, atol=1e-12)
        last_values, last_floor = (a[..., i] for a in last_anchors(histories))
        np.testing.assert_array_equal(last_values, values[i, columns.length[i] - 1])
        assert last_floor == floor[i, columns.length[i] - 1]


def test_decoding_is_monotone_and_stays_possible() -> None:
    change = np.sort(np.random.default_rng(0).normal(0, 3, (3, 50)), axis=1)
    final = decode(change, np.array([0.3, 0.1, 0.9]), 0.003)
    assert (np.diff(final, axis=1) >= 0).all()
    assert (final >= 0).all()
    assert (final[1:] <= 1).all()


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
