"""Maps of the libraries that `train_map` trains, small and seeded."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

DATA = np.concatenate(
    [np.random.default_rng(3).normal(c, 0.4, size=(25, 3)) for c in (-1.0, 0.5, 2.0)]
)
ROWS, COLS, FEATURES = 6, 5, 3
SHAPE = ROWS, COLS, FEATURES


class Case(NamedTuple):
    """One way in which one library trains.

    Attributes:
        module: that must be there.
        make: makes the map, seeded.
        own: what its own training method is told, after the data.
        takes_data: whether it is told the data.
        method: its name.
        tensor: whether it takes a tensor.
        steps: of the whole training, in its own counter.
        batch: samples that an update averages over.
        initialization: as `context_of` should read it.
    """

    module: str
    make: Callable[[], Any]
    own: dict[str, Any]
    takes_data: bool = True
    method: str = "train"
    tensor: bool = False
    steps: int = 0
    batch: float = 1
    initialization: str | None = "random"

    def data(self) -> Any:
        if not self.tensor:
            return DATA
        import torch

        return torch.tensor(DATA, dtype=torch.float32)

    def plainly(self, som: Any) -> None:
        getattr(som, self.method)(*((self.data(),) if self.takes_data else ()), **self.own)


def _quiet(make: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        random.seed(1)
        np.random.seed(1)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return make()

    return made


@_quiet
def minisom() -> Any:
    from minisom import MiniSom

    return MiniSom(*SHAPE, sigma=2.0, learning_rate=0.4, random_seed=1)


@_quiet
def xpysom() -> Any:
    from xpysom import XPySom

    return XPySom(*SHAPE, sigma=2.0, random_seed=1, xp=np, n_parallel=100)


@_quiet
def xpysom_hexagonal() -> Any:
    from xpysom import XPySom

    return XPySom(*SHAPE, sigma=2.0, random_seed=1, xp=np, topology="hexagonal", n_parallel=100)


def somoclu(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from somoclu import Somoclu

        start = np.random.default_rng(1).normal(size=(ROWS * COLS, FEATURES)).astype(np.float32)
        return Somoclu(COLS, ROWS, initialcodebook=start, **options)

    return made


def torchsom(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from torchsom import SOM

        return SOM(
            ROWS, COLS, FEATURES, epochs=8, batch_size=20, sigma=2.0, device="cpu", **options
        )

    return made


def intrasom(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from intrasom import SOMFactory

        return SOMFactory.build(DATA.copy(), mapsize=(COLS, ROWS), **options)

    return made


def python_som(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from python_som import SOM

        return SOM(*SHAPE, neighborhood_radius=2.0, random_seed=1, **options)

    return made


def simpsom(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        import sklearn.cluster, sklearn.decomposition, sklearn.metrics  # noqa: E401, F401, I001
        from simpsom import SOMNet  # it imports those once it is seeded, and they draw

        return SOMNet(ROWS, COLS, DATA, init="random", random_seed=1, **options)

    return made


def susi(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from susi import SOMClustering

        return SOMClustering(ROWS, COLS, random_state=1, **options)

    return made


@_quiet
def sklearn_som() -> Any:
    from sklearn_som.som import SOM

    return SOM(m=ROWS, n=COLS, dim=FEATURES, lr=0.5, sigma=1.5, random_state=1)


@_quiet
def gema() -> Any:
    from GEMA import Map

    return Map(size=ROWS, period=300, use_decay=True)


@_quiet
def awesom() -> Any:
    from awesom.som import IncrementalMap
    from awesom.weights import Weights

    weights = Weights(*SHAPE)
    weights._vectors[:] = np.random.default_rng(1).random((ROWS * COLS, FEATURES))
    return IncrementalMap(SHAPE, 5, 0.5, 3, weights=weights, seed=1)


def zsom(**options: Any) -> Callable[[], Any]:
    @_quiet
    def made() -> Any:
        from zsom import SOM

        rng = np.random.default_rng(1)
        return SOM(*SHAPE, rng=rng, use_numba=False, **options)

    return made


@_quiet
def fastersom() -> Any:
    from fastersom import SOM

    return SOM(ROWS, COLS, n_epochs=12, random_state=1, device="cpu")


_PHASES = {"train_rough_len": 6, "train_finetune_len": 9, "save": False, "summary": False,
           "n_job": 1}  # fmt: skip
CASES = {
    "minisom": Case("minisom", minisom, {"num_iteration": 400}, steps=400, initialization=None),
    "xpysom": Case("xpysom", xpysom, {"num_epochs": 10}, steps=10, batch=75, initialization=None),
    "xpysom-hexagonal": Case(
        "xpysom", xpysom_hexagonal, {"num_epochs": 10}, steps=10, batch=75, initialization=None
    ),
    **{
        f"somoclu-{grid}-{shape}-{cooling}": Case(
            "somoclu", somoclu(gridtype=grid, maptype=shape),
            {"epochs": 9, "radiuscooling": cooling, "scalecooling": cooling},
            steps=9, batch=75, initialization=None,
        )
        for grid in ("rectangular", "hexagonal")
        for shape in ("planar", "toroid")
        for cooling in ("linear", "exponential")
    },
    **{
        f"torchsom-{grid}-{'torus' if closed else 'planar'}": Case(
            "torchsom", torchsom(topology=grid, pbc=closed), {"verbose": False},
            method="fit", tensor=True, steps=8, batch=20,
        )
        for grid in ("rectangular", "hexagonal")
        for closed in (False, True)
    },
    **{
        f"intrasom-{lattice}-{shape}": Case(
            "intrasom", intrasom(lattice=lattice, mapshape=shape), _PHASES,
            takes_data=False, steps=15, batch=75,
        )
        for lattice in ("hexa", "rect")
        for shape in ("planar", "toroid")
    },
    **{
        f"python-som-{mode}": Case(
            "python_som", python_som(neighborhood_function=kernel),
            {"n_iteration": 200 if mode != "batch" else 12, "mode": mode},
            steps=200 if mode != "batch" else 12, batch=75 if mode == "batch" else 1,
            initialization=None,
        )
        for mode, kernel in
        (("random", "gaussian"), ("sequential", "mexicanhat"), ("batch", "bubble"))
    },
    "python-som-torus": Case(
        "python_som", python_som(cyclic_x=True, cyclic_y=True), {"n_iteration": 200},
        steps=200, initialization=None,
    ),
    **{
        f"simpsom-{way}{'-torus' if closed else ''}": Case(
            "simpsom", simpsom(PBC=closed),
            {"train_algo": way, "epochs": 120 if way == "online" else 10}, takes_data=False,
            steps=120 if way == "online" else 10, batch=1 if way == "online" else 75,
            initialization=None,
        )
        for way in ("online", "batch")
        for closed in (False, True)
    },
    "susi-online": Case("susi", susi(n_iter_unsupervised=300), {}, method="fit", steps=300),
    "susi-batch": Case(
        "susi",
        susi(n_iter_unsupervised=8, train_mode_unsupervised="batch", init_mode_unsupervised="pca"),
        {}, method="fit", steps=8, batch=75, initialization="pca",
    ),
    "sklearn-som": Case("sklearn_som", sklearn_som, {"epochs": 3}, method="fit", steps=225),
    "gema": Case("GEMA", gema, {}, steps=300),
    "awesom": Case("awesom", awesom, {}, method="fit", steps=375, initialization=None),
    "zsom": Case(
        "zsom", zsom(), {"epochs": 8, "learning_rate": 0.5}, method="fit", steps=8, batch=75,
        initialization=None,
    ),
    "zsom-hex": Case(
        "zsom", zsom(topology="hex", decay_schedule="exponential"),
        {"epochs": 8, "learning_rate": 0.5}, method="fit", steps=8, batch=75, initialization=None,
    ),
    "fastersom": Case("fastersom", fastersom, {}, method="fit", steps=12, batch=75),
}  # fmt: skip
