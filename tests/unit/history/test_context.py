"""What is read from a map and its data before a run starts."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from minisom import MiniSom

from oracle.errors import OracleWarning
from oracle.history import context as context_module
from oracle.history.context import context_of, mqe_of_mean
from oracle.history.geometry import geometry_of
from oracle.history.missing import WORTH
from oracle.types import RunContext, Schedule


class Everything(set[tuple[str, ...]]):
    """Holds all."""

    def __contains__(self, _: object) -> bool:
        return True


@pytest.fixture(autouse=True)
def nothing_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what these maps lack as told, but where that is what is tested."""
    monkeypatch.setattr(context_module, "_LACKING_TOLD", Everything())


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 3))


def test_minisom_tells_all_but_its_initialization(data: np.ndarray) -> None:
    som = MiniSom(4, 5, 3, sigma=2.0, learning_rate=0.5, topology="hexagonal")
    context = context_of(som, data, num_iteration=100, initialization="random")
    schedule = context.schedule
    assert schedule is not None
    assert schedule.learning_rate is not None
    assert schedule.radius is not None
    assert schedule.learning_rate[0] == 0.5
    assert schedule.radius[-1] == pytest.approx(2.0 / (1 + 99 / 50))
    assert context == RunContext(
        map_rows=4,
        map_cols=5,
        topology="hexagonal",
        toroidal=False,
        neighborhood="gaussian",
        n_samples=40,
        n_features=3,
        initialization="random",
        mqe_of_mean=float(np.linalg.norm(data - data.mean(axis=0), axis=1).mean()),
        total_updates=100,
        batch_size=1,
        schedule=schedule,
        geometry=geometry_of(data, 20),
    )
    assert context.geometry is not None


def test_a_column_that_the_map_ignores_is_no_feature(data: np.ndarray) -> None:
    mask = np.zeros(data.shape, dtype=bool)
    mask[:, 0] = True
    mask[3, 1] = True  # a missing entry leaves its column a feature
    assert context_of(None, data, ignore_mask=mask).n_features == 2


def test_minisom_in_epochs_with_a_decay_of_ones_own(data: np.ndarray) -> None:
    def halve(rate: float, t: int, n: int) -> float:
        return rate * 0.5**t

    som = MiniSom(4, 4, 3, sigma=1.0, learning_rate=0.8, decay_function=halve)
    context = context_of(som, data, num_iteration=5, use_epochs=True)
    assert context.total_updates == 200
    assert context.initialization is None
    assert context.schedule is not None
    assert context.schedule.learning_rate is not None
    assert context.schedule.learning_rate[-1] == pytest.approx(0.8 / 16)


def test_without_the_number_of_iterations_there_is_no_plan(data: np.ndarray) -> None:
    context = context_of(MiniSom(4, 4, 3), data)
    assert context.schedule is None
    assert context.total_updates is None
    assert context.map_rows == 4


@pytest.mark.parametrize(
    ("neighborhood", "reach"), [("bubble", 1.0), ("gaussian", 0.5), ("mexican_hat", 0.5)]
)
def test_xpysom_tells_its_plan(data: np.ndarray, neighborhood: str, reach: float) -> None:
    som = SimpleNamespace(
        topology="rectangular",
        neighborhood_func_name=neighborhood,
        _decay_function=lambda start, end, t, n: start + (end - start) * t / (n - 1),
        _learning_rate=0.5,
        _learning_rateN=0.1,
        _sigma=3.0,
        _sigmaN=1.0,
        _std_coeff=0.5,
        _weights=np.zeros((6, 7, 3)),
        train=lambda data, num_epochs, iter_beg=0, iter_end=None, verbose=False: None,
    )
    context = context_of(som, data, num_iteration=11)
    assert (context.map_rows, context.map_cols, context.batch_size) == (6, 7, 40)
    assert context.total_updates == 440
    assert context.schedule is not None
    assert context.schedule.radius is not None
    assert (context.schedule.radius[0], context.schedule.radius[-1]) == (3.0 * reach, 1.0 * reach)
    assert context.schedule.learning_rate is None  # it cancels out of XPySom's batch rule


@pytest.mark.parametrize(
    "som",
    [
        np.zeros((6, 7, 3)),
        np.zeros((6, 7, 3)).tolist(),
        SimpleNamespace(codebook=np.zeros((6, 7, 3))),
        SimpleNamespace(get_weights=lambda: np.zeros((6, 7, 3))),
    ],
    ids=["array", "lists", "somoclu", "getter"],
)
def test_any_map_gives_its_size(som: object, data: np.ndarray) -> None:
    context = context_of(som, data, topology="rectangular", total_updates=500)
    assert (context.map_rows, context.map_cols, context.total_updates) == (6, 7, 500)


def test_an_unknown_map_gives_the_table_at_least(data: np.ndarray) -> None:
    context = context_of(object(), data)
    assert context.n_samples == 40
    assert context.map_rows is None
    assert context.geometry == geometry_of(data)
    assert context.geometry is not None
    assert context.geometry.quantization_map is None


