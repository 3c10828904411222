"""The hook through the real service."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minisom import MiniSom
from serving import Server

from oracle.client import Client
from oracle.errors import OracleWarning
from oracle.hook import WatchedRun, watch
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


def reported(run: WatchedRun, epochs: range, factor: float = 1.0) -> WatchedRun:
    for epoch in epochs:
        mqe = 0.4 + 1.2 * np.exp(-epoch / 30) * factor
        run.report(epoch, mqe=mqe, topographic_error=0.1, dead_neuron_ratio=0.1)
    return run


def test_a_run_that_broke_off_goes_on_and_touches_no_other(server: Server) -> None:
    known = {"total_epochs": 100, "url": server.url, "population_name": "p", "timeout_s": 30}
    with contextlib.suppress(KeyboardInterrupt), watch(run_id="resumed", **known) as run:
        reported(run, range(5, 65, 5))
        raise KeyboardInterrupt
    with pytest.warns(OracleWarning, match="goes on from an earlier map"):
        run = reported(watch(run_id="resumed", **known), range(45, 105, 5), factor=1.02)
    run.finish()
    assert dict(run.problems.counts) == {"resumed": 1}
    with Client(server.url) as client:
        run_there = client.run("resumed")
    assert run_there.history.epochs == tuple(range(5, 105, 5))
    assert run_there.history.mqe[-1] == run.fitness().mqe
    assert [r.epoch for r in run_there.run.rewinds] == [45]
    assert run_there.run.state == "finished"
    with watch(run_id="after", **known) as after:
        reported(after, range(5, 105, 5))
    assert not after.problems.counts


def test_a_training_that_goes_back_within_a_run_says_so(server: Server) -> None:
    said = {"config": {"som": {"sigma": np.float64(2)}}, "tags": "own", "notes": "went back"}
    run = watch(total_epochs=100, url=server.url, run_id="back", timeout_s=30, **said)
    reported(run, range(10, 70, 10))
    run.rewind(40)
    reported(run, range(60, 110, 20), factor=1.1)
    run.finish()
    assert not run.problems.counts, run.summary()
    with Client(server.url) as client:
        there = client.run("back")
    assert there.history.epochs == (10, 20, 30, 40, 60, 80, 100)
    assert [r.epoch for r in there.run.rewinds] == [50]
    assert there.run.config == {"som.sigma": 2.0}
    assert (there.run.tags, there.run.notes) == (("own",), "went back")


def test_the_service_is_told_how_many_runs_are_planned(server: Server) -> None:
    known: dict[str, Any] = {"total_epochs": 100, "url": server.url, "population_name": "planned"}
    known |= {"timeout_s": 30, "population_size": np.int64(30)}
    run = reported(watch(run_id="planned-1", **known), range(10, 70, 10))
    assert not run.problems.counts
    with Client(server.url) as client:
        assert client.table("planned").planned == 30
    for odd in (0, 2.5, "many", 10**8):
        unwatched = watch(run_id="odd", **known | {"population_size": odd})
        assert "population_size" in str(unwatched.problems.messages)


def test_what_the_service_refuses_of_one_run_is_no_failure_of_it(server: Server) -> None:
    known = {"total_epochs": 100, "url": server.url, "population_name": "p", "timeout_s": 30}
    reported(watch(run_id="ended", **known), range(5, 105, 5)).finish()
    with (
        pytest.warns(OracleWarning),
        watch(run_id="ended", **known) as again,
    ):
        reported(again, range(5, 105, 5), factor=1.1)
    assert again.problems.counts["check"] == 20
    assert "The run has finished" in again.problems.messages["check"]
    with watch(run_id="healthy", **known) as healthy, Client(server.url) as client:
        reported(healthy, range(5, 105, 5))
        assert not healthy.problems.counts
        assert len(client.run("healthy").history) == 20
