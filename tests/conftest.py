"""What every test shares: a quiet, reproducible environment and the brief's history."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before any import of NumPy, TensorFlow or matplotlib: one thread a worker (the tests run on all
# cores already), no chatter on stderr, no search for a GPU, no window.
os.environ.update(
    OMP_NUM_THREADS="1",
    OPENBLAS_NUM_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
    TF_NUM_INTEROP_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_ENABLE_ONEDNN_OPTS="0",
    CUDA_VISIBLE_DEVICES="",
    MPLBACKEND="Agg",
)
# Each of the hundreds of processes that tests start would compile all its libraries anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A developer's own settings must not decide whether the tests pass.
for _name in [n for n in os.environ if n.startswith("ORACLE_")]:
    del os.environ[_name]

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# No deadline: on a busy machine a slow example says nothing about the code. The blob that a
# failure prints reproduces it.
settings.register_profile(
    "oracle", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("oracle")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: many tests wait for a deadline, a server or a browser."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give to one worker what costs much and is made once.

    That is TensorFlow's import, of whatever file, and what a file's tests share: servers, browsers,
    trainings. A test of TensorFlow in a process of its own (`apart`) may run anywhere.
    """
    for item in items:
        mark = item.get_closest_marker("tensorflow")
        if mark is not None:
            if not mark.kwargs.get("apart"):
                item.add_marker(pytest.mark.xdist_group("tensorflow"))
        elif not item.get_closest_marker("xdist_group") and (group := _shared(item)):
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish() -> None:
    """Leave what thousands of items hold out of every later garbage collection."""
    gc.freeze()


def _shared(item: pytest.Item) -> str:
    """Where what a test shares is made: its folder, its file, or "" where it shares nothing."""
    known = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    if "ray_cluster" in known:
        return "ray"
    scopes = {made[-1].scope for made in known.values()}
    if "package" in scopes:
        return str(item.path.parent)
    return item.nodeid.partition("::")[0] if "module" in scopes else ""


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> None:
    """A service in this process sends all of our log to stderr: its own tests need that alone."""
    for name in ("oracle", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = False


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A real PostgreSQL server; every worker has its own."""
    from serving import Postgres, postgres_binaries

    if postgres_binaries() is None:
        pytest.skip(
            "POSTGRESQL IS NOT INSTALLED, so the store on it is NOT tested: "
            "apt-get install postgresql"
        )
    with Postgres(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two nodes; the tests that have it run on one worker."""
    from ray_nodes import ray_nodes

    with ray_nodes(2) as nodes:
        yield nodes


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that the service runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'oracle.db'}"
    url: str = request.getfixturevalue("postgres").database()
    return url


@pytest.fixture
def brief_history() -> dict[str, Any]:
    """The four arrays of the brief: the smallest valid history."""
    return {
        "epochs": [10, 50, 100],
        "mqe": [0.5, 0.3, 0.25],
        "topographic_error": [0.1, 0.09, 0.08],
        "dead_neuron_ratio": [0.2, 0.15, 0.12],
    }


@pytest.fixture(scope="session")
def write_stand_in() -> Any:
    """Write a small artifact of random weights: `small_model.write_stand_in`."""
    from small_model import write_stand_in

    return write_stand_in
