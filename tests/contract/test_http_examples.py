"""The examples of /openapi.json are what the service takes and answers, numbers aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inprocess import App

from oracle.server.http import examples


@pytest.fixture
def app(tmp_path: Path) -> Any:
    with App(tmp_path) as app:
        yield app


def same_shape(answer: Any, example: Any, where: str = "") -> None:
    """Compare all but numbers and digests: those are the model's."""
    if isinstance(answer, dict):
        assert answer.keys() == example.keys(), where
        for key in answer.keys() - {"sha256", "version"}:
            same_shape(answer[key], example[key], f"{where}.{key}")
    elif isinstance(answer, list):
        assert len(answer) == len(example), where
        for one, other in zip(answer, example, strict=True):
            same_shape(one, other, where)
    elif isinstance(answer, float | int) and not isinstance(answer, bool):
        assert isinstance(example, float | int), where
    elif not where.endswith((".message", ".model.name")):
        assert answer == example, where


def without_nulls(example: Any) -> Any:
    """Leave out what FastAPI leaves out of every description."""
    if isinstance(example, dict):
        return {k: without_nulls(v) for k, v in example.items() if v is not None}
    return [without_nulls(v) for v in example] if isinstance(example, list) else example


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/forecast", examples.HISTORY, examples.FORECAST),
        ("/v1/explain", examples.HISTORY, examples.EXPLANATION),
        ("/v1/suggest", examples.SUGGEST, examples.SUGGESTIONS),
        ("/v1/decide", examples.HISTORY, examples.DECISION),
        (
            "/v1/decide/batch",
            {"histories": [examples.HISTORY]},
            {"results": [{"decision": examples.DECISION}]},
        ),
        ("/v1/runs/r-1/checkpoints", examples.CHECKPOINT, examples.FIRST_DECISION),
    ],
)
def test_examples_are_true(app: App, path: str, body: Any, expected: Any) -> None:
    answer = app.run(app.call("POST", path, json.dumps(body).encode()))
    assert answer.status in (200, 201)
    same_shape(answer.json(), expected)
    document = app.run(app.call("GET", "/openapi.json")).json()
    route = document["paths"][path.replace("r-1", "{run_id}")]["post"]
    described = route["requestBody"]["content"]["application/json"]
    if "examples" in described:  # a plan alone is taken too
        assert described["examples"]["usual"]["value"] == body
        assert described["examples"]["plan"]["value"] == examples.PLAN
        plan = app.run(app.call("POST", path, json.dumps(examples.PLAN).encode())).json()
        assert plan.get("forecast", plan).get("n_checkpoints", 0) == 0
        assert plan["progress"] == 0
    else:
        assert described["example"] == body
    shown = route["responses"][str(answer.status)]["content"]["application/json"]
    assert shown["example"] == without_nulls(expected)
    assert "$ref" in shown["schema"]
