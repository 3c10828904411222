"""The panels of a search: each figure against the service and a recomputation, and what they do."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from browser import DEADLINE_S, PICTURES, POPULATION, Browser, programs
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from serving import checkpoint, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(None in programs(), reason="needs chromium and chromium-driver"),
]
WHOLE = f"/?population={POPULATION}"


def opened(page: Browser, route: str = WHOLE) -> None:
    """Open the overview, its panels drawn."""
    page.open(route)
    page.there("tr[data-run]")
    until(lambda: page.of("#strip-oracle strong") not in ("", "–"), DEADLINE_S, "the audit")


def table(client: httpx.Client) -> dict[str, Any]:
    """The runs as the service has them."""
    answer = client.get(f"/v1/populations/{POPULATION}/table").json()
    columns = answer["columns"]
    rows = [{name: column[i] for name, column in columns.items()} for i in range(answer["runs"])]
    return {"rows": rows, "planned": answer["planned"]}


def test_each_figure_is_right(page: Browser, client: httpx.Client, searched: str) -> None:
    opened(page)
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    audit = client.get(f"/v1/populations/{POPULATION}/audit").json()
    rows = table(client)["rows"]

    # the best: of those that went to their end, by the detail's own scores
    whole = [one for one in detail["outcomes"] if not one["censored"]]
    best = min(whole, key=lambda one: one["quality"])
    assert page.of("#strip-best strong") == shown(best["quality"])
    assert best["run_id"][-18:] in page.of("#strip-best .note")

    # P(a live run beats it): each by its quantiles, straight between
    none = 1.0
    for row in rows:
        if row["state"] == "running" and row["quality"]:
            none *= 1 - below(row["quality"], best["quality"])
    said = page.of("#strip-best .note").rpartition("P ")[2].removesuffix(" %").strip("< ")
    assert float(said) / 100 == pytest.approx(1 - none, abs=0.006)

    saved = detail["savings"]["saved_share"]
    assert f"{100 * saved:.0f} %" in page.of("#strip-saved")

    assert page.of("#strip-oracle strong") == audit["word"]
    if audit["pooled"]["rate"] is not None:
        assert f"90 % held {100 * audit['pooled']['rate']:.0f} %" in page.of("#strip-oracle .note")
    lost = audit["lost"]
    stopped = [r for r in rows if r["state"] == "stopped" and r["p_good"] is not None]
    assert lost["expected"] == pytest.approx(sum(r["p_good"] for r in stopped))
    assert page.of("#strip-lost strong") == f"{lost['expected']:.1f} expected"
    assert f"of {lost['stops']} stops" in page.of("#strip-lost .note")

    # coverage at 90 %, made anew from the runs' own decisions
    for cover in (c for c in audit["coverage"] if c["level"] == 0.9 and c["rate"] is not None):
        assert cover["low"] <= cover["rate"] <= cover["high"]
        assert cover["n"] <= audit["finished"] == len(whole)
    label = "return document.querySelectorAll('#audit canvas')[0].getAttribute('aria-label')"
    first = next(c for c in audit["coverage"] if c["rate"] is not None and c["level"] == 0.9)
    assert f"{100 * first['rate']:.0f} %" in page.run(label)

    title = page.run("return document.title")
    assert shown(best["quality"]) in title
    assert POPULATION in title


def shown(x: float) -> str:
    """A number as the page writes it: three digits that mean something."""
    return f"{x:.{max(0, 2 - math.floor(math.log10(x)))}f}"


def below(values: list[float], at: float) -> float:
    """P(score < at) of five quantiles, as the page documents it."""
    left, right = values[0] - (values[1] - values[0]), values[4] + (values[4] - values[3])
    xs, ps = [left, *values, right], [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1]
    for i in range(1, 7):
        if at <= xs[i]:
            if at <= xs[0]:
                return 0.0
            return ps[i - 1] + (at - xs[i - 1]) / (xs[i] - xs[i - 1]) * (ps[i] - ps[i - 1])
    return 1.0


def test_a_brush_filters_the_page_and_stands_in_the_address(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    opened(page)
    page.there("#settings .explains button")
    found = client.get(f"/v1/populations/{POPULATION}/settings").json()
    first = next(s for s in found["settings"] if s["kind"] == "number")
    page.click(f"[data-setting='{first['name']}']")
    page.there(".ranges input")
    field = page.driver.find_elements("css selector", ".ranges input")[1]
    field.send_keys(str((first["low"] + first["high"]) / 2), Keys.TAB)
    until(lambda: "pass; the filter" in page.of("#settings header"), DEADLINE_S, "the filter")
    assert "brush=" in page.run("return location.hash")
    passing = page.of("#runs-title + span")
    assert "of 60 runs" in passing
    page.driver.refresh()
    page.there("tr[data-run]")
    until(lambda: page.of("#runs-title + span") == passing, DEADLINE_S, "the same runs again")
    page.run(
        "[...document.querySelectorAll('button')].find(b => b.innerText === 'Clear filter').click()"
    )
    until(lambda: "brush=" not in unquote(page.run("return location.hash")), DEADLINE_S, "none")


def test_a_run_at_the_side_takes_a_note_and_a_pin(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    opened(page, f"{WHOLE}&run={searched}")
    page.there(".sheet:not([hidden])")
    assert searched in page.of(".sheet h2")

    def told() -> dict[str, Any]:
        return dict(client.get(f"/v1/runs/{searched}").json()["run"])

    ActionChains(page.driver).send_keys("p").perform()
    until(lambda: told()["tags"], DEADLINE_S, "the pin")
    page.type("#sheet-note", "worth a look" + Keys.TAB)
    until(lambda: told()["notes"] == "worth a look", DEADLINE_S, "the note")
    assert told()["tags"] == ["pinned"]
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    assert "run=" not in page.run("return location.hash")
    page.driver.find_element("css selector", "body").send_keys("j")
    page.there(".sheet:not([hidden])")
    page.picture(PICTURES / "sheet.png", whole=False)
    assert page.serious() == []


def test_a_note_stays_with_the_run_that_it_was_written_of(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    first, second = f"{POPULATION}-001", f"{POPULATION}-002"

    def notes(run_id: str) -> str | None:
        said: str | None = client.get(f"/v1/runs/{run_id}").json()["run"]["notes"]
        return said

    opened(page, f"{WHOLE}&run={first}")
    page.there("#sheet-note")
    page.type("#sheet-note", "of the first")
    page.go(f"{WHOLE}&run={second}")  # as the way back goes, with the focus in the note
    until(lambda: notes(first) == "of the first", DEADLINE_S, "the first note")
    until(lambda: second in page.of(".sheet h2"), DEADLINE_S, "the second run")
    page.type("#sheet-note", "of the second")
    page.go(WHOLE)
    until(lambda: notes(second) == "of the second", DEADLINE_S, "the second note")
    page.go(f"{WHOLE}&run={first}")
    page.there(".sheet:not([hidden]) #sheet-note")
    page.type("#sheet-note", ", again")
    page.go("/model")
    until(lambda: notes(first) == "of the first, again", DEADLINE_S, "the view was left")
    assert notes(second) == "of the second"


def test_stops_that_are_ignored_are_told(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    told = client.get(f"/v1/runs?population={POPULATION}&state=stopped&limit=1").json()["runs"][0]
    whole = client.get(f"/v1/runs/{told['run_id']}").json()["history"]
    body: dict[str, Any] = {"population": "deaf", "dataset": "deaf", "total_epochs": 100}
    body |= {
        "policy": {
            "name": "threshold",
            "threshold": 1e-9,
            "caution": 1e-10,
            "min_support": 0.0,
            "control": 0.0,
        }
    }
    for epoch in (20, 40, 60):
        piece = body | {
            "epochs": [epoch, epoch + 5, epoch + 10], "mqe": [0.5] * 3,
            "topographic_error": [0.5] * 3, "dead_neuron_ratio": [0.5] * 3,
            "context": whole["context"],
        }  # fmt: skip
        client.post("/v1/runs/deaf-1/checkpoints", json=piece).raise_for_status()
    alerts = client.get("/v1/populations/deaf/alerts").json()["alerts"]
    assert "ignored_stops" in [one["kind"] for one in alerts], json.dumps(alerts)
    assert "first at 30% of" in alerts[0]["sentence"]
    page.open("/?population=deaf")
    page.there("tr[data-run]")
    until(lambda: page.of("#bell .n"), DEADLINE_S, "the bell")
    page.click("#bell")
    page.there("[data-kind=ignored_stops]")
    assert "decision.stop" in page.of("#alerts")
    assert page.serious() == []
    page.picture(PICTURES / "alerts.png", whole=False)


def test_plans_are_suggested_for_the_table_of_the_search(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    opened(page)
    page.run("document.querySelector('#suggest').click()")
    page.there(".suggested tbody tr")
    told = page.run(
        "return [...document.querySelectorAll('.suggested tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    history = client.get(f"/v1/runs/{best_of(client)}").json()["history"]
    context = history["context"]
    known = {n: context[n] for n in ("n_samples", "n_features", "mqe_of_mean") if n in context}
    known |= {"geometry": context["geometry"]} if context.get("geometry") else {}
    asked = {"context": known, "n": 5, "budget": context.get("total_updates")}
    asked["population"] = history["population"]
    answer = client.post("/v1/suggest", json=asked).json()
    middle = answer["levels"].index(0.5)
    expected = [shown(plan["expected"]["quality"][middle]) for plan in answer["plans"]]
    assert [row[0] for row in told] == expected
    assert "whole space" in page.of(".suggested p")
    assert f"Learned of {answer['learned']} runs that ended." in page.of(".suggested p")
    assert answer["learned"] > 0


def best_of(client: httpx.Client) -> str:
    """The best run that went to its end."""
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    whole = [one for one in detail["outcomes"] if not one["censored"]]
    return str(min(whole, key=lambda one: one["quality"])["run_id"])


def test_searches_side_by_side_renamed_and_put_away(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    page.open("/searches")
    card = f"[data-name='{POPULATION}']"
    page.there(card)
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    best = min(o["quality"] for o in detail["outcomes"] if not o["censored"])
    assert shown(best) in page.of(card)
    assert f"{100 * detail['savings']['saved_share']:.0f} %" in page.of(card)
    for width in (1440, 390):
        page.size(width)
        assert page.cut() == ""
    page.size(1440)
    assert page.serious() == []
    page.picture(PICTURES / "searches.png")
    names = f"/v1/populations/{POPULATION}/about"
    client.post(names, json={"title": "Third try", "archived": True}).raise_for_status()
    listed = client.get("/v1/searches").json()
    assert POPULATION not in [one["name"] for one in listed["searches"]]
    assert listed["archived"] == 1
    page.open("/searches?archived=true")
    page.there(card)
    assert "Third try" in page.of(card)
    page.run(f'document.querySelector("{card} .actions").lastElementChild.click()')
    until(lambda: client.get("/v1/searches").json()["archived"] == 0, DEADLINE_S, "it is back")
    client.post(names, json={"title": None}).raise_for_status()


def test_the_page_begins_with_the_cards_where_there_are_several_searches(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    begun = checkpoint(1, population="another")
    client.post("/v1/runs/another-1/checkpoints", json=begun).raise_for_status()
    page.driver.get("about:blank")
    page.driver.get(page.url)
    page.there("[data-name='another']")
    assert page.run("return location.hash") == "#/searches"
    page.driver.back()  # no entry of its own: it is where one began
    assert page.run("return location.href") == "about:blank"


def test_two_that_are_ticked_stand_side_by_side_at_once(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    begun = checkpoint(1, population="another")
    client.post("/v1/runs/another-1/checkpoints", json=begun).raise_for_status()
    page.open("/searches")
    page.there("[data-name='another']")
    for name in (POPULATION, "another"):  # the focus stays on what was clicked
        page.click(f"[data-name='{name}'] input")
    shows = "return !document.querySelector('#side-by-side').hidden"
    assert page.run(shows)
    focused = "return document.activeElement.closest('.card-search')?.dataset.name"
    assert page.run(focused) == "another"
    page.click("[data-name='another'] input")
    assert not page.run(shows)
