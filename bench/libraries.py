"""What one line gives in each SOM library: docs/libraries.md, and runs for docs/quality.md.

    make libraries                                     # installs them
    python -m bench.libraries                          # minutes; writes the page's tables
    python -m bench.libraries --runs 100 --record      # and data/foreign/*.csv.gz
    make quality                                       # then shows them beside the others

Each map is trained by `train_map`, on tables that trained nothing of the oracle, with settings that
a search would try; nothing is told but what is read from the map. A library that is not installed
is said to be missing and keeps its row.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import re
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from collector.sources import dataset_names, load_dataset
from oracle import train_map, watch
from oracle.evaluation.told_less import without
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import read_dataset, write_dataset
from oracle.history.libraries import adapter_of
from oracle.history.metrics import measure
from oracle.types import METRICS, QUALITY_WEIGHTS, TARGETS, History, Policy, Run, RunContext

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/libraries.md"
RESULT = ROOT / "docs/quality/libraries.json"
#: Rows of a table at most: these libraries are written for clarity, not for speed.
MAX_ROWS = 800
CHECKPOINTS = 25
#: Trainings of each library that are done again without the watch.
REPEATED = 3
#: Shares of a run at which it is forecast, and the one that says what a field is worth.
SHARES = (0.1, 0.2, 0.5)
SHARE = 0.2
MIN_SUPPORT = Policy().min_support
#: What is told or left out, of PARTS; and recorded runs that say what it is worth.
WORTHY = ("plan", "kind", "table", "geometry", "sizes")
RECORD = "tests/data/record.csv.gz"
Draw = np.random.Generator
Made = tuple[Any, dict[str, Any]]
#: Draws a map and what its training is told: rows, columns, data, generator.
Sampler = Callable[[int, int, Any, Draw], Made]


def minisom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online; two grids, three decays."""
    from minisom import MiniSom

    som = MiniSom(
        rows, cols, data.shape[1], sigma=float(rng.uniform(1, max(rows, cols) / 2)),
        learning_rate=_rate(rng), random_seed=_seed(rng),
        topology=str(rng.choice(["rectangular", "hexagonal"])),
        decay_function=str(rng.choice(["asymptotic_decay", "linear_decay_to_zero"])),
    )  # fmt: skip
    return som, {"num_iteration": _steps(rng), "random_order": True}


def xpysom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch; a Gaussian of half the radius as by default, or of the whole."""
    from xpysom import XPySom

    som = XPySom(
        rows, cols, data.shape[1], sigma=float(rng.uniform(1, min(rows, cols) / 2)),
        sigmaN=float(rng.uniform(0.1, 1)), std_coeff=float(rng.choice([0.5, 1.0])),
        decay_function=str(rng.choice(["exponential", "linear", "asymptotic"])),
        random_seed=_seed(rng), xp=np,
    )  # fmt: skip
    return som, {"num_epochs": int(rng.integers(10, 100))}


def somoclu(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch; both grids, flat or a torus, both kernels."""
    from somoclu import Somoclu

    start = rng.uniform(data.min(0), data.max(0), (rows * cols, data.shape[1]))
    som = Somoclu(
        cols, rows, initialcodebook=start.astype(np.float32),
        maptype=str(rng.choice(["planar", "toroid"])),
        gridtype=str(rng.choice(["rectangular", "hexagonal"])),
        neighborhood=str(rng.choice(["gaussian", "bubble"])),
    )  # fmt: skip
    told = {"epochs": int(rng.integers(10, 60)), "radius0": float(rng.uniform(2, max(rows, cols)))}
    return som, told | {"radiuscooling": str(rng.choice(["linear", "exponential"]))}


