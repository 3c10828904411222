"""The page where colours are forced, on paper, at twice its size, and while it is drawn."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import DEADLINE_S, MARKS, PICTURES, POPULATION, Browser
from serving import until

pytestmark = MARKS
WHOLE = f"/?population={POPULATION}"
PANELS = ("#best", "#audit", "#settings")


@contextmanager
def emulated(page: Browser, **media: object) -> Iterator[None]:
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        yield
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def opened(page: Browser) -> None:
    page.open(WHOLE)
    page.there("tr[data-run]")
    for panel in PANELS:
        page.there(f"{panel} canvas")


def keep(page: Browser, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.driver.save_screenshot(str(PICTURES / f"{name}.png"))


def inked(page: Browser, selector: str) -> int:
    """How many colours a canvas shows."""
    return int(
        page.run(
            "const canvas = document.querySelector(arguments[0]);"
            "const data = canvas.getContext('2d')"
            ".getImageData(0, 0, canvas.width, canvas.height).data;"
            "const seen = new Set();"
            "for (let i = 0; i < data.length; i += 4)"
            " if (data[i + 3] > 200) seen.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);"
            "return seen.size",
            f"{selector} canvas",
        )
    )


def test_forced_colours_leave_marks_and_words(page: Browser, searched: str) -> None:
    with emulated(page, features=[{"name": "forced-colors", "value": "active"}]):
        opened(page)
        assert page.run("return matchMedia('(forced-colors: active)').matches")
        keep(page, "forced-colours")
        # What a state is called is a word, and not its colour alone.
        words = page.run("return [...document.querySelectorAll('.chip')].map((c) => c.textContent)")
        assert words
        assert all(word.strip() for word in words)
        for panel in PANELS:
            assert inked(page, panel) > 1, panel


def test_all_panels_are_printed(page: Browser, searched: str) -> None:
    opened(page)
    rows = len(page.driver.find_elements("css selector", "tr[data-run]"))
    with emulated(page, media="print"):
        page.run("dispatchEvent(new Event('beforeprint'))")
        printed = page.driver.find_elements("css selector", "tr[data-run]")
        assert len(printed) >= rows
        assert page.run(
            "return [...document.querySelectorAll('.panel')]"
            ".every((p) => p.getBoundingClientRect().height > 0)"
        )
        # Nothing is hidden behind an edge that paper cannot scroll.
        assert page.run(
            "return getComputedStyle(document.querySelector('.scroller')).overflow"
        ) in (
            "visible",
            "visible visible",
        )
        page.run("dispatchEvent(new Event('afterprint'))")
    told = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(told["data"])
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / "print.pdf").write_bytes(pdf)
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 1


@pytest.mark.parametrize("route", [WHOLE, "/searches", "/model"])
def test_at_twice_its_size_nothing_is_cut_off(page: Browser, searched: str, route: str) -> None:
    """A window of 1,440 px at 200 % has 720 of the page's own."""
    page.size(720, 500)
    page.open(route)
    page.there("main :first-child")
    width, window = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= window
    keep(page, f"twice-{route.strip('/').partition('?')[0] or 'overview'}")


#: How far what was drawn has moved without anybody's doing, as browsers score it.
MOVED = """
const done = arguments[0];
let sum = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value;
}).observe({ type: "layout-shift", buffered: true });
setTimeout(() => done(sum), 100);
"""


@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_drawn_stays_where_it_is(page: Browser, searched: str, width: int) -> None:
    page.size(width, 844)
    compared = f"/compare?runs={searched},{POPULATION}-001"
    for route, sign in (
        (WHOLE, "#settings .explains button"),
        (f"/run/{searched}", "#decisions-title"),
        (compared, "#differing"),
    ):
        page.open(route)
        page.there(sign)
        until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
        moved = page.driver.execute_async_script(MOVED)
        assert moved < 0.1, (route, moved)
