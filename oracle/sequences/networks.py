"""Keras networks on windows of one length: the only module here that imports Keras.

They come from the registry that oracles come from (`oracle.training.architectures`), trained
to one value a target or to the oracle's quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from oracle.errors import InvalidSeries, must_be
from oracle.model.network import Network
from oracle.model.recurrent import Recurrent
from oracle.training.architectures import Architecture, build
from oracle.training.callbacks import cosine
from oracle.training.correcting import POINTS, CorrectFrom, Correcting
from oracle.training.correction import Corrector
from oracle.training.losses import WeighedPinball
from oracle.types import HEAD_LEVELS

Float32 = npt.NDArray[np.float32]
Told = Callable[[int, float, float], None]
Loss = Literal["squared", "pinball", "even"]

#: Where a cell's gate that keeps its state stands among the gates of its bias, and of how many.
_KEEPS = {"lstm": (1, 4), "gru": (0, 3)}


class Examples(NamedTuple):
    """Windows and what follows.

    Attributes:
        x: [window, time, feature] float32.
        y: [window, target] float32.
        points: [window, time] index of each step in the data, where they are corrected.
    """

    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    points: npt.NDArray[np.integer] | None = None


@dataclass(frozen=True)
class WindowSettings:
    """How a network is fitted on windows.

    Attributes:
        epochs: passes.
        learning_rate: at the start; it falls to a fiftieth along a cosine.
        batch_size: windows a step.
        optimizer: adam or sgd.
        clip_norm: longest gradient.
        loss: squared error, pinball loss of HEAD_LEVELS, or even: cross-entropy of yes and no.
        enough: training loss below which the rest of the epochs is left out, None for none.
        hold: steps that gates hold their state at first (see `hold_state`), None as Keras begins.
        seed: of weights and order.
    """

    epochs: int = 20
    learning_rate: float = 0.005
    batch_size: int = 32
    optimizer: Literal["adam", "sgd"] = "adam"
    clip_norm: float = 1.0
    loss: Loss = "squared"
    enough: float | None = None
    hold: int | None = None
    seed: int = 0


class Fitted(NamedTuple):
    """A trained network; losses by epoch, of training as its batches came and of the test."""

    model: keras.Model
    train: list[float]
    test: list[float]


def sized(
    spec: Architecture, units: int | None, layers: int | None, dropout: float | None
) -> Architecture:
    """An architecture with other sizes; None keeps its own. Dropout follows every trunk layer.

    Raises:
        InvalidSeries: its trunk has no recurrent layers to size.
    """
    trunk = spec.network.trunk
    if units is None and layers is None:
        network = spec.network
    elif not isinstance(trunk, Recurrent):
        name, given = ("layers", layers) if units is None else ("hidden_dim", units)
        raise InvalidSeries(must_be(f"model.{name}", f"left out with {trunk}", given))
    else:
        own = trunk.units if layers is None else (trunk.units[0],) * layers
        sizes = own if units is None else (units,) * len(own)
        network = Network(trunk=trunk.model_copy(update={"units": sizes}), dense=spec.network.dense)
    rates = () if dropout is None else (dropout,) * 8
    return Architecture(network, rates)


def fit_windows(
    spec: Architecture,
    train: Examples,
    test: Examples,
    settings: WindowSettings,
    *,
    corrector: Corrector | None = None,
    told: Told = lambda epoch, train, test: None,
) -> Fitted:
    """Train a network; the same seed gives the same one.

    Args:
        spec: network and dropout.
        train, test: the test part is scored after each epoch, never trained on.
        settings: see `WindowSettings`.
        corrector: moves `train.points`; None leaves the data alone.
        told: called after each epoch with its number from 1, training and test loss.

    Returns:
        The model answers [window, target, level], of one level but with pinball loss.

    Raises:
        InvalidSeries: the loss ceased to be a number.
    """
    keras.utils.set_random_seed(settings.seed)
    targets, time, features = train.y.shape[1], *train.x.shape[1:]
    levels = len(HEAD_LEVELS) if settings.loss == "pinball" else 1
    model = build(spec, features, targets, levels)
    if settings.hold is not None:
        hold_state(model, spec.network.trunk, settings.hold, settings.seed)
    make = keras.optimizers.Adam if settings.optimizer == "adam" else keras.optimizers.SGD
    trained = model if corrector is None else Correcting.of(model, corrector)
    trained.compile(
        make(settings.learning_rate, global_clipnorm=settings.clip_norm),
        {
            "squared": "mse",
            "pinball": WeighedPinball(),
            "even": keras.losses.BinaryCrossentropy(from_logits=True),
        }[settings.loss],
        jit_compile=False,  # XLA is several times slower for recurrent layers on CPUs
    )
    watch = _Watch(settings, told)
    inputs = _inputs(train.x, time)
    steps: list[keras.callbacks.Callback] = [
        watch,
        cosine(settings.learning_rate, settings.epochs),
    ]
    if corrector is not None:
        if train.points is None:
            raise InvalidSeries(must_be("points", "given with a correction", None))
        inputs[POINTS] = train.points.astype(np.int32)
        steps.append(CorrectFrom(corrector))
    trained.fit(
        inputs,
        _targets(train.y, settings.loss),
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        validation_data=(_inputs(test.x, time), _targets(test.y, settings.loss)),
        validation_batch_size=1024,
        callbacks=steps,
        verbose=0,
    )
    return Fitted(model, watch.train, watch.test)


def answer(model: keras.Model, x: npt.NDArray[Any], batch_size: int = 1024) -> Float32:
    """Forecast windows [window, time, feature] -> [window, target, level]."""
    parts = [x[at : at + batch_size] for at in range(0, len(x), batch_size)]
    # Compiled where it pays: a roll-out asks for one window a hundred times.
    ask = model.predict_on_batch if len(x) == 1 else partial(model, training=False)
    return np.concatenate([np.asarray(ask(_inputs(part, x.shape[1]))) for part in parts])


def hold_state(model: keras.Model, trunk: object, steps: int, seed: int) -> None:
    """Let gates keep their state over up to `steps` steps before anything is learned.

    The biases of the gates that keep are log(uniform(1, steps - 1)), so that the units forget
    after 1 to `steps` steps each (chrono initialisation; Tallec & Ollivier 2018, arXiv:1804.11188).
    With Keras' own first biases a state is half gone after two steps, and with it the gradient. A
    cell without gates has nothing to set.
    """
    if not isinstance(trunk, Recurrent) or trunk.kind not in _KEEPS:
        return
    rng = np.random.default_rng(seed)
    gate, gates = _KEEPS[trunk.kind]
    for i, units in enumerate(trunk.units, 1):
        for name in trunk.names(i):
            layer = model.get_layer(name)
            kernel, recurrent, bias = layer.get_weights()
            one = bias[0] if bias.ndim == 2 else bias
            held = np.log(rng.uniform(1, max(2, steps - 1), units))
            one.reshape(gates, units)[gate] = held
            if trunk.kind == "lstm":  # what is kept long is written as slowly
                one.reshape(gates, units)[0] = -held
            layer.set_weights([kernel, recurrent, bias])


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Keep the losses and tell them; a loss that is no number ends all with an error."""

    def __init__(self, settings: WindowSettings, told: Told) -> None:
        super().__init__()
        self.settings, self.told = settings, told
        self.train: list[float] = []
        self.test: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        found = logs or {}
        train, test = float(found["loss"]), float(found["val_loss"])
        if not (math.isfinite(train) and math.isfinite(test)):
            advice = f"The loss became {train} in epoch {epoch + 1}."
            rule, given = "smaller", self.settings.learning_rate
            raise InvalidSeries(must_be("learning_rate", rule, given, advice))
        self.train.append(train)
        self.test.append(test)
        self.told(epoch + 1, train, test)
        if self.settings.enough is not None and train < self.settings.enough:
            self.model.stop_training = True


def _inputs(x: npt.NDArray[Any], time: int) -> dict[str, Any]:
    return {"sequence": x.astype(np.float32), "length": np.full(len(x), time, np.int32)}


def _targets(y: npt.NDArray[Any], loss: Loss) -> Float32:
    """[window, target] as the loss wants it: with a weight for each, or as one level."""
    y = y.astype(np.float32)
    return np.stack([y, np.ones_like(y)], axis=-1) if loss == "pinball" else y[..., None]
