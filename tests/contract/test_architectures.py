"""One battery over every architecture: sizes, padding, prefixes, Keras = ONNX = single steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")

from oracle.forecast.quantiles import pinball  # noqa: E402
from oracle.model.graph import forward_graph, step_graph  # noqa: E402
from oracle.model.onnx_file import check_onnx  # noqa: E402
from oracle.model.runtime import Session  # noqa: E402
from oracle.training.architectures import ARCHITECTURES, build  # noqa: E402
from oracle.training.export import (  # noqa: E402
    export_forward,
    export_step,
    forecast,
    golden,
    network_of,
)
from oracle.training.losses import Pinball  # noqa: E402
from oracle.types import HEAD_LEVELS  # noqa: E402

N_FEATURES, N_LEVELS = 7, len(HEAD_LEVELS)
PARITY = 1e-5
LONGEST = 300

#: name -> parameters with the brief's three inputs and three outputs.
PARAMETERS = {"standard": 131_043, "bidirectional": 78_211, "lite": 30_403}
UNIDIRECTIONAL = [name for name, spec in ARCHITECTURES.items() if not spec.bidirectional]

every = pytest.mark.parametrize("name", ARCHITECTURES)
unidirectional = pytest.mark.parametrize("name", UNIDIRECTIONAL)


def trained(name: str, seed: int = 0, **options: Any) -> Any:
    """A model whose weights, biases included, are as far from their start as after training."""
    model = build(name, N_FEATURES, n_levels=N_LEVELS, **options)
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.normal(0, 1.2 / np.sqrt(w.shape[0]), w.shape) for w in model.get_weights()]
    )
    return model


def ragged(n: int, longest: int, seed: int = 0) -> tuple[Any, Any]:
    """Sequences of random lengths, the shortest and longest among them; noise as padding."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, longest + 1, n).astype(np.int32)
    length[:2] = 1, longest
    return rng.normal(size=(n, longest, N_FEATURES)).astype(np.float32), length


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_layers(name: str) -> None:
    model = build(name, 3)
    assert model.count_params() == PARAMETERS[name]
    assert model.output_shape == (None, 3)
    spec = ARCHITECTURES[name]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [rate for rate in (*spec.recurrent_dropout, *spec.dense_dropout) if rate]


@every
def test_dropout_is_scaled(name: str) -> None:
    def rates(factor: float) -> list[float]:
        layers = build(name, 3, dropout=factor).layers
        return [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)]

    assert rates(0.0) == []
    np.testing.assert_allclose(rates(0.5), np.array(rates(1.0)) / 2)


@every
@pytest.mark.parametrize("skip", [False, True])
def test_padding_changes_nothing(name: str, skip: bool) -> None:
    model = trained(name, skip=skip)
    sequence, length = ragged(6, 20)
    alone = [
        np.asarray(model({"sequence": sequence[i : i + 1, :n], "length": length[i : i + 1]}))
        for i, n in enumerate(length)
    ]
    together = np.asarray(model({"sequence": sequence, "length": length}))
    np.testing.assert_allclose(together, np.concatenate(alone), atol=PARITY)


@every
def test_every_real_step_matters(name: str) -> None:
    model = trained(name)
    sequence = ragged(2, 8)[0][:1]
    length = np.array([6], np.int32)
    before = np.asarray(model({"sequence": sequence, "length": length}))
    for step in range(8):
        changed = sequence.copy()
        changed[0, step] += 3.0
        after = np.asarray(model({"sequence": changed, "length": length}))
        assert (after != before).any() == (step < 6)


@unidirectional
@pytest.mark.parametrize("skip", [False, True])
def test_forecasting_at_every_step_is_forecasting_every_prefix(name: str, skip: bool) -> None:
    last = trained(name, skip=skip)
    each = build(name, N_FEATURES, n_levels=N_LEVELS, skip=skip, per_step=True)
    each.set_weights(last.get_weights())
    sequence, _ = ragged(3, 9)
    steps = np.asarray(each({"sequence": sequence, "length": np.full(3, 9, np.int32)}))
    assert steps.shape == (3, 9, 3, N_LEVELS)
    for n in range(1, 10):
        prefix = np.asarray(last({"sequence": sequence, "length": np.full(3, n, np.int32)}))
        np.testing.assert_allclose(steps[:, n - 1], prefix, atol=PARITY)