def test_the_shape_is_that_of_the_table_as_the_map_sees_it(data: np.ndarray) -> None:
    som = np.zeros((3, 5, 3))
    assert context_of(som, data).geometry == geometry_of(data, 15)
    assert context_of(som, data.tolist(), toroidal=True).toroidal is True
    mask = np.random.default_rng(1).random(data.shape) < 0.3
    masked = context_of(som, np.where(mask, np.nan, data), ignore_mask=mask)
    assert masked.geometry == geometry_of(data, 15, mask)
    assert masked.geometry != geometry_of(data, 15)
    for flat in (np.ones((40, 3)), data[:1], np.full((4, 3), np.nan)):
        assert context_of(som, flat).geometry is None


@pytest.mark.parametrize(
    ("data", "settings", "why"),
    [
        (np.zeros(5), {}, r"table could not be read \(`data` must be a table \[sample, feature\]"),
        ([[0.0, 1.0], [2.0, np.nan]], {}, "1 values that are not finite, .* row 1, column 1"),
        (SimpleNamespace(toarray=0), {}, "`data` must be dense.* Pass its toarray"),
        ("nonsense", {}, "a str that is no table"),
        ([["a", "b"], ["c", "d"]], {}, "numbers, but got 'a at row 0, column 0'"),
        (np.ones((50, 3)), {}, "no scale, for its rows are all equal"),
        (np.ones((1, 3)), {}, "no scale, for its rows are all equal"),
        (np.arange(6.0).reshape(3, 2) * 1e200, {}, "further apart than numbers go"),
        (np.arange(6.0).reshape(3, 2) * 1e-200, {}, "no scale"),
        (np.full((4, 3), np.inf), {}, "12 values that are not finite"),
        (np.arange(6.0).reshape(3, 2), {"topology": "spherical"}, "a value does not fit"),
        (np.arange(6.0).reshape(3, 2), {"total_updates": -1}, "a value does not fit"),
    ],
)
def test_what_does_not_fit_is_told_and_not_raised(
    data: object, settings: dict[str, object], why: str
) -> None:
    with pytest.warns(OracleWarning, match=why) as told:
        context = context_of(np.zeros((2, 2, 2)), data, **settings)  # type: ignore[arg-type]
    assert isinstance(context, RunContext)
    assert told[0].filename == __file__


def test_the_scale_of_a_table(data: np.ndarray) -> None:
    assert mqe_of_mean(np.ones((5, 2))) is None
    assert mqe_of_mean(np.array([[0.0, np.nan]])) is None
    assert mqe_of_mean(np.array([[-1.0], [1.0]])) == 1.0
    big = np.tile(data, (4000, 1))  # more rows than are held at once
    assert mqe_of_mean(big) == pytest.approx(mqe_of_mean(data))


def test_what_a_masked_array_masks_is_left_out(data: np.ndarray) -> None:
    masked = np.ma.array(data.copy(), mask=False)
    masked[3, 2] = np.ma.masked
    masked.data[3, 2] = 1e20  # the usual fill value
    ignored = np.zeros(data.shape, bool)
    ignored[3, 2] = True
    weights = np.zeros((4, 4, 3))
    scale = context_of(weights, masked).mqe_of_mean
    assert scale == context_of(weights, data, ignore_mask=ignored).mqe_of_mean
    assert scale == context_of(weights, masked, ignore_mask=np.zeros(data.shape)).mqe_of_mean
    assert context_of(weights, np.ma.array(data)).mqe_of_mean == mqe_of_mean(data)


def test_ignored_entries_do_not_count() -> None:
    data = np.array([[-1.0, 0.0], [1.0, 100.0], [0.0, 7.0]])
    mask = np.array([[False, True], [False, True], [False, True]])
    assert mqe_of_mean(data, mask) == pytest.approx(2 / 3)


def test_the_map_and_its_generator_stay_as_they_are(data: np.ndarray) -> None:
    som = MiniSom(4, 4, 3, random_seed=1)
    before = som._weights.copy(), som._random_generator.get_state()[1].copy()
    here = np.random.get_state()[1].copy()
    context_of(som, data, num_iteration=100)
    assert np.array_equal(before[0], som._weights)
    assert np.array_equal(before[1], som._random_generator.get_state()[1])
    assert np.array_equal(here, np.random.get_state()[1])


def test_what_is_missing_is_told_once_with_its_worth(
    data: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = np.zeros((4, 5, 3))
    monkeypatch.setattr(context_module, "_LACKING_TOLD", set())
    with pytest.warns(OracleWarning, match=r"lacks `schedule` and `total_updates` .*times"):
        context_of(weights, data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        context_of(weights, data)
        plan = Schedule(progress=(0, 1), radius=(2, 1))
        whole = {"schedule": plan, "total_updates": 100, "batch_size": 1}
        context_of(SimpleNamespace(), data, **whole)  # no more than sizes and kind lack
    with pytest.warns(OracleWarning, match="lacks `total_updates`"):
        context_of(weights, data, schedule=plan)


@pytest.mark.parametrize("name", WORTH)
def test_what_a_field_is_worth_stands_in_the_docs(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs/libraries.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| {name}"))
    assert f"| {WORTH[name][1]:.2f} |" in row
