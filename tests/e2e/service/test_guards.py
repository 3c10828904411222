"""Who gets past the guard: pages of other origins, probes by address, callers without a key."""

from __future__ import annotations

import socket
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


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example:8000", 400),  # a name that its owner rebinds to this address
        ("", 400),
        ("127.0.0.1.evil.example", 400),
        ("192.0.2.7:8000", 200),
        ("[2001:db8::7]:8000", 200),
        ("localhost", 200),
        (socket.gethostname(), 200),
    ],
)
def test_without_keys_a_public_service_knows_addresses_and_its_own_name(
    tmp_path: Path, host: str, status: int
) -> None:
    with App(tmp_path, host="0.0.0.0", insecure=True) as app:
        answer = app.run(app.call("GET", "/v1/runs", headers={"host": host}))
        assert answer.status == status
        posted = {"host": host, "origin": f"http://{host}"}
        answer = app.run(app.call("POST", "/v1/decide", b"{}", headers=posted))
        assert answer.status == (status if status == 400 else 422)
        assert app.run(app.call("GET", "/healthz", headers={"host": host})).status == 200


def test_named_hosts_are_the_only_ones_on_a_public_address_too(tmp_path: Path) -> None:
    with App(tmp_path, host="0.0.0.0", insecure=True, allowed_hosts="som.example") as app:
        for host, status in (("som.example:80", 200), ("192.0.2.7", 400), ("localhost", 400)):
            assert app.run(app.call("GET", "/v1/runs", headers={"host": host})).status == status


def test_behind_a_proxy_that_names_itself_the_browser_is_believed_where_a_key_is_asked_for(
    app: App, tmp_path: Path
) -> None:
    page = {"origin": "https://seen.example", "authorization": f"Bearer {SECRET}"}
    assert call(app, "GET", "/v1/runs", **page, sec_fetch_site="same-origin").status == 200
    for site in ("cross-site", "same-site", "none", "same-origin, cross-site", ""):
        assert call(app, "GET", "/v1/runs", **page, sec_fetch_site=site).status == 403
    with App(tmp_path) as open_to_all:  # where a page that rebinds a name would need no key
        page = {"origin": "https://seen.example", "sec-fetch-site": "same-origin"}
        answer = open_to_all.run(open_to_all.call("GET", "/v1/runs", headers=page))
        assert answer.status == 403
        assert "hand on Host" in answer.json()["error"]["message"]
