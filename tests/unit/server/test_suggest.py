"""Suggestions over HTTP: JSON has arrays alone, and a table that is too large is told as such."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from inprocess import App

from oracle.client import Client
from oracle.errors import InvalidSearch, StoreUnavailable
from oracle.server.http.wire_suggest import read_space, told_space
from oracle.types import RunContext, Suggestions

CONTEXT = {"n_samples": 150, "n_features": 4, "mqe_of_mean": 1.95}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("suggest")) as app:
        yield app


def ask(app: App, **wanted: Any) -> Suggestions:
    body = {"context": CONTEXT, "n": 30, "candidates": 60, **wanted}
    answer = app.run(app.call("POST", "/v1/suggest", json.dumps(body).encode()))
    assert answer.status == 200, answer.body
    return Suggestions.model_validate_json(answer.body)


@pytest.mark.parametrize(
    ("where", "drawn"), [([8, 10], {8, 9, 10}), ([8, 10, 12], {8, 10, 12}), ([8, 12, 8], {8, 12})]
)
def test_two_numbers_are_a_range_and_more_are_choices(
    app: App, where: list[int], drawn: set[int]
) -> None:
    found = ask(app, space={"x": where, "topology": ["hexagonal", "rectangular"]})
    assert {plan.make["x"] for plan in found} == drawn


def test_a_table_beyond_what_is_known_is_answered_with_why(app: App) -> None:
    found = ask(app, context={**CONTEXT, "n_samples": 50_000})
    assert (found.plans, found.refused) == ((), 60)
    assert "`context.n_samples` must be of about" in str(found)
    with pytest.raises(InvalidSearch, match="rows at most"):
        list(found)
    # A question about one plan alone is no reason to ask for many.
    assert ask(app, context={**CONTEXT, "n_samples": 50_000}, candidates=1).unlike is None


@pytest.mark.parametrize("library", ["minisom", "nexussom", "xpysom", "susi"])
@pytest.mark.parametrize(
    ("name", "size"), [("n_samples", 0.5), ("n_samples", 1), ("n_features", 0.4)]
)
def test_a_table_of_no_two_rows_is_refused(app: App, library: str, name: str, size: float) -> None:
    body = {"context": {**CONTEXT, name: size}, "library": library, "candidates": 2, "budget": 1}
    answer = app.run(app.call("POST", "/v1/suggest", json.dumps(body).encode()))
    assert answer.status == 422
    assert f"`context.{name}` must be a number of" in answer.json()["error"]["message"]
    smallest = {**body, "context": {**CONTEXT, "n_samples": 2, "n_features": 1}}
    answer = app.run(app.call("POST", "/v1/suggest", json.dumps(smallest).encode()))
    assert answer.status == 200, answer.body


def test_a_clients_list_is_a_list_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def send(self: Client, method: str, path: str, body: Any = None, query: Any = None) -> Any:
        sent.append(body)
        return httpx.Response(400, json={})

    monkeypatch.setattr(Client, "_send", send)
    space = {"x": [8, 12], "y": (8, 12), "sigma": 2, "topology": ["hexagonal", "rectangular"]}
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(StoreUnavailable, match="no Suggestions"),
    ):
        client.suggest(RunContext(**CONTEXT), space=space)  # type: ignore[arg-type]
    assert read_space(json.loads(json.dumps(sent[0]["space"]))) == {**space, "x": [8, 12, 8]}
    assert told_space({"x": [8, 10, 12]}) == {"x": [8, 10, 12]}
