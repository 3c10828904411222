"""KServe's protocol V2 for several histories at once: padded columns, and how long each is."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from inprocess import Answer, App

from oracle.server.http import examples
from oracle.server.http.wire_inference import JSON_LENGTH

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


def tensors(answer: Answer) -> dict[str, list[Any]]:
    assert answer.status == 200, answer.body
    return {tensor["name"]: tensor["data"] for tensor in answer.json()["outputs"]}


HISTORIES = [
    examples.HISTORY,
    {name: values[:2] if isinstance(values, list) else values
     for name, values in examples.HISTORY.items()},
    {**examples.HISTORY, "mqe": [0.9, 0.8, 0.7], "topographic_error": [0.2, None, 0.1]},
]  # fmt: skip


def batch(*, datatype: str = "FP64", rows: bool = True) -> dict[str, Any]:
    """HISTORIES as one request, padded to three checkpoints."""
    inputs: list[dict[str, Any]] = [
        {"name": "lengths", "shape": [3], "datatype": "INT32", "data": [3, 2, 3]},
        {"name": "total_epochs", "shape": [1], "datatype": datatype,
         "data": [examples.HISTORY["total_epochs"]]},
    ]  # fmt: skip
    for name, column in examples.HISTORY.items():
        if isinstance(column, list):
            data = [[*h[name], *[None] * (3 - len(h[name]))] for h in HISTORIES]
            flat = [value for row in data for value in row]
            inputs.append({"name": name, "shape": [3, 3], "datatype": datatype,
                           "data": data if rows else flat})  # fmt: skip
    return {"inputs": inputs}


@pytest.mark.parametrize("rows", [True, False])
def test_a_batch_is_answered_as_its_histories_are_alone(app: App, rows: bool) -> None:
    answer = post(app, batch(rows=rows))
    found = tensors(answer)
    shapes = {tensor["name"]: tensor["shape"] for tensor in answer.json()["outputs"]}
    assert (shapes["levels"], shapes["final_mqe"], shapes["action"]) == ([5], [3, 5], [3])
    for i, history in enumerate(HISTORIES):
        decision = post(app, history, "/v1/decide").json()
        assert found["final_mqe"][5 * i : 5 * i + 5] == pytest.approx(
            decision["forecast"]["final"]["final_mqe"], rel=1e-4
        )
        assert found["action"][i] == decision["action"]


def test_a_batch_of_one_keeps_its_dimension_and_plans_are_one_too(app: App) -> None:
    one = {
        "inputs": [{**t, "shape": [1, *t["shape"]]} if t["name"] != "total_epochs" else t
                   for t in REQUEST["inputs"]]
    }  # fmt: skip
    answer = post(app, one)
    assert tensors(answer)["final_mqe"] == pytest.approx(
        tensors(post(app, REQUEST))["final_mqe"], rel=1e-4
    )
    assert answer.json()["outputs"][1]["shape"] == [1, 5]
    plan = json.dumps(examples.PLAN["context"])
    plans = {"inputs": [{"name": "context", "shape": [2], "datatype": "BYTES", "data": [plan] * 2}]}
    assert len(tensors(post(app, plans))["action"]) == 2


def test_single_precision_in_binary(app: App) -> None:
    asked, tail = batch(datatype="FP32", rows=False), b""
    for tensor in asked["inputs"]:
        letter = "i" if tensor["datatype"] == "INT32" else "f"
        data = [float("nan") if value is None else value for value in tensor.pop("data")]
        piece = struct.pack(f"<{len(data)}{letter}", *data)
        tensor["parameters"] = {"binary_data_size": len(piece)}
        tail += piece
    head = json.dumps(asked).encode()
    answer = post(app, head + tail, headers={JSON_LENGTH: str(len(head))})
    assert tensors(answer)["final_mqe"] == pytest.approx(
        tensors(post(app, batch()))["final_mqe"], rel=1e-4
    )


def changed(name: str, **change: Any) -> dict[str, Any]:
    asked = batch()
    next(tensor for tensor in asked["inputs"] if tensor["name"] == name).update(change)
    return asked


WRONG_BATCHES = {
    "shape": (changed("mqe", shape=[1, 9], data=[0.5] * 9), "`mqe` must have the shape of epochs."),
    "rows": (changed("mqe", data=[[1.0], [2.0, 3.0], [4.0]]), "`mqe` must have rows of 3 values"),
    "lengths too long": (changed("lengths", data=[3, 4, 3]), "`lengths` must be whole numbers"),
    "lengths broken": (changed("lengths", data=[3, 1.5, 3]), "`lengths` must be whole numbers"),
    "fewer lengths": (changed("lengths", shape=[2], data=[3, 2]), "`lengths` must have the shape"),
    "budgets": (
        changed("total_epochs", shape=[2], data=[9, 9]), "`total_epochs` must have the shape",
    ),
    "none": (changed("epochs", shape=[0, 3], data=[]), "`epochs` must be of 1 to"),
    "one history": (
        changed("epochs", data=[[10, 50, 100], [50, 10, None], [10, 50, 100]]),
        "History 1: `epochs` must be strictly increasing",
    ),
    "lengths alone": (
        {"inputs": [*REQUEST["inputs"],
                    {"name": "lengths", "shape": [1], "datatype": "INT64", "data": [3]}]},
        "`lengths` must be left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "named"), WRONG_BATCHES.values(), ids=WRONG_BATCHES)
def test_wrong_batches_are_named(app: App, body: Any, named: str) -> None:
    answer = post(app, body)
    assert answer.status == 422
    assert named in answer.json()["error"]


def test_a_batch_of_another_version_is_refused(app: App) -> None:
    answer = post(app, batch(), f"/v2/models/{NAME}/versions/0.0.1/infer")
    assert answer.status == 404
    assert "`version` must be that of the model in use" in answer.json()["error"]
