"""One battery over every architecture: sizes, padding, prefixes, Keras = what is served."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")

from oracle.forecast.quantiles import pinball  # noqa: E402
from oracle.model.network import Ensemble, graph_of  # noqa: E402
from oracle.model.onnx_file import write_onnx  # noqa: E402
from oracle.model.runtime import Session  # noqa: E402
from oracle.model.weights import unpack  # noqa: E402
from oracle.training.architectures import ARCHITECTURES, architecture, build  # noqa: E402
from oracle.training.export import forecast, golden, weights_of  # noqa: E402
from oracle.training.losses import WeighedPinball  # noqa: E402
from oracle.types import HEAD_LEVELS  # noqa: E402

N_FEATURES, N_LEVELS = 7, len(HEAD_LEVELS)
PARITY = 1e-5
LONGEST = 300

#: name -> parameters with the brief's three inputs and three outputs.
PARAMETERS = {"standard": 131_043, "bidirectional": 78_211, "lite": 30_403}
CAUSAL = [name for name, spec in ARCHITECTURES.items() if spec.network.trunk.causal]

every = pytest.mark.parametrize("name", ARCHITECTURES)
causal = pytest.mark.parametrize("name", CAUSAL)


@cache  # nothing below changes one
def trained(name: str, seed: int = 0) -> Any:
    """A model whose weights, biases included, are as far from their start as after training."""
    model = build(ARCHITECTURES[name], N_FEATURES)
    rng = np.random.default_rng(seed)
    model.set_weights(
        [rng.normal(0, 1.2 / np.sqrt(w.shape[0]), w.shape) for w in model.get_weights()]
    )
    return model


@cache
def stepwise(name: str) -> Any:
    """The same one, forecasting at every step."""
    model = build(ARCHITECTURES[name], N_FEATURES, per_step=True)
    model.set_weights(trained(name).get_weights())
    return model


def ensemble_of(*names: str) -> Ensemble:
    networks = tuple(ARCHITECTURES[name].network for name in names)
    return Ensemble(n_features=N_FEATURES, networks=networks)


def session_of(models: list[Any], ensemble: Ensemble) -> Session:
    """What is served of trained models: through the file of their weights."""
    weights = unpack(ensemble, weights_of(models, ensemble))
    return Session(write_onnx(graph_of(ensemble, weights)))


def ragged(n: int, longest: int, seed: int = 0) -> tuple[Any, Any]:
    """Sequences of random lengths, the shortest and longest among them; noise as padding."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, longest + 1, n).astype(np.int32)
    length[:2] = 1, longest
    return rng.normal(size=(n, longest, N_FEATURES)).astype(np.float32), length


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_published_layers(name: str) -> None:
    model = build(ARCHITECTURES[name], 3, n_levels=1)
    assert model.count_params() == PARAMETERS[name]
    assert model.output_shape == (None, 3, 1)
    spec = ARCHITECTURES[name]
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [rate for rate in (*spec.trunk_dropout, *spec.dense_dropout) if rate]


@every
def test_dropout_is_scaled(name: str) -> None:
    def rates(factor: float) -> list[float]:
        layers = build(ARCHITECTURES[name], 3, dropout=factor).layers
        return [layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)]

    assert rates(0.0) == []
    np.testing.assert_allclose(rates(0.5), np.array(rates(1.0)) / 2)


@every
def test_padding_changes_nothing(name: str) -> None:
    model = trained(name)
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


@causal
def test_forecasting_at_every_step_is_forecasting_every_prefix(name: str) -> None:
    last, each = trained(name), stepwise(name)
    sequence, _ = ragged(3, 9)
    steps = np.asarray(each({"sequence": sequence, "length": np.full(3, 9, np.int32)}))
    assert steps.shape == (3, 9, 3, N_LEVELS)
    for n in range(1, 10):
        prefix = np.asarray(last({"sequence": sequence, "length": np.full(3, n, np.int32)}))
        np.testing.assert_allclose(steps[:, n - 1], prefix, atol=PARITY)


def agrees(names: tuple[str, ...], longest: int) -> None:
    ensemble = ensemble_of(*names)
    models = [trained(name, seed) for seed, name in enumerate(names)]
    session = session_of(models, ensemble)
    sequence, length = ragged(16, longest)
    expected = forecast(models, sequence, length)
    assert np.abs(expected).max() > 0.1  # the test would say nothing about zeros

    np.testing.assert_allclose(session.run(sequence, length), expected, atol=PARITY)
    many = session.run_many([rows[:n] for rows, n in zip(sequence, length, strict=True)])
    np.testing.assert_allclose(many, expected, atol=PARITY)
    assert (np.diff(many) >= 0).all()


