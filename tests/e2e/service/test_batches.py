"""Batches: the answers of single requests, and bounds that keep everybody else served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from inprocess import Answer, App
from serving import HISTORY, JSON_HEADERS, Server, body

from oracle.server.batch import PIECE

PATH = "/v1/decide/batch"
LONG: dict[str, Any] = {
    "epochs": list(range(1, 101)),
    "mqe": [1 / n for n in range(1, 101)],
    "topographic_error": [0.1] * 100,
    "dead_neuron_ratio": [0.2] * 100,
    "total_epochs": 1000,
}
MANY = body({"histories": [HISTORY] * (3 * PIECE)})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("batches")) as server:
        yield server


def post(server: Server, path: str, content: bytes) -> httpx.Response:
    return httpx.post(server.url + path, content=content, headers=JSON_HEADERS, timeout=60)


def rounded(value: Any) -> Any:
    """Numbers within rounding: together histories are forecast a few millionths differently."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return pytest.approx(value, rel=1e-5, abs=1e-5) if isinstance(value, float) else value


@pytest.mark.parametrize("policy", [None, {"name": "population", "risk": 0.02}])
def test_a_decision_in_a_batch_is_the_one_given_alone(server: Server, policy: Any) -> None:
    histories = [HISTORY, LONG, HISTORY | {"run_id": "r", "mqe": [0.5, 0.6, 0.7]}]
    common = {"policy": policy} if policy else {}
    results = post(server, PATH, body({"histories": histories, **common})).json()["results"]
    for history, result in zip(histories, results, strict=True):
        alone = post(server, "/v1/decide", body(history | common)).json()
        assert result == {"decision": rounded(alone)}
        assert set(result["decision"]["policy"]) > {"name"}
        assert result["decision"]["forecast"]["levels"]


@pytest.mark.parametrize("generation", [False, True])
def test_every_history_gets_its_answer_over_all_pieces(server: Server, generation: bool) -> None:
    histories = [HISTORY if i % 3 else HISTORY | {"mqe": [1]} for i in range(PIECE + 2)]
    asked = {"histories": histories, "generation": generation}
    results = post(server, PATH, body(asked)).json()["results"]
    assert [list(result) for result in results] == [
        ["decision"] if i % 3 else ["error"] for i in range(PIECE + 2)
    ]
    assert results[0]["error"]["field"] == "mqe"


@pytest.mark.parametrize("rest", [b'[{}, 7, "x"', b"[{},]}", b"[{} {}]}", b"[1] 2}", b"[{]}"])
def test_what_is_no_json_is_refused_as_a_whole(server: Server, rest: bytes) -> None:
    answer = post(server, PATH, b'{"histories": ' + rest)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("The body must be valid JSON")


@pytest.mark.parametrize("value", [{}, {"histories": []}, {"histories": 7}])
def test_histories_must_be_given(server: Server, value: Any) -> None:
    answer = post(server, PATH, body(value))
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "histories"


def test_others_are_answered_while_batches_are_worked_off(server: Server) -> None:
    inner = b"[" + b"[]," * 2_000 + b"[]]"
    bodies = [
        body({"histories": [LONG] * 1_000}),
        b'{"histories":[' + b"[]," * 2_600_000 + b"[]]}",
        b'{"histories":[' + b",".join([inner] * 1_000) + b"]}",
        b'{"histories":[{"epochs":[' + b"{}," * 300_000 + b"{}]}]}",
    ]
    answers: list[httpx.Response] = []
    threads = [Thread(target=lambda b=b: answers.append(post(server, PATH, b))) for b in bodies]
    for thread in threads:
        thread.start()
    took_s = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while any(thread.is_alive() for thread in threads):
            began = time.perf_counter()
            assert client.get("/healthz").status_code == 200
            took_s.append(time.perf_counter() - began)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 422]
    took_s.sort()
    # A busy machine makes all of it slower alike; while batches kept others waiting, one answer
    # would take as long as a batch.
    whole_s = sum(took_s)
    assert took_s[int(0.95 * len(took_s))] < max(0.2, whole_s / 25)
    assert took_s[-1] < max(1, whole_s / 5)


def test_one_batch_too_many_is_refused_at_once(tmp_path: Path) -> None:
    async def several(served: App) -> list[Answer]:
        return await asyncio.gather(*(served.call("POST", PATH, MANY) for _ in range(5)))

    with App(tmp_path, max_waiting_batches=2) as served:
        answers = served.run(several(served))
        assert [answer.status for answer in answers] == [200, 200, 503, 503, 503]
        assert answers[-1].headers["retry-after"] == "1"
        assert served.run(served.call("POST", PATH, MANY)).status == 200  # the places are free


def test_a_batch_that_takes_too_long_ends(tmp_path: Path) -> None:
    with App(tmp_path, batch_timeout_s=0.001) as served:
        answer = served.run(served.call("POST", PATH, MANY))
        assert answer.status == 503
        assert answer.headers["retry-after"] == "1"
        assert "0.001 s" in answer.json()["error"]["message"]


def test_a_batch_that_nobody_waits_for_ends(tmp_path: Path) -> None:
    pieces: list[int] = []
    with App(tmp_path) as served:
        models = served.service.models
        answer_all = models.forecast_many

        def counted(histories: Any, oracle: Any) -> Any:
            pieces.append(len(histories))
            return answer_all(histories, oracle)

        models.forecast_many = counted
        with pytest.raises(IndexError):  # no answer at all
            served.run(served.call("POST", PATH, MANY, stays=False))
        assert pieces == [PIECE]
        assert served.run(served.call("POST", PATH, MANY)).status == 200
