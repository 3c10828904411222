"""The NumPy LSTM: gradients against central differences, training, files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from oracle.errors import ArtifactCorrupt, ArtifactNotFound, InvalidSeries
from oracle.sequences import numpy_training
from oracle.sequences.numpy_lstm import NumpyLstm, Parameters
from oracle.sequences.numpy_training import Adam, Sgd, clip

STEP = 1e-5


def trained(seed: int = 0) -> tuple[NumpyLstm, np.ndarray, np.ndarray]:
    """A small model as far from its start as after training, and a batch."""
    rng = np.random.default_rng(seed)
    model = NumpyLstm(3, 5, 2, dtype=np.float64)
    for name, value in model.parameters.items():
        model.parameters[name] = rng.normal(0, 0.6, value.shape)
    return model, rng.normal(size=(4, 7, 3)), rng.normal(size=(4, 2))


def differences(model: NumpyLstm, x: np.ndarray, y: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Central differences of the loss by every entry of `array`."""
    found = np.empty_like(array)
    for index in np.ndindex(array.shape):
        before = array[index]
        array[index] = before + STEP
        above = np.mean((model.forward(x) - y) ** 2)
        array[index] = before - STEP
        below = np.mean((model.forward(x) - y) ** 2)
        array[index] = before
        found[index] = (above - below) / (2 * STEP)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_every_gradient_is_the_derivative(seed: int) -> None:
    model, x, y = trained(seed)
    made = model.gradients(x, y)
    assert made.loss == pytest.approx(np.mean((model.forward(x) - y) ** 2))
    for name, value in model.parameters.items():
        expected = differences(model, x, y, value)
        error = np.abs(made.parameters[name] - expected).max() / np.abs(expected).max()
        assert error < 1e-6, name
    expected = differences(model, x, y, x)
    assert np.abs(made.inputs - expected).max() / np.abs(expected).max() < 1e-6


def test_one_step_alone_has_gradients_too() -> None:
    model, x, y = trained()
    made = model.gradients(x[:, :1], y)
    expected = differences(model, x[:, :1], y, model.parameters["recurrent"])
    assert (made.parameters["recurrent"] == 0).all()
    assert (expected == 0).all()


def test_gates_lie_between_shut_and_open() -> None:
    model, x, _ = trained()
    trace = model.trace(x)
    for gate in (trace.input, trace.forget, trace.output):
        assert gate.shape == (7, 4, 5)
        assert ((gate > 0) & (gate < 1)).all()
    np.testing.assert_allclose(
        trace.cell[1], trace.forget[1] * trace.cell[0] + trace.input[1] * trace.candidate[1]
    )
    np.testing.assert_allclose(trace.hidden, trace.output * np.tanh(trace.cell))


def test_the_first_weights_are_those_that_keras_would_draw() -> None:
    p = NumpyLstm(4, 8, 2, dtype=np.float64).parameters
    np.testing.assert_allclose(p["recurrent"] @ p["recurrent"].T, np.eye(8), atol=1e-12)
    assert (p["bias"] == np.repeat([0.0, 1.0, 0.0], [8, 8, 16])).all()
    assert np.abs(p["kernel"]).max() <= np.sqrt(6 / 36)


def small_task() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(192, 4, 1))
    return x, x[:, 1]  # the second of four


@pytest.mark.parametrize(("optimizer", "rate", "epochs"), [("adam", 0.02, 25), ("sgd", 1.0, 120)])
def test_it_learns_and_repeats_itself(optimizer: str, rate: float, epochs: int) -> None:
    x, y = small_task()

    def fitted(seed: int) -> tuple[NumpyLstm, numpy_training.Losses]:
        model = NumpyLstm(1, 8, 1, seed)
        losses = numpy_training.fit(
            model, x, y, x[:40], y[:40], epochs=epochs, learning_rate=rate,
            optimizer=optimizer, seed=seed,  # type: ignore[arg-type]
        )  # fmt: skip
        return model, losses

    model, losses = fitted(1)
    assert losses.train[-1] < 0.3 * losses.train[0]
    assert losses.test[-1] < 0.4
    again, _ = fitted(1)
    other, _ = fitted(2)
    for name, value in model.parameters.items():
        assert (value == again.parameters[name]).all()
    assert (model.parameters["kernel"] != other.parameters["kernel"]).any()


