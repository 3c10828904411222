"""Record runs of SOM libraries that trained nothing of the oracle, on tables it never saw.

    pip install --no-deps susi xpysom sklearn-som      # beside the development environment
    python -m bench.libraries                          # a minute; into data/foreign/
    make quality                                       # then shows them beside the others

Each library trains by its own code with its own words: radius and learning rate are recorded as it
calls them, though XPySom's Gaussian is exp(-2 d^2 / r^2) by default and sklearn-som's
exp(-d^2 / r^2), where most write exp(-d^2 / 2 r^2). Metrics are `oracle.measure`'s, as a
user's are.
"""

from __future__ import annotations

import argparse
import importlib.util
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from collector.som_run import checkpoint_updates
from collector.sources import dataset_names, load_dataset
from oracle.history.context import mqe_of_mean
from oracle.history.dataset import write_dataset
from oracle.history.metrics import measure
from oracle.types import METRICS, History, Run

Floats = npt.NDArray[np.float64]
#: Rows of a table at most: these libraries are written for clarity, not for speed.
MAX_ROWS = 1500
CHECKPOINTS = 25
#: Points at which the planned schedule is told.
PLANNED = np.linspace(0.0, 1.0, 33)


class Training(NamedTuple):
    """One run as a library is about to train it.

    Attributes:
        total: epochs planned, in the library's own counter.
        radius: by share of the run.
        rate: likewise, None for a batch map.
        samples_each: samples an epoch looks at.
        weights: gives [neuron, feature] after each epoch asked for, in increasing order.
        initialization: as the library calls it.
    """

    total: int
    radius: Callable[[float], float]
    rate: Callable[[float], float] | None
    samples_each: int
    weights: Callable[[list[int]], Iterator[Any]]
    initialization: str = "random"


Train = Callable[[int, int, Floats, np.random.Generator], Training]


def susi(rows: int, cols: int, data: Floats, rng: np.random.Generator) -> Training:
    """Online or batch, four decays; the radius falls from half the longer side."""
    from susi.SOMClustering import SOMClustering

    batch = rng.random() < 0.3
    total = int(rng.integers(10, 60)) if batch else int(np.exp(rng.uniform(6.2, 9.6)))
    decays = ["linear", "min", "exp", "expsquare"]
    radius_decay, rate_decay = (str(rng.choice(decays)) for _ in range(2))
    initialization = str(rng.choice(["random", "random_data", "pca"]))
    som = SOMClustering(
        rows,
        cols,
        init_mode_unsupervised=initialization,
        n_iter_unsupervised=total,
        train_mode_unsupervised="batch" if batch else "online",
        neighborhood_mode_unsupervised=radius_decay,
        learn_mode_unsupervised=rate_decay,
        learning_rate_start=float(rng.uniform(0.1, 0.9)),
        learning_rate_end=float(rng.uniform(0.01, 0.1)),
        random_state=int(rng.integers(2**31)),
    )
    radius, rate = som._calc_neighborhood_func, som._calc_learning_rate

    def weights(at: list[int]) -> Iterator[Any]:
        kept = {}

        def asked(curr_it: int, mode: str) -> Any:  # once an iteration, before it moves the map
            if curr_it in at:
                kept[curr_it] = som.unsuper_som_.copy()
            return radius(curr_it, mode)

        som._calc_neighborhood_func = asked
        som.fit(data)
        yield from (kept.get(epoch, som.unsuper_som_) for epoch in at)

    som.max_iterations_ = total
    som.radius_max_, som.radius_min_ = max(rows, cols) / 2, 1
    return Training(
        total,
        lambda share: radius(share * total, radius_decay),
        None if batch else lambda share: rate(share * total, rate_decay),
        len(data) if batch else 1,
        weights,
        initialization,
    )


def xpysom(rows: int, cols: int, data: Floats, rng: np.random.Generator) -> Training:
    """Batch maps; a Gaussian of half the radius as by default, or of the whole."""
    from xpysom import XPySom

    total = int(rng.integers(10, 100))
    start, end = float(rng.uniform(1, min(rows, cols) / 2)), float(rng.uniform(0.1, 1))
    som = XPySom(
        rows,
        cols,
        data.shape[1],
        sigma=start,
        sigmaN=end,
        decay_function=str(rng.choice(["exponential", "linear", "asymptotic"])),
        std_coeff=float(rng.choice([0.5, 1.0])),
        random_seed=int(rng.integers(2**31)),
        xp=np,
    )

    def weights(at: list[int]) -> Iterator[Any]:
        for done, epoch in zip([0, *at], at, strict=False):
            som.train(data, total, iter_beg=done, iter_end=epoch)
            yield som.get_weights()

    def radius(share: float) -> float:
        return float(som._decay_function(start, end, share * (total - 1), total))

    return Training(total, radius, None, len(data), weights)


