"""Speed of forecasts, as ratios in one run: `python -m bench.speed.latency [--quick] [--json]`.

The same weights answer through the served graph, through tf.function and through model.predict,
in turn, one thread each. Times are CPU time, so that a busy machine slows none; a figure is the
median over rounds. The arithmetic limit is the matrix products alone, at the rate this machine
reaches on a large one in the same round.
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
from math import prod

os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
    CUDA_VISIBLE_DEVICES="",
)

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from bench.speed.page import enter
from oracle.forecast.forecaster import Oracle
from oracle.history.features import FEATURES, encode
from oracle.model.artifact import read_artifact, resolve
from oracle.model.network import Ensemble, graph_of
from oracle.model.onnx_file import write_onnx
from oracle.model.runtime import Session, open_artifact
from oracle.model.weights import unpack
from oracle.training.architectures import architecture, build
from oracle.training.export import weights_of
from oracle.types import History

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

Float32 = npt.NDArray[np.float32]

STEPS = 10
MANY, LONGEST = 1024, 20
TOGETHER = 16
#: What the ratios must reach.
AIMS = {
    "tf.function / served": (">=", 10.0),
    "model.predict / served": (">=", 300.0),
    "served / limit": ("<=", 3.0),
    "1,024 served / limit": ("<=", 2.0),
    "fresh process to first forecast, s": ("<=", 0.7),
    "memory above Python with NumPy, MB": ("<=", 60.0),
}

FRESH = """
import json, time
import numpy
def peak_mb():  # of this process alone: ru_maxrss would begin at the parent's
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1e3
before = peak_mb()
begin = time.process_time()
from oracle import History, Oracle
Oracle.load().forecast(History(
    epochs=(10, 50, 100), mqe=(0.5, 0.3, 0.25), topographic_error=(0.1, 0.09, 0.08),
    dead_neuron_ratio=(0.2, 0.15, 0.12), total_epochs=1000.0))
