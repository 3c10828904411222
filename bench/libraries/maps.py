"""Maps of each SOM library as a search would draw them, and what their training is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Draw = np.random.Generator
Made = tuple[Any, dict[str, Any]]
#: Draws a map and what its training is told: rows, columns, data, generator.
Sampler = Callable[[int, int, Any, Draw], Made]


def _rate(rng: Draw) -> float:
    return float(10 ** rng.uniform(-1.5, -0.05))


def _steps(rng: Draw) -> int:
    return int(np.exp(rng.uniform(6.2, 8.5)))


def seed_of(rng: Draw) -> int:
    """Draw the seed of a training."""
    return int(rng.integers(2**31))


def minisom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online; two grids, three decays."""
    from minisom import MiniSom

    som = MiniSom(
        rows, cols, data.shape[1], sigma=float(rng.uniform(1, max(rows, cols) / 2)),
        learning_rate=_rate(rng), random_seed=seed_of(rng),
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
        random_seed=seed_of(rng), xp=np,
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
        device="cpu", random_seed=seed_of(rng),
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
        rows, cols, data.shape[1], learning_rate=_rate(rng), random_seed=seed_of(rng),
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
        random_seed=seed_of(rng),
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
        learning_rate_end=0.01, random_state=seed_of(rng),
    )  # fmt: skip
    return som, {}


def sklearn_som(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Online, a radius that stays."""
    from sklearn_som.som import SOM

    passes = int(rng.integers(1, 8))
    som = SOM(
        m=rows, n=cols, dim=data.shape[1], lr=_rate(rng), sigma=float(rng.uniform(0.7, 3)),
        max_iter=passes * len(data), random_state=seed_of(rng),
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
        float(rng.uniform(1, max(rows, cols) / 2)), weights=weights, seed=seed_of(rng),
    ), {}  # fmt: skip


def zsom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch; both grids."""
    from zsom import SOM

    som = SOM(
        rows, cols, data.shape[1], rng=np.random.default_rng(seed_of(rng)),
        topology=str(rng.choice(["square", "hex"])), use_numba=False,
    )  # fmt: skip
    return som, {"epochs": int(rng.integers(10, 40)), "learning_rate": _rate(rng)}


def fastersom(rows: int, cols: int, data: Any, rng: Draw) -> Made:
    """Batch."""
    from fastersom import SOM

    return SOM(
        rows, cols, n_epochs=int(rng.integers(10, 60)), init=str(rng.choice(["random", "sample"])),
        sigma_initial=float(rng.uniform(1, max(rows, cols) / 2)), random_state=seed_of(rng),
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
