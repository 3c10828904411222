"""What every test shares: a quiet, reproducible environment and the brief's history."""

from __future__ import annotations

import os
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test that needs TensorFlow to one worker: its import costs seconds and memory."""
    for item in items:
        if item.get_closest_marker("tensorflow"):
            item.add_marker(pytest.mark.xdist_group("tensorflow"))


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
    """Write a small artifact of random weights, without TensorFlow: never shipped.

    `write_stand_in(folder, **network)` returns the Artifact; equal calls write equal bytes, and
    `seed` and `name` make others. Its golden answers are ONNX Runtime's own.
    """
    import numpy as np

    from oracle.artifact import Artifact, write_artifact
    from oracle.features import FEATURES, FEATURES_VERSION
    from oracle.graph import Network, forward_graph, step_graph
    from oracle.manifest import Golden, Manifest, Scaling
    from oracle.onnx_file import write_onnx
    from oracle.runtime import Session

    def arrays_of(network: Network, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        return {
            name: rng.normal(0, 0.3, shape).astype(np.float32)
            for name, shape in forward_graph(network).weights.items()
        }

    def one_step(arrays: dict[str, Any], network: Network) -> dict[str, Any]:
        """Lay the arrays out for the one-step graph: gates i, f, o, c instead of i, o, f, c."""

        def swap(array: Any) -> Any:
            i, o, f, c = np.split(array, 4, axis=-1)
            return np.concatenate([i, f, o, c], axis=-1)

        laid = {k: v for k, v in arrays.items() if "lstm" not in k}
        for name in {k[:-2] for k in arrays if "lstm" in k}:
            w, r, b = (arrays[f"{name}_{part}"][0] for part in "WRB")
            laid[f"{name}_K"] = swap(np.concatenate([w.T, r.T]))
            laid[f"{name}_b"] = swap(np.add(*np.split(b, 2)))
        return {k: laid[k] for k in step_graph(network).weights}

    def write(
        folder: Any,
        *,
        name: str = "stand-in",
        seed: int = 0,
        calibration: dict[str, Any] | None = None,
        replace: bool = False,
        **shape: Any,
    ) -> Artifact:
        width = len(FEATURES)
        network = Network(n_features=width, **{"recurrent": (6, 5), "dense": (4,), **shape})
        arrays = arrays_of(network, seed)
        forward, step = write_onnx(forward_graph(network), arrays), None
        if not network.bidirectional:
            step = write_onnx(step_graph(network), one_step(arrays, network))
        rng = np.random.default_rng(seed)
        cases = [rng.normal(size=(n, width)).astype(np.float32) for n in (1, 3, 7)]
        answers = Session(forward).run_many(cases)
        return write_artifact(
            folder,
            Manifest(
                name=name,
                version="1",
                created="2026-01-01T00:00:00Z",
                architecture="bidirectional" if network.bidirectional else "lite",
                network=network,
                features_version=FEATURES_VERSION,
                features=FEATURES,
                scaling=Scaling(mean=(0.0,) * width, std=(1.0,) * width),
            ),
            forward=forward,
            step=step,
            calibration=calibration or {},
            golden=Golden.model_validate(
                {"sequence": [c.tolist() for c in cases], "quantiles": answers.tolist()}
            ),
            card="# Stand-in\nRandom weights, for tests.\n",
            replace=replace,
        )

    return write