def torchsom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Small batches, shuffled; both grids, flat or a torus."""
    from torchsom import SOM

    som = SOM(
        rows, cols, data.shape[1], epochs=int(rng.integers(10, 40)), batch_size=32,
        sigma=float(rng.uniform(1, max(rows, cols) / 2)), learning_rate=_rate(rng),
        topology=str(rng.choice(["rectangular", "hexagonal"])), pbc=bool(rng.random() < 0.4),
        device="cpu", random_seed=_seed(rng),
    )  # fmt: skip
    return som, {"verbose": False}


def intrasom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Two phases of batches; both lattices, flat or a torus."""
    from intrasom import SOMFactory

    som = SOMFactory.build(
        np.array(data), mapsize=(cols, rows + rows % 2),
        mapshape=str(rng.choice(["toroid", "planar"])), lattice=str(rng.choice(["hexa", "rect"])),
    )  # fmt: skip
    lengths = {f"train_{phase}_len": int(rng.integers(10, 40)) for phase in ("rough", "finetune")}
    return som, lengths | {"save": False, "summary": False, "n_job": 1}


def python_som(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online or batch; cyclic or not."""
    from python_som import SOM

    batch, closed = rng.random() < 0.3, bool(rng.random() < 0.3)
    som = SOM(
        rows, cols, data.shape[1], learning_rate=_rate(rng), random_seed=_seed(rng),
        neighborhood_radius=float(rng.uniform(1, max(rows, cols) / 2)),
        neighborhood_function="bubble" if rng.random() < 0.2 else "gaussian",
        cyclic_x=closed, cyclic_y=closed,
    )  # fmt: skip
    steps = int(rng.integers(10, 60)) if batch else _steps(rng)
    return som, {"n_iteration": steps, "mode": "batch" if batch else "random"}


def simpsom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online, with a rate that grows, or batch; flat or a torus."""
    from simpsom import SOMNet

    batch = rng.random() < 0.6
    som = SOMNet(
        rows, cols, data, init=str(rng.choice(["random", "PCA"])), PBC=bool(rng.random() < 0.3),
        random_seed=_seed(rng),
    )  # fmt: skip
    steps = int(rng.integers(10, 60)) if batch else int(rng.integers(200, 800))
    told = {"train_algo": "batch" if batch else "online", "epochs": steps}
    return som, told | {"start_learning_rate": float(rng.uniform(0.02, 0.2))}


def susi(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online or batch; the radius falls from half the longer side."""
    from susi import SOMClustering

    batch = rng.random() < 0.3
    decays = ["linear", "min", "exp", "expsquare"]
    som = SOMClustering(
        rows, cols, init_mode_unsupervised=str(rng.choice(["random", "random_data", "pca"])),
        n_iter_unsupervised=int(rng.integers(10, 40)) if batch else _steps(rng),
        train_mode_unsupervised="batch" if batch else "online",
        neighborhood_mode_unsupervised=str(rng.choice(decays)),
        learn_mode_unsupervised=str(rng.choice(decays)), learning_rate_start=_rate(rng),
        learning_rate_end=0.01, random_state=_seed(rng),
    )  # fmt: skip
    return som, {}


def sklearn_som(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online, a radius that stays."""
    from sklearn_som.som import SOM

    passes = int(rng.integers(1, 8))
    som = SOM(
        m=rows, n=cols, dim=data.shape[1], lr=_rate(rng), sigma=float(rng.uniform(0.7, 3)),
        max_iter=passes * len(data), random_state=_seed(rng),
    )  # fmt: skip
    return som, {"epochs": passes}


def gema(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online on a square, a disc that shrinks to nothing."""
    from GEMA import Map

    return Map(
        size=rows, period=_steps(rng), initial_lr=_rate(rng), use_decay=bool(rng.random() < 0.5),
        weights=str(rng.choice(["random", "sample"])),
    ), {}  # fmt: skip


def awesom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online in epochs."""
    from awesom.som import IncrementalMap
    from awesom.weights import Weights

    weights = Weights(rows, cols, data.shape[1])
    weights._vectors[:] = data[rng.integers(0, len(data), rows * cols)]
    return IncrementalMap(
        (rows, cols, data.shape[1]), int(rng.integers(2, 12)), _rate(rng),
        float(rng.uniform(1, max(rows, cols) / 2)), weights=weights, seed=_seed(rng),
    ), {}  # fmt: skip


def zsom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch; both grids."""
    from zsom import SOM

    som = SOM(
        rows, cols, data.shape[1], rng=np.random.default_rng(_seed(rng)),
        topology=str(rng.choice(["square", "hex"])), use_numba=False,
    )  # fmt: skip
    return som, {"epochs": int(rng.integers(10, 40)), "learning_rate": _rate(rng)}


def fastersom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch."""
    from fastersom import SOM

    return SOM(
        rows, cols, n_epochs=int(rng.integers(10, 60)), init=str(rng.choice(["random", "sample"])),
        sigma_initial=float(rng.uniform(1, max(rows, cols) / 2)), random_state=_seed(rng),
        device="cpu",
    ), {}  # fmt: skip


#: Library -> its module, how its maps are drawn, its own quantization and topographic error.
LIBRARIES: dict[str, tuple[str, Sampler, str, str]] = {
    "MiniSom": ("minisom", minisom, "quantization_error", "topographic_error"),
    "XPySom": ("xpysom", xpysom, "quantization_error", "topographic_error"),
    "Somoclu": ("somoclu", somoclu, "", ""),
    "torchsom": ("torchsom", torchsom, "quantization_error", "topographic_error"),
    "IntraSOM": ("intrasom", intrasom, "", "topographic_error"),
    "python-som": ("python_som", python_som, "quantization_error", ""),
    "SimpSOM": ("simpsom", simpsom, "", ""),
    "susi": ("susi", susi, "get_quantization_error", ""),
    "sklearn-som": ("sklearn_som", sklearn_som, "", ""),
    "GEMA": ("GEMA", gema, "", ""),
    "awesom": ("awesom", awesom, "", ""),
    "zsom": ("zsom", zsom, "_calculate_quantization_error", ""),
    "fastersom": ("fastersom", fastersom, "quantization_error", "topographic_error"),
}


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
        _seed_all(_seed(rng))
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


def _rate(rng: Draw) -> float:
    return float(10 ** rng.uniform(-1.5, -0.05))


def _steps(rng: Draw) -> int:
    return int(np.exp(rng.uniform(6.2, 8.5)))


def _seed(rng: Draw) -> int:
    return int(rng.integers(2**31))


def _seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if find_spec("torch") is not None:
        import torch

        torch.manual_seed(seed)


def judged(runs: list[Run], oracle: Oracle) -> dict[str, Any]:
    """Forecast the runs with what was read alone; errors are of the relative quality score."""
    found: dict[str, Any] = {}
    for share in SHARES:
        cuts = [cut for run in runs if (cut := run.history.until(share)) is not None]
        kept = [run for run in runs if run.history.until(share) is not None]
        if not cuts:
            continue
        true = np.array([_score(_finals(run), run) for run in kept])
        forecasts = oracle.forecast_many(cuts)
        error = np.abs(_medians(forecasts, kept) - true)
        last = np.array([
            _score([getattr(cut, metric)[-1] or 0.0 for metric in METRICS], run)
            for cut, run in zip(cuts, kept, strict=True)
        ])  # fmt: skip
        bounds = np.array([
            (quality.values[0], quality.values[-1]) if quality else (np.nan, np.nan)
            for forecast in forecasts
            for quality in [forecast.quality_on("relative")]
        ])  # fmt: skip
        found[f"{share:g}"] = {
            "error": float(error.mean()),
            "last": float(np.abs(last - true).mean()),
            "inside": float(((bounds[:, 0] <= true) & (true <= bounds[:, 1])).mean()),
            "abstains": float(np.mean([f.support < MIN_SUPPORT for f in forecasts])),
        }
    return found


def worth(oracle: Oracle) -> dict[str, float]:
    """What the error is times what it was, where a part is left out: on recorded test runs."""
    runs = [run for run in read_dataset(ROOT / RECORD) if not run.censored]
    cuts = [(run, cut) for run in runs if (cut := run.history.until(SHARE))]
    kept = [run for run, _ in cuts]
    true = np.array([_score(_finals(run), run) for run in kept])

    def error(parts: tuple[str, ...]) -> float:
        told = [without(cut, parts) for _, cut in cuts]
        return float(np.abs(_medians(oracle.forecast_many(told), kept) - true).mean())

    whole = error(())
    return {part: error((part,)) / whole for part in WORTHY}


def _finals(run: Run) -> list[float]:
    return [getattr(run, target) or 0.0 for target in TARGETS]


def _score(values: Any, run: Run) -> float:
    mqe, *ratios = values
    scale = run.history.context.mqe_of_mean or 1.0
    return float(np.dot([mqe / scale, *ratios], QUALITY_WEIGHTS))


def _medians(forecasts: Any, runs: list[Run]) -> Any:
    return np.array([
        _score([forecast.median(target) for target in TARGETS], run)
        for forecast, run in zip(forecasts, runs, strict=True)
    ])  # fmt: skip


def tables(found: dict[str, Any]) -> str:
    """Give the page's tables."""
    lines = [
        "| Library | runs | mqe, topographic error: largest difference to its own | "
        "weights as without the watch | error of the score at 10 / 20 / 50 % | last value | "
        "inside 90 % | abstains |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for library, one in found["libraries"].items():
        if not one:
            lines.append(f"| {library} | not installed here | | | | | | |")
            continue
        apart = ", ".join("none of its own" if d is None else f"{d:.0e}" for d in one["apart"])
        same = f"{one['same']} of {one['repeated']} bit for bit"

        def row(name: str, form: str, of: dict[str, Any] = one["judged"]) -> str:
            return " / ".join(format(of[f"{s:g}"][name], form) for s in SHARES if f"{s:g}" in of)

        lines.append(
            f"| {library} | {one['runs']} | {apart} | {same} | {row('error', '.3f')} | "
            f"{row('last', '.3f')} | {row('inside', '.0%')} | {row('abstains', '.0%')} |"
        )
    lines += [
        "",
        f"By `{found['model']}`, on tables that trained nothing; told is what is read from the "
        "map alone. The score is mqe / mqe_of_mean + topographic error + half the dead-neuron "
        "ratio. Few runs: a hint, not a claim; docs/quality.md has the claims.",
        "",
        f"What a part of the context is worth, on the runs of {RECORD}: the error "
        f"at {SHARE:.0%} of the run without it, times the error with it. `context_of` says once "
        "which fields are missing.",
        "",
        "| left out | error times |",
        "|---|---|",
        *(f"| {name} | {times:.2f} |" for name, times in found["worth"].items()),
    ]
    return "\n".join(lines)


def write(found: dict[str, Any]) -> None:
    """Write the page's tables and what they are made of."""
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    begin = "<!-- what it gives: written by `python -m bench.libraries` -->\n"
    new = re.sub(
        f"(?s)({re.escape(begin)}).*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{tables(found)}\n\n{match[2]}",
        text,
    )
    PAGE.write_text(new, encoding="utf-8")


def main() -> None:
    """Record and judge every library that is installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each library")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", help="a model folder; none = the default one")
    parser.add_argument("--only", nargs="*", help="libraries; the others keep their rows")
    parser.add_argument("--record", action="store_true", help="write data/foreign/, too")
    options = parser.parse_args()
    oracle = Oracle.load(options.model)
    model = f"{oracle.info.name} {oracle.info.version} ({oracle.info.sha256[:12]})"
    found: dict[str, Any] = {"model": model, "libraries": dict.fromkeys(LIBRARIES)}
    if options.only and RESULT.is_file():
        before = json.loads(RESULT.read_text(encoding="utf-8"))
        if before["model"] != model:
            raise SystemExit(f"bench.libraries: the other rows are of {before['model']}")
        found = before
    found["worth"] = worth(oracle)
    for library in options.only or LIBRARIES:
        if find_spec(LIBRARIES[library][0]) is None:
            print(f"{library} is not installed: make libraries")
            found["libraries"][library] = None
            continue
        done = [record(library, i, options.seed) for i in tqdm(range(options.runs), desc=library)]
        runs = [one.run for one in done]
        apart = np.array([one.apart for one in done])
        found["libraries"][library] = {
            "runs": len(runs),
            "apart": [None if np.isnan(c).all() else float(np.nanmax(c)) for c in apart.T],
            "same": sum(one.same is True for one in done),
            "repeated": sum(one.same is not None for one in done),
            "judged": judged(runs, oracle),
        }
        if options.record:
            path = ROOT / "data/foreign" / f"{library.lower()}.csv.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_dataset(path, runs, {"library": library, "seed": options.seed})
        write(found)
    print(tables(found))


if __name__ == "__main__":
    main()
