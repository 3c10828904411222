"""One population, many processes: forked, spawned, joblib's, Dask's, Ray's and submitit's."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minisom import MiniSom
from ray_nodes import ENVIRONMENT, Nodes
from worker import evaluate

from oracle import suggest, train_map
from oracle.errors import StoreUnavailable
from oracle.hook import Population
from oracle.hook.population import population_at

ON_RAY = """
import json, sys
import ray
from worker import evaluate

address, path = sys.argv[1:]
ray.init(address, log_to_driver=False, configure_logging=False)
remote = ray.remote(evaluate)
print(json.dumps(ray.get([remote.remote(path, f"r{i}") for i in range(8)])))
"""


def check(path: Path, results: list[tuple[int, str, int]], runs: int) -> None:
    assert len(results) == runs
    assert {problems for _, _, problems in results} == {0}
    tally = Population(path).tally("t")
    assert (tally.finished + tally.stopped, tally.live) == (runs, 0)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ends = [
            n for (n,) in db.execute("SELECT ended FROM run WHERE population = 't' ORDER BY ended")
        ]
    db.close()
    assert ends == list(range(1, runs + 1))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_worker_processes_share_a_population(tmp_path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    path = tmp_path / "runs.db"
    # The parent has the file open, so that forked workers inherit its connection.
    parent = population_at(path)
    parent.start("others", "parent")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        futures = [pool.submit(evaluate, path, f"r{i}", 0.1 + i / 50) for i in range(24)]
        results = [f.result(timeout=120) for f in futures]
    assert os.getpid() not in {pid for pid, _, _ in results}
    check(path, results, 24)
    assert len(parent.reference("t").outcomes) == 24  # the parent's connection still works
    parent.close()


def test_joblib_workers_share_a_population(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    path = tmp_path / "runs.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joblib's own, about this machine
        for backend in ("loky", "threading"):
            joblib.Parallel(n_jobs=2, backend=backend)(
                joblib.delayed(evaluate)(path, f"{backend}-{i}") for i in range(6)
            )
    assert Population(path).tally("t").finished + Population(path).tally("t").stopped == 12


@pytest.mark.postgres
def test_dask_workers_share_a_database(postgres: Any, tmp_path: Path) -> None:
    url = postgres.database()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Dask's own
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None,
                local_directory=str(tmp_path),
            ) as cluster,
            Client(cluster) as client,
        ):  # fmt: skip
            futures = [client.submit(evaluate, url, f"r{i}", pure=False) for i in range(8)]
            results = client.gather(futures)
    assert {problems for _, _, problems in results} == {0}
    assert os.getpid() not in {pid for pid, _, _ in results}
    shared = Population(url)
    tally = shared.tally("t")
    assert (tally.finished + tally.stopped, tally.live) == (8, 0)
    shared.close()


@pytest.mark.postgres
def test_plans_learn_of_a_database_and_leave_no_trace_in_it(postgres: Any) -> None:
    import psycopg

    url = postgres.database()
    data = np.random.default_rng(0).normal(size=(80, 3))
    asked = {"candidates": 5, "population": url}
    assert "no run has ended yet" in (suggest(data, 1, **asked).not_learned or "")
    with psycopg.connect(url) as connection:
        schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'oracle%'"
        assert connection.execute(schemas).fetchone() == (0,)
    for seed in range(2):
        som = MiniSom(4, 4, 3, random_seed=seed)
        train_map(som, data, 200, population=url, run_id=seed)
    found = suggest(data, 1, **asked)
    assert (found.learned, found.not_learned) == (2, None)
    with pytest.raises(StoreUnavailable, match="answers"):
        suggest(data, 1, candidates=5, population="postgresql://nobody@127.0.0.1:1/none")


def test_a_job_that_was_preempted_goes_on_from_its_saved_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On submitit's local engine, which requeues a preempted job as SLURM does."""
    tests = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tests}{os.pathsep}{tests.parent}")
    import submitit
    from submitted import EPOCHS, PREEMPTED_AFTER, Training

    executor = submitit.AutoExecutor(folder=tmp_path / "log", cluster="local")
    executor.update_parameters(timeout_min=3)
    job = executor.submit(Training(tmp_path), "r1")
    begun, told, state = job.result()
    assert begun == PREEMPTED_AFTER
    assert told == list(range(1, EPOCHS + 1))
    assert state == "finished"
    tally = Population(tmp_path / "runs.db").tally("default")
    assert (tally.finished, tally.live) == (1, 0)


def test_ray_workers_share_a_population(ray_cluster: Nodes, tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    # In a process of its own: this one may have forked, which Ray's threads do not survive.
    done = subprocess.run(
        [sys.executable, "-c", ON_RAY, ray_cluster.address, str(path)],
        env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    check(path, json.loads(done.stdout), 8)
