"""KServe's protocol V2: the answers of `/v1/decide` as tensors, and errors that name the tensor."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inprocess import Answer, App

from oracle.server.http import examples
from oracle.server.http.keys import new_key
from oracle.server.http.wire_inference import INPUTS, JSON_LENGTH, OUTPUTS
from oracle.types import MAX_CHECKPOINTS

NAME = "shipped-default"
INFER = f"/v2/models/{NAME}/infer"
REQUEST = examples.INFERENCE


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("app")) as app:
        yield app


def post(app: App, body: Any, path: str = INFER, headers: dict[str, str] | None = None) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.run(app.call("POST", path, raw, headers))


def get(app: App, path: str, headers: dict[str, str] | None = None) -> Answer:
    return app.run(app.call("GET", path, headers=headers))


def tensors(answer: Answer) -> dict[str, list[Any]]:
    assert answer.status == 200, answer.body
    return {tensor["name"]: tensor["data"] for tensor in answer.json()["outputs"]}


def with_input(name: str, **change: Any) -> dict[str, Any]:
    """The example with one tensor changed, or added."""
    asked = copy.deepcopy(REQUEST)
    found = [tensor for tensor in asked["inputs"] if tensor["name"] == name]
    if not found:
        found = [{"name": name}]
        asked["inputs"] += found
    found[0].update(change)
    return asked


def test_it_is_what_decide_answers(app: App) -> None:
    decision = post(app, examples.HISTORY, "/v1/decide").json()
    found, forecast = tensors(post(app, REQUEST)), decision["forecast"]
    assert found.keys() == {tensor.name for tensor in OUTPUTS}
    assert {name: found[name] for name in forecast["final"]} == forecast["final"]
    assert found["levels"] == forecast["levels"]
    assert found["support"] == [forecast["support"]]
    assert (found["action"], found["reason"]) == ([decision["action"]], [decision["reason"]])


def test_context_and_unknown_values_are_heard(app: App) -> None:
    history = {
        **examples.HISTORY,
        "topographic_error": [None] * 3,
        "radius": [3.0, 2.0, None],
        "context": examples.PLAN["context"],
    }
    expected = post(app, history, "/v1/forecast").json()["final"]
    asked = with_input("topographic_error", data=[None] * 3)
    asked["inputs"] += [
        {"name": "radius", "shape": [3], "datatype": "FP64", "data": [3.0, 2.0, float("nan")]},
        {"name": "context", "shape": [1], "datatype": "BYTES",
         "data": [json.dumps(examples.PLAN["context"])]},
    ]  # fmt: skip
    found = tensors(post(app, asked))
    assert {name: found[name] for name in expected} == expected
    assert found["final_mqe"] != tensors(post(app, REQUEST))["final_mqe"]


def test_a_plan_alone_is_forecast(app: App) -> None:
    context = json.dumps(examples.PLAN["context"])
    asked = {
        "inputs": [
            {"name": "total_epochs", "shape": [1], "datatype": "FP64", "data": [1000]},
            {"name": "context", "shape": [1], "datatype": "BYTES", "data": [context]},
        ]
    }
    expected = post(app, examples.PLAN, "/v1/forecast").json()["final"]["final_mqe"]
    assert tensors(post(app, asked))["final_mqe"] == expected


def test_only_what_is_asked_for_is_answered(app: App) -> None:
    answer = post(app, {**REQUEST, "id": "a-1", "outputs": [{"name": "action"}]})
    assert tensors(answer).keys() == {"action"}
    assert answer.json()["id"] == "a-1"
    assert "id" not in post(app, REQUEST).json()


def test_binary_in_and_out(app: App) -> None:
    asked, tail = copy.deepcopy(REQUEST), b""
    for tensor in asked["inputs"]:
        piece = struct.pack(f"<{tensor['shape'][0]}d", *tensor.pop("data"))
        tensor["parameters"] = {"binary_data_size": len(piece)}
        tail += piece
    asked["outputs"] = [
        {"name": "final_mqe", "parameters": {"binary_data": True}},
        {"name": "levels"},
        {"name": "action", "parameters": {"binary_data": True}},
    ]
    head = json.dumps(asked).encode()
    answer = post(app, head + tail, headers={JSON_LENGTH: str(len(head)), "content-type": ""})
    assert answer.status == 200, answer.body
    size = int(answer.headers[JSON_LENGTH])
    told, rest = json.loads(answer.body[:size]), answer.body[size:]
    expected = tensors(post(app, REQUEST))
    assert struct.unpack("<5d", rest[:40]) == tuple(expected["final_mqe"])
    assert told["outputs"][1]["data"] == expected["levels"]
    assert rest[40:] == struct.pack("<I", len(rest) - 44) + expected["action"][0].encode()
    assert told["outputs"][0]["parameters"] == {"binary_data_size": 40}
    for wrong, named in (
        ({JSON_LENGTH: "-1"}, "Inference-Header-Content-Length"),
        ({JSON_LENGTH: str(len(head + tail) + 1)}, "Inference-Header-Content-Length"),
        ({JSON_LENGTH: str(len(head) - 1)}, "JSON"),
    ):
        told = post(app, head + tail, headers=wrong)
        assert told.status == 422
        assert named in told.json()["error"]
    longer = post(app, head + tail + b"x", headers={JSON_LENGTH: str(len(head))})
    assert "end with its last binary tensor" in longer.json()["error"]
    shorter = post(app, head + tail[:-1], headers={JSON_LENGTH: str(len(head))})
    assert "`total_epochs` must have a binary_data_size" in shorter.json()["error"]


def without(name: str) -> dict[str, Any]:
    return {"inputs": [t for t in REQUEST["inputs"] if t["name"] != name]}


LONG = MAX_CHECKPOINTS + 1
WRONG: dict[str, tuple[Any, str]] = {
    "unknown input": (
        with_input("secret", shape=[1], datatype="FP64", data=[1.0]), "`inputs.5.name` must be one",
    ),
    "unknown output": ({**REQUEST, "outputs": [{"name": "secret"}]}, "`outputs.0.name` must be"),
    "twice": ({"inputs": [*REQUEST["inputs"], REQUEST["inputs"][1]]}, "`mqe` must be given once"),
    "datatype": (with_input("mqe", datatype="FP16"), "`mqe` must have the datatype FP64 or FP32"),
    "text for numbers": (with_input("mqe", datatype="BYTES"), "`mqe` must have the datatype FP64"),
    "two dimensions": (with_input("mqe", shape=[1, 3]), "`mqe` must have as many dimensions as ep"),
    "three dimensions": (with_input("mqe", shape=[1, 1, 3]), "`mqe` must have a shape of one dim"),
    "no dimension": (with_input("mqe", shape=[]), "`mqe` must have a shape of one"),
    "negative": (with_input("mqe", shape=[-3]), "inputs.1.shape"),
    "other length": (with_input("mqe", shape=[2]), "`mqe` must have as many values in data"),
    "no data": (with_input("mqe", data=None), "`mqe` must have as many values in data"),
    "shorter column": (with_input("mqe", shape=[2], data=[0.5, 0.3]), "`mqe` must be as long as"),
    "two budgets": (
        with_input("total_epochs", shape=[2], data=[1, 2]), "`total_epochs` must have the shape",
    ),
    "text in a column": (with_input("mqe", data=[0.5, "0.3", 0.2]), "`mqe.1` must be a number"),
    "a list in a column": (with_input("mqe", data=[0.5, [0.3], 0.2]), "`mqe.1` must be a number"),
    "true in a column": (with_input("mqe", data=[0.5, True, 0.2]), "`mqe.1` must be a number"),
    "unknown mqe": (with_input("mqe", data=[0.5, None, 0.2]), "`mqe.1` must be a number"),
    "NaN mqe": (with_input("mqe", data=[0.5, float("nan"), 0.2]), "`mqe.1` must be a finite"),
    "negative mqe": (with_input("mqe", data=[0.5, -0.3, 0.2]), "`mqe.1` must be at least 0"),
    "falling epochs": (with_input("epochs", data=[10, 5, 100]), "`epochs` must be strictly incr"),
    "missing column": (without("mqe"), "`mqe` must be given"),
    "too long": (
        with_input("mqe", shape=[LONG], parameters={"binary_data_size": 8 * LONG}, data=None),
        f"`mqe` must have at most {MAX_CHECKPOINTS} values",
    ),
    "data and binary": (
        with_input("mqe", parameters={"binary_data_size": 24}), "`mqe` must come in data or in bin",
    ),
    "size of a text": (
        with_input("mqe", parameters={"binary_data_size": "24"}, data=None),
        "`mqe` must have a binary_data_size",
    ),
    "context": (
        with_input("context", shape=[1], datatype="BYTES", data=["{"]), "`context` must be a text",
    ),
    "context of a number": (
        with_input("context", shape=[1], datatype="BYTES", data=[1]), "`context` must be a text",
    ),
    "deep context": (
        with_input("context", shape=[1], datatype="BYTES", data=["[" * 9000]), "`context` must be",
    ),
    "field of context": (
        with_input("context", shape=[1], datatype="BYTES", data=['{"map_rows": -1}']),
        "`context.map_rows` must be above 0",
    ),
    "id": ({**REQUEST, "id": "<script>"}, "`id` must be a text of the pattern"),
    "no inputs": ({"inputs": []}, "`epochs` must be of one checkpoint at least"),
    "no object": ([], "`body` must be an object"),
    "no JSON": (b"{", "The body must be valid JSON"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "named"), WRONG.values(), ids=WRONG)
def test_wrong_tensors_are_named(app: App, body: Any, named: str) -> None:
    answer = post(app, body)
    assert answer.status == 422
    assert answer.json().keys() == {"error"}
    assert named in answer.json()["error"]
    assert "secret" not in answer.json()["error"]


def test_as_many_checkpoints_as_a_history_may_have(app: App) -> None:
    columns = {
        "epochs": [float(i + 1) for i in range(MAX_CHECKPOINTS)],
        **dict.fromkeys(("topographic_error", "dead_neuron_ratio"), [0.1] * MAX_CHECKPOINTS),
        "mqe": [1 / (i + 1) for i in range(MAX_CHECKPOINTS)],
    }
    asked = [
        {"name": name, "shape": [len(data)], "datatype": "FP64", "data": data}
        for name, data in columns.items()
    ]
    assert tensors(post(app, {"inputs": asked}))["action"]


def test_a_version_is_the_model_s_or_its_digest(app: App) -> None:
    active = get(app, "/v1/models/active").json()["model"]
    digest = active["sha256"]
    for version in (active["version"], digest, digest[:12]):
        path = f"/v2/models/{NAME}/versions/{version}"
        assert get(app, path).json()["versions"] == [active["version"]]
        assert get(app, f"{path}/ready").json() == {"name": NAME, "ready": True}
        assert tensors(post(app, REQUEST, f"{path}/infer")) == tensors(post(app, REQUEST))
    for version in ("0.0.1", digest[:11], digest.upper()):
        path = f"/v2/models/{NAME}/versions/{version}"
        asked = post(app, REQUEST, f"{path}/infer")
        for answer in (get(app, path), get(app, f"{path}/ready"), asked):
            assert answer.status == 404
            assert "`version` must be that of the model in use" in answer.json()["error"]


def test_metadata_is_the_manifest_s(app: App) -> None:
    active = get(app, "/v1/models/active").json()["model"]
    told = get(app, f"/v2/models/{NAME}").json()
    assert (told["name"], told["versions"]) == (active["name"], [active["version"]])
    assert [tensor["name"] for tensor in told["inputs"]] == [tensor.name for tensor in INPUTS]
    assert get(app, f"/v2/models/{NAME}/ready").json() == {"name": NAME, "ready": True}
    assert get(app, "/v2").json()["name"] == "som-oracle"
    assert get(app, "/v2/health/live").json() == {"live": True}
    assert get(app, "/v2/health/ready").json() == {"ready": True}
    assert get(app, "/v2/health/ready", {"host": "10.0.0.1"}).status == 200  # a balancer's probe


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/nothing", 404),
        ("POST", "/v2", 405),
        ("GET", INFER, 405),
    ],
)
def test_other_addresses(app: App, method: str, path: str, status: int) -> None:
    answer = app.run(app.call(method, path, json.dumps(REQUEST).encode()))
    assert (answer.status, list(answer.json())) == (status, ["error"])
    assert isinstance(answer.json()["error"], str)
    assert "other" not in answer.json()["error"].replace("Choose another", "")


def test_limits_are_those_of_other_routes(tmp_path: Path) -> None:
    secret, line = new_key("ann")
    key = {"authorization": f"Bearer {secret}"}
    limits: dict[str, Any] = {"max_body_bytes": 2000, "rate_limit_per_s": 0.01}
    with App(tmp_path, api_keys=line, rate_limit_burst=3, **limits) as app:
        for path in (f"/v2/models/{NAME}", INFER):
            assert post(app, REQUEST, path).status == 401
        assert isinstance(post(app, REQUEST).json()["error"], str)
        for path in ("/v2", "/v2/health/live", "/v2/health/ready"):
            assert get(app, path).status == 200
        document = get(app, "/openapi.json").json()["paths"]
        assert document["/v2/models/{name}/infer"]["post"]["security"]
        assert "security" not in document["/v2/health/ready"]["get"]
        told = post(app, REQUEST, headers={**key, "content-type": "text/plain"})
        assert (told.status, "application/octet-stream" in told.json()["error"]) == (415, True)
        assert post(app, b" " * 2001, headers=key).status == 413
        assert post(app, REQUEST, headers=key).status == 200
        refused = post(app, REQUEST, headers=key)
        assert (refused.status, "retry-after" in refused.headers) == (429, True)


def test_without_a_model(tmp_path: Path) -> None:
    with App(tmp_path, model=str(tmp_path / "none")) as app:
        assert get(app, "/v2/health/live").status == 200
        ready = get(app, "/v2/health/ready")
        assert (ready.status, ready.json()) == (503, {"ready": False})
        for answer in (post(app, REQUEST), get(app, f"/v2/models/{NAME}")):
            assert answer.status == 503
            assert "A model must be loaded" in answer.json()["error"]


def test_the_description_s_example_is_true(app: App) -> None:
    route = get(app, "/openapi.json").json()["paths"]["/v2/models/{name}/infer"]["post"]
    assert route["requestBody"]["content"]["application/json"]["example"] == REQUEST
    shown = route["responses"]["200"]["content"]["application/json"]["example"]
    answer = post(app, REQUEST).json()
    assert answer.keys() == shown.keys()
    for told, expected in zip(answer["outputs"], shown["outputs"], strict=True):
        assert {**told, "data": []} == {**expected, "data": []}
        assert len(told["data"]) == len(expected["data"])
    assert route["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "InferenceError"
    )
