"""The client against the real service: names, errors, events, proxies, addresses."""

from __future__ import annotations

from threading import Thread
from typing import Any

import httpx
import pytest
from serving import HISTORY, Server, checkpoint, post

from oracle.client import Client
from oracle.errors import (
    InvalidHistory,
    RunConflict,
    RunNotFound,
    StoreUnavailable,
)
from oracle.types import Decision, History
from oracle.types.run_names import run_id_of


def test_the_walk_of_a_run(server: Server) -> None:
    with Client(server.url) as client:
        for epoch in (10, 50, 100):
            decision = client.append(
                "walk/r".replace("/", "-"),
                History.parse(checkpoint(epoch, population="walk", total_epochs=1000)),
            )
            assert isinstance(decision, Decision)
            assert decision.progress == epoch / 1000
        assert client.finish("walk-r", final_mqe=0.2).state == "finished"
        assert [run.run_id for run in client.runs(population="walk")] == ["walk-r"]
        assert client.run("walk-r").history.epochs == (10, 50, 100)
        assert client.replay("walk-r", 50).inputs.exact
        assert client.population("walk").finished == 1
        with pytest.raises(RunConflict):
            client.append("walk-r", History.parse(checkpoint(200)))
        client.delete("walk-r")
        with pytest.raises(RunNotFound):
            client.run("walk-r")


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_an_event_comes_at_once_compressed_or_not(
    server: Server, http: httpx.Client, accepted: str
) -> None:
    """What is compressed is not held back until there is more of it."""
    name = f"at-once-{accepted}"
    asked = {"Accept-Encoding": accepted}
    url = f"{server.url}/v1/events?population={name}"
    with httpx.stream("GET", url, headers=asked, timeout=20) as stream:
        assert stream.headers.get("content-encoding", "identity") == accepted
        assert "Accept-Encoding" in stream.headers["vary"]
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        for epoch in (10, 20):
            post(http, "/v1/runs/at-once/checkpoints", checkpoint(epoch, population=name))
            told = next(line for line in lines if line.startswith("data:"))
            assert f'"epoch":{epoch}.0' in told
    http.delete("/v1/runs/at-once")


def test_events_are_live_and_resumable(server: Server, http: httpx.Client) -> None:
    seen: list[dict[str, Any]] = []

    def listen(after: int | None) -> None:
        with Client(server.url) as client:
            for event in client.events(after, population="live"):
                seen.append(event)
                if event["kind"] == "finished":
                    return

    first = Thread(target=listen, args=(0,))
    first.start()
    for epoch in (10, 20):
        post(http, "/v1/runs/live-1/checkpoints", checkpoint(epoch, population="live"))
    post(http, "/v1/runs/live-1/finish", {})
    first.join(20)
    assert [e["kind"] for e in seen] == ["created", "checkpoint", "finished"]
    assert seen[1]["run"]["epoch"] == 20
    resumed_after = seen[0]["id"]
    seen.clear()
    listen(resumed_after)  # as after a break: what was missed comes again
    assert [e["kind"] for e in seen] == ["checkpoint", "finished"]


def test_a_stream_from_too_long_ago_is_told_to_begin_again(server: Server) -> None:
    with httpx.stream("GET", f"{server.url}/v1/events?after=999999999", timeout=20) as answer:
        for line in answer.iter_lines():
            if line.startswith("event:"):
                assert line == "event: reset"
                break


def test_the_client_names_epochs_exactly_and_sends_the_population_size(server: Server) -> None:
    epoch = 1234567.25  # of which {:g} would make 1.23457e+06
    with Client(server.url) as client:
        piece = History.parse(checkpoint(epoch, population="exact"))
        client.append("exact-r", piece, population_size=45)
        assert client.keep("exact-r", "ann").override == "keep"
        replayed = client.replay("exact-r", epoch)
        assert replayed.inputs.history.epochs == (epoch,)
        assert replayed.inputs.reference is not None
        assert replayed.inputs.reference.population_size == 45
        assert client.models().active is not None


def test_the_client_tells_that_events_were_missed(server: Server) -> None:
    with Client(server.url) as client:
        assert next(client.events(after=999_999_999)) == {"kind": "reset"}


def test_a_repeated_delete_that_finds_nothing_has_been_done(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server.url) as client:
        client.append("twice", History.parse(checkpoint(10)))
        send, sent = httpx.Client.request, []

        def lose_the_first_answer(*args: Any, **kwargs: Any) -> httpx.Response:
            sent.append(send(*args, **kwargs))
            if len(sent) == 1:
                raise httpx.ReadError("lost")
            return sent[-1]

        monkeypatch.setattr(httpx.Client, "request", lose_the_first_answer)
        client.delete("twice")
        assert [answer.status_code for answer in sent] == [204, 404]
        with pytest.raises(RunNotFound):
            client.delete("twice")


def test_the_client_tells_the_services_errors(server: Server) -> None:
    with Client(server.url) as client:
        good = History.parse(HISTORY)
        with pytest.raises(InvalidHistory, match="epochs"):
            client.decide(good.model_copy(update={"epochs": (3.0, 2.0, 1.0)}))
        with pytest.raises(RunNotFound):
            client.replay("nobody", 1)


@pytest.mark.parametrize(
    "name", ["a/b", "a%2Fb", "a?b", "a#b", "a b", "..", ".", "é ü", "a&b=c", "%"]
)
def test_the_client_asks_for_the_population_of_that_name(server: Server, name: str) -> None:
    with Client(server.url) as client:
        run_id = f"named-{name.encode().hex()}"
        client.append(run_id, History.parse(checkpoint(10, population=name)))
        assert client.population(name).name == name
        assert [run.run_id for run in client.runs(population=name)] == [run_id]


@pytest.mark.parametrize("name", ["lr=0.1,sigma=2", "a/b", "a%2Fb", "..", 17, "x" * 80])
def test_the_client_takes_run_names_as_the_hook_does(server: Server, name: str | int) -> None:
    with Client(server.url) as client:
        client.append(name, History.parse(checkpoint(10)))
        assert client.finish(name).run_id == run_id_of(name)
        stored = client.run(name).run
        assert stored.name == (None if stored.run_id == str(name) else str(name))
        assert client.replay(name, 10).inputs.history.epochs == (10.0,)
        client.delete(name)
        with pytest.raises(RunNotFound):
            client.run(name)


def test_no_proxy_leads_to_this_machine(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for host in ("127.0.0.1", "localhost"):
        with Client(f"http://{host}:{server.port}", attempts=1) as client:
            assert client.models().active is not None
    with (
        Client("http://service.example", attempts=1) as client,
        pytest.raises(StoreUnavailable),
    ):
        client.models()  # through the proxy, which is away


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "", "http://"])
def test_what_is_no_address_is_told_at_once(url: str) -> None:
    with pytest.raises(InvalidHistory, match="`url` must be an address"):
        Client(url)
