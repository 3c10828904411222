"""The hook through the real service."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from minisom import MiniSom
from serving import Server

from oracle.integrations.minisom import train
from oracle.types import Policy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("service"))
    server.start()
    yield server
    server.kill()


def stored(server: Server, run_id: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{server.url}/v1/runs/{run_id}", timeout=30) as answer:
        body: dict[str, dict[str, object]] = json.load(answer)
    return body["run"]


def som_and_data() -> tuple[MiniSom, np.ndarray]:
    data = np.random.default_rng(0).normal(size=(100, 4))
    return MiniSom(6, 6, 4, sigma=2, learning_rate=0.5, random_seed=1), data


def test_a_whole_run_is_stored_with_its_end(server: Server, tmp_path: Path) -> None:
    som, data = som_and_data()
    never = Policy(threshold=1000)
    run = train(som, data, 2000, url=server.url, policy=never, run_id="whole", timeout_s=30)
    assert not run.problems.counts, run.summary()
    assert run.state == "finished"
    told = stored(server, "whole")
    assert (told["state"], told["n_checkpoints"], told["censored"]) == ("finished", 20, False)
    assert run.decision is not None
    assert run.decision.model is not None


def test_the_services_stop_is_obeyed_and_censored(server: Server) -> None:
    som, data = som_and_data()
    policy = Policy(threshold=1e-6, caution=1e-7, control=0, min_support=0)
    run = train(
        som,
        data,
        2000,
        url=server.url,
        policy=policy,
        run_id="stopped",
        dataset="own",
        timeout_s=30,
    )
    assert not run.problems.counts, run.summary()
    assert run.state == "stopped", run.summary()
    assert run.fitness().censored
    assert stored(server, "stopped")["censored"] is True


def test_a_server_that_dies_stops_nothing(server: Server, tmp_path: Path) -> None:
    dying = Server(tmp_path / "dying")
    dying.start()
    som, data = som_and_data()
    dying.kill()
    with pytest.warns(UserWarning, match="could not"):
        run = train(som, data, 2000, url=dying.url, timeout_s=5)
    assert run.state == "finished"
    assert not run.fitness().censored