print(json.dumps([time.process_time() - begin, peak_mb() - before]))
"""


def seconds(call: Callable[[], object], times: int) -> float:
    """CPU time of one call, mean over `times`."""
    begin = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begin) / times


def flops(ensemble: Ensemble, steps: int) -> float:
    """Floating-point operations of the matrix products for `steps` steps of one sequence."""
    total = 0
    for network, layers in zip(ensemble.networks, ensemble.layers(), strict=True):
        trunk = {name for name, _ in network.trunk.layers(ensemble.n_features)}
        for name, (*kernels, _) in layers.items():
            total += (steps if name in trunk else 1) * sum(map(prod, kernels))
    return 2.0 * total


def rate(times: int) -> float:
    """Operations a second of a large matrix product, one thread."""
    a, b = np.ones((256, 256), np.float32), np.ones((256, 512), np.float32)
    return 2 * 256 * 256 * 512 / seconds(lambda: a @ b, times)


def measure(name: str, rounds: int, times: int) -> dict[str, float]:
    """Ratios of one architecture."""
    spec = architecture(name)
    model = build(spec, len(FEATURES))
    ensemble = Ensemble(n_features=len(FEATURES), networks=(spec.network,))
    weights = unpack(ensemble, weights_of([model], ensemble))
    session = Session(write_onnx(graph_of(ensemble, weights)))
    rng = np.random.default_rng(0)
    sequence = rng.normal(size=(1, STEPS, len(FEATURES))).astype(np.float32)
    length = np.array([STEPS], np.int32)
    lengths = rng.integers(1, LONGEST + 1, MANY)
    many = [rng.normal(size=(n, len(FEATURES))).astype(np.float32) for n in lengths]
    tensors = {"sequence": tf.constant(sequence), "length": tf.constant(length)}
    compiled = tf.function(lambda inputs: model(inputs, training=False))

    calls: dict[str, tuple[Callable[[], object], int]] = {
        "served": (lambda: session.run(sequence, length), times),
        "tf.function": (lambda: compiled(tensors), max(times // 10, 3)),
        "model.predict": (
            lambda: model.predict({"sequence": sequence, "length": length}, verbose=0),
            2,
        ),
        "many": (lambda: session.run_many(many), 1),
    }
    taken: dict[str, list[float]] = {key: [] for key in (*calls, "limit", "many limit")}
    for call, _ in calls.values():
        call()
    for _ in range(rounds):
        speed = rate(times)
        taken["limit"].append(flops(ensemble, STEPS) / speed)
        taken["many limit"].append(sum(flops(ensemble, int(n)) for n in lengths) / speed)
        for key, (call, n) in calls.items():
            taken[key].append(seconds(call, n))
    middle = {key: statistics.median(values) for key, values in taken.items()}

    def ratio(above: str, below: str) -> float:
        pairs = zip(taken[above], taken[below], strict=True)
        return statistics.median(a / b for a, b in pairs)

    return {
        f"served, T={STEPS}, us": middle["served"] * 1e6,
        "limit, us": middle["limit"] * 1e6,
        "tf.function / served": ratio("tf.function", "served"),
        "model.predict / served": ratio("model.predict", "served"),
        "served / limit": ratio("served", "limit"),
        "1,024 served, ms": middle["many"] * 1e3,
        "1,024 served / limit": ratio("many", "many limit"),
    }


def shipped(rounds: int, times: int) -> dict[str, float]:
    """The shipped default: what its network costs, and a whole forecast, alone and together."""
    artifact = read_artifact(resolve(None))
    oracle, session = Oracle(artifact), open_artifact(artifact)
    history = History(
        epochs=tuple(range(20, 20 * STEPS + 1, 20)),
        mqe=tuple(1 / (i + 1) for i in range(STEPS)),
        topographic_error=(0.1,) * STEPS,
        dead_neuron_ratio=(0.1,) * STEPS,
        total_epochs=1000.0,
    )
    rows, length = encode(history), np.array([STEPS], np.int32)
    one, many = rows[None], np.repeat(rows[None], TOGETHER, axis=0)
    lengths = np.repeat(length, TOGETHER)
    calls: dict[str, tuple[Callable[[], object], int]] = {
        f"network, T={STEPS}, us": (lambda: session.run(one, length), 1),
        f"... {TOGETHER} together, us each": (lambda: session.run(many, lengths), TOGETHER),
        f"forecast, T={STEPS}, us": (lambda: oracle.forecast(history), 1),
        f"... {TOGETHER} forecast together, us each": (
            lambda: oracle.forecast_many([history] * TOGETHER),
            TOGETHER,
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, (call, n) in calls.items():
            taken[name].append(1e6 * seconds(call, max(times // n, 3)) / n)
    return {name: statistics.median(values) for name, values in taken.items()}


def fresh(rounds: int) -> dict[str, float]:
    """A new process until its first forecast by the shipped default; CPU time."""
    taken = []
    for _ in range(rounds):
        made = subprocess.run(
            [sys.executable, "-c", FRESH], capture_output=True, text=True, check=True
        )
        taken.append(json.loads(made.stdout))
    times, memory = zip(*taken, strict=True)
    return {
        "fresh process to first forecast, s": statistics.median(times),
        "memory above Python with NumPy, MB": statistics.median(memory),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    rounds, times = (3, 50) if args.quick else (9, 200)
    names = ("standard", "lite") if args.quick else ("standard", "bidirectional", "lite")
    results = {name: measure(name, rounds, times) for name in names}
    results["shipped default"] = shipped(rounds, times)
    results["process"] = fresh(1 if args.quick else 3)
    if args.json:
        print(json.dumps(results))
        return
    told = []
    for name, figures in results.items():
        told.append(name)
        for what, value in figures.items():
            aimed = name in ("standard", "process") or "limit" not in what
            sign, aim = AIMS.get(what, ("", 0.0)) if aimed else ("", 0.0)
            told.append(f"  {what:<38} {value:10.2f}" + (f"   aim {sign} {aim:g}" if sign else ""))
    print("\n".join(told))
    if args.write_docs:
        enter("python -m bench.speed.latency" + " --quick" * args.quick, "\n".join(told))


if __name__ == "__main__":
    main()
