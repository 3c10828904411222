"""On a phone: runs are told apart, nothing sticks out, and name and key are within reach."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from browser import DEADLINE_S, MARKS, Browser
from serving import until

pytestmark = MARKS

POPULATION, SETTING = "W" * 200, "S" * 175
SHORT = [f"wine-ea-{n:04d}" for n in range(1, 5)]
WIDEST = "W" * 64
WIDE = {"epochs": [1, 2], "mqe": [0.9, 0.7], "topographic_error": [0.2, 0.1],
        "dead_neuron_ratio": [0.1, 0.1], "total_epochs": 30}  # fmt: skip


@pytest.fixture(scope="module")
def wide(client: httpx.Client) -> str:
    """A search whose name, runs, settings and values are as long as they may be."""
    for i in range(14):
        run_id = f"{WIDEST[:62]}{i:02d}"
        told = WIDE | {
            "population": POPULATION,
            "config": {SETTING: i, "kind": "V" * 190 + "ab"[i % 2]},
        }
        client.post(f"/v1/runs/{run_id}/checkpoints", json=told).raise_for_status()
        client.post(f"/v1/runs/{run_id}/finish", json={}).raise_for_status()
    for run_id in SHORT:
        client.post(f"/v1/runs/{run_id}/checkpoints", json=WIDE | {"population": "wine-ea"})
    return POPULATION


@pytest.fixture
def phone(page: Browser) -> Iterator[Browser]:
    page.size(390)
    yield page
    page.size(1440)


@pytest.mark.parametrize(
    ("route", "sign"),
    [
        (f"/?population={POPULATION}", "tr[data-run]"),
        (f"/?population={POPULATION}&cols=settings", "#settings .explains button"),
        (f"/?population={POPULATION}&setting=kind", ".ranges button"),
        (f"/run/{WIDEST[:62]}03", "#against-best table"),
        (f"/compare?runs={WIDEST[:62]}03,{WIDEST[:62]}04", "#differing"),
        ("/searches", ".card-search"),
        ("/?population=nope", ".others"),
        (f"/?population={POPULATION}&run={WIDEST[:62]}03", ".sheet table"),
    ],
    ids=["overview", "columns", "values", "run", "compare", "searches", "nothing", "side"],
)
def test_the_longest_names_stay_on_the_page(
    page: Browser, wide: str, route: str, sign: str
) -> None:
    for width in (390, 768, 1440):
        page.size(width)
        page.open(route)
        page.there(sign)
        assert page.cut() == "", width


def test_settings_do_not_overprint_each_other(page: Browser, wide: str) -> None:
    page.open(f"/run/{WIDEST[:62]}03")
    page.there("#told dt")
    out = "return [...document.querySelectorAll('.facts dt, .facts dd')].filter((one) =>"
    assert (
        page.run(f"{out} one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText)") == []
    )


def test_each_run_can_be_told_from_the_others(phone: Browser, wide: str) -> None:
    phone.open("/?population=wine-ea")
    phone.there(f"tr[data-run='{SHORT[0]}']")
    ends = phone.run(
        "return [...document.querySelectorAll('.runs a.cut')].map((a) => {"
        " const [head, tail] = a.children, cell = a.closest('td').getBoundingClientRect();"
        " const seen = tail.getBoundingClientRect().right <= cell.right"
        " && tail.scrollWidth <= tail.clientWidth && head.clientWidth > 20;"
        " return seen ? tail.textContent : 'cut'; })"
    )
    assert sorted(ends) == [run_id[-6:] for run_id in SHORT]


def test_a_name_is_given_and_every_key_is_told(phone: Browser, wide: str) -> None:
    phone.open(f"/run/{SHORT[0]}")
    phone.there("#keep")
    phone.click("#help")
    phone.type("#said-by", "Ada")
    told = set(phone.of(".keys").split())
    assert set("ogcmatxksujpn/?+−↑↓←→") | {"Enter", "Esc"} <= told
    phone.click("dialog .actions button")
    until(lambda: not phone.has("dialog"), DEADLINE_S, "the dialog's end")
    phone.click("#keep")
    until(lambda: "by" not in phone.of("#toast") and "(Ada" in phone.text, DEADLINE_S, "the name")
    phone.run("localStorage.clear()")
