"""One training of a library by `train_map`, recorded as a run, and done again without the watch."""

from __future__ import annotations

import contextlib
import io
import os
import random
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.libraries.maps import LIBRARIES, seed_of
from collector.sources import dataset_names, load_dataset
from oracle import train_map, watch
from oracle.history.libraries import adapter_of
from oracle.history.metrics import measure
from oracle.types import METRICS, History, Policy, Run, RunContext

#: Rows of a table at most: these libraries are written for clarity, not for speed.
MAX_ROWS = 800
CHECKPOINTS = 25
#: Trainings of each library that are done again without the watch.
REPEATED = 3


class Trained(NamedTuple):
    """One recorded training: as a run, and how far our metrics are from the library's own."""

    run: Run
    apart: tuple[float, ...]
    same: bool | None


def record(library: str, index: int, seed: int) -> Trained:
    """Train run `index` of a library and record it; the first ones twice."""
    names = dataset_names("test")
    dataset = names[index % len(names)]

    def drawn() -> tuple[Any, dict[str, Any], Any, tuple[int, int]]:
        rng = np.random.default_rng((seed, index, zlib.crc32(library.encode())))
        data = load_dataset(dataset)
        data = data[rng.permutation(len(data))[:MAX_ROWS]]
        rows, cols = (int(side) for side in rng.integers(4, 13, 2))
        rows, cols = (rows, rows) if library == "GEMA" else (rows, cols)
        _seed_all(seed_of(rng))
        with quietly():
            som, told = LIBRARIES[library][1](rows, cols, data, rng)
        if library == "torchsom":
            data = som.weights.new_tensor(data)
        return som, told, data, (rows, cols)

    som, told, data, _ = drawn()
    noted = _Noted()
    with quietly():
        train_map(som, data, **told, checkpoints=CHECKPOINTS, watch=noted)
    training = _training(som, data, told)
    apart = _apart(library, som, data, training)
    same = None
    if index < REPEATED:
        plain, told, data, _ = drawn()
        with quietly():
            _training(plain, data, told, plainly=True)
        same = bool(np.array_equal(_weights(som, training), _weights(plain, training)))
    history = noted.history(f"{library}-{index}", dataset)
    run = Run(
        run_id=history.run_id, source=library, dataset=dataset, history=history,
        final_mqe=history.mqe[-1], final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
    )  # fmt: skip
    return Trained(run, apart, same)


class _Noted:
    """`oracle.watch`, noting what is reported; it asks the oracle twice a run at most."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def __call__(self, *, total_epochs: Any, context: RunContext, **settings: Any) -> Any:
        self.total, self.context = total_epochs, context
        never = Policy(threshold=1e6)
        run = watch(total_epochs=total_epochs, context=context, policy=never, check_every=1.0)
        report = run.report

        def noted(epoch: float, **values: Any) -> Any:
            columns = (*METRICS, "learning_rate", "radius")
            self.rows.append([float(epoch), *(values.get(name) for name in columns)])
            return report(epoch, **values)

        run.report = noted  # type: ignore[method-assign, assignment]
        return run

    def history(self, run_id: str, dataset: str) -> History:
        return History.of_rows(
            self.rows, run_id=run_id, dataset=dataset, total_epochs=float(self.total),
            context=self.context,
        )  # fmt: skip


def _training(som: Any, data: Any, told: dict[str, Any], *, plainly: bool = False) -> Any:
    module = adapter_of(som)
    if module is None:
        raise SystemExit(f"bench.libraries: {type(som).__name__} is of no library")
    if not hasattr(module, "Training"):  # MiniSom has a loop of its own
        if plainly:
            som.train(data, **told)
        return None
    training = module.Training(som, data, **told)
    if plainly:
        training.trained()
    return training


def _weights(som: Any, training: Any) -> Any:
    if training is None:
        return som.get_weights()
    return type(training)(som, training.data, *(), **_own(training)).weights()


def _own(training: Any) -> dict[str, Any]:
    first = next(iter(training.call.signature.parameters), None)
    own = dict(training.given)
    if training.takes_data:
        own.pop(first, None)
    return own


def _apart(library: str, som: Any, data: Any, training: Any) -> tuple[float, ...]:
    """How far mqe and topographic error are from the library's own; NaN where it has none."""
    _, _, quantization, topographic = LIBRARIES[library]
    if training is None:
        ours = measure(som.get_weights(), data, som.topology)
    else:
        ours = measure(training.weights(), training.samples(), training.grid())
    found = []
    for name, value in ((quantization, ours.mqe), (topographic, ours.topographic_error)):
        with quietly():
            own = getattr(som, name) if name else float("nan")
            own = own(data) if callable(own) else own
        found.append(abs(float(own) - (value or 0.0)))
    return tuple(found)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence what libraries print and warn of, in a folder where they may write."""
    here = Path.cwd()
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if find_spec("torch") is not None:
        import torch

        torch.manual_seed(seed)
