"""Run the exported graphs by ONNX Runtime: whole sequences, many of them, or step by step.

One thread a session: at these sizes handing work to a second thread costs more than it saves,
and a search's worker processes share the machine already.

Streaming uses the one-step graph in ONNX Runtime too, chosen by measurement: `bench/latency.py`
sets it beside the same step in NumPy, over which it gains the more the more seeds are averaged,
and beside a whole-sequence call, which costs as much from a few checkpoints on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from oracle.errors import ArtifactCorrupt, must_be
from oracle.model.artifact import Artifact
from oracle.model.manifest import Golden

Float32 = npt.NDArray[np.float32]

#: Rows that `run_many` computes at once: large enough for the matrix products, small enough
#: that sequences of similar length fall together (measured by bench/latency.py).
BATCH_ROWS = 64


#: Largest difference from Keras' answers that the self-test takes for rounding.
GOLDEN_TOLERANCE = 1e-4


class Session:
    """The graph that forecasts from whole sequences, and its streaming form where there is one.

    Safe to share between threads; open one after a fork rather than before.

    Args:
        forward: `oracle.onnx`, as path or bytes. Check it first: `artifact.read_artifact` does.
        step: `step.onnx`, None for a network that cannot stream. Opened when it is first used:
            few processes follow runs, and it takes half of the time and memory.
        golden: answers that Keras gave after training; each graph is tested when it is opened.

    Raises:
        ArtifactCorrupt: if an answer differs from `golden`; of the step graph, when it is opened.
    """

    def __init__(
        self,
        forward: str | Path | bytes,
        step: str | Path | bytes | None = None,
        golden: Golden | None = None,
    ) -> None:
        self._forward = _open(forward)
        self._source, self._golden = step, golden
        if golden is not None:
            _compare(self.run_many(_sequences(golden)), golden)

    @property
    def streams(self) -> bool:
        """Whether `start` and `step` can be used."""
        return self._source is not None

    def run(self, sequence: Float32, length: npt.NDArray[np.int32]) -> Float32:
        """Forecast from whole sequences.

        Args:
            sequence: [batch, time, feature], scaled, padded on the right with finite values.
            length: [batch] real steps of each, 1..time.

        Returns:
            [batch, target, level] quantiles in change space, non-decreasing along levels.
        """
        answers = self._forward.run(["quantiles"], {"sequence": sequence, "length": length})
        return np.asarray(answers[0])

    def run_many(self, sequences: Sequence[Float32]) -> Float32:
        """Forecast from sequences of any lengths, similar lengths together.

        Args:
            sequences: each [time, feature], scaled, at least one step.

        Returns:
            [sequence, target, level] in the order given.
        """
        if not sequences:
            dims = self._forward.get_outputs()[0].shape[1:]
            return np.empty((0, *dims), np.float32)
        lengths = np.array([len(rows) for rows in sequences], np.int32)
        order = np.argsort(lengths, kind="stable")
        answers: list[Float32] = []
        for at in range(0, len(order), BATCH_ROWS):
            chosen = order[at : at + BATCH_ROWS]
            n_features = sequences[chosen[0]].shape[1]
            padded = np.zeros((len(chosen), lengths[chosen[-1]], n_features), np.float32)
            for row, i in enumerate(chosen):
                padded[row, : lengths[i]] = sequences[i]
            answers.append(self.run(padded, lengths[chosen]))
        together = np.concatenate(answers)
        result = np.empty_like(together)
        result[order] = together
        return result

    def start(self, batch: int = 1) -> Float32:
        """The state before the first step, [batch, n_state].

        Raises:
            ValueError: if the network cannot stream.
        """
        return _start(self._step, batch)

    def step(self, state: Float32, row: Float32) -> tuple[Float32, Float32]:
        """Take one step; the state given is not changed, so a step can be taken back.

        Args:
            state: [batch, n_state] of `start` or an earlier step.
            row: [batch, feature], scaled.

        Returns:
            [batch, target, level] quantiles as `run` on the whole sequence would give, and the
            next state.

        Raises:
            ValueError: if the network cannot stream.
        """
        return _step(self._step, state, row)

    @cached_property
    def _step(self) -> onnxruntime.InferenceSession:
        if self._source is None:
            raise ValueError("A bidirectional network reads the whole sequence: use `run`.")
        with _refusals_as_corrupt("step.onnx"):
            opened = _open(self._source)
            if self._golden is not None:
                answers = [_follow(opened, rows) for rows in _sequences(self._golden)]
                _compare(np.concatenate(answers), self._golden)
        return opened


def open_artifact(artifact: Artifact) -> Session:
    """Open the graphs of a verified artifact and test them on this machine.

    Raises:
        ArtifactCorrupt: if the runtime refuses a graph or an answer differs from golden.json.
    """
    with _refusals_as_corrupt(artifact.path.name):
        return Session(artifact.forward, artifact.step, artifact.golden)


@contextmanager
def _refusals_as_corrupt(name: str) -> Iterator[None]:
    try:
        yield
    except ArtifactCorrupt:
        raise
    except Exception as error:  # onnxruntime raises a class of its own for every status
        reason = str(error).splitlines()[0][:200]
        raise ArtifactCorrupt(f"`{name}` must run, but onnxruntime says: {reason}") from error


def _sequences(golden: Golden) -> list[Float32]:
    return [np.asarray(rows, np.float32) for rows in golden.sequence]


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


def _step(
    session: onnxruntime.InferenceSession, state: Float32, row: Float32
) -> tuple[Float32, Float32]:
    answers = session.run(["quantiles", "next_state"], {"row": row, "state": state})
    return np.asarray(answers[0]), np.asarray(answers[1])


def _start(session: onnxruntime.InferenceSession, batch: int) -> Float32:
    return np.zeros((batch, session.get_inputs()[1].shape[1]), np.float32)


def _follow(session: onnxruntime.InferenceSession, rows: Float32) -> Float32:
    """[time, feature] -> [1, target, level] after the last step."""
    state = _start(session, 1)
    for row in rows:
        quantiles, state = _step(session, state, row[None])
    return quantiles


def _open(model: str | Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # errors only: the library's own stderr belongs to the user
    # An arena keeps the memory of the largest batch it ever saw; a hook's process must not.
    options.enable_cpu_mem_arena = False
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
