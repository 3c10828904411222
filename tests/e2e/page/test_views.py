"""Every view of the live page: at every width and theme, by keyboard alone, with what is odd."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from browser import DEADLINE_S, MARKS, PICTURES, POPULATION, Browser
from selenium.webdriver import ActionChains, Keys
from serving import checkpoint, until

pytestmark = MARKS


COMPARED = ",".join(f"{POPULATION}-{n:03d}" for n in (60, 59, 49, 57))
VIEWS = {
    "overview": (f"/?population={POPULATION}", "tr[data-run]"),
    "run": ("/run/{run}", "#decisions-title"),
    "compare": (f"/compare?runs={COMPARED}", "#differing"),
    "model": ("/model", ".card"),
}
WIDTHS = (1440, 768, 390)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_at_every_width_and_theme(page: Browser, searched: str, view: str) -> None:
    route, sign = VIEWS[view]
    route = route.format(run=searched)
    for width in WIDTHS:
        page.size(width, 844 if width < 600 else 1000)
        page.open(route)
        page.there(sign)
        until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
        until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
        assert page.cut() == "", f"{view} at {width}"
        page.picture(PICTURES / f"{view}-{width}.png")
    page.size(1440)
    assert page.serious() == []
    page.dark(True)
    page.open(route)
    page.there(sign)
    until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
    assert page.serious() == []
    page.picture(PICTURES / f"{view}-dark.png")


def test_the_overview_counts_what_the_service_counts(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    page.open(VIEWS["overview"][0])
    page.there("tr[data-run]")
    until(lambda: page.of("#count-stopped") == str(detail["stopped"]), DEADLINE_S, "counts")
    assert page.of("#count-finished") == str(detail["finished"])
    saved = detail["savings"]["saved_share"]
    assert page.of("#saved") == f"{100 * saved:.0f} %"
    wrong = detail["wrong_stops"]
    until(lambda: "known" in page.of("#wrong") or " of " in page.of("#wrong"), DEADLINE_S, "rate")
    if wrong["controls"]:
        assert f"{wrong['wrong']} of {wrong['controls']}" in page.of("#wrong")
        assert f"at most {100 * wrong['upper']:.0f} %" in page.of("#wrong")


def test_by_keyboard_alone(page: Browser, client: httpx.Client, searched: str) -> None:
    page.open(VIEWS["overview"][0])
    page.there("tr[data-run]")
    page.type("body", "/")
    page.type("#filter", "stopped")
    until(lambda: "of 60 runs" in page.text, DEADLINE_S, "the filter")
    page.run("document.querySelector('.scroller').focus()")

    ActionChains(page.driver).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, "x").perform()
    focused = "return document.activeElement.closest('tr').querySelector('input').checked"
    assert page.run(focused)
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    page.there("#decisions-title")
    ActionChains(page.driver).send_keys("c").perform()
    page.shows("Choose runs to compare")
    ActionChains(page.driver).send_keys("t").perform()
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.run("localStorage.clear()")
    ActionChains(page.driver).send_keys("?").perform()
    page.there("dialog[open]")
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()


def test_nothing_stopped_says_why(page: Browser, client: httpx.Client) -> None:
    for n in range(3):
        body = checkpoint(1, 0.5, population="patient", total_epochs=1000)
        client.post(f"/v1/runs/patient-{n}/checkpoints", json=body).raise_for_status()
    page.open("/?population=patient")
    page.there("#why-none")
    assert "100 % too few checkpoints" in page.of("#why-none")
    page.go("/compare?runs=patient-0,patient-1")
    page.there("#why-none")


def test_what_is_odd_is_shown_all_the_same(page: Browser, client: httpx.Client) -> None:
    odd = "A" + "._-" * 21
    assert len(odd) == 64
    fixed: dict[str, Any] = {"population": "odd", "total_epochs": 100}
    nulls = {"topographic_error": [None, None], "dead_neuron_ratio": [None, None]}
    for name, body in {
        "one-checkpoint": checkpoint(1, **fixed),
        "nulls": checkpoint(1, **fixed) | nulls | {"epochs": [1, 2], "mqe": [0.5, 0.4]},
        "huge": checkpoint(1, **fixed) | {"mqe": [5e5]},
        odd: checkpoint(1, 0.0, **fixed),
        "timeless": checkpoint(1, population="odd"),
    }.items():
        client.post(f"/v1/runs/{name}/checkpoints", json=body).raise_for_status()
        page.open(f"/run/{name}")
        page.there("#decisions-title")
        assert page.cut() == "", name
        page.size(390, 844)
        until(lambda: page.cut() == "", DEADLINE_S, f"{name} fits a phone")
        page.picture(PICTURES / f"odd-{name[:6].strip('._-')}-390.png")
        page.size(1440)
    page.open("/?population=odd")
    until(lambda: "5 runs" in page.text, DEADLINE_S, "all five")
    page.picture(PICTURES / "odd-overview-1440.png")
    page.go(f"/compare?runs=huge,nulls,{odd},one-checkpoint,gone")
    page.shows("Not stored any more")
    assert "NaN" not in page.text
    page.console()  # the browser itself notes the 404 of the run that is gone


def test_a_failing_list_can_be_tried_again(page: Browser, searched: str) -> None:
    page.open("/")
    page.there("tr[data-run]")
    page.go("/?population=" + "x" * 201)
    until(lambda: "cannot be loaded" in page.text or "No runs yet" in page.text, DEADLINE_S)
    page.console()  # the browser itself notes the refusal
