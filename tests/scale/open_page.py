"""S8: the page on a population of so many runs: how fast, how much traffic, how much memory."""

from __future__ import annotations

import json
import statistics
import time
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from browser import DEADLINE_S, Browser
from reliability import Result
from serving import Server, checkpoint, until

from scale.filled import SMALL
from scale.size import FilledStore

#: What it must hold to: first paint, CPU of a scroll by ten rows, traffic of one tab.
PAINT_MS, FRAME_MS, TRAFFIC_KB_S = 500.0, 32.0, 20.0
#: What a page's memory may grow by, after as many events as it has runs; MB.
GROWTH_MB = 20.0
POSTS_A_SECOND, POSTED_S = 20, 10.0
SCROLLS = 60
#: A page that draws nothing takes less for a look, ms of CPU.
AT_REST_MS = 10.0
RARELY_S = 2.0
#: Runs that are posted to.
LIVE = 20


def open_page(folder: Path, n: int) -> Result:
    """Open, scroll, and post to the page of `n` runs."""
    result = Result()
    file = folder / "data" / "oracle.db"
    file.parent.mkdir()
    file.touch()
    with FilledStore(f"sqlite:///{file}", n + SMALL, population=n):
        pass
    with Server(folder, rate_limit_per_s=1e9, rate_limit_burst=10**9) as server:
        page = Browser(server.url)
        try:
            _measure(result, page, server.url, n)
        finally:
            page.close()
    return result


def _measure(result: Result, page: Browser, url: str, n: int) -> None:
    began = time.monotonic()
    page.open("/?population=p0")
    page.shows(f"{n:,} runs")
    until(lambda: page.of("#strip-oracle strong") not in ("", "–"), DEADLINE_S, "the audit")
    drawn = time.monotonic() - began
    paint = page.run("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    idle = _at_rest(page)
    frames = [
        page.spent_ms(
            lambda at=at: page.run(
                "document.querySelector('.scroller').scrollTop = arguments[0]", 400 * at
            )
        )
        - idle
        for at in range(1, min(SCROLLS, n // 20))
    ]
    epochs = count(1)

    def post(client: httpx.Client, epoch: int) -> None:
        told = checkpoint(epoch, 0.2 + (epoch % 97) / 100, population="p0", total_epochs=10**7)
        client.post(f"/v1/runs/live-{epoch % LIVE}/checkpoints", json=told).raise_for_status()

    with httpx.Client(base_url=url) as client:
        _received(page)
        began = time.monotonic()
        for i in range(int(POSTS_A_SECOND * POSTED_S)):
            post(client, next(epochs))
            time.sleep(max(0.0, began + i / POSTS_A_SECOND - time.monotonic()))
        traffic = _received(page) / POSTED_S / 1e3
        before = _heap_mb(page)
        for _ in range(n):
            post(client, next(epochs))
        until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
        time.sleep(2)
        grown = _heap_mb(page) - before
    result.check(len(page.driver.find_elements("css selector", "tr[data-run]")) < 60, "rows")
    # A busy service answers 503 and the page asks again: no error of either.
    said = [e["message"] for e in page.console() if "status of 503" not in e["message"]]
    result.check(not said, f"the console says {said[:2]}")
    figures = {
        "first paint, ms": (paint, PAINT_MS),
        "a scroll, ms of CPU, median": (statistics.median(frames), FRAME_MS),
        "traffic, kB/s": (traffic, TRAFFIC_KB_S),
        f"memory after {n:,} events, MB more": (grown, GROWTH_MB),
    }
    result.seen |= {name: f"{value:.1f}" for name, (value, _) in figures.items()}
    result.seen |= {"largest scroll": f"{max(frames):.0f}", "all drawn, s": f"{drawn:.1f}"}
    missed = [f"{name} {value:.1f}, not {most:g}" for name, (value, most) in figures.items()
              if value > most]  # fmt: skip
    result.missed = "; ".join(missed)


def _at_rest(page: Browser) -> float:
    """Wait until all is drawn; give what a look at a page at rest costs, ms."""

    def rests() -> bool:
        looks = []
        for _ in range(5):
            time.sleep(RARELY_S / 4)  # what thousands of runs draw waits so long to be drawn anew
            looks.append(page.spent_ms(lambda: None))
        found.append(statistics.median(looks))
        return max(looks) < AT_REST_MS

    found: list[float] = []
    until(rests, DEADLINE_S, "a page at rest")
    return found[-1]


def _received(page: Browser) -> int:
    """Bytes that came to the page since the last call, as they were sent."""
    messages: list[dict[str, Any]] = [
        json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")
    ]
    return sum(
        m["params"]["encodedDataLength"] for m in messages if m["method"] == "Network.dataReceived"
    )


def _heap_mb(page: Browser) -> float:
    page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    told = page.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(one["value"] for one in told if one["name"] == "JSHeapUsedSize")) / 1e6
