"""The short way past FastAPI: the same answers, and nothing that FastAPI would have to parse."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from inprocess import Answer, App

from oracle.server import routes_stateless
from oracle.server.http import examples
from oracle.server.http.fast_path import FastPath

BATCH = {"histories": [examples.HISTORY, {"epochs": []}]}


def answers(app: App, method: str, path: str, body: Any) -> tuple[int, dict[str, str], Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer: Answer = app.run(app.call(method, path, raw))
    headers = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}
    told = answer.json() if answer.body else None
    if isinstance(told, dict) and "error" in told:
        told["error"].pop("request_id")
    return answer.status, headers, told


def requests_counted(app: App) -> str:
    lines = app.run(app.call("GET", "/metrics", b"")).body.decode().splitlines()
    found = [x for x in lines if x.startswith("oracle_requests_total") and "/metrics" not in x]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/forecast", examples.HISTORY),
        ("POST", "/v1/decide", examples.HISTORY),
        ("POST", "/v1/explain", examples.HISTORY),
        ("POST", "/v1/decide", {"epochs": [1], "mqe": [-1]}),
        ("POST", "/v1/decide", b"no json"),
        ("POST", "/v1/decide/batch", BATCH),
        ("PUT", "/v1/decide", examples.HISTORY),
        ("POST", "/v1/decide/", examples.HISTORY),
    ],
)
def test_answers_are_those_of_the_long_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    with App(tmp_path) as app:
        short = answers(app, method, path, body)
        counted = requests_counted(app)

    async def past(self: FastPath, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    monkeypatch.setattr(FastPath, "__call__", past)
    with App(tmp_path) as app:
        assert answers(app, method, path, body) == short
        assert requests_counted(app) == counted


def test_direct_routes_take_the_request_alone() -> None:
    routes = [r for r in routes_stateless.router.routes if isinstance(r, APIRoute)]
    assert len(routes) == 5
    for route in routes:
        assert list(inspect.signature(route.endpoint).parameters) == ["request"]
        assert "{" not in route.path
