"""Speed of training, as ratios in one run: `python -m bench.speed.train [--quick] [--json]`.

CPU seconds an epoch of 20,000 prefix windows, forward and backward pass and Adam, one thread:
Keras as `oracle train` uses it, the same job on PyTorch's nn.LSTM where that is installed
(`pip install torch`, a build for CPU suffices; it may live in another environment:
`--torch-python PATH`), and the arithmetic limit, the matrix products alone at the rate of a
large one. They take turns in processes of their own: two sets of OpenMP threads in one process
disturb each other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ.update(THREADS, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import numpy as np  # noqa: E402

WINDOWS, STEPS, BATCH = 20_000, 40, 256
N_TARGETS = 3


def data(n_batches: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of random numbers: speed does not depend on them."""
    rng = np.random.default_rng(0)
    shape = (n_batches * BATCH, STEPS)
    sequence = rng.normal(size=(*shape, n_features)).astype(np.float32)
    return sequence, rng.normal(size=(*shape, N_TARGETS)).astype(np.float32)


def with_keras(name: str, n_batches: int, n_features: int, n_levels: int) -> Callable[[], object]:
    """One pass over the windows by Keras, as the trainer has it."""
    import tensorflow as tf

    from oracle.training.architectures import architecture, build
    from oracle.training.losses import WeighedPinball

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    # A bidirectional trunk forecasts at the last step only.
    spec = architecture(name)
    per_step = spec.network.trunk.causal
    model = build(spec, n_features, N_TARGETS, n_levels, per_step=per_step)
    loss = WeighedPinball(np.linspace(0.05, 0.95, n_levels).tolist())
    model.compile("adam", loss, jit_compile=False)
    sequence, outcome = data(n_batches, n_features)
    length = np.full(len(sequence), STEPS, np.int32)
    outcome = outcome if per_step else outcome[:, -1]
    outcome = np.stack([outcome, np.ones_like(outcome)], axis=-1)
    batches = tf.data.Dataset.from_tensor_slices(
        ({"sequence": sequence, "length": length}, outcome)
    ).batch(BATCH)
    return lambda: model.fit(batches, verbose=0)


