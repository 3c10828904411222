"""The workbench with Keras: short battery of every architecture, parity, states, correction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")

from oracle.cli import main  # noqa: E402
from oracle.errors import InvalidSeries  # noqa: E402
from oracle.sequences.battery import QUICK, examine, remembers  # noqa: E402
from oracle.sequences.config import Config  # noqa: E402
from oracle.sequences.networks import Examples, WindowSettings, answer, fit_windows  # noqa: E402
from oracle.sequences.numpy_lstm import NumpyLstm  # noqa: E402
from oracle.sequences.run import Result, run  # noqa: E402
from oracle.sequences.states import layers_in, states_of  # noqa: E402
from oracle.training.architectures import ARCHITECTURES, build  # noqa: E402

RECURRENT = ("rnn", "gru", "lstm", "bidirectional")


def sequences(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["sequences", *words])
    code = ended.value.code
    return int(code) if code is not None else 0


#: One of each kind: lite, standard and wide are of one kind with lstm. `make sequences` examines
#: all of them at length.
KINDS = ("numpy", "rnn", "gru", "lstm", "bidirectional", "attention")


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_learns_a_sine(name: str) -> None:
    mark = examine("quick", name, 0)
    assert mark.figure <= QUICK.limit < 0.6 * mark.naive


def test_the_first_of_five_digits_is_remembered() -> None:
    mark = remembers("lstm", 5, 0, examples=1000, epochs=8)
    assert mark.figure >= 0.95 > 0.6 > mark.naive


def test_numpy_and_keras_compute_the_same_with_the_same_weights() -> None:
    rng = np.random.default_rng(0)
    ours = NumpyLstm(3, 5, 2, seed=1, dtype=np.float64)
    x, y = rng.normal(size=(4, 9, 3)), rng.normal(size=(4, 2))
    inputs = keras.Input((9, 3), dtype="float64")
    hidden = keras.layers.LSTM(5, dtype="float64")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, dtype="float64")(hidden))
    model.set_weights(list(ours.parameters.values()))
    np.testing.assert_allclose(ours.forward(x), model(x), rtol=1e-6, atol=1e-9)

    import tensorflow as tf

    with tf.GradientTape() as tape:
        fed = tf.convert_to_tensor(x)
        tape.watch(fed)
        loss = tf.reduce_mean((model(fed) - y) ** 2)
    *theirs, by_input = tape.gradient(loss, [*model.trainable_variables, fed])
    made = ours.gradients(x, y)
    for (name, gradient), their in zip(made.parameters.items(), theirs, strict=True):
        np.testing.assert_allclose(gradient, their, rtol=1e-6, atol=1e-9, err_msg=name)
    np.testing.assert_allclose(made.inputs, by_input, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", RECURRENT)
def test_states_are_those_that_keras_computes(name: str) -> None:
    spec = ARCHITECTURES[name]
    model = build(spec, 2)
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    states = states_of(layers_in(spec.network, weights), x)
    trunk = spec.network.trunk
    names = [n for i in range(1, len(trunk.units) + 1) for n in trunk.names(i)]
    assert len(states) == len(names)
    layer = model.get_layer(names[0])
    out = keras.Model(model.input, layer.output)
    theirs = out({"sequence": x[None], "length": np.array([7], np.int32)})[0]
    np.testing.assert_allclose(states[0].parts["hidden"], theirs, atol=1e-5)
    if len(names) > 1:  # a backward layer, told in the order of the sequence
        last = keras.Model(model.input, model.get_layer("dense_1").input)
        theirs = last({"sequence": x[None], "length": np.array([7], np.int32)})[0]
        ours = [states[-2].parts["hidden"][-1], states[-1].parts["hidden"][0]]
        np.testing.assert_allclose(np.concatenate(ours), theirs, atol=1e-5)


def corrected(rate: float) -> Result:
    return run(
        Config.model_validate(
            {
                "data": {"points": 200, "sequence_length": 6, "periods": 4.0},
                "model": {"architecture": "rnn", "hidden_dim": 8},
                "training": {
                    "epochs": 4,
                    "correction": {"correction_rate": rate, "epoch_threshold": 1},
                },
            }
        )
    )


def test_a_corrected_series_stands_beside_the_original_and_the_test_part_stays() -> None:
    result = corrected(0.002)
    task, series = result.task, result.task.series
    assert result.corrected is not None
    moved = result.corrected != series.values
    first = task.split.test.start[0]
    assert moved[: first - 6].all()
    assert not moved[first:].any()
    assert "The correction moved the series by" in result.text()
    assert 0 < result.as_dict()["correction"]["moved_rmse"] < 0.1
    np.testing.assert_array_equal(series.values[:, 0], series.target)


def test_a_correction_that_diverges_is_called_off() -> None:
    result = corrected(50.0)
    assert result.corrected is None
    assert "The correction diverged (correction_rate 50)" in result.text()


def test_quantiles_by_the_oracles_head(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "q.yaml").write_text(
        "data: {points: 200, sequence_length: 6, horizon: 3}\n"
        "model: {architecture: rnn, hidden_dim: 8, quantiles: true}\n"
        "training: {epochs: 4, learning_rate: 0.01}\n"
    )
    code = sequences(
        "run", str(tmp_path / "q.yaml"), "--json", "--states", str(tmp_path / "s.png"),
        "--png", str(tmp_path / "r.png"), "--save", str(tmp_path / "m.keras"),
    )  # fmt: skip
    assert code == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.5 < found["coverage_90"] <= 1
    assert found["pinball"] > 0
    assert keras.models.load_model(tmp_path / "m.keras").output_shape == (None, 3, 9)
    assert all((tmp_path / name).stat().st_size > 5_000 for name in ("s.png", "r.png"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "--architecture", "transformer"], "`model.architecture` must be one of"),
        (["run", "t.yaml"], "`model.architecture` must be one of standard"),
        (["compare", "--task", "chess"], "`task` must be one of sine"),
        (["memory", "--architecture", "numpy"], "`model.architecture` must be one of"),
        (["memory", "--length", "3"], "`n` must be within 5..200"),
        (["oscillator", "--architecture", "cell"], "`model.architecture` must be one of"),
        (["correction", "--series", "stocks"], "`series` must be one of sine"),
        (["correction", "--architecture", "numpy"], "must be left out with model.architecture"),
    ],
)
def test_what_verbs_refuse(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.yaml").write_text("model: {architecture: transformer}")
    assert sequences(*words, *(() if words[0] == "run" else ("--seeds", "1"))) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_loss_that_is_no_number_is_said() -> None:
    x: Any = np.full((8, 3, 1), 1e30)
    with pytest.raises(InvalidSeries, match="`learning_rate` must be smaller"):
        fit_windows(
            ARCHITECTURES["rnn"],
            Examples(x, np.full((8, 1), 1e30)),
            Examples(x, np.full((8, 1), 1e30)),
            WindowSettings(epochs=1),
        )


def test_seeds_repeat_and_long_windows_are_answered_in_parts() -> None:
    x = np.random.default_rng(0).normal(size=(30, 4, 1))
    part = Examples(x, x[:, -1])
    made = [
        fit_windows(
            ARCHITECTURES["rnn"], part, part, WindowSettings(epochs=9, enough=99, seed=seed)
        )
        for seed in (1, 1)
    ]
    assert made[0].train == made[1].train
    assert len(made[0].train) == 1  # less than 99 was enough
    np.testing.assert_allclose(
        answer(made[0].model, x), answer(made[0].model, x, batch_size=7), atol=1e-6
    )