def sklearn_som(rows: int, cols: int, data: Floats, rng: np.random.Generator) -> Training:
    """Online, a radius that stays, a learning rate that falls to 0."""
    from sklearn_som.som import SOM

    passes = int(rng.integers(1, 8))
    total = passes * len(data)
    rate, radius = float(rng.uniform(0.1, 1)), float(rng.uniform(0.5, 2.5))
    seed = int(rng.integers(2**31))
    som = SOM(m=rows, n=cols, dim=data.shape[1], lr=rate, sigma=radius, max_iter=total)
    som.random_state = seed
    som.weights = np.random.default_rng(seed).normal(size=(rows * cols, data.shape[1]))
    step = som.step

    def weights(at: list[int]) -> Iterator[Any]:
        kept, done = {}, 0

        def counted(sample: Any) -> None:
            nonlocal done
            step(sample)
            done += 1
            if done in at:
                kept[done] = som.weights.copy()

        som.step = counted
        som.fit(data, epochs=passes)
        yield from (kept.get(epoch, som.weights) for epoch in at)

    return Training(total, lambda _: radius, lambda share: rate * (1 - share), 1, weights)


LIBRARIES: dict[str, tuple[str, Train]] = {
    "sklearn-som": ("sklearn_som", sklearn_som),
    "susi": ("susi", susi),
    "xpysom": ("xpysom", xpysom),
}


def record(library: str, index: int, seed: int) -> Run:
    """Train run `index` of a library and record it."""
    rng = np.random.default_rng((seed, index, zlib.crc32(library.encode())))
    names = dataset_names("test")
    dataset = names[index % len(names)]
    data = load_dataset(dataset)
    data = data[rng.permutation(len(data))[:MAX_ROWS]]
    rows, cols = (int(side) for side in rng.integers(4, 15, 2))
    training = LIBRARIES[library][1](rows, cols, data, rng)
    spacing: Literal["log", "linear"] = "log" if rng.random() < 0.5 else "linear"
    at = checkpoint_updates(training.total, CHECKPOINTS, spacing)
    shares = [(epoch - 1) / training.total for epoch in at]  # of the last step done
    shape = (rows, cols, data.shape[1])
    measured = [measure(np.reshape(w, shape), data) for w in training.weights(at)]
    plan = {"progress": PLANNED.tolist(), "radius": [training.radius(s) for s in PLANNED]}
    columns: dict[str, Any] = {"radius": [training.radius(s) for s in shares]}
    if training.rate is not None:
        plan["learning_rate"] = [training.rate(s) for s in PLANNED]
        columns["learning_rate"] = [training.rate(s) for s in shares]
    history = History.parse(
        {
            "run_id": f"{library}-{index}",
            "dataset": dataset,
            "epochs": at,
            **dict(zip(METRICS, zip(*measured, strict=True), strict=True)),
            **columns,
            "total_epochs": training.total,
            "context": {
                "map_rows": rows,
                "map_cols": cols,
                "topology": "rectangular",
                "neighborhood": "gaussian",
                "n_samples": len(data),
                "n_features": data.shape[1],
                "initialization": training.initialization,
                "mqe_of_mean": mqe_of_mean(data),
                "total_updates": training.total * training.samples_each,
                "batch_size": training.samples_each,
                "schedule": plan,
            },
        }
    )
    return Run(
        run_id=f"{library}-{index}",
        source=library,
        dataset=dataset,
        final_mqe=history.mqe[-1],
        final_topographic_error=history.topographic_error[-1],
        final_dead_neuron_ratio=history.dead_neuron_ratio[-1],
        history=history,
    )


def main() -> None:
    """Record every library that is installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/foreign"))
    parser.add_argument("--runs", type=int, default=100, help="of each library")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for library, (module, _) in LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            print(f"{library} is not installed: pip install --no-deps {library}")
            continue
        runs = [record(library, i, options.seed) for i in tqdm(range(options.runs), desc=library)]
        path = options.out / f"{library}.csv.gz"
        write_dataset(path, runs, {"library": library, "seed": options.seed})
        print(f"{len(runs)} runs in {path}")


if __name__ == "__main__":
    main()