def test_the_rate_falls_epoch_by_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []

    class Watched(Sgd):
        def step(self, parameters: Parameters, gradients: Parameters) -> None:
            rates.append(self.learning_rate)
            super().step(parameters, gradients)

    monkeypatch.setitem(numpy_training.OPTIMIZERS, "sgd", Watched)
    x, y = small_task()
    numpy_training.fit(
        NumpyLstm(1, 4, 1), x, y, x, y, epochs=3, learning_rate=0.1, batch_size=len(x),
        optimizer="sgd",
    )  # fmt: skip
    assert rates == pytest.approx([0.1, 0.0755, 0.0265])


def test_optimizers_take_the_steps_of_their_definition() -> None:
    p = {"w": np.array([1.0, 2.0])}
    Sgd(0.1).step(p, {"w": np.array([1.0, -2.0])})
    np.testing.assert_allclose(p["w"], [0.9, 2.2])
    adam, p = Adam(0.1), {"w": np.array([1.0, 2.0])}
    adam.step(p, {"w": np.array([3.0, -1.0])})
    np.testing.assert_allclose(p["w"], [0.9, 2.1], rtol=1e-5)  # the first step is the rate
    adam.step(p, {"w": np.array([-1.0, -1.0])})
    first = (0.9 * 0.1 * 3 + 0.1 * -1) / (1 - 0.9**2)
    second = (0.999 * 0.001 * 9 + 0.001) / (1 - 0.999**2)
    assert p["w"][0] == pytest.approx(0.9 - 0.1 * first / (np.sqrt(second) + 1e-7), abs=1e-6)


def test_clipping_keeps_the_direction() -> None:
    gradients = {"a": np.array([3.0]), "b": np.array([[0.0, 4.0]])}
    assert clip(gradients, 1.0) == pytest.approx(5.0)
    np.testing.assert_allclose(gradients["a"], [0.6])
    np.testing.assert_allclose(gradients["b"], [[0.0, 0.8]])
    assert clip(gradients, 1.0) == pytest.approx(1.0)
    np.testing.assert_allclose(gradients["a"], [0.6])


def test_a_rate_that_diverges_is_said() -> None:
    x, y = small_task()
    with pytest.raises(InvalidSeries, match=r"`learning_rate` must be smaller.*became (nan|inf)"):
        numpy_training.fit(
            NumpyLstm(1, 8, 1), x, 1e30 * y, x, y, epochs=50, learning_rate=1e30,
            optimizer="sgd", clip_norm=1e30,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saved_and_loaded(tmp_path: Path, dtype: type) -> None:
    model = NumpyLstm(2, 6, 3, seed=5, dtype=dtype)
    path = tmp_path / "model.npz"
    model.save(path)
    loaded = NumpyLstm.load(path)
    x = np.random.default_rng(0).normal(size=(2, 4, 2))
    assert (loaded.forward(x) == model.forward(x)).all()
    assert loaded.forward(x).dtype == dtype
    assert (loaded.input_dim, loaded.hidden_dim, loaded.output_dim) == (2, 6, 3)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    good = NumpyLstm(2, 6, 3).parameters
    path = tmp_path / "bad.npz"
    for change, message in (
        ({"kernel": None}, "arrays"),
        ({"extra": np.zeros(1)}, "arrays"),
        ({"bias": np.zeros(25, np.float32)}, "bias"),
        ({"head_bias": np.full(3, np.nan, np.float32)}, "head_bias"),
        ({"head": np.zeros(6, np.float32)}, "kernel and head"),
        ({"recurrent": np.zeros((6, 24), np.int64)}, "recurrent"),
    ):
        arrays = {k: v for k, v in {**good, **change}.items() if v is not None}
        np.savez(path, **arrays)
        with pytest.raises(ArtifactCorrupt, match=message):
            NumpyLstm.load(path)
    np.save(tmp_path / "array.npy", np.zeros(3))
    array, whole = (tmp_path / "array.npy").read_bytes(), path.read_bytes()
    for data in (b"", b"text", pickle.dumps([1]), array, whole[:100], whole[:-9]):
        path.write_bytes(data)
        with pytest.raises(ArtifactCorrupt, match="must be a file of `save`"):
            NumpyLstm.load(path)
    np.savez(path, kernel=np.array([{}], object))
    with pytest.raises(ArtifactCorrupt):
        NumpyLstm.load(path)
    with pytest.raises(ArtifactNotFound):
        NumpyLstm.load(tmp_path / "none.npz")


def test_sizes_and_shapes_are_checked() -> None:
    with pytest.raises(InvalidSeries, match="`hidden_dim` must be within"):
        NumpyLstm(1, 0)
    for shape in ((2, 4), (2, 4, 3), (2, 0, 1)):
        with pytest.raises(InvalidSeries, match=r"`x` must be \[batch, time, 1\]"):
            NumpyLstm(1, 4).forward(np.zeros(shape))