@every
def test_what_is_served_agrees_with_keras(name: str) -> None:
    agrees((name,), LONGEST)


def test_two_networks_of_one_shape_are_served_together() -> None:
    agrees(("lite", "lite"), 20)  # how long changes nothing of how two lie side by side


def test_attention_tells_what_it_looked_at() -> None:
    ensemble = ensemble_of("attention", "attention")
    session = session_of([trained("attention", seed) for seed in (0, 1)], ensemble)
    assert session.attends
    sequence, length = ragged(5, 12)
    weights = session.attention(sequence, length)
    assert weights.shape == (5, 12)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=PARITY)
    for row, n in zip(weights, length, strict=True):
        assert (row[n:] == 0).all()  # padding is later than all
        assert (row[:n] > 0).all()
    assert not session_of([trained("lite")], ensemble_of("lite")).attends


def test_networks_of_several_shapes_are_served_together() -> None:
    agrees(tuple(ARCHITECTURES), 20)


@every
def test_a_single_row_of_nothing_known_is_answered(name: str) -> None:
    models, ensemble = [trained(name)], ensemble_of(name)
    sequence, length = np.zeros((1, 1, N_FEATURES), np.float32), np.array([1], np.int32)
    answer = session_of(models, ensemble).run(sequence, length)
    np.testing.assert_allclose(answer, forecast(models, sequence, length), atol=PARITY)


@causal
def test_models_trained_at_every_step_export_alike(name: str) -> None:
    last, each = trained(name), stepwise(name)
    ensemble = ensemble_of(name)
    assert weights_of([each], ensemble) == weights_of([last], ensemble)
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
    model.compile("adam", WeighedPinball())
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    sequence, length = ragged(3, 5)
    answers = [forecast([m], sequence, length) for m in (model, loaded)]
    assert (answers[0] == answers[1]).all()
    assert loaded.loss.get_config() == model.loss.get_config()


def test_only_the_networks_declared_are_exported() -> None:
    with pytest.raises(ValueError, match="longer"):
        weights_of([trained("lite")], ensemble_of("lite", "lite"))
    with pytest.raises(ValueError, match="`weights` must be shaped"):
        weights_of([trained("standard")], ensemble_of("lite"))
    with pytest.raises(ValueError, match=r"No such layer: (lstm_3|dense_2)"):
        weights_of([trained("lite")], ensemble_of("standard"))


def test_refusals_name_the_field() -> None:
    with pytest.raises(ValueError, match="`architecture` must be one of standard"):
        architecture("transformer")
    with pytest.raises(ValueError, match="per_step"):
        build(ARCHITECTURES["bidirectional"], 3, per_step=True)


def test_the_loss_is_the_pinball_loss() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=(4, 6, 3)).astype(np.float32)
    quantiles = np.sort(rng.normal(size=(4, 6, 3, N_LEVELS)).astype(np.float32))
    weight = rng.integers(0, 3, (4, 6, 3)).astype(np.float32)

    each = pinball(outcome, quantiles, HEAD_LEVELS).mean(-1)
    expected = (each * weight).sum(-1).mean()
    loss = WeighedPinball()(np.stack([outcome, weight], axis=-1), quantiles)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


# One of each kind, and step by step: tracing costs more than all five epochs. What is traced is
# tests/contract/test_training.py's.
@pytest.mark.parametrize("name", ["lite", "bidirectional", "attention"])
def test_training_survives_unknown_outcomes(name: str) -> None:
    keras.utils.set_random_seed(0)
    per_step = name in CAUSAL
    model = build(ARCHITECTURES[name], N_FEATURES, per_step=per_step)
    model.compile(keras.optimizers.Adam(0.03), WeighedPinball(), run_eagerly=True)
    sequence, length = ragged(16, 3)
    weight = np.ones((16, 3, 3) if per_step else (16, 3), np.float32)
    weight[::2, ..., 1] = 0.0  # unknown
    if per_step:
        weight *= (np.arange(3) < length[:, None])[..., None]
    outcome = np.stack([np.ones_like(weight), weight], axis=-1)
    inputs = {"sequence": sequence, "length": length}
    fitted = model.fit(inputs, outcome, epochs=5, verbose=0)
    losses = fitted.history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0]
