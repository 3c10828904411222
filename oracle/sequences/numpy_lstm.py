"""An LSTM in NumPy alone: one layer, a dense head, back-propagation through time.

Every gradient is written out here and checked against central differences and against Keras'
own (tests/unit/test_numpy_lstm.py, tests/contract/test_sequences.py).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from oracle.errors import ArtifactCorrupt, ArtifactNotFound, InvalidSeries, must_be
from oracle.sequences.cells import Floats, LstmTrace, lstm

Parameters = dict[str, Floats]
#: name -> dimensions, as letters of (features in, hidden units, outputs).
SHAPES = {
    "kernel": ("i", "4h"),
    "recurrent": ("h", "4h"),
    "bias": ("4h",),
    "head": ("h", "o"),
    "head_bias": ("o",),
}
MAX_DIM = 4096


class Gradients(NamedTuple):
    """One backward pass.

    Attributes:
        loss: mean squared error of the batch.
        parameters: its gradient by each parameter.
        inputs: its gradient by the inputs, [batch, time, feature].
    """

    loss: float
    parameters: Parameters
    inputs: Floats


class NumpyLstm:
    """A many-to-one network: [batch, time, input_dim] -> [batch, output_dim].

    Args:
        input_dim: features a step.
        hidden_dim: units of the LSTM.
        output_dim: values forecast.
        seed: of the first weights.
        dtype: float32 trains twice as fast, float64 is what gradients are checked in.
    """

    def __init__(
        self,
        input_dim: int = 1,
        hidden_dim: int = 32,
        output_dim: int = 1,
        seed: int = 0,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        sizes = {"input_dim": input_dim, "hidden_dim": hidden_dim, "output_dim": output_dim}
        for name, size in sizes.items():
            if not 1 <= size <= MAX_DIM:
                raise InvalidSeries(must_be(name, f"within 1..{MAX_DIM}", size))
        self.input_dim, self.hidden_dim, self.output_dim = input_dim, hidden_dim, output_dim
        self.parameters = _initial(input_dim, hidden_dim, output_dim, seed, np.dtype(dtype))

    def forward(self, x: Floats) -> Floats:
        """[batch, time, input_dim] -> [batch, output_dim], from the last hidden state."""
        return self._head(self.trace(x).hidden[-1])

    def trace(self, x: Floats) -> LstmTrace:
        """Every gate and state on the way."""
        p = self.parameters
        return lstm(self._inputs(x), p["kernel"], p["recurrent"], p["bias"])

    def gradients(self, x: Floats, y: Floats) -> Gradients:
        """Forward and backward pass of the mean squared error over a batch.

        Args:
            x: [batch, time, input_dim].
            y: [batch, output_dim].
        """
        p, x = self.parameters, self._inputs(x)
        trace = lstm(x, p["kernel"], p["recurrent"], p["bias"])
        last = trace.hidden[-1]
        error = self._head(last) - y
        loss = float(np.mean(error**2))
        d_out = (2 / error.size) * error
        d_gates = self._backward(trace, d_out @ p["head"].T)
        time, batch, width = d_gates.shape
        flat = d_gates.reshape(time * batch, width)
        steps = x.swapaxes(0, 1)
        before = trace.hidden[:-1].reshape((time - 1) * batch, self.hidden_dim)
        parameters = {
            "kernel": steps.reshape(time * batch, -1).T @ flat,
            "recurrent": before.T @ flat[batch:],  # the first step's state is zero
            "bias": flat.sum(axis=0),
            "head": last.T @ d_out,
            "head_bias": d_out.sum(axis=0),
        }
        return Gradients(loss, parameters, (d_gates @ p["kernel"].T).swapaxes(0, 1))

    def _backward(self, s: LstmTrace, d_hidden: Floats) -> Floats:
        """Gradient by what enters the gates, [time, batch, gate], from that of the last state."""
        units, back = self.hidden_dim, self.parameters["recurrent"].T
        # How far each gate's value moves with what enters it, times what it multiplies.
        d_gates = np.empty((*s.cell.shape[:2], 4 * units), s.cell.dtype)
        i, f, g, o = (d_gates[..., k * units : (k + 1) * units] for k in range(4))
        np.multiply(s.candidate, s.input * (1 - s.input), out=i)
        f[0] = 0.0
        np.multiply(s.cell[:-1], (s.forget * (1 - s.forget))[1:], out=f[1:])
        np.multiply(s.input, 1 - s.candidate**2, out=g)
        np.multiply(s.squashed, s.output * (1 - s.output), out=o)
        through = s.output * (1 - s.squashed**2)  # from hidden to cell
        d_cell = np.zeros_like(d_hidden)
        for t in range(len(s.cell) - 1, -1, -1):
            d_cell = d_cell + d_hidden * through[t]
            o[t] *= d_hidden
            i[t] *= d_cell
            f[t] *= d_cell
            g[t] *= d_cell
            d_hidden = d_gates[t] @ back
            d_cell *= s.forget[t]
        return d_gates

    def _head(self, hidden: Floats) -> Floats:
        return np.asarray(hidden @ self.parameters["head"] + self.parameters["head_bias"])

    def _inputs(self, x: Floats) -> Floats:
        if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] != self.input_dim:
            raise InvalidSeries(must_be("x", f"[batch, time, {self.input_dim}]", x.shape))
        return x.astype(self.parameters["kernel"].dtype, copy=False)

    def save(self, path: str | Path) -> None:
        """Write the weights as an .npz file of plain arrays."""
        with Path(path).open("wb") as file:
            np.savez(file, **self.parameters)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> NumpyLstm:
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            ArtifactNotFound: no such file.
            ArtifactCorrupt: arrays are missing, unknown, of wrong shape or not finite.
        """
        path = Path(path)
        if not path.is_file():
            raise ArtifactNotFound(must_be("model", "a file of `save`", str(path)))
        try:
            if not zipfile.is_zipfile(path):
                raise ValueError("it is no .npz file")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                found: dict[str, Any] = {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
            message = f"`{path.name}` must be a file of `save`, but: {error}."
            raise ArtifactCorrupt(message) from None
        return cls._of(found)

    @classmethod
    def _of(cls, found: Parameters) -> NumpyLstm:
        if found.keys() != SHAPES.keys():
            raise ArtifactCorrupt(must_be("arrays", ", ".join(SHAPES), sorted(found)))
        kernel, head = found["kernel"], found["head"]
        if (
            kernel.ndim != 2
            or head.ndim != 2
            or not all(1 <= n <= 4 * MAX_DIM for n in (*kernel.shape, *head.shape))
        ):
            raise ArtifactCorrupt(must_be("kernel and head", "matrices", kernel.shape))
        sizes = {"i": kernel.shape[0], "h": head.shape[0], "o": head.shape[1]}
        sizes["4h"] = 4 * sizes["h"]
        for name, letters in SHAPES.items():
            array, shape = found[name], tuple(sizes[letter] for letter in letters)
            if array.shape != shape or array.dtype not in (np.float32, np.float64):
                raise ArtifactCorrupt(must_be(name, f"floats {shape}", (array.shape, array.dtype)))
            if not np.isfinite(array).all():
                raise ArtifactCorrupt(must_be(name, "finite", "NaN or infinity"))
        model = cls(sizes["i"], sizes["h"], sizes["o"], dtype=kernel.dtype)
        model.parameters = {name: found[name].astype(kernel.dtype) for name in SHAPES}
        return model


def _initial(i: int, h: int, o: int, seed: int, dtype: np.dtype[Any]) -> Parameters:
    """Keras' first weights: Glorot's uniform, orthogonal for the feedback, forget gates at 1."""
    rng = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> Floats:
        limit = np.sqrt(6 / (rows + columns))
        return rng.uniform(-limit, limit, (rows, columns))

    q, r = np.linalg.qr(rng.standard_normal((4 * h, h)))
    bias = np.zeros(4 * h)
    bias[h : 2 * h] = 1.0
    parameters = {
        "kernel": glorot(i, 4 * h),
        "recurrent": (q * np.sign(np.diag(r))).T,
        "bias": bias,
        "head": glorot(h, o),
        "head_bias": np.zeros(o),
    }
    return {name: np.ascontiguousarray(value, dtype) for name, value in parameters.items()}
