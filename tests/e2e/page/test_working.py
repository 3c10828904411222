"""Working with the page: views stay in their addresses, rows hold still, a word can be undone."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import httpx
from browser import DEADLINE_S, MARKS, POPULATION, Browser, post_run
from selenium.webdriver import ActionChains
from serving import checkpoint, until

from oracle.types import Run

pytestmark = MARKS

#: A stop waits so long to be undone, and a little more, ms.
UNDO_MS = 6_000
STREAMS = "oracle_event_streams "
ROWS = "return [...document.querySelectorAll('tr[data-run]')].map((row) => row.dataset.run)"
#: A policy that stops whatever it sees, and a run that it sees so.
STRICT = {
    "policy": {
        "name": "threshold",
        "threshold": 0.01,
        "caution": 0.005,
        "min_support": 0.0,
        "control": 0.0,
    }
}


def shown(page: Browser) -> dict[str, str]:
    return dict(
        page.run(
            "return { text: document.querySelector('#filter').value,"
            "sorted: document.querySelector('th[aria-sort]')?.textContent + '/' +"
            "document.querySelector('th[aria-sort]')?.getAttribute('aria-sort'),"
            "chosen: document.querySelectorAll('tr[data-run] input:checked').length,"
            "across: document.querySelector('[aria-label=\"Horizontal axis\"]').value }"
        )
    )


def test_back_and_reload_keep_what_was_shown(page: Browser, searched: str) -> None:
    page.open(f"/?population={POPULATION}")
    page.there("tr[data-run]")
    page.type("#filter", "stopped")
    page.run(
        "const axis = document.querySelector('[aria-label=\"Horizontal axis\"]');"
        "axis.value = '2'; axis.dispatchEvent(new Event('change'));"
        "[...document.querySelectorAll('th button')].find((b) => b.textContent === 'Run').click()"
    )
    until(lambda: shown(page)["sorted"] == "Run/ascending", DEADLINE_S, "the order")
    page.run("document.querySelectorAll('tr[data-run] input')[1].click()")
    before = shown(page)
    assert before == {"text": "stopped", "sorted": "Run/ascending", "chosen": 1, "across": "2"}
    page.go(f"/run/{searched}")
    page.there("#decisions-title")
    page.driver.back()
    page.there("tr[data-run]")
    until(lambda: shown(page) == before, DEADLINE_S, "as it was left")
    page.driver.refresh()
    page.there("tr[data-run]")
    until(lambda: shown(page) == before, DEADLINE_S, "as it was before it was loaded anew")


def test_whoever_chooses_ten_is_told_how_many_are_compared(page: Browser, searched: str) -> None:
    page.open(f"/?population={POPULATION}")
    until(lambda: len(page.run(ROWS)) >= 10, DEADLINE_S, "ten rows")
    for n in range(10):  # a row that is ticked is drawn anew
        page.run("document.querySelectorAll('tr[data-run] input')[arguments[0]].click()", n)
    page.shows("10 chosen; at most 8 can be compared")
    assert (
        page.run("return [...document.querySelectorAll('tr[data-run] input:checked')].length") == 10
    )


def test_rows_hold_still_under_the_pointer(page: Browser, client: httpx.Client) -> None:
    for name in ("still-1", "still-2", "still-10"):
        client.post(f"/v1/runs/{name}/checkpoints", json=checkpoint(1, population="still"))
    page.open("/?population=still&sort=run")
    page.shows("still-10")
    assert page.run(ROWS) == ["still-1", "still-2", "still-10"]
    page.run(
        "[...document.querySelectorAll('th button')].find((b) => b.textContent === 'Run').click()"
    )
    until(lambda: page.run(ROWS)[0] == "still-10", DEADLINE_S, "the other order")
    row = "tr[data-run='still-2']"
    until(lambda: _rests(page, row), DEADLINE_S, "a page that moves no more")
    ActionChains(page.driver).move_to_element(
        page.driver.find_element("css selector", row)
    ).perform()
    client.post("/v1/runs/still-30/checkpoints", json=checkpoint(1, population="still"))
    page.shows("1 new: show")
    assert page.run(ROWS) == ["still-10", "still-2", "still-1"]
    ActionChains(page.driver).move_to_element(
        page.driver.find_element("css selector", "h1")
    ).perform()
    until(lambda: page.run(ROWS)[0] == "still-30", DEADLINE_S, "the new one")


def _rests(page: Browser, selector: str) -> bool:
    """Whether it stays where it is; by its selector, for a row is drawn anew as time goes by."""
    top = "return document.querySelector(arguments[0]).getBoundingClientRect().top"
    before = page.run(top, selector)
    time.sleep(0.5)
    return bool(page.run(top, selector) == before)


def test_a_stop_can_be_undone_and_taken_back(
    page: Browser, client: httpx.Client, runs: list[Run]
) -> None:
    post_run(client, runs[0], run_id="undone", population="words", until=0.1)

    def override() -> object:
        return client.get("/v1/runs/undone").json()["run"]["override"]

    page.open("/run/undone")
    page.there("#stop")
    page.click("#stop")
    page.shows("will be told to stop")
    page.click("#undo")
    began = page.run("return performance.now()")
    until(
        lambda: page.run("return performance.now()") > began + UNDO_MS,
        DEADLINE_S,
        "the time in which it would have been sent",
    )
    assert page.run("return document.querySelector('#stop').disabled") is False
    assert override() is None
    page.click("#stop")
    until(lambda: override() == "stop", DEADLINE_S, "the stop")
    page.shows("A person stops this run")
    page.click("#policy")
    until(lambda: override() is None, DEADLINE_S, "back to the policy")
    page.shows("Given back to its policy")


def test_stops_that_nobody_obeys_are_told(page: Browser, client: httpx.Client) -> None:
    best = checkpoint(10, mqe=0.05, population="unheard", total_epochs=10)
    client.post("/v1/runs/unheard-best/checkpoints", json=best)
    for epoch in range(1, 5):
        body = (
            checkpoint(epoch, mqe=5.0 - epoch / 10, population="unheard", total_epochs=10) | STRICT
        )
        answer = client.post("/v1/runs/unheard-1/checkpoints", json=body)
        assert answer.status_code == 201, answer.text
    assert client.get("/v1/runs/unheard-1").json()["run"]["stops"] >= 2
    page.open("/?population=unheard")
    page.shows("1 run was told to stop and went on")
    row = "tr[data-run='unheard-1']"
    until(lambda: page.has(row) and "went on" in page.of(row), DEADLINE_S, "its row")
    page.open("/run/unheard-1")
    page.shows("its caller does not look at what is answered")


def test_six_tabs_share_one_stream(page: Browser, client: httpx.Client, searched: str) -> None:
    def streams() -> float:
        text = client.get("/metrics").text
        return float(next(x.split()[1] for x in text.splitlines() if x.startswith(STREAMS)))

    first = page.driver.current_window_handle
    page.open(f"/?population={POPULATION}")
    try:
        for _ in range(5):
            page.driver.switch_to.new_window("tab")
            page.driver.get(f"{page.url}/#/run/{searched}")
        for tab in page.driver.window_handles:
            page.driver.switch_to.window(tab)
            until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
            assert page.of("h1")
        assert streams() == 1
        client.post("/v1/runs/told/checkpoints", json=checkpoint(1, population="told"))
        asked = "const done = arguments[0]; fetch('v1/models').then((r) => done(r.status))"
        assert page.driver.execute_async_script(asked) == 200
    finally:
        for tab in page.driver.window_handles:
            if tab != first:
                page.driver.switch_to.window(tab)
                page.driver.close()
        page.driver.switch_to.window(first)


def test_a_run_that_ended_says_how_and_what_was_forecast(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    table = client.get(f"/v1/populations/{POPULATION}/table").json()["columns"]
    finished = [
        name
        for name, state, left in zip(table["run_id"], table["state"], table["left"], strict=True)
        if state == "finished" and not left
    ]
    page.open(f"/run/{finished[0]}")
    until(lambda: " of " in page.of(".verdict .word"), DEADLINE_S, "its place")
    assert page.of(".verdict .word").startswith("Ended ")
    assert "the oracle said" in page.of(".verdict")
    page.there("#against-best table, #against-best p")
    controls = client.get(f"/v1/populations/{POPULATION}/audit").json()["controls"]
    if controls:
        page.open(f"/run/{controls[0]['run_id']}")
        verdict = "wrong" if controls[0]["good"] else "right"
        page.shows(f"the stop would have been {verdict}")


def test_settings_are_columns_and_the_list_is_a_file(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    heads = "return [...document.querySelectorAll('.runs th')].map((th) => th.innerText.trim())"
    page.open(f"/?population={POPULATION}&state=stopped")
    page.there("tr[data-run]")
    page.there("#settings .explains button")
    assert "map rows" not in page.run(heads)
    page.click(".bar [data-value='settings']")
    until(lambda: len(page.run(heads)) == 14, DEADLINE_S, "six settings")
    explains = "return document.querySelector('#settings .explains button').dataset.setting"
    assert page.run(heads)[7].replace(" ", "_") in (page.run(explains), "planned_updates")
    label = page.run(heads)[7]
    page.run(
        "[...document.querySelectorAll('th button')].find("
        "(b) => b.innerText.trim() === arguments[0]).click()",
        label,
    )
    assert "cols=settings" in page.run("return location.hash")
    before = page.run(ROWS)
    page.driver.refresh()
    page.there("tr[data-run]")
    until(lambda: page.run(ROWS) == before, DEADLINE_S, "the same order after a reload")
    page.click("#runs-csv")
    file = Path(page.profile) / f"{POPULATION}.csv"
    until(file.exists, DEADLINE_S, "the file")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["run_id"] for row in rows][: len(before)] == before
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    assert len(rows) == detail["stopped"]
    assert {row["state"] for row in rows} == {"stopped"}
    context = client.get(f"/v1/runs/{before[0]}").json()["history"]["context"]
    assert float(rows[0]["map_rows"]) == context["map_rows"]
    assert float(rows[0]["radius_end"]) == context["schedule"]["radius"][-1]
    page.click(".bar [data-value='metrics']")
    until(lambda: "mqe now" in page.run(heads), DEADLINE_S, "the metrics again")
    assert "cols=" not in page.run("return location.hash")
    assert page.serious() == []
