"""The buttons of the live page reach a run that trains under the hook."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, NamedTuple

import httpx
from browser import DEADLINE_S, MARKS, Browser
from serving import Server, until

from oracle.hook import watch
from oracle.types import METRICS, Decision, Policy, Reason, Run

pytestmark = MARKS


class Followed(NamedTuple):
    """What a hooked run heard, and how it ended."""

    decisions: list[Decision]
    state: str


def followed(url: str, name: str, run: Run, policy: Policy, pressed: Event) -> Followed:
    """Report a recorded run by the hook; after two checkpoints wait for the press of a button."""
    h, decisions = run.history, []
    settings: dict[str, Any] = {"dataset": run.dataset, "population_name": "hooked"}
    with watch(
        url=url,
        run_id=name,
        total_epochs=h.total_epochs,
        context=h.context,
        policy=policy,
        timeout_s=DEADLINE_S,
        check_every=0.0,
        **settings,
    ) as watched:
        for i, epoch in enumerate(h.epochs):
            if i == 2:
                assert pressed.wait(DEADLINE_S)
            seen = {m: getattr(h, m)[i] for m in METRICS}
            decisions.append(watched.report(epoch, **seen))
            if decisions[-1].stop:
                break
    return Followed(decisions, watched.state)


def listed(server: Server, run_id: str) -> int:
    """How many checkpoints of a run the service holds."""
    answer = httpx.get(f"{server.url}/v1/runs/{run_id}")
    return len(answer.json()["history"]["epochs"]) if answer.status_code == 200 else 0


def test_the_stop_button_reaches_the_next_report_of_a_hooked_run(
    page: Browser, server: Server, runs: list[Run]
) -> None:
    harmless = Policy(threshold=1e6, caution=1e6, control=0.0)
    pressed = Event()
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(followed, server.url, "hooked-stop", runs[0], harmless, pressed)
        try:
            until(lambda: listed(server, "hooked-stop") == 2, DEADLINE_S, "two checkpoints")
            page.open("/run/hooked-stop")
            page.there("#stop")
            page.click("#stop")
            page.shows("A person stops this run")
        finally:
            pressed.set()
        decisions, state = run.result(DEADLINE_S)
    assert [d.stop for d in decisions] == [False, False, True]
    assert decisions[-1].reason is Reason.OVERRULED
    assert "A person said stop" in decisions[-1].message
    assert state == "stopped"
    until(lambda: "Stopped" in page.of(".head"), DEADLINE_S, "the page's own word")


def test_the_keep_button_saves_a_hooked_run_from_its_policy(
    page: Browser, server: Server, runs: list[Run]
) -> None:
    deadly = Policy(threshold=1e-6, caution=1e-6, control=0.0)
    free = Event()
    free.set()
    stopped = followed(server.url, "hooked-lost", runs[0], deadly, free)
    assert stopped.state == "stopped", "without the button the policy stops this run"
    assert stopped.decisions[-1].reason is Reason.ABOVE_THRESHOLD
    pressed = Event()
    with ThreadPoolExecutor(1) as thread:
        run = thread.submit(followed, server.url, "hooked-kept", runs[0], deadly, pressed)
        try:
            until(lambda: listed(server, "hooked-kept") == 2, DEADLINE_S, "two checkpoints")
            page.open("/run/hooked-kept")
            page.there("#keep")
            page.click("#keep")
            page.shows("A person keeps this run")
        finally:
            pressed.set()
        decisions, state = run.result(DEADLINE_S)
    assert not any(d.stop for d in decisions)
    assert len(decisions) == len(runs[0].history)
    assert state == "finished"
    saved = [d for d in decisions if d.reason is Reason.OVERRULED]
    assert saved
    assert all(d.message.startswith("A person said keep. The policy said:") for d in saved)
