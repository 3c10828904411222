"""What stands around a service, and bodies as real clients write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from inprocess import Answer, App
from serving import HISTORY, body, checkpoint

BOM = b"\xef\xbb\xbf"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    with App(tmp_path_factory.mktemp("edges")) as app:
        call(app, "POST", "/v1/runs/r/checkpoints", body(checkpoint(10, population="p")))
        yield app


def call(app: App, method: str, path: str, raw: bytes = b"") -> Answer:
    return app.run(app.call(method, path, raw))


@pytest.mark.parametrize(
    "path",
    [
        *("/healthz", "/readyz", "/v1/runs", "/v1/runs/r", "/v1/populations/p", "/v1/models"),
        *("/docs", "/openapi.json", "/", "/assets/main.js", "/v1/runs/nobody", "/nope"),
    ],
)
def test_head_is_get_without_its_body(app: App, path: str) -> None:
    """Uptime monitors and balancers ask so."""
    head, get = (call(app, method, path) for method in ("HEAD", "GET"))
    assert head.status == get.status
    assert head.body == b""
    for name in ("content-type", "cache-control", "x-frame-options"):
        assert head.headers.get(name) == get.headers.get(name)
    if get.status == 200:
        assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "http://a]b", "null", "\x85", "http://h:x"]
)
def test_a_page_of_no_address_is_a_foreign_one(app: App, origin: str) -> None:
    for path in ("/healthz", "/v1/runs", "/nope"):
        answer = app.run(app.call("GET", path, headers={"origin": origin}))
        assert answer.status == 403, answer.body


@pytest.mark.parametrize("share", [1e-200, 5e-324, 1e-160])
def test_a_share_too_small_to_square_is_refused(app: App, share: float) -> None:
    geometry = {"variance_1": share, "participation": 2}
    bad = {**HISTORY, "context": {"geometry": geometry}}
    answer = call(app, "POST", "/v1/forecast", body(bad))
    assert answer.status == 422
    assert "participation` must be within" in answer.json()["error"]["message"]
    both = call(app, "POST", "/v1/decide/batch", body({"histories": [HISTORY, bad]}))
    assert both.status == 200
    assert [one.keys() & {"decision", "error"} for one in both.json()["results"]] == [
        {"decision"}, {"error"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "space", [{"sigma": 10**400}, {"x": [5, 10**400]}, {"sigma": [1, 2, -(10**400)]}]
)
def test_a_number_larger_than_any_is_refused(app: App, space: dict[str, Any]) -> None:
    context = {"n_samples": 150, "n_features": 4, "mqe_of_mean": 1.3}
    answer = call(app, "POST", "/v1/suggest", body({"context": context, "space": space}))
    assert answer.status == 422
    assert "`space." in answer.json()["error"]["message"]
    for name in ("candidates", "n", "budget", "seed"):
        wrong = {"context": context, name: 10**400}
        assert call(app, "POST", "/v1/suggest", body(wrong)).status == 422


def test_head_counts_as_the_route_that_it_asks(app: App) -> None:
    call(app, "HEAD", "/v1/runs/r")
    assert b'route="/v1/runs/{run_id}",status="200"' in call(app, "GET", "/metrics").body


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    [
        *("/v1/forcast", "/v1/decide/", "/v1/nope", "/v1/runs/a/finnish", "/v1/runs/a/checkpoint"),
        *("/v1/runs/", "/v1/models/x/y", "/nope", "/assets/nope.js", "/v1", "/healthz/"),
    ],
)
def test_a_misspelt_route_is_none_whatever_the_method(app: App, method: str, path: str) -> None:
    answer = call(app, method, path, b"{}")
    assert answer.status == 404
    if method != "HEAD":
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/decide", "POST"),
        ("PUT", "/v1/runs", "GET, HEAD"),
        ("POST", "/v1/runs/r", "DELETE, GET, HEAD"),
        ("DELETE", "/v1/populations/a/b", "GET, HEAD"),
        ("POST", "/v1/events", "GET"),
        ("HEAD", "/v1/events", "GET"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/assets/main.js", "GET, HEAD"),
    ],
)
def test_another_method_is_told_those_there_are(
    app: App, method: str, path: str, allow: str
) -> None:
    answer = call(app, method, path, b"{}")
    assert (answer.status, answer.headers["allow"]) == (405, allow)


def test_two_ways_to_write_a_name_are_one_population(app: App) -> None:
    ways = ("na\u00efve", "nai\u0308ve", " na\u00efve ")
    for i, name in enumerate(ways):
        sent = body(checkpoint(10, population=name))
        assert call(app, "POST", f"/v1/runs/name-{i}/checkpoints", sent).status == 201
    for name in ways:
        found = json.loads(call(app, "GET", f"/v1/populations/{name}").body)
        assert (found["name"], found["running"]) == (ways[0], 3)
        listed = app.run(
            app.call("GET", "/v1/runs", b"", query=f"population={quote(name)}".encode())
        )
        assert len(json.loads(listed.body)["runs"]) == 3


def test_the_page_of_routes_works_under_a_prefix(app: App) -> None:
    links = re.findall(r'href="?([^" >]+)', call(app, "GET", "/docs").body.decode())
    assert "openapi.json" in links
    assert not [link for link in links if link.startswith("/")]


def post(app: App, raw: bytes, path: str = "/v1/decide") -> tuple[int, str]:
    answer = call(app, "POST", path, raw)
    return answer.status, answer.json().get("error", {}).get("message", "")


def test_a_byte_order_mark_is_no_error(app: App) -> None:
    """PowerShell and .NET write one."""
    assert post(app, BOM + body(HISTORY))[0] == 200
    assert post(app, BOM + body({"histories": [HISTORY]}), "/v1/decide/batch")[0] == 200
    assert post(app, BOM + body(checkpoint(1)), "/v1/runs/bom/checkpoints")[0] == 201
    assert post(app, BOM + b"{}", "/v1/runs/bom/finish")[0] == 200
    assert post(app, BOM + BOM + body(HISTORY))[0] == 422


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"topographic_error": [float("nan")] * 3}, "Write null where it is undefined or unknown."),
        ({"learning_rate": [float("nan")] * 3}, "Write null where it is undefined or unknown."),
        ({"mqe": [float("nan")] * 3}, "`mqe.0` must be a finite number."),
        ({"dead_neuron_ratio": None}, "`dead_neuron_ratio` must be a list"),
        ({"dead_neuron_ratio": ...}, "must be given. Send [null, ...] where it is unknown."),
        ({"mqe": ...}, "`mqe` must be given."),
        # a name that is misspelt is told before the one that is missing for it
        ({"mqe": ..., "mquee": [1, 2, 3]}, "The body must have known fields only: run_id, "),
    ],
)
def test_a_refusal_says_what_to_send(app: App, change: dict[str, Any], told: str) -> None:
    changed = {k: v for k, v in (HISTORY | change).items() if v is not ...}
    status, message = post(app, json.dumps(changed).encode())
    assert status == 422
    assert told in message
    assert "null" not in message or "null" in told
    assert "mquee" not in message


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (body(HISTORY)[:-1], "line 1 column"),
        (b'{\n  "epochs": [1, 2,]}', "line 2 column 19"),
        ("{}".encode("utf-16"), "line 1 column 1"),
        (b"", "line 1 column 0"),
    ],
)
def test_what_is_no_json_is_told_where(app: App, raw: bytes, place: str) -> None:
    status, message = post(app, raw)
    assert status == 422
    assert message.startswith("The body must be valid JSON in UTF-8: ")
    assert place in message


@pytest.mark.parametrize(
    ("method", "address", "says"),
    [
        ("GET", "/v1/populations?limit=1", "The query must be empty"),
        ("GET", "/v1/populations/p?foo=1", "known parameters only: outcomes"),
        ("GET", "/v1/populations/p/audit?foo=1", "The query must be empty"),
        ("GET", "/v1/populations/p/about?foo=1", "The query must be empty"),
        ("GET", "/v1/runs/r?foo=1", "The query must be empty"),
        ("DELETE", "/v1/runs/r?foo=1", "The query must be empty"),
        ("POST", "/v1/decide?foo=1", "The query must be empty"),
        ("POST", "/v1/runs/r/keep?foo=1", "The query must be empty"),
        ("GET", "/v1/models?foo=1", "The query must be empty"),
        ("GET", "/v1/runs?limit=1&limit=2", "`limit` must be given once"),
        ("GET", "/v1/runs?population=%ff", "The query must be UTF-8"),
    ],
)
def test_a_query_that_a_route_does_not_know_is_refused(
    app: App, method: str, address: str, says: str
) -> None:
    path, _, query = address.partition("?")
    answer = app.run(app.call(method, path, b"{}", query=query.encode()))
    assert answer.status == 422
    assert says in answer.json()["error"]["message"]
    assert "foo" not in answer.body.decode()
    assert call(app, "GET", "/v1/runs/r").status == 200  # nothing was done


def test_probes_take_what_is_hung_on_their_address(app: App) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert app.run(app.call("GET", path, query=b"now=1")).status == 200


@pytest.mark.parametrize(
    ("path", "sent", "field"),
    [
        ("/v1/decide", HISTORY | {"policy": {"name": "nope"}}, "policy.name"),
        ("/v1/decide", HISTORY | {"policy": {"name": "population", "risk": 2}}, "policy.risk"),
        ("/v1/runs/r/checkpoints", checkpoint(10, population="p") | {"mqe": [0.9]}, "mqe.0"),
        ("/v1/runs/r/checkpoints", checkpoint(10, population="other"), "population"),
    ],
)
def test_the_whole_path_to_a_field_is_told(
    app: App, path: str, sent: dict[str, Any], field: str
) -> None:
    answer = call(app, "POST", path, body(sent))
    assert answer.status in (409, 422)
    assert answer.json()["error"]["field"] == field
    assert f"`{field}` must be" in answer.json()["error"]["message"]


def test_a_search_is_found_by_either_form_of_its_name(app: App) -> None:
    call(app, "POST", "/v1/runs/form/checkpoints", body(checkpoint(10, population="cafe\u0301")))
    for name in ("cafe\u0301", "caf\u00e9"):
        found = app.run(app.call("GET", "/v1/searches", query=f"name={quote(name)}".encode()))
        assert [s["name"] for s in found.json()["searches"]] == ["caf\u00e9"]


def test_p_of_a_gain_is_no_p_of_a_good_end(app: App) -> None:
    """What the pareto policy says of its stops is not held against the best of one score."""
    policy = {"name": "pareto", "risk": 0.9, "ramp": 0.0, "control": 0.0}
    policy |= {"objectives": ["mqe", "topographic_error"], "min_checkpoints": 1}
    for n in range(8):
        level = 0.2 + 0.001 * n
        for epoch in (100, 500, 1000):
            piece = checkpoint(epoch, population="two", total_epochs=1000) | {"mqe": [level]}
            piece |= {"topographic_error": [level / 4], "policy": policy}
            if epoch == 100 and n < 4:
                continue
            answer = call(app, "POST", f"/v1/runs/two-{n}/checkpoints", body(piece))
            assert answer.status in (200, 201), answer.body
        call(app, "POST", f"/v1/runs/two-{n}/finish", b"{}")
    bad = checkpoint(100, population="two", total_epochs=1000) | {"policy": policy}
    bad |= {"epochs": [50, 100, 150], "mqe": [3.0, 2.9, 2.9], "topographic_error": [0.9] * 3}
    bad |= {"dead_neuron_ratio": [0.5] * 3}
    told = call(app, "POST", "/v1/runs/two-bad/checkpoints", body(bad)).json()
    assert (told["action"], told["reason"]) == ("stop", "unlikely_gain"), told["message"]
    lost = call(app, "GET", "/v1/populations/two/audit").json()["lost"]
    assert lost["stops"] >= 1
    assert (lost["asked"], lost["expected"]) == (0, 0.0)
