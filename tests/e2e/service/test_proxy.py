"""Behind nginx, set up with the lines of docs/deploy.md, and with less than these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from proxying import NGINX, documented, proxied
from serving import JSON_HEADERS, Server, body, checkpoint

from oracle.client import Client
from oracle.server.http.keys import new_key

#: What nginx's manual shows first.
PLAIN = "location / { proxy_pass http://127.0.0.1:8000; }"
SECRET, LINE = new_key("ann")

pytestmark = pytest.mark.skipif(
    NGINX is None,
    reason="NGINX IS NOT INSTALLED, so the lines of docs/deploy.md are NOT tested: "
    "apt-get install nginx-light",
)


def to(server: Server, location: str = "") -> str:
    """Give a location, or the documented one, that leads to a server."""
    return (location or documented()).replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


def from_page(url: str, **headers: str) -> httpx.Client:
    """A browser that shows the page at `url`."""
    origin = re.sub(r"(\d)/.*", r"\1", url)
    sent = {"Origin": origin, "Sec-Fetch-Site": "same-origin", **JSON_HEADERS, **headers}
    return httpx.Client(base_url=url, headers=sent, timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("proxied")) as server:
        with Client(server.url) as client:
            client._send("POST", "/v1/runs/r/checkpoints", checkpoint(10, population="p"))
        yield server


def test_with_the_documented_lines_everything_works(server: Server, tmp_path: Path) -> None:
    with proxied(tmp_path / "nginx", to(server)) as url, from_page(url) as page:
        assert "SOM Oracle" in page.get("/").text
        for word in ("keep", "stop"):
            answer = page.post(f"/v1/runs/r/{word}", content=b'{"by": "ann"}')
            assert answer.json()["override"] == word
        with Client(url) as client:
            events = client.events(0, run_id="r")
            assert [next(events)["kind"] for _ in range(3)] == ["created", "keep", "stop"]
        long = b'{"histories": [' + b",".join([body(checkpoint(1)).ljust(900_000)] * 3) + b"]}"
        assert page.post("/v1/decide/batch", content=long).status_code == 200
        evil = page.post(
            "/v1/runs/r/keep", content=b"{}", headers={"Origin": "http://evil.example"}
        )
        assert evil.status_code == 403


def test_with_less_the_refusal_says_what_is_missing(server: Server, tmp_path: Path) -> None:
    with proxied(tmp_path / "nginx", to(server, PLAIN)) as url, from_page(url) as page:
        assert page.get("/", headers={"Origin": ""}).status_code in (200, 403)
        answer = page.post("/v1/runs/r/keep", content=b"{}")
        assert answer.status_code == 403
        assert "hand on Host" in answer.json()["error"]["message"]


def test_with_keys_the_plain_lines_do(tmp_path: Path) -> None:
    with Server(tmp_path, api_keys=LINE) as server:
        key = {"Authorization": f"Bearer {SECRET}"}
        url = f"{server.url}/v1/runs/r/checkpoints"
        sent = httpx.post(url, content=body(checkpoint(10)), headers=JSON_HEADERS | key)
        assert sent.status_code == 201
        with proxied(tmp_path / "nginx", to(server, PLAIN)) as url, from_page(url, **key) as page:
            assert page.post("/v1/runs/r/keep", content=b"{}").status_code == 200
            across = {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}
            assert page.post("/v1/runs/r/keep", content=b"{}", headers=across).status_code == 403


def test_under_a_path_the_page_and_its_links_work(server: Server, tmp_path: Path) -> None:
    lines = documented().replace("location /", "location /som/").replace(":8000;", ":8000/;")
    with proxied(tmp_path / "nginx", to(server, lines)) as url, from_page(f"{url}/som/") as page:
        for path in ("", "docs", "openapi.json", "v1/runs/r", "assets/main.js"):
            assert page.get(path).status_code == 200, path
        assert page.post("v1/runs/r/keep", content=b"{}").status_code == 200
        with Client(f"{url}/som") as client:
            assert client.run("r").run.run_id == "r"
