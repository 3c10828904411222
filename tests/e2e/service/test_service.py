"""The service as its users meet it: started by the documented command, spoken to over a socket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import httpx
import pytest
from serving import HISTORY, JSON_HEADERS, Server, body, checkpoint, copy_model, post, until

from oracle.client import Client
from oracle.errors import (
    NotAuthorized,
    RunNotFound,
)
from oracle.server.http.keys import new_key
from oracle.types import Action, Decision, Forecast, History

#: A server that is told to end closes everything, then lets the signal have its way.
ENDED = (0, -signal.SIGTERM)


def test_forecast_and_decision_equal_those_in_process(server: Server) -> None:
    from serving import MODEL

    from oracle.decision.policy import decide
    from oracle.forecast.forecaster import Oracle

    oracle = Oracle.load(MODEL or None)
    history = History.parse(HISTORY)
    expected = oracle.forecast(history)
    with Client(server.url) as client:
        assert client.forecast(history).model_dump() == expected.model_dump()
        assert client.decide(history).model_dump() == decide(history, expected).model_dump()
        assert client.explain(history).model_dump() == oracle.explain(history).model_dump()
        batch = client.decide_batch([history, history.prefix(2)])
        assert [d.progress for d in batch if isinstance(d, Decision)] == [0.1, 0.05]


def test_an_option_that_is_a_default_wins_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the default of the data lies
    options = ("--host", "127.0.0.1", "--data-dir", "data", "--workers", "1")
    elsewhere = tmp_path / "elsewhere"
    with (
        Server(tmp_path, *options, host="0.0.0.0", data_dir=elsewhere, workers=2) as server,
        Client(server.url) as client,
    ):
        client.append("r", History.parse(checkpoint(10)))
    assert (tmp_path / "data/oracle.db").exists()
    assert not elsewhere.exists()


def test_a_bad_history_in_a_batch_gets_its_error(http: httpx.Client) -> None:
    bad = HISTORY | {"mqe": [1]}
    answer = post(http, "/v1/decide/batch", {"histories": [HISTORY, bad, 7]}).json()["results"]
    assert "decision" in answer[0]
    assert answer[1]["error"]["field"] == "mqe"
    assert answer[2]["error"]["code"] == "invalid"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (b"{", None),
        (b"", None),
        (b"[]", None),
        (b'"x"', None),
        (body(HISTORY).replace(b"0.5", b"NaN"), "mqe.0"),
        (body(HISTORY).replace(b"0.5", b"Infinity"), "mqe.0"),
        (body(HISTORY).replace(b"0.5", b"1e999"), "mqe.0"),
        (body(HISTORY).replace(b"0.5", b'"\\ud800"'), None),
        (body(HISTORY | {"secret-name": "secret-value"}), None),
        (body(HISTORY | {"context": {"secret-name": 1}}), "context"),
        (body(HISTORY | {"mqe": [0.5, 0.3]}), "mqe"),
        (body(HISTORY | {"mqe": [0.5, 0.3, -1]}), "mqe.2"),
        (body(HISTORY | {"mqe": [0.5, 0.3, "secret-value"]}), "mqe.2"),
        (body(HISTORY | {"epochs": [10, 9, 100]}), "epochs"),
        (body(HISTORY | {"total_epochs": 50}), "epochs"),
        (body(HISTORY | {"topographic_error": [0.1, 0.2, 1.2]}), "topographic_error.2"),
        (body(HISTORY | {"run_id": "../x"}), "run_id"),
        (body({}), "epochs"),
    ],
)
def test_bad_histories_name_the_field_and_echo_nothing(
    http: httpx.Client, value: bytes, field: str | None
) -> None:
    answer = http.post("/v1/forecast", content=value)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid"
    assert error.get("field") == field
    assert error["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    assert len(answer.content) < 1000


def test_other_refusals(http: httpx.Client) -> None:
    def code(response: httpx.Response) -> tuple[int, str]:
        return response.status_code, response.json()["error"]["code"]

    assert code(http.get("/nope")) == (404, "not_found")
    assert code(http.get("/v1/runs/nobody")) == (404, "not_found")
    assert code(http.get("/v1/runs/%2e%2e%2fetc")) == (404, "not_found")
    assert code(http.put("/v1/runs")) == (405, "method_not_allowed")
    assert code(http.get("/v1/runs?limit=0")) == (422, "invalid")
    assert code(http.get("/v1/runs?popluation=p")) == (422, "invalid")
    assert code(http.get("/v1/events?run=p")) == (422, "invalid")
    plain = {"Content-Type": "text/plain"}
    assert code(http.post("/v1/decide", content=body(HISTORY), headers=plain))[0] == 415
    gzip = {"Content-Encoding": "gzip"}
    assert code(http.post("/v1/decide", content=body(HISTORY), headers=gzip))[0] == 415
    assert code(http.get("/v1/runs", headers={"Host": "evil.example"})) == (400, "bad_request")
    origin = {"Origin": "http://evil.example"}
    assert code(http.get("/v1/runs", headers=origin)) == (403, "forbidden")
    own = {"Origin": str(http.base_url).rstrip("/")}
    assert http.get("/v1/runs", headers=own).status_code == 200


def test_every_answer_carries_the_guards_headers(http: httpx.Client) -> None:
    for path in ("/healthz", "/docs", "/nope", "/v1/runs"):
        headers = http.get(path, headers={"X-Request-ID": "mine"}).headers
        assert headers["x-request-id"] == "mine"
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_the_docs_load_nothing_from_outside(http: httpx.Client) -> None:
    page = http.get("/docs").text
    for route in http.get("/openapi.json").json()["paths"]:
        assert route in page
    assert "<script" not in page
    assert "src=" not in page
    assert 'href="http' not in page


def test_ready_says_which_model_and_metrics_count(http: httpx.Client) -> None:
    ready = http.get("/readyz").json()
    assert ready["ready"]
    assert ready["store"] == "ok"
    assert len(ready["model"]["sha256"]) == 64
    post(http, "/v1/decide", HISTORY)
    text = http.get("/metrics").text
    for name in (
        'oracle_requests_total{route="/v1/decide",status="200"}',
        "oracle_decisions_total{action=",
        "oracle_forecast_seconds_bucket",
        "oracle_forecast_support_bucket",
        "oracle_input_drift{feature=",
        "oracle_model_info{",
    ):
        assert name in text


def test_keys_let_owners_in_and_keep_them_apart(tmp_path: Path) -> None:
    (ann, ann_line), (bob, bob_line) = new_key("ann"), new_key("bob")
    keys = tmp_path / "keys"
    keys.write_text(f"# who may call\n{ann_line}\n")
    with Server(tmp_path, api_keys=bob_line, api_keys_file=keys, log_requests=1) as server:
        with Client(server.url, api_key=ann) as client:
            client.append("r", History.parse(checkpoint(10, population="p")))
            assert len(list(client.runs())) == 1
        with Client(server.url, api_key=bob) as client:
            assert list(client.runs()) == []
            with pytest.raises(RunNotFound):
                client.finish("r")
        with Client(server.url, api_key="wrong") as client, pytest.raises(NotAuthorized):
            client.models()
        answer = httpx.get(f"{server.url}/metrics")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        schemes = httpx.get(f"{server.url}/openapi.json").json()["components"]["securitySchemes"]
        assert schemes["key"]["scheme"] == "bearer"
        log = server.log.read_text()
        assert '"owner": "ann"' in log
        assert ann not in log
        assert bob not in log
        for line in log.splitlines()[1:]:
            json.loads(line)


def test_a_public_address_needs_keys() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "oracle", "serve", "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "`--host (ORACLE_HOST)` must be a loopback address" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_told(server: Server) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "oracle", "serve", "--port", str(server.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "in use" in ended.stderr


def test_a_new_key_is_shown_once_and_works() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "oracle", "serve", "--new-key", "ann"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(made.stdout.strip()) > 40
    assert "ORACLE_API_KEYS=ann:" in made.stderr


def test_several_workers_share_the_store_the_events_and_the_metrics(tmp_path: Path) -> None:
    with Server(tmp_path, workers=2) as server:
        seen: list[str] = []

        def listen() -> None:
            with Client(server.url) as client:
                for event in client.events(0):
                    seen.append(event["run"]["run_id"])
                    if len(seen) == 20:
                        return

        listener = Thread(target=listen)
        listener.start()
        for i in range(20):  # a connection each, so that both workers get some
            httpx.post(
                f"{server.url}/v1/runs/r{i}/checkpoints",
                content=body(checkpoint(10, population="p")),
                headers=JSON_HEADERS,
            ).raise_for_status()
        listener.join(30)
        assert seen == [f"r{i}" for i in range(20)]
        assert "oracle_checkpoints_total 20.0" in httpx.get(f"{server.url}/metrics").text
        assert server.stop() in ENDED


def test_it_starts_beside_a_kubernetes_service_and_ends_although_a_stream_is_open(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    server.environment["ORACLE_PORT"] = "tcp://10.96.14.2:8000"  # of a service of its name
    with server, httpx.stream("GET", f"{server.url}/v1/events", timeout=30):
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert server.stop() in ENDED


def test_without_a_model_it_abstains_and_is_not_ready(tmp_path: Path) -> None:
    server = Server(tmp_path, model=tmp_path / "none", models=tmp_path / "models")
    server.start(ready=False)
    try:
        assert httpx.get(f"{server.url}/readyz").status_code == 503
        with Client(server.url, attempts=1) as client:
            decision = client.decide(History.parse(HISTORY))
            assert (decision.action, decision.reason) == (Action.ABSTAIN, "no_model")
            assert client.append("r", History.parse(checkpoint(10))).reason == "no_model"
        answer = httpx.post(
            f"{server.url}/v1/forecast", content=body(HISTORY), headers=JSON_HEADERS
        )
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "no_model"
        assert answer.headers["retry-after"] == "1"
        # It turns up: the service finds it by itself.
        copy_model(tmp_path / "none")
        until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200, 30, "ready")
        with Client(server.url) as client:
            assert isinstance(client.forecast(History.parse(HISTORY)), Forecast)
    finally:
        server.kill()