@every
@pytest.mark.parametrize(("seeds", "skip"), [(1, False), (2, True)])
def test_keras_onnx_and_single_steps_agree(name: str, seeds: int, skip: bool) -> None:
    models = [trained(name, seed, skip=skip) for seed in range(seeds)]
    network = network_of(models)
    forward, step = export_forward(models), export_step(models)
    check_onnx(forward, forward_graph(network), "oracle.onnx")
    session = Session(forward, step)
    sequence, length = ragged(16, LONGEST)
    expected = forecast(models, sequence, length)
    assert np.abs(expected).max() > 0.1  # the test would say nothing about zeros

    np.testing.assert_allclose(session.run(sequence, length), expected, atol=PARITY)
    many = session.run_many([rows[:n] for rows, n in zip(sequence, length, strict=True)])
    np.testing.assert_allclose(many, expected, atol=PARITY)
    assert (np.diff(many) >= 0).all()

    assert (step is None) == network.bidirectional == (not session.streams)
    if step is not None:
        check_onnx(step, step_graph(network), "step.onnx")
        state = session.start(len(length))
        for t in range(LONGEST):
            quantiles, state = session.step(state, sequence[:, t])
            here = length == t + 1
            np.testing.assert_allclose(quantiles[here], expected[here], atol=PARITY)


@unidirectional
def test_a_step_can_be_taken_back(name: str) -> None:
    session = Session(export_forward([trained(name)]), export_step([trained(name)]))
    row, other = ragged(2, 2)[0][:, :1]
    state = session.start()
    first, _ = session.step(state, row)
    session.step(state, other)
    again, _ = session.step(state, row)
    assert (first == again).all()


@unidirectional
def test_models_trained_at_every_step_export_alike(name: str) -> None:
    last, each = trained(name), build(name, N_FEATURES, n_levels=N_LEVELS, per_step=True)
    each.set_weights(last.get_weights())
    assert export_forward([each]) == export_forward([last])
    sequence, length = ragged(4, 6)
    np.testing.assert_allclose(
        forecast([each], sequence, length), forecast([last], sequence, length), atol=PARITY
    )


@every
def test_golden_answers_are_those_of_each_sequence_alone(name: str) -> None:
    models = [trained(name)]
    sequence, length = ragged(3, 5)
    made = golden(models, [rows[:n] for rows, n in zip(sequence, length, strict=True)])
    assert [len(rows) for rows in made.sequence] == length.tolist()
    np.testing.assert_allclose(made.quantiles, forecast(models, sequence, length), atol=PARITY)


@every
def test_saved_and_loaded(name: str, tmp_path: Path) -> None:
    model = trained(name)
    model.compile("adam", Pinball(target_weights=(1.0, 1.0, 0.5)))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    sequence, length = ragged(3, 5)
    answers = [forecast([m], sequence, length) for m in (model, loaded)]
    assert (answers[0] == answers[1]).all()
    assert loaded.loss.get_config() == model.loss.get_config()


def test_only_models_of_one_shape_with_quantiles_are_exported() -> None:
    with pytest.raises(ValueError, match="one trained model at least"):
        network_of([])
    with pytest.raises(ValueError, match="all of the shape"):
        network_of([trained("lite"), trained("standard")])
    with pytest.raises(ValueError, match="n_levels"):
        network_of([build("lite", 3)])


def test_refusals_name_the_field() -> None:
    with pytest.raises(ValueError, match="`architecture` must be one of standard"):
        build("transformer", 3)
    with pytest.raises(ValueError, match="per_step"):
        build("bidirectional", 3, per_step=True)


def test_the_loss_is_the_pinball_loss() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=(4, 6, 3)).astype(np.float32)
    quantiles = np.sort(rng.normal(size=(4, 6, 3, N_LEVELS)).astype(np.float32))
    outcome[0, 0, 1] = outcome[2] = np.nan
    weight = rng.integers(0, 2, (4, 6)).astype(np.float32)
    target_weights = np.array([1.0, 2.0, 0.5])

    each = pinball(outcome, quantiles, HEAD_LEVELS).mean(-1)
    known = ~np.isnan(each) * target_weights
    row = (np.nan_to_num(each) * known).sum(-1) / np.maximum(known.sum(-1), 1e-7)
    expected = (row * weight).sum() / weight.sum()
    loss = Pinball(target_weights=target_weights.tolist())
    np.testing.assert_allclose(loss(outcome, quantiles, weight), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["lite", "bidirectional"])  # one of each kind: tracing costs
def test_training_survives_unknown_outcomes(name: str) -> None:
    keras.utils.set_random_seed(0)
    per_step = name in UNIDIRECTIONAL
    model = build(name, N_FEATURES, n_levels=N_LEVELS, per_step=per_step)
    model.compile(keras.optimizers.Adam(0.01), Pinball())
    sequence, length = ragged(16, 6)
    outcome = np.ones((16, 6, 3) if per_step else (16, 3), np.float32)
    outcome[::2, ..., 1] = np.nan
    weight = (np.arange(6) < length[:, None]).astype(np.float32) if per_step else np.ones(16)
    inputs = {"sequence": sequence, "length": length}
    fitted = model.fit(inputs, outcome, sample_weight=weight, epochs=12, verbose=0)
    losses = fitted.history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]
