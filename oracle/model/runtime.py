"""Run the networks by ONNX Runtime: whole sequences, one or many.

One thread a session: at these sizes handing work to a second thread costs more than it saves,
and a search's worker processes share the machine already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime

from oracle.errors import ArtifactCorrupt, must_be
from oracle.model.artifact import Artifact
from oracle.model.manifest import Golden

Float32 = npt.NDArray[np.float32]

#: Rows that `run_many` computes at once: large enough for the matrix products, small enough
#: that sequences of similar length fall together (measured by bench/speed/latency.py).
BATCH_ROWS = 64


#: Largest difference from Keras' answers that the self-test takes for rounding.
GOLDEN_TOLERANCE = 1e-4


class Session:
    """A graph that forecasts from whole sequences.

    Safe to share between threads; open one after a fork rather than before.

    Args:
        model: the graph as an ONNX file; `Artifact.onnx` makes it.
        golden: answers that Keras gave after training; they must be had here too.

    Raises:
        ArtifactCorrupt: if an answer differs from `golden`.
    """

    def __init__(self, model: bytes, golden: Golden | None = None) -> None:
        self._session = _open(model)
        if golden is not None:
            sequences = [np.asarray(rows, np.float32) for rows in golden.sequence]
            _compare(self.run_many(sequences), golden)

    def run(self, sequence: Float32, length: npt.NDArray[np.int32]) -> Float32:
        """Forecast from whole sequences.

        Args:
            sequence: [batch, time, feature], scaled, padded on the right with finite values.
            length: [batch] real steps of each, 1..time.

        Returns:
            [batch, target, level] quantiles in change space, non-decreasing along levels.
        """
        answers = self._session.run(["quantiles"], {"sequence": sequence, "length": length})
        return np.asarray(answers[0])

    @property
    def attends(self) -> bool:
        """Whether its networks tell which rows they looked at."""
        return any(output.name == "attention" for output in self._session.get_outputs())

    def attention(self, sequence: Float32, length: npt.NDArray[np.int32]) -> Float32:
        """Tell what the last real step weighs each step by, [batch, time]; see `attends`.

        Args: as `run`.
        """
        inputs = {"sequence": sequence, "length": length}
        return np.asarray(self._session.run(["attention"], inputs)[0])

    def run_many(self, sequences: Sequence[Float32]) -> Float32:
        """Forecast from sequences of any lengths, similar lengths together.

        Args:
            sequences: each [time, feature], scaled, at least one step.

        Returns:
            [sequence, target, level] in the order given.
        """
        if not sequences:
            dims = self._session.get_outputs()[0].shape[1:]
            return np.empty((0, *dims), np.float32)
        lengths = np.array([len(rows) for rows in sequences], np.int32)
        padded = np.zeros((len(lengths), lengths.max(), sequences[0].shape[1]), np.float32)
        for row, sequence in zip(padded, sequences, strict=True):
            row[: len(sequence)] = sequence
        return self.run_padded(padded, lengths)

    def run_padded(self, sequences: Float32, lengths: npt.NDArray[np.int32]) -> Float32:
        """Forecast from any number of padded sequences, similar lengths together.

        Args: as `run`, at least one sequence.

        Returns:
            [sequence, target, level] in the order given.
        """
        if len(lengths) <= BATCH_ROWS:
            return self.run(sequences, lengths)
        order = np.argsort(lengths, kind="stable")
        parts = [order[at : at + BATCH_ROWS] for at in range(0, len(order), BATCH_ROWS)]
        together = np.concatenate(
            [self.run(sequences[part, : lengths[part[-1]]], lengths[part]) for part in parts]
        )
        result = np.empty_like(together)
        result[order] = together
        return result


def open_artifact(artifact: Artifact) -> Session:
    """Open the networks of a verified artifact and test them on this machine.

    Raises:
        ArtifactCorrupt: if the runtime refuses the graph or an answer differs from golden.json.
    """
    try:
        return Session(artifact.onnx(), artifact.golden)
    except ArtifactCorrupt:
        raise
    except Exception as error:  # onnxruntime raises a class of its own for every status
        reason = str(error).splitlines()[0][:200]
        name = artifact.path.name
        raise ArtifactCorrupt(f"`{name}` must run, but onnxruntime says: {reason}") from error


def _compare(answer: Float32, golden: Golden) -> None:
    expected = np.asarray(golden.quantiles, np.float32)
    if answer.shape != expected.shape or not np.isfinite(answer).all():
        raise ArtifactCorrupt(must_be("quantiles", f"finite {expected.shape}", answer.shape))
    worst = float(np.abs(answer - expected).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise ArtifactCorrupt(
            must_be(
                "self-test",
                f"within {GOLDEN_TOLERANCE:g} of golden.json",
                worst,
                "The model does not compute here what it did when it was trained.",
            )
        )


def _open(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors only: the library's own stderr belongs to the user
    # An arena keeps the memory of the largest batch it ever saw; a hook's process must not.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
