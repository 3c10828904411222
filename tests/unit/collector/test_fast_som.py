"""The compiled core: MiniSom's bits where both can do the same, sound steps elsewhere."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from minisom import MiniSom

from collector.fast_som import NEIGHBORHOODS, FastSom
from collector.lattice import Grid, lattice
from collector.schedules import BETWEEN, RADIUS_ONLY, RATE_ONLY, schedule
from oracle.errors import OracleError
from oracle.history.metrics import measure


@pytest.mark.parametrize("topology", ["rectangular", "hexagonal"])
@pytest.mark.parametrize("neighborhood", ["gaussian", "bubble", "triangle"])
@pytest.mark.parametrize("use_epochs", [False, True])
def test_bits_of_minisom(topology: Grid, neighborhood: str, use_epochs: bool) -> None:
    rng = np.random.default_rng(7)
    # Feature counts around NumPy's unrolling by 8; sides down to 1; every decay; ties by samples.
    for number, features in enumerate((1, 2, 3, 7, 8, 9, 13, 16, 17, 40, 128)):
        data = rng.normal(size=(50, features))
        rows, cols = (int(side) for side in rng.integers(1, 10, 2))
        rate_decay, radius_decay = RATE_ONLY[number % 3], RADIUS_ONLY[(number // 3) % 3]
        sigma = float(rng.choice([0.7, 1.0, 2.0, 2.34, 3.0]))
        rate = 0.05 if neighborhood == "triangle" else 0.4
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # sigma too large, or not an integer for a bubble
            som = MiniSom(
                rows, cols, features, sigma=sigma, learning_rate=rate,
                decay_function=rate_decay, sigma_decay_function=radius_decay,
                neighborhood_function=neighborhood, topology=topology, random_seed=number,
            )  # fmt: skip
        if number % 2:
            som.random_weights_init(data)
        fast = FastSom(som.get_weights(), topology, neighborhood)
        iterations = 4 if use_epochs else 230
        som.train(data, iterations, use_epochs=use_epochs)
        updates = iterations * len(data) if use_epochs else iterations
        step_of = np.arange(updates) // (len(data) if use_epochs else 1)
        t = np.arange(iterations, dtype=np.float64)
        rates = schedule(rate_decay, t, iterations, rate)
        radii = schedule(radius_decay, t, iterations, sigma)
        for part in np.array_split(np.arange(updates), 3):  # segments do not show
            fast.online(data, part % len(data), step_of[part], rates, radii)
        np.testing.assert_array_equal(fast.weights, som.get_weights())


@pytest.mark.parametrize("grid", ["rectangular", "hexagonal", "hexagonal-cube", "torus"])
def test_measures_like_the_library(grid: Grid) -> None:
    rng = np.random.default_rng(3)
    for rows, cols, features in ((1, 1, 2), (1, 7, 3), (6, 5, 9), (5, 6, 20)):
        weights, data = rng.normal(size=(rows, cols, features)), rng.normal(size=(60, features))
        topology = "hexagonal" if grid.startswith("hexagonal") else "rectangular"
        got = FastSom(weights, grid, flat_measure=True).measure(data)
        assert got == pytest.approx(measure(weights, data, topology), abs=1e-12)


def test_cube_distance_counts_steps() -> None:
    """Breadth-first search over the neighbours gives the same distances."""
    for rows, cols in ((1, 5), (4, 7), (5, 4)):
        g = lattice(rows, cols, "hexagonal-cube")
        steps = np.sqrt(g.squared)[g.pair_class]
        reach = np.eye(rows * cols, dtype=bool)
        for distance in range(rows + cols):
            np.testing.assert_array_equal(reach, steps <= distance)
            reach = reach | (reach @ g.adjacent)


def test_torus_has_no_border() -> None:
    g = lattice(4, 6, "torus")
    squared = g.squared[g.pair_class]
    assert squared[0].reshape(4, 6)[3, 5] == 2.0
    assert squared.max() == 2**2 + 3**2
    np.testing.assert_array_equal(np.sort(squared, axis=1)[0], np.sort(squared, axis=1)[7])


def neighbours(row: int, col: int, rows: int, cols: int, hexagonal: bool) -> set[int]:
    """The neighbours of a neuron on a grid without borders, written out."""
    if not hexagonal:
        around = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]
        return {(row + r) % rows * cols + (col + c) % cols for r, c in around}
    # Every other column, the last among them, lies half a neuron back: its neighbours to the left
    # and right are of the row before and its own; those of the others of its own and the next.
    beside = (-1, 0) if (cols - 1 - col) % 2 == 0 else (0, 1)
    across = {(row + r) % rows * cols + (col + c) % cols for r in beside for c in (-1, 1)}
    return across | {(row + r) % rows * cols + col for r in (-1, 1)}


@pytest.mark.parametrize("grid", ["torus", "hexagonal-torus"])
def test_a_torus_is_measured_without_its_borders(grid: Grid) -> None:
    rng = np.random.default_rng(4)
    rows, cols, hexagonal = 5, 6, grid.startswith("hexagonal")
    weights, data = rng.normal(size=(rows, cols, 3)), rng.normal(size=(300, 3))
    distance = np.linalg.norm(data[:, None] - weights.reshape(-1, 3), axis=2)
    best, second = np.argsort(distance, axis=1)[:, :2].T
    apart = [
        s not in neighbours(*divmod(int(b), cols), rows, cols, hexagonal)
        for b, s in zip(best, second, strict=True)
    ]
    mqe, error, dead = FastSom(weights, grid).measure(data)
    assert error == pytest.approx(np.mean(apart), abs=1e-12)
    assert mqe == pytest.approx(distance.min(axis=1).mean(), rel=1e-12)
    assert dead == pytest.approx(1 - len(set(best.tolist())) / (rows * cols))
    # As if it had borders: more neighbours are none.
    flat = FastSom(weights, grid, flat_measure=True).measure(data)
    assert flat[1] is not None
    assert flat[1] > error
    assert (flat[0], flat[2]) == (mqe, dead)


@pytest.mark.parametrize("grid", ["torus", "hexagonal-torus"])
def test_every_neuron_of_a_torus_is_like_every_other(grid: Grid) -> None:
    found = lattice(4, 6, grid)
    hexagonal = grid.startswith("hexagonal")
    squared = np.sort(found.squared[found.pair_class], axis=1)
    np.testing.assert_allclose(squared, squared[[0]] * np.ones((24, 1)), atol=1e-9)
    for neuron in range(24):
        expected = neighbours(*divmod(neuron, 6), 4, 6, hexagonal)
        assert set(np.flatnonzero(found.adjacent[neuron]).tolist()) == expected
        assert len(expected) == (6 if hexagonal else 8)


@pytest.mark.parametrize("grid", ["torus", "hexagonal-torus"])
def test_a_torus_is_trained_across_its_borders(grid: Grid) -> None:
    """An update at a corner moves what lies beyond both borders as much as what lies within."""
    weights = np.zeros((6, 6, 1))
    weights[0, 0] = 0.1
    som = FastSom(weights, grid, "gaussian")
    som.online(np.array([[1.0]]), np.zeros(1, int), np.zeros(1, int), np.ones(1), np.full(1, 0.8))
    moved = som.weights[..., 0]
    assert moved[0, 0] == 1.0
    assert min(moved[1, 0], moved[0, 1]) > 0.1
    assert moved[1, 0] == pytest.approx(moved[5, 0])
    assert moved[0, 1] == pytest.approx(moved[0, 5])
    bordered = FastSom(weights, "hexagonal" if grid.startswith("hex") else "rectangular")
    bordered.online(
        np.array([[1.0]]), np.zeros(1, int), np.zeros(1, int), np.ones(1), np.full(1, 0.8)
    )
    assert bordered.weights[5, 0, 0] < 1e-3


@pytest.mark.parametrize("neighborhood", sorted(set(NEIGHBORHOODS) - {"mexican_hat", "triangle"}))
def test_one_sample_at_a_time_is_online(neighborhood: str) -> None:
    """A batch of one, averaged, is an online update."""
    rule = "mean"
    rng = np.random.default_rng(5)
    weights, data = rng.normal(size=(5, 6, 4)), rng.normal(size=(20, 4))
    order = np.arange(20)
    online, batch = (FastSom(weights, "hexagonal", neighborhood) for _ in range(2))
    online.online(data, order, order, np.full(20, 0.3), np.full(20, 1.7))
    for sample in order:
        batch.batch(data, order[sample : sample + 1], 0.3, 1.7, rule=rule)
    np.testing.assert_allclose(batch.weights, online.weights, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("neighborhood", "factor"), [("narrow_gaussian", 0.5**0.5)])
def test_narrower_gaussians(neighborhood: str, factor: float) -> None:
    """What a library calls the radius r reaches as far as a standard deviation of factor * r."""
    rng = np.random.default_rng(5)
    weights, data = rng.normal(size=(5, 6, 4)), rng.normal(size=(20, 4))
    order, radius = np.arange(20), np.full(20, 1.7)
    theirs, ours = (FastSom(weights, neighborhood=n) for n in (neighborhood, "gaussian"))
    theirs.online(data, order, order, np.full(20, 0.3), radius)
    ours.online(data, order, order, np.full(20, 0.3), factor * radius)
    np.testing.assert_allclose(theirs.weights, ours.weights, rtol=1e-6)


def test_batch_map_is_minisoms() -> None:
    rng = np.random.default_rng(6)
    data = rng.normal(size=(70, 5))
    som = MiniSom(6, 5, 5, sigma=2.0, learning_rate=0.5, random_seed=1)
    fast = FastSom(som.get_weights())
    som.train_batch_offline(data, 5)
    t = np.arange(5.0)
    rates, radii = (schedule("asymptotic_decay", t, 5, start) for start in (0.5, 2.0))
    for rate, radius in zip(rates, radii, strict=True):
        fast.batch(data, np.arange(70), float(rate), float(radius), rule="normalized")
    np.testing.assert_allclose(fast.weights, som.get_weights(), rtol=1e-10)


def test_radius_of_zero_moves_the_bmu_alone() -> None:
    weights = np.arange(6.0).reshape(2, 3, 1)
    som = FastSom(weights)
    som.online(np.array([[4.2]]), np.array([0]), np.array([0]), np.array([0.5]), np.array([0.0]))
    assert np.flatnonzero(som.weights.ravel() != weights.ravel()).tolist() == [4]


def test_unknown_names_are_listed() -> None:
    with pytest.raises(OracleError, match="gaussian"):
        FastSom(np.zeros((2, 2, 2)), neighborhood="square")
    with pytest.raises(OracleError, match="linear"):
        schedule("sudden", np.arange(3.0), 3, 1.0)


@pytest.mark.parametrize("kind", BETWEEN)
def test_schedules_fall_from_start_to_end(kind: str) -> None:
    values = schedule(kind, np.arange(101.0), 100, 0.9, 0.01, 3.0)
    assert values[0] == pytest.approx(0.9)
    assert (np.diff(values) <= 1e-12).all()
    if kind not in ("constant", "step_down"):
        assert values[-1] == pytest.approx(0.01, rel=0.01)
