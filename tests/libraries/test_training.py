"""`train_map` on the real libraries, those that are installed: `make libraries` installs them."""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from library_maps import CASES, DATA, Case
from made_up import StandIn

from oracle.errors import InvalidHistory, OracleWarning
from oracle.history.context import context_of
from oracle.history.libraries import adapter_of
from oracle.history.metrics import measure
from oracle.hook import WatchedRun, watch
from oracle.integrations.maps import train_map
from oracle.types import Policy

NEVER = Policy(threshold=1000, control=0)
SOON = Policy(threshold=1e-6, caution=1e-7, control=0)
#: Their own warnings are not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    found = CASES[request.param]
    if find_spec(found.module) is None:
        pytest.skip(f"{found.module} IS NOT INSTALLED, so it is NOT tested: make libraries")
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # IntraSOM writes where it stands


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def watched(case: Case, som: Any, **settings: Any) -> WatchedRun:
    with warnings.catch_warnings(record=True) as told, quietly():
        warnings.simplefilter("always")
        run = train_map(som, case.data(), model=StandIn(), **settings, **case.own)
    assert not [str(w.message) for w in told if "SOM Oracle" in str(w.message)]
    return run


def weights_of(case: Case, som: Any) -> np.ndarray:
    module = adapter_of(som)
    assert module is not None
    if case.module == "minisom":
        return np.array(som.get_weights())
    return np.array(module.Training(som, case.data(), **case.own).weights())


def test_a_run_that_nothing_stops_is_bit_identical(case: Case) -> None:
    theirs = case.make()
    np.random.seed(7)
    with quietly():
        case.plainly(theirs)
    mine = case.make()
    np.random.seed(7)
    run = watched(case, mine, policy=NEVER)
    assert run.state == "finished"
    assert not run.problems.counts, run.summary()
    assert np.array_equal(weights_of(case, mine), weights_of(case, theirs))


def test_a_stopped_run_is_the_beginning_of_the_whole_one(case: Case) -> None:
    som = case.make()
    checks = [case.steps // 4, case.steps // 2, case.steps]
    np.random.seed(7)
    run = watched(case, som, policy=SOON, checkpoints=checks)
    assert run.state == "stopped"
    assert run.decision is not None
    assert run.decision.progress == pytest.approx(checks[1] / case.steps)
    assert not run.problems.counts, run.summary()
    whole = case.make()
    np.random.seed(7)
    told = Told()
    watched(case, whole, policy=NEVER, checkpoints=checks, watch=told)
    assert measured(case, som).mqe == pytest.approx(told.mqe[checks[1]], rel=1e-12)
    # Nothing of ours is left in the map.
    assert not [name for name, value in vars(som).items() if "own_training" in repr(type(value))]


class Told:
    """`watch`, noting what is reported."""

    def __init__(self) -> None:
        self.mqe: dict[float, float] = {}

    def __call__(self, **settings: Any) -> WatchedRun:
        run = watch(**settings)
        report = run.report

        def reported(epoch: float, **values: Any) -> Any:
            self.mqe[epoch] = values["mqe"]
            return report(epoch, **values)

        run.report = reported  # type: ignore[assignment, method-assign]
        return run


def measured(case: Case, som: Any) -> Any:
    if case.module == "minisom":
        return measure(som.get_weights(), DATA)
    module = adapter_of(som)
    assert module is not None
    training = module.Training(som, case.data(), **case.own)
    return measure(training.weights(), training.samples(), training.grid())


def test_everything_is_read_and_nothing_typed(case: Case) -> None:
    run = watched(case, case.make(), policy=NEVER)
    context = run.context
    assert (context.map_rows, context.map_cols)[: 1 + (case.module != "GEMA")] == (6, 5)[
        : 1 + (case.module != "GEMA")
    ]
    assert (context.n_samples, context.n_features) == (75, 3)
    assert context.batch_size == case.batch
    assert context.topology is not None
    assert context.toroidal is not None
    assert context.neighborhood is not None
    assert context.mqe_of_mean is not None
    assert context.initialization == case.initialization
    assert context.schedule is not None
    assert context.schedule.radius is not None
    assert (context.schedule.learning_rate is None) == (case.batch == 75 and case.module != "zsom")


def test_without_the_call_there_is_no_plan_but_the_maps_own(case: Case) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        context = context_of(case.make(), DATA)
    assert not [str(w.message) for w in told if "could not be read" in str(w.message)]
    assert context.map_rows == 6
    assert context.topology is not None


def test_measured_as_the_library_measures_itself(case: Case) -> None:
    som = case.make()
    run = watched(case, som, policy=NEVER)
    fitness = run.fitness()
    own = _own_topographic_error(case, som)
    if own is not None:
        assert fitness.topographic_error == pytest.approx(own, abs=1e-7)


def _own_topographic_error(case: Case, som: Any) -> float | None:
    if case.module == "intrasom":
        with quietly():
            return float(som.topographic_error)
    # XPySom's own fails on hexagons that are not as many wide as high.
    if case.module in ("torchsom", "minisom", "fastersom", "xpysom") and (
        case.module,
        getattr(som, "topology", None),
    ) != ("xpysom", "hexagonal"):
        return float(som.topographic_error(case.data()))
    return None


class Locked:
    """A decay of a user's own, that no copy can be made of."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: list[int] = []

    def __call__(self, value: float, t: int, n: int) -> float:
        self.asked.append(t)
        return value / (1 + t / n)


def test_a_decay_that_cannot_be_copied_costs_the_plan_alone() -> None:
    python_som = pytest.importorskip("python_som")
    decay = Locked()
    som = python_som.SOM(6, 5, 3, random_seed=1, neighborhood_radius_decay=decay)
    run = train_map(som, DATA, 100, model=StandIn(), policy=NEVER)
    assert decay.asked == list(range(100))  # by the training, and by nobody else
    assert run.state == "finished"
    assert run.context.schedule is None
    assert run.context.total_updates == 100


def test_a_plan_that_cannot_be_read_costs_the_watch_alone() -> None:
    susi = pytest.importorskip("susi")

    class Uncopyable(susi.SOMClustering):  # type: ignore[misc, name-defined]
        def __copy__(self) -> Any:
            raise TypeError("no copies")

    made = [
        kind(4, 4, n_iter_unsupervised=30, random_state=1)
        for kind in (Uncopyable, susi.SOMClustering)
    ]
    with pytest.warns(OracleWarning, match="could not read what will be trained"):
        run = train_map(made[0], DATA, model=StandIn(), policy=NEVER)
    made[1].fit(DATA)
    assert np.array_equal(made[0].unsuper_som_, made[1].unsuper_som_)
    assert "could not read what will be trained" in run.summary()


def test_a_map_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidHistory, match=r"torchsom.*docs/hook.md"):
        train_map(object(), DATA, 10)


def test_an_argument_that_the_library_has_not_is_its_own_error() -> None:
    with pytest.raises(TypeError, match="chekpoints"):
        train_map(CASES["minisom"].make(), DATA, 10, chekpoints=3)
