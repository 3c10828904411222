"""Fit the NumPy LSTM: mini-batches, gradient clipping, SGD or Adam, all from one seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from oracle.errors import InvalidSeries, must_be
from oracle.sequences.cells import Floats
from oracle.sequences.numpy_lstm import NumpyLstm, Parameters
from oracle.training.decay import cosine_rate

Told = Callable[[int, float, float], None]


class Optimizer(Protocol):
    """Moves parameters against their gradients, in place."""

    learning_rate: float

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Take one step."""


@dataclass
class Sgd:
    """Plain stochastic gradient descent."""

    learning_rate: float

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Move each parameter by -learning_rate * gradient."""
        for name, gradient in gradients.items():
            parameters[name] -= self.learning_rate * gradient


@dataclass
class Adam:
    """Adam with bias-corrected moments (Kingma & Ba 2015, arXiv:1412.6980)."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-7  # as Keras has it
    steps: int = 0
    moments: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)

    def step(self, parameters: Parameters, gradients: Parameters) -> None:
        """Move each parameter by its mean gradient over the root of its mean square."""
        self.steps += 1
        scale = np.sqrt(1 - self.beta2**self.steps) / (1 - self.beta1**self.steps)
        for name, gradient in gradients.items():
            if name not in self.moments:
                self.moments[name] = np.zeros_like(gradient), np.zeros_like(gradient)
            first, second = self.moments[name]
            first += (1 - self.beta1) * (gradient - first)
            second += (1 - self.beta2) * (gradient**2 - second)
            parameters[name] -= (
                self.learning_rate * scale * first / (np.sqrt(second) + self.epsilon)
            )


OPTIMIZERS: dict[str, Callable[[float], Optimizer]] = {"sgd": Sgd, "adam": Adam}


def clip(gradients: Parameters, most: float) -> float:
    """Scale all gradients together, in place, to a norm of at most `most`; gives the norm before.

    (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063.)
    """
    norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradients.values())))
    if norm > most:
        for gradient in gradients.values():
            gradient *= most / norm
    return norm


@dataclass(frozen=True)
class Losses:
    """Mean squared errors by epoch: over the batches of training as they came, and on the test."""

    train: list[float]
    test: list[float]


def fit(
    model: NumpyLstm,
    x: Floats,
    y: Floats,
    test_x: Floats,
    test_y: Floats,
    *,
    epochs: int = 20,
    learning_rate: float = 0.005,
    batch_size: int = 32,
    optimizer: Literal["adam", "sgd"] = "adam",
    clip_norm: float = 1.0,
    seed: int = 0,
    told: Told = lambda epoch, train, test: None,
) -> Losses:
    """Train in place; the same seed gives the same weights.

    Args:
        model: to train.
        x, y: [window, time, feature] and [window, output].
        test_x, test_y: scored after each epoch, never trained on.
        epochs: passes over the windows, shuffled anew each time.
        learning_rate: at the start; it falls along a cosine, as that of the Keras networks does.
        batch_size: windows a step; the last batch may be smaller.
        optimizer: adam or sgd.
        clip_norm: longest gradient.
        seed: of the order.
        told: called after each epoch with its number from 1, training and test loss.

    Raises:
        InvalidSeries: the loss ceased to be a number.
    """
    rng = np.random.default_rng(seed)
    descent = OPTIMIZERS[optimizer](learning_rate)
    dtype = model.parameters["kernel"].dtype
    x, y = x.astype(dtype), y.astype(dtype)
    losses = Losses([], [])
    for epoch in range(1, epochs + 1):
        order, total = rng.permutation(len(x)), 0.0
        descent.learning_rate = cosine_rate(learning_rate, epoch - 1, epochs)
        for at in range(0, len(x), batch_size):
            rows = order[at : at + batch_size]
            with np.errstate(over="ignore", invalid="ignore"):  # told below
                made = model.gradients(x[rows], y[rows])
            if not np.isfinite(made.loss):
                advice = f"The loss became {made.loss} in epoch {epoch}."
                raise InvalidSeries(must_be("learning_rate", "smaller", learning_rate, advice))
            clip(made.parameters, clip_norm)
            descent.step(model.parameters, made.parameters)
            total += made.loss * len(rows)
        losses.train.append(total / len(x))
        losses.test.append(float(np.mean((predict(model, test_x) - test_y) ** 2)))
        told(epoch, losses.train[-1], losses.test[-1])
    return losses


def predict(model: NumpyLstm, x: Floats, batch_size: int = 512) -> Floats:
    """Forecast many windows, [window, time, feature] -> [window, output]."""
    return np.concatenate(
        [model.forward(x[at : at + batch_size]) for at in range(0, len(x), batch_size)]
    )
