"""The support score: its contract, on a fit small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.errors import ArtifactIncompatible
from oracle.forecast.support import GROUPS, Support, describe, described_rows, group_of
from oracle.history.columns import columns_of, thin
from oracle.history.dataset import read_dataset
from oracle.history.features import FEATURES, encode, encode_columns
from oracle.training.corruptions import CORRUPTIONS, draw_prefixes, with_plan
from oracle.training.hidden import hide_inputs
from oracle.training.support_fit import fit_support
from oracle.types import METRICS, History, Run

DATA = Path(__file__).parents[2] / "data" / "support"


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Run]]:
    return {name: read_dataset(DATA / f"{name}.csv.gz")[:60] for name in ("train", "calibrate")}


@pytest.fixture(scope="module")
def numbers(runs: dict[str, list[Run]]) -> dict[str, Any]:
    return fit_support(runs["train"], runs["calibrate"], seed=3)


@pytest.fixture(scope="module")
def support(numbers: dict[str, Any]) -> Support:
    return Support.from_json(numbers)


def test_numbers_are_plain_json_and_small(numbers: dict[str, Any]) -> None:
    text = json.dumps(numbers, allow_nan=False)
    assert len(text) < 300_000
    assert json.loads(text) == numbers


def test_the_same_seed_gives_the_same_numbers(
    runs: dict[str, list[Run]], numbers: dict[str, Any]
) -> None:
    columns = [columns_of([run.history for run in runs[name]]) for name in ("train", "calibrate")]
    assert fit_support(*columns, seed=3) == numbers
    assert fit_support(*columns, seed=4) != numbers


def test_score_lies_within_0_and_1_and_the_batch_agrees(
    support: Support, runs: dict[str, list[Run]]
) -> None:
    histories = [run.history.prefix(i % 12) for i, run in enumerate(runs["calibrate"])]
    encoded = [encode(history) for history in histories]
    single = [support.score([e], [h])[0] for e, h in zip(encoded, histories, strict=True)]
    assert all(0 <= value <= 1 for value in single)
    assert support.score(encoded, histories) == single
    assert support.score([]) == []


def test_score_is_about_uniform_on_what_it_was_calibrated_on(
    support: Support, runs: dict[str, list[Run]]
) -> None:
    rng = np.random.default_rng(8)
    encoded = [
        encode(run.history.prefix(int(rng.integers(2, 11))))
        for run in runs["calibrate"]
        for _ in range(5)
    ]
    scores = np.array(support.score(encoded))
    assert 0.3 < scores.mean() < 0.7
    assert (scores < 0.05).mean() < 0.15


def test_what_is_no_number_has_no_support(
    numbers: dict[str, Any], runs: dict[str, list[Run]]
) -> None:
    hidden, encoded = np.array(numbers["hidden"]), [encode(runs["train"][0].history)]
    hidden[:, 0], hidden[:, 1] = 1e30, -1e30
    out = [1e30, -1e30, *numbers["out"][2:]]  # infinity minus infinity, or infinity
    broken = Support.from_json({**numbers, "hidden": hidden.tolist(), "out": out})
    with np.errstate(all="ignore"):
        logits = [broken.answer(describe(rows[None])) for rows in encoded]
        assert np.isnan(logits).all() or np.isinf(logits).all()
    assert Support.from_json(numbers)._level(float("nan"), 0) == 0.0


def test_a_plan_alone_is_scored_among_plans(support: Support, runs: dict[str, list[Run]]) -> None:
    plans = [encode(run.history.prefix(0)) for run in runs["calibrate"]]
    scores = np.array(support.score(plans))
    assert 0.25 < scores.mean() < 0.75
    absurd = runs["calibrate"][0].history.prefix(0)
    context = absurd.context.model_copy(update={"map_rows": 1e6, "map_cols": 1e6, "n_samples": 1e9})
    assert support.score([encode(absurd.model_copy(update={"context": context}))]) == [0.0]
    # One group of calibration for plans, others for checkpoints; the plan row counts as none.
    whole = thin(runs["calibrate"][0].history)
    groups = {n: group_of(described_rows(encode(whole.prefix(n)))) for n in (0, 1, 2, 3, 6, 15)}
    assert len(set(groups.values())) == len(groups)
    assert max(groups.values()) < GROUPS


def test_the_plan_row_is_no_checkpoint(support: Support, runs: dict[str, list[Run]]) -> None:
    """What is described of a run with checkpoints does not hang on the row before them."""
    rows = encode(thin(runs["calibrate"][0].history).prefix(5))
    other = rows.copy()
    other[0] = 25.0
    assert support.score([rows]) == support.score([other])
    assert len(described_rows(rows)) == 5
    assert len(described_rows(rows[:1])) == 1


def test_drawn_prefixes_are_encoded_as_histories_are(runs: dict[str, list[Run]]) -> None:
    """What the score is fitted on is what it is asked about."""
    columns = columns_of([run.history for run in runs["train"]])
    drawn = draw_prefixes(columns, 30, 1, np.random.default_rng(2))
    rows = encode_columns(with_plan(drawn))
    rng = np.random.default_rng(2)
    picked = rng.integers(len(columns), size=30)
    for i, run in enumerate(picked):
        whole = runs["train"][run].history
        at = [whole.epochs.index(e) for e in drawn.step["epochs"][i, : drawn.length[i]]]
        cut = {
            name: tuple(values[k] for k in at)
            for name in ("epochs", *METRICS, "learning_rate", "radius")
            if (values := getattr(whole, name)) is not None
        }
        expected = encode(whole.model_copy(update=cut))
        np.testing.assert_array_equal(rows[i, : 1 + drawn.length[i]], expected)


def test_the_brief_is_supported(support: Support, brief_history: dict[str, Any]) -> None:
    assert support.score([encode(History.parse(brief_history))])[0] > 0.05


def test_no_support_far_outside_the_range_seen(
    support: Support, runs: dict[str, list[Run]]
) -> None:
    rows = encode(runs["calibrate"][0].history)
    usual = support.score([rows])[0]
    for name in ("neurons", "samples", "learning_rate_now", "mqe_relative"):
        far = rows.copy()
        far[:, FEATURES.index(name)] = 25.0
        assert support.score([far])[0] < 0.005 < usual


def test_a_spike_between_encoded_checkpoints_is_seen(
    support: Support, runs: dict[str, list[Run]]
) -> None:
    total = 1000.0
    epochs = [0.0, 100.0, 200.0, 201.0, 300.0]
    smooth = {
        "epochs": epochs,
        "mqe": [1.0, 0.8, 0.7, 0.699, 0.65],
        "topographic_error": [0.3, 0.2, 0.2, 0.2, 0.1],
        "dead_neuron_ratio": [0.4, 0.3, 0.3, 0.3, 0.2],
        "total_epochs": total,
    }
    for spike in (50.0, 0.001):
        spiked = History.parse({**smooth, "mqe": [1.0, 0.8, 0.7, spike, 0.65]})
        rows = encode(spiked)
        assert len(rows) == 1 + 4
        assert support.score([rows], [spiked]) == [0.0]
    calm = History.parse(smooth)
    assert support.score([encode(calm)], [calm]) == support.score([encode(calm)])


def test_a_history_that_begins_late_has_no_support(
    support: Support, runs: dict[str, list[Run]]
) -> None:
    """As of a counter that goes on while the training begins anew."""

    def score(run: Run, before: float) -> float:
        history = run.history.prefix(len(run.history) // 2)
        total = history.total_epochs
        assert total is not None
        moved = tuple(before * total + epoch for epoch in history.epochs)
        late = history.model_copy(update={"epochs": moved, "total_epochs": (1 + before) * total})
        return support.score([encode(late)], [late])[0]

    several = runs["calibrate"][:20]
    assert all(score(run, 10.0) == score(run, 1.5) == 0.0 for run in several)
    assert np.mean([score(run, 0.0) > 0.05 for run in several]) > 0.8
    rare = several[0].history
    last = History.parse(
        {name: getattr(rare, name)[-1:] for name in ("epochs", *METRICS)} | {"total_epochs": None}
    )
    assert support.score([encode(last)], [last]) == support.score([encode(last)])


@pytest.mark.parametrize("mqe", [0.0, 1e150])
def test_extreme_values_get_a_number(support: Support, mqe: float) -> None:
    history = History.parse(
        {
            "epochs": [1, 2, 2.001],
            "mqe": [mqe, mqe / 2, 1.0],
            "topographic_error": [None, None, None],
            "dead_neuron_ratio": [1.0, 0.0, 1.0],
            "total_epochs": 10,
            "context": {"mqe_of_mean": 1e-3},
        }
    )
    assert 0 <= support.score([encode(history)], [history])[0] <= 1


@pytest.mark.parametrize("length", [1, 2, 3, 10, 40])
def test_description_has_one_width_and_finite_numbers(numbers: dict[str, Any], length: int) -> None:
    rows = np.random.default_rng(0).normal(size=(length, len(FEATURES))).astype(np.float32)
    described = describe(rows[None])[0]
    assert described.shape == (len(numbers["mean"]),)
    assert described.dtype == np.float32
    assert np.isfinite(described).all()


def test_another_version_is_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ArtifactIncompatible, match="Train the oracle again"):
        Support.from_json({**numbers, "version": 0})


@pytest.mark.parametrize("corrupt", CORRUPTIONS, ids=lambda f: f.__name__)
def test_corrupted_histories_stay_valid(corrupt: Any, runs: dict[str, list[Run]]) -> None:
    rng = np.random.default_rng(1)
    columns = columns_of([run.history for run in runs["train"]])
    prefixes = draw_prefixes(columns, 200, 2, rng)
    assert (prefixes.length >= 2).all()
    hide_inputs(prefixes, 1.6, rng)
    before = prefixes.step["mqe"].copy()
    sizes = {name: values.copy() for name, values in prefixes.size.items()}
    corrupt(prefixes, rng)
    mqe = prefixes.step["mqe"]
    real = np.arange(mqe.shape[1]) < prefixes.length[:, None]
    assert (np.isfinite(mqe) == real).all()
    assert (mqe[real] >= 0).all()
    for ratio in ("topographic_error", "dead_neuron_ratio"):
        values = prefixes.step[ratio][np.isfinite(prefixes.step[ratio])]
        assert (values >= 0).all()
        assert (values <= 1).all()
    changed = (mqe[real] != before[real]).any() or any(
        (prefixes.size[name] != sizes[name]).any() for name in sizes
    )
    assert changed