def with_torch(layers: str, n_batches: int, n_features: int, n_levels: int) -> Callable[[], object]:
    """The same on nn.LSTM; `layers` is the architecture as JSON."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    spec = json.loads(layers)
    both = bool(spec["trunk"]["bidirectional"])
    modules = nn.ModuleList()
    width = n_features
    for units in spec["trunk"]["units"]:
        modules.append(nn.LSTM(width, units, batch_first=True, bidirectional=both))
        width = units * (2 if both else 1)
    dense: list[nn.Module] = []
    for units, rate in zip(spec["dense"], spec["dropout"]["dense"], strict=True):
        dense += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(rate)]
        width = units
    head = nn.Sequential(*dense, nn.Linear(width, N_TARGETS * n_levels))
    drops = [nn.Dropout(rate) for rate in spec["dropout"]["trunk"]]
    optimizer = torch.optim.Adam([*modules.parameters(), *head.parameters()])
    levels = torch.linspace(0.05, 0.95, n_levels)
    middle = n_levels // 2
    sequence, outcome = (torch.from_numpy(a) for a in data(n_batches, n_features))

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for lstm, drop in zip(modules, drops, strict=True):
            x = drop(lstm(x)[0])
        if both:
            x, y = x[:, -1], y[:, -1]
        raw = head(x).unflatten(-1, (N_TARGETS, n_levels))
        steps = nn.functional.softplus(raw)
        below = -steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
        above = steps[..., middle + 1 :].cumsum(-1)
        zero = torch.zeros_like(raw[..., :1])
        quantiles = raw[..., middle : middle + 1] + torch.cat([below, zero, above], -1)
        error = y[..., None] - quantiles
        return torch.maximum(levels * error, (levels - 1) * error).mean()

    def epoch() -> None:
        for at in range(0, len(sequence), BATCH):
            optimizer.zero_grad()
            loss_of(sequence[at : at + BATCH], outcome[at : at + BATCH]).backward()
            optimizer.step()

    return epoch


def with_matrix_products(
    layers: str, n_batches: int, n_features: int, _: int
) -> Callable[[], object]:
    """As many operations as forward and backward pass need, in products of 256x256x512."""
    spec = json.loads(layers)
    directions = 2 if spec["trunk"]["bidirectional"] else 1
    total, width = 0, n_features
    for units in spec["trunk"]["units"]:
        total += directions * (width + units) * 4 * units
        width = directions * units
    # The backward pass takes twice the forward pass: gradients of inputs and of weights.
    operations = 3 * 2 * total * n_batches * BATCH * STEPS
    a, b = np.ones((256, 256), np.float32), np.ones((256, 512), np.float32)
    times = max(1, round(operations / (2 * 256 * 256 * 512)))
    return lambda: [a @ b for _ in range(times)]


ENGINES = {"keras": with_keras, "torch": with_torch, "limit": with_matrix_products}


def worker(engine: str, what: str, *sizes: int) -> None:
    """Run one epoch for every line on stdin; print its CPU seconds."""
    epoch = ENGINES[engine](what, *sizes)
    epoch()  # tracing, allocation
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.process_time()
        epoch()
        print(time.process_time() - begin, flush=True)


class Worker:
    """A process that runs an epoch whenever it is asked."""

    def __init__(self, python: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", __file__, "--worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Without this folder on the path: its names may be those of the worker's libraries.
            env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": str(Path.cwd())},
        )
        if self._line() != "ready":
            raise SystemExit(f"This worker failed: {' '.join(arguments)}")

    def epoch(self) -> float:
        """CPU seconds of one epoch."""
        if self.process.stdin is not None:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        """Let the process end."""
        self.process.communicate()

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""


def measure(name: str, rounds: int, n_batches: int, torch_python: str) -> dict[str, float]:
    """CPU seconds of each engine for 20,000 windows, in turn."""
    from oracle.history.features import FEATURES
    from oracle.training.architectures import architecture
    from oracle.types import HEAD_LEVELS

    spec = architecture(name)
    dropout = {"trunk": spec.trunk_dropout, "dense": spec.dense_dropout}
    layers = json.dumps({**spec.network.model_dump(), "dropout": dropout})
    sizes = [str(n_batches), str(len(FEATURES)), str(len(HEAD_LEVELS))]
    pythons = {"keras": sys.executable, "limit": sys.executable}
    found = subprocess.run([torch_python, "-c", "import torch"], capture_output=True, check=False)
    if found.returncode == 0:
        pythons["torch"] = torch_python
    workers = {
        engine: Worker(python, engine, name if engine == "keras" else layers, *sizes)
        for engine, python in pythons.items()
    }
    taken: dict[str, list[float]] = {engine: [] for engine in workers}
    for _ in range(rounds):
        for engine, process in workers.items():
            taken[engine].append(process.epoch())
    for process in workers.values():
        process.close()
    scale = WINDOWS / (n_batches * BATCH)
    result = {f"{engine}, s": statistics.median(times) * scale for engine, times in taken.items()}
    for other in ("torch", "limit"):
        if other in taken:
            pairs = zip(taken["keras"], taken[other], strict=True)
            result[f"keras / {other}"] = statistics.median(a / b for a, b in pairs)
    return result


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer windows and rounds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    parser.add_argument("--torch-python", default=sys.executable, help="Python that has PyTorch")
    args = parser.parse_args()
    rounds, n_batches = (2, 2) if args.quick else (5, 8)
    results = {
        name: measure(name, rounds, n_batches, args.torch_python)
        for name in ("standard", "bidirectional", "lite")
    }
    if args.json:
        print(json.dumps(results))
        return
    told = [f"CPU s an epoch of {WINDOWS:,} windows of {STEPS} steps, batch {BATCH}, one thread"]
    for name, figures in results.items():
        shown = "   ".join(f"{what} {value:.2f}" for what, value in figures.items())
        told.append(f"{name:<14} {shown}")
    print("\n".join(told))
    if args.write_docs:
        from bench.speed.page import enter  # needs the project, which a worker's Python may lack

        enter("python -m bench.speed.train" + " --quick" * args.quick, "\n".join(told))


if __name__ == "__main__":
    main()
