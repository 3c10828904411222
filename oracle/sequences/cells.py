"""What recurrent cells compute, in NumPy: every gate, cell and hidden state of every step.

Weights are laid out as Keras has them, so that they go either way: `kernel` [in, gates * unit],
`recurrent` [unit, gates * unit] and `bias`, with the gates of an LSTM in the order input, forget,
candidate, output, those of a GRU update, reset, candidate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]


class LstmTrace(NamedTuple):
    """An LSTM's forward pass, each [time, batch, unit].

    Attributes:
        input, forget, output: gates, 0 (shut) .. 1 (open).
        candidate: what would be written into the cell, -1..1.
        cell: the memory after each step.
        squashed: tanh of it.
        hidden: what the next layer sees.
    """

    input: Floats
    forget: Floats
    candidate: Floats
    output: Floats
    cell: Floats
    squashed: Floats
    hidden: Floats


class GruTrace(NamedTuple):
    """A GRU's forward pass, each [time, batch, unit].

    Attributes:
        update: 1 keeps the old state, 0 takes the candidate.
        reset: how much of the old state the candidate sees.
        candidate: the new state where nothing is kept.
        hidden: what the next layer sees.
    """

    update: Floats
    reset: Floats
    candidate: Floats
    hidden: Floats


class RnnTrace(NamedTuple):
    """A simple RNN's forward pass: hidden [time, batch, unit]."""

    hidden: Floats


def lstm(x: Floats, kernel: Floats, recurrent: Floats, bias: Floats) -> LstmTrace:
    """Run an LSTM over sequences [batch, time, in], from zero states."""
    batch, time, _ = x.shape
    units = recurrent.shape[0]
    # One tanh serves all four gates: sigmoid(z) = tanh(z / 2) / 2 + 1 / 2.
    half = np.full(4 * units, 0.5, x.dtype)
    half[2 * units : 3 * units] = 1.0
    drive = (x.swapaxes(0, 1) @ kernel + bias) * half  # [time, batch, gate]
    feedback = recurrent * half
    cell = np.empty((time, batch, units), x.dtype)
    squashed, hidden = np.empty_like(cell), np.empty_like(cell)
    h, c = np.zeros((batch, units), x.dtype), np.zeros((batch, units), x.dtype)
    sigmoids = (slice(0, 2 * units), slice(3 * units, 4 * units))
    for t in range(time):
        gates = drive[t]
        gates += h @ feedback
        np.tanh(gates, out=gates)
        for part in sigmoids:
            gates[:, part] *= 0.5
            gates[:, part] += 0.5
        c = gates[:, units : 2 * units] * c
        c += gates[:, :units] * gates[:, 2 * units : 3 * units]
        cell[t] = c
        np.tanh(c, out=squashed[t])
        h = np.multiply(gates[:, 3 * units :], squashed[t], out=hidden[t])
    i, f, g, o = np.split(drive, 4, axis=-1)
    return LstmTrace(i, f, g, o, cell, squashed, hidden)


def gru(x: Floats, kernel: Floats, recurrent: Floats, bias: Floats) -> GruTrace:
    """Run a GRU over sequences [batch, time, in], from zero states.

    The reset gate acts after the recurrent product, as in Keras (`reset_after`); `bias` is
    [2, 3 * unit], of the input and of the recurrent product.
    """
    batch, time, _ = x.shape
    units = recurrent.shape[0]
    drive = x.swapaxes(0, 1) @ kernel + bias[0]
    kept = np.empty((4, time, batch, units), x.dtype)
    h = np.zeros((batch, units), x.dtype)
    for t in range(time):
        back = h @ recurrent + bias[1]
        update, reset = np.split(_sigmoid(drive[t, :, : 2 * units] + back[:, : 2 * units]), 2, -1)
        candidate = np.tanh(drive[t, :, 2 * units :] + reset * back[:, 2 * units :])
        h = update * h + (1 - update) * candidate
        kept[:, t] = update, reset, candidate, h
    return GruTrace(*kept)


def rnn(x: Floats, kernel: Floats, recurrent: Floats, bias: Floats) -> RnnTrace:
    """Run a simple RNN over sequences [batch, time, in], from a zero state."""
    batch, time, _ = x.shape
    drive = x.swapaxes(0, 1) @ kernel + bias
    h = np.zeros((batch, recurrent.shape[0]), x.dtype)
    for t in range(time):
        drive[t] += h @ recurrent
        h = np.tanh(drive[t], out=drive[t])
    return RnnTrace(drive)


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * np.tanh(0.5 * z) + 0.5)
