"""The service on each database it runs on: the same answers, the same refusals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from inprocess import Answer, App
from serving import body, checkpoint, until

from oracle.server.runs.events import Wanted
from oracle.server.runs.export import Skipped, read_store
from oracle.server.storage.store import Store
from oracle.server.storage.turns import wait_for_turn

#: What PostgreSQL keeps in no text.
NUL = b"a%00b"


class Api:
    """The application, called by route."""

    def __init__(self, app: App) -> None:
        self.app = app

    def get(self, path: str, query: bytes = b"") -> Answer:
        return self.app.run(self.app.call("GET", path, query=query))

    def post(self, path: str, **value: Any) -> Answer:
        return self.app.run(self.app.call("POST", path, body(value)))

    def append(self, run_id: str, epoch: float, mqe: float = 0.5, **more: Any) -> Answer:
        fixed = {"population": "p", "total_epochs": 100, **more}
        return self.post(f"/v1/runs/{run_id}/checkpoints", **checkpoint(epoch, mqe, **fixed))

    def told(self, after: int, n: int) -> list[dict[str, Any]]:
        """Give the next `n` events of the stream."""
        stream = self.app.service.feed.stream(Wanted(""), after, lambda: None)

        async def listen() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            async for frame in stream:
                if b"data: " in frame:
                    found.append(json.loads(frame.partition(b"data: ")[2]))
                if len(found) == n:
                    break
            await stream.aclose()  # type: ignore[attr-defined]
            return found

        return self.app.run(listen())


@contextmanager
def serving(folder: Path, url: str, **settings: Any) -> Iterator[Api]:
    with App(folder, database_url=url, **settings) as app:
        yield Api(app)


@pytest.fixture
def api(tmp_path: Path, database_url: str) -> Iterator[Api]:
    with serving(tmp_path, database_url) as api:
        yield api


def test_a_run_from_its_first_checkpoint_to_a_training_label(api: Api, database_url: str) -> None:
    first = api.append("a", 50)
    assert first.status == 201
    again = api.append("a", 50)
    assert (again.status, again.body) == (200, first.body)
    assert api.append("a", 50, mqe=0.4).status == 409
    assert api.append("a", 40).status == 409
    assert api.append("a", 95, mqe=0.3).status == 201
    assert api.get("/v1/runs/a/decisions/95").json()["inputs"]["exact"]
    assert api.post("/v1/runs/a/keep", by="eve").json()["override"] == "keep"
    assert api.post("/v1/runs/a/stop").json()["override"] == "stop"
    finished = api.post("/v1/runs/a/finish", final_mqe=0.25)
    assert finished.json()["final"]["final_mqe"] == 0.25
    assert api.post("/v1/runs/a/finish", final_mqe=0.25).body == finished.body
    assert api.post("/v1/runs/a/finish", final_mqe=0.2).status == 409
    assert api.append("a", 100).status == 409

    api.append("b", 50)
    api.post("/v1/runs/b/finish", censored=True)
    assert api.append("b", 100).status == 409
    api.append("c", 10)
    (label, censored) = [one for one in read_store(database_url) if not isinstance(one, Skipped)]
    assert (label.run.final_mqe, label.run.censored) == (0.25, False)
    assert label.run.history.epochs == (50.0, 95.0)
    assert censored.run.censored


def test_lists_populations_and_deletion(api: Api) -> None:
    for name in "abc":
        api.append(name, 10)
    api.append("d", 10, population="q", dataset="iris")
    api.post("/v1/runs/b/finish")
    page = api.get("/v1/runs", b"population=p&limit=2").json()
    assert [run["run_id"] for run in page["runs"]] == ["c", "b"]
    more = api.get("/v1/runs", f"population=p&cursor={page['next_cursor']}".encode()).json()
    assert [run["run_id"] for run in more["runs"]] == ["a"]
    assert more["next_cursor"] is None
    assert len(api.get("/v1/runs", b"state=finished").json()["runs"]) == 1
    assert len(api.get("/v1/runs", b"dataset=iris").json()["runs"]) == 1
    named = {one["name"]: one for one in api.get("/v1/populations").json()["populations"]}
    assert (named["p"]["running"], named["p"]["finished"], named["q"]["running"]) == (2, 1, 1)
    assert len(api.get("/v1/populations/p").json()["outcomes"]) == 1
    assert api.get("/v1/populations/none").status == 404

    assert api.app.run(api.app.call("DELETE", "/v1/runs/b")).status == 204
    assert api.get("/v1/runs/b").status == 404
    assert api.get("/v1/populations/p").json()["outcomes"] == []


def test_stopped_runs_that_are_worth_finishing(api: Api) -> None:
    assert api.get("/v1/promising", b"population=p").status == 404
    told = {"population": "p", "total_epochs": 100, "topographic_error": [0.1] * 3}
    for i in range(8):
        plain = {"epochs": [10, 20, 30], "mqe": [0.5 + i / 100] * 3, "dead_neuron_ratio": [0.1] * 3}
        api.post(f"/v1/runs/whole-{i}/checkpoints", **plain, **told)
        api.post(f"/v1/runs/whole-{i}/finish", final_mqe=0.5 + i / 100)
    nothing = api.get("/v1/promising", b"population=p").json()
    assert (nothing["runs"], nothing["stopped"], nothing["finished"]) == ([], 0, 8)
    for name, mqe in (("near", 0.51), ("far", 9.0)):
        plain = {"epochs": [10, 20, 30], "mqe": [mqe] * 3, "dead_neuron_ratio": [0.1] * 3}
        api.post(f"/v1/runs/{name}/checkpoints", **plain, **told, config={"sigma": mqe})
        api.post(f"/v1/runs/{name}/stop")
        api.post(f"/v1/runs/{name}/finish", censored=True)
    found = api.get("/v1/promising", b"population=p&limit=5").json()
    assert (found["population"], found["objectives"]) == ("p", ["score"])
    assert (found["stopped"], found["finished"]) == (2, 8)
    (near,) = found["runs"]
    assert (near["run_id"], near["config"], near["cost"]) == ("near", {"sigma": 0.51}, 0.7)
    assert 0.05 < near["p_better"] < 1.0
    assert near["gain"] > 0
    two = api.get("/v1/promising", b"population=p&objective=mqe&objective=topographic_error").json()
    assert two["objectives"] == ["mqe", "topographic_error"]
    assert two["runs"][0]["run_id"] == "near"
    alone = api.get("/v1/promising", b"population=p&objective=mqe").json()
    assert alone["objectives"] == ["mqe"]
    assert api.get("/v1/promising", b"population=p&objective=mqe&objective=mqe").json() == alone
    both = api.get("/v1/promising", b"population=p&objective=score&objective=mqe").json()
    assert (both["objectives"], both["runs"][0]["run_id"]) == (["score", "mqe"], "near")
    for wrong in (b"", b"population=", b"population=p&limit=0", b"population=p&objective=speed",
                  b"population=p&x=1"):  # fmt: skip
        assert api.get("/v1/promising", wrong).status == 422


def test_what_was_told_of_a_deleted_run_is_forgotten_by_streams_too(api: Api) -> None:
    feed = api.app.service.feed  # while a stream is open it keeps in memory what comes
    opened = feed.stream(Wanted(""), None, lambda: None)
    api.app.run(anext(opened))
    until(lambda: api.app.run(asyncio.sleep(0.1)) or feed._last is not None, 30, "the feed")
    api.append("a", 10)
    api.append("secret", 10, mqe=0.98765432)
    api.append("b", 10)
    assert [event["run"]["run_id"] for event in api.told(0, 3)] == ["a", "secret", "b"]
    api.app.run(api.app.call("DELETE", "/v1/runs/secret"))
    until(lambda: "0.98765432" not in json.dumps(api.told(0, 3)), 10, "streams that have forgotten")
    kinds = [event["kind"] for event in api.told(0, 4)]
    assert kinds == ["created", "deleted", "created", "deleted"]
    api.app.run(opened.aclose())


def test_retired_runs_are_gone_and_told(tmp_path: Path, database_url: str) -> None:
    with serving(tmp_path, database_url) as api:
        api.append("old", 10)
    with serving(tmp_path, database_url, retention_days=1e-9) as api:
        assert api.told(0, 2)[-1]["kind"] == "deleted"
        assert api.get("/v1/runs/old").status == 404


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/runs", b"population=" + NUL),
        ("/v1/runs", b"dataset=" + NUL),
        ("/v1/runs", b"cursor=99999999999999999999"),
        ("/v1/populations/a\x00", b""),
        ("/v1/events", b"population=" + NUL),
        ("/v1/runs/a\x00", b""),
    ],
)
def test_what_no_database_keeps_is_refused(api: Api, path: str, query: bytes) -> None:
    answer = api.get(path, query)
    assert (answer.status, answer.json()["error"]["code"]) == (422, "invalid")


def test_what_looks_odd_is_answered_all_the_same(api: Api) -> None:
    for cursor in (2**31, 2**32, 2**63 - 1):
        assert api.get("/v1/runs", f"cursor={cursor}".encode()).status == 200
    assert api.append("a", 5e-324, total_epochs=1e308).status == 201
    for epoch in ("5e-324", "1e308"):
        assert api.get(f"/v1/runs/a/decisions/{epoch}").status == (200 if "-" in epoch else 404)
    assert api.append("b", 1, context={"neighborhood": "a\x00b"}).status == 201
    assert api.append("c", 1, dataset="a\x00b").status == 422
    assert api.append("c", 1, population="a\x00b").status == 422
    assert api.post("/v1/runs/a/keep", by="a\x00b").status == 422
    assert api.post("/v1/runs/a/keep", by="Ève 名").status == 200
    assert api.get("/readyz").status == 200


def away(api: Api, request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """Take the database away for a while."""
    store = api.app.service.store

    @contextmanager
    def file() -> Iterator[None]:
        files = [Path(f"{store.url.database}{end}") for end in ("", "-wal", "-shm")]
        there = [one for one in files if one.exists()]
        for one in there:
            one.rename(f"{one}.away")
        yield
        for one in there:
            Path(f"{one}.away").rename(one)

    @contextmanager
    def server() -> Iterator[None]:
        postgres = request.getfixturevalue("postgres")
        postgres.stop()
        try:
            yield
        finally:
            postgres.start()

    return file() if store.is_sqlite else server()


def test_a_database_that_goes_and_comes_back(api: Api, request: pytest.FixtureRequest) -> None:
    api.append("a", 10)
    with away(api, request):
        for answer in (api.append("a", 20), api.get("/v1/runs"), api.get("/readyz")):
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
        assert api.get("/readyz").json()["store"] == "unavailable"
        assert api.post("/v1/decide", **checkpoint(10)).status == 200
    until(lambda: api.get("/readyz").status == 200, 30, "the store again")
    assert api.append("a", 20).status == 201
    assert api.get("/v1/runs/a").json()["history"]["epochs"] == [10, 20]


def state(api: Api) -> str:
    store: str = api.get("/readyz").json()["store"]
    return store


def test_ready_means_that_the_store_is_written(tmp_path: Path, database_url: str) -> None:
    other = Store(database_url)
    with serving(tmp_path, database_url, store_timeout_s=2) as api:
        until(lambda: api.append("a", 10).status == 200, 30, "the store")
        with other._writing.begin() as connection:
            wait_for_turn(connection, [None])  # everybody else who writes waits
            assert api.append("a", 20).status == 503
            until(lambda: api.get("/v1/runs/a").status == 200, 30, "reading")
            answer = api.get("/readyz")
            assert answer.status == 503
            assert answer.headers["retry-after"] == "1"
            until(lambda: state(api) == "not_writable", 30, "the truth about the store")
        until(lambda: api.get("/readyz").status == 200, 30, "the store written again")
        assert api.append("a", 20).status == 201
    other.close()
