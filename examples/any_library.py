"""Maps of any library under watch, in one line each: whichever of these is installed.

pip install . minisom susi python-som simpsom      # in the clone; or others of docs/libraries.md
python examples/any_library.py
"""

import contextlib
import io
import tempfile
import warnings
from importlib.util import find_spec

import numpy as np

from oracle import Population, train_map

rng = np.random.default_rng(0)
data = np.concatenate([rng.normal(c, 0.5, size=(80, 4)) for c in (-2.0, 0.0, 1.5)])


def minisom(side, sigma, rate):
    """MiniSom: online."""
    from minisom import MiniSom

    som = MiniSom(side, side, 4, sigma=sigma, learning_rate=rate, random_seed=1)
    return train_map(som, data, 3000, random_order=True, **watched)


def susi(side, sigma, rate):
    """Susi: online, a radius of its own."""
    from susi import SOMClustering

    som = SOMClustering(
        side, side, n_iter_unsupervised=3000, learning_rate_start=rate, random_state=1
    )
    return train_map(som, data, **watched)


def python_som(side, sigma, rate):
    """python-som: batch, on a torus."""
    from python_som import SOM

    som = SOM(side, side, 4, neighborhood_radius=sigma, random_seed=1, cyclic_x=True, cyclic_y=True)
    return train_map(som, data, 40, mode="batch", **watched)


def simpsom(side, sigma, rate):
    """SimpSOM: batch, hexagons; it has the data from the start."""
    from simpsom import SOMNet

    som = SOMNet(side, side, data, init="random", random_seed=1)
    return train_map(som, train_algo="batch", epochs=40, **watched)


LIBRARIES = {
    "minisom": minisom, "susi": susi, "python_som": python_som, "simpsom": simpsom,
}  # fmt: skip
with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # the libraries' own
    runs = Population(f"{folder}/runs.db")
    watched = {"population": runs, "dataset": "three-clusters"}
    for name, train in LIBRARIES.items():
        if find_spec(name) is None:
            print(f"{name} is not installed")
            continue
        for _ in range(8):
            side = int(rng.integers(4, 11))
            with contextlib.redirect_stdout(io.StringIO()):  # some print as they train
                run = train(side, rng.uniform(0.5, side / 2), 10 ** rng.uniform(-2, 0))
            mark = "forecast" if run.fitness().censored else "final   "
            print(f"{name:10} {side:2}x{side:<2} {mark} {run.fitness().score():.3f}  {run.state}")
    print(runs.tally("three-clusters"))
    runs.close()
