"""Who gets past the guard: pages of other origins, probes by address, callers without a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from inprocess import Answer, App

from oracle.server.http.keys import new_key

PAGE = "https://ui.example"
SECRET, LINE = new_key("ann")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(
        tmp_path_factory.mktemp("guards"),
        allowed_origins=PAGE,
        allowed_hosts="oracle.example",
        api_keys=LINE,
    ) as app:
        yield app


def call(app: App, method: str, path: str, **headers: str) -> Answer:
    given = {"host": "oracle.example", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return app.run(app.call(method, path, headers=given))


def preflight(app: App, origin: str) -> Answer:
    return call(
        app,
        "OPTIONS",
        "/v1/decide",
        origin=origin,
        access_control_request_method="POST",
        access_control_request_headers="authorization,content-type,last-event-id",
    )


def test_a_browser_may_ask_for_an_allowed_page(app: App) -> None:
    answer = preflight(app, PAGE)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "DELETE" in answer.headers["access-control-allow-methods"]


def test_its_answers_can_be_read_and_errors_too(app: App) -> None:
    key = f"Bearer {SECRET}"
    for path, authorization, status in (
        ("/v1/models", key, 200),
        ("/v1/nope", key, 404),
        ("/v1/models", "", 401),
    ):
        answer = call(app, "GET", path, origin=PAGE, authorization=authorization)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", f"{PAGE}.evil.example"])
def test_other_pages_are_refused(app: App, origin: str) -> None:
    for answer in (preflight(app, origin), call(app, "GET", "/v1/models", origin=origin)):
        assert answer.status == 403
        assert answer.json()["error"]["code"] == "forbidden"
        assert "access-control-allow-origin" not in answer.headers


def test_without_allowed_origins_no_page_may(tmp_path: Path) -> None:
    with App(tmp_path) as app:
        answer = app.run(app.call("GET", "/v1/models", headers={"origin": PAGE}))
        assert answer.status == 403
        own = app.run(app.call("GET", "/v1/models", headers={"origin": "http://127.0.0.1"}))
        assert own.status == 200
        assert not [name for name in own.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_by_address_is_answered_whatever_hosts_are_allowed(app: App, path: str) -> None:
    assert call(app, "GET", path, host="127.0.0.1:8000").status == 200
    assert call(app, "GET", "/docs", host="127.0.0.1:8000").status == 400


def test_a_page_can_read_that_the_service_is_busy(app: App) -> None:
    places = app.service.lanes["answers"]
    for _ in range(places.total):
        places.take("ann")
    answer = call(app, "GET", "/v1/models", origin=PAGE, authorization=f"Bearer {SECRET}")
    for _ in range(places.total):
        places.give_back("ann")
    assert answer.status == 503
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("name", ["host", "authorization", "origin", "content-type"])
def test_what_must_be_one_is_refused_twice(app: App, name: str) -> None:
    """A proxy in front may have looked at the other of the two."""
    given = {"host": "oracle.example", "authorization": f"Bearer {SECRET}", "origin": PAGE}
    given["content-type"] = "application/json"
    headers = [*given.items(), (name.title(), given[name])]
    answer = app.run(app.call("GET", "/v1/models", headers=headers))
    assert answer.status == 400
    assert f"{name.title()} header must be sent once" in answer.json()["error"]["message"]
    assert app.run(app.call("GET", "/v1/models", headers=[*given.items()])).status == 200
