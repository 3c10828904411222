"""`measure` says what each library says of its own map, to the last digit."""

from __future__ import annotations

import contextlib
import io
from itertools import product
from typing import Any

import numpy as np
import pytest

from oracle.history.grids import Grid
from oracle.history.metrics import measure

pytestmark = pytest.mark.filterwarnings("ignore")
SIZES = [(4, 4), (5, 5), (4, 5), (5, 4), (6, 7), (7, 6), (2, 3), (3, 2)]
DATA = np.random.default_rng(0).normal(size=(200, 3))


def library(name: str) -> Any:
    why = f"{name} IS NOT INSTALLED, so it is NOT tested: make libraries"
    with contextlib.redirect_stdout(io.StringIO()):
        return pytest.importorskip(name, reason=why)


def weights_of(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(rows * 10 + cols).normal(size=(rows, cols, 3))


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
def test_minisom(rows: int, cols: int, topology: str) -> None:
    som = library("minisom").MiniSom(rows, cols, 3, topology=topology)
    som._weights = weights_of(rows, cols)
    found = measure(som._weights, DATA, topology).topographic_error
    assert found == pytest.approx(som.topographic_error(DATA), abs=1e-12)  # it adds up shares


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("closed", [False, True])
def test_torchsom(rows: int, cols: int, topology: str, closed: bool) -> None:
    torch = library("torch")
    som = library("torchsom").SOM(rows, cols, 3, topology=topology, pbc=closed, device="cpu")
    som.weights.data = torch.tensor(weights_of(rows, cols), dtype=torch.float32)
    own = som.topographic_error(torch.tensor(DATA, dtype=torch.float32))
    name = "odd-r" if topology == "hexagonal" else topology
    found = measure(som.weights.numpy(), DATA.astype(np.float32), name, closed)
    assert found.topographic_error == pytest.approx(own, abs=1e-7)  # it divides in float32


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("lattice", ["hexa", "rect"])
@pytest.mark.parametrize("shape", ["planar", "toroid"])
def test_intrasom(rows: int, cols: int, lattice: str, shape: str) -> None:
    module = library("intrasom")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        som = module.SOMFactory.build(
            DATA.copy(), mapsize=(cols, rows), lattice=lattice, mapshape=shape, normalization=None
        )
        cols, rows = som.mapsize  # it makes the rows of a hexagonal torus even
        som.codebook.matrix = weights_of(rows, cols).reshape(rows * cols, 3)
        own = som.topographic_error
    name = {"hexa": "odd-r", "rect": "rectangular"}[lattice]
    found = measure(weights_of(rows, cols), DATA, name, shape == "toroid")
    assert found.topographic_error == own


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("closed", [False, True])
def test_simpsom_by_its_own_distances(rows: int, cols: int, closed: bool) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        net = library("simpsom").SOMNet(rows, cols, DATA, init="random", PBC=closed)
    weights = weights_of(rows, cols)
    nodes = weights.transpose(1, 0, 2).reshape(-1, 3)  # its list runs down the columns
    nearest = np.linalg.norm(DATA[:, None] - nodes, axis=2).argsort(axis=1)[:, :2]
    own = np.mean([
        net.node_list[a].get_node_distance(net.node_list[b]) > 1.001 for a, b in nearest
    ])  # fmt: skip
    grid = Grid("odd-r", closed, closed, skewed=True)
    assert measure(weights, DATA, grid).topographic_error == own


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("closed", list(product([False, True], repeat=2)))
def test_python_som_by_its_own_neighbourhood(
    rows: int, cols: int, closed: tuple[bool, bool]
) -> None:
    som = library("python_som").SOM(
        rows, cols, 3, neighborhood_function="bubble", cyclic_x=closed[0], cyclic_y=closed[1]
    )
    weights = weights_of(rows, cols)
    flat = weights.reshape(-1, 3)
    nearest = np.linalg.norm(DATA[:, None] - flat, axis=2).argsort(axis=1)[:, :2]
    own = np.mean([
        som.neighborhood(divmod(a, cols), 1.0)[divmod(b, cols)] == 0 for a, b in nearest
    ])  # fmt: skip
    assert measure(weights, DATA, Grid("rectangular", *closed)).topographic_error == own


@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_zsom_by_its_own_places(rows: int, cols: int) -> None:
    module = library("zsom")
    som = module.SOM(rows, cols, 3, rng=np.random.default_rng(0), topology="hex")
    weights = weights_of(rows, cols)
    where = som.hex_coords.reshape(-1, 2)
    nearest = np.linalg.norm(DATA[:, None] - weights.reshape(-1, 3), axis=2).argsort(axis=1)
    apart = np.linalg.norm(where[nearest[:, 0]] - where[nearest[:, 1]], axis=1)
    assert measure(weights, DATA, "odd-q").topographic_error == np.mean(apart > 1.001)
