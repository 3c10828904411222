"""A real Chromium under test, and real recorded runs posted to a real server."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from serving import until

from oracle.history.quality_score import scores_among
from oracle.history.targets import finals_of
from oracle.types import Run

HERE = Path(__file__).parent
#: Where the pictures go that somebody looks at.
PICTURES = Path(os.environ.get("PAGE_PICTURES", "build/page"))
#: The search in full swing that the tests of the page share.
POPULATION = "wine-ea-3"
#: A busy machine is slow; what must be fast is measured by itself.
DEADLINE_S = float(os.environ.get("PAGE_DEADLINE_S", "60"))
#: What the page must hold to: one blocking task of the browser, ms.
LONG_TASK_MS = 200
_QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
)


def programs() -> tuple[str | None, str | None]:
    """Where Chromium and ChromeDriver are, None where they are not."""
    return shutil.which("chromium"), shutil.which("chromedriver")


#: `pytestmark` of each file of tests with a browser: one worker has it.
MARKS = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(None in programs(), reason="needs chromium and chromium-driver"),
]


class Browser:
    """One headless Chromium, told what it sees; `close` removes its profile.

    Args:
        url: of the server under test.
    """

    def __init__(self, url: str) -> None:
        chromium, chromedriver = programs()
        assert chromium
        assert chromedriver
        self.url = url
        self.profile = tempfile.mkdtemp(prefix="oracle-chromium-")
        options = Options()
        options.binary_location = chromium
        for argument in (*_QUIET, f"--user-data-dir={self.profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.add_experimental_option(
            "prefs", {"profile.default_content_setting_values.automatic_downloads": 1}
        )
        os.environ.setdefault("SE_AVOID_STATS", "true")
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        self.driver.set_script_timeout(DEADLINE_S)
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": self.profile}
        )
        self.size(1440)

    def close(self) -> None:
        """End the browser."""
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def size(self, width: int, height: int = 1000) -> None:
        """Set the page's width exactly: a window has a smallest one, a device has not."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def dark(self, on: bool) -> None:
        """Make the system's theme dark or light."""
        feature = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, route: str = "/") -> None:
        """Open the page anew at a hash route."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#{route}")

    def go(self, route: str) -> None:
        """Follow a hash route within the page."""
        self.run("location.hash = arguments[0]", f"#{route}")

    def run(self, script: str, *arguments: Any) -> Any:
        """Execute JavaScript."""
        return self.driver.execute_script(script, *arguments)

    @property
    def text(self) -> str:
        """All text in sight."""
        return str(self.run("return document.body.innerText"))

    def has(self, selector: str) -> bool:
        """Whether something matches."""
        return bool(self.run("return document.querySelector(arguments[0]) !== null", selector))

    def of(self, selector: str) -> str:
        """Text of the first match, empty where there is none."""
        return str(
            self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
        )

    def shows(self, text: str, deadline_s: float = DEADLINE_S) -> float:
        """Wait until a text is in sight; returns the seconds it took."""
        return until(lambda: text in self.text, deadline_s, f"{text!r} on the page")

    def there(self, selector: str) -> None:
        """Wait until something matches."""
        until(lambda: self.has(selector), DEADLINE_S, selector)

    def serious(self) -> list[str]:
        """What axe finds serious or critical."""
        self.run((HERE / "e2e/vendor/axe.min.js").read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations))"
        )
        return [
            f"{v['id']}: {v['nodes'][0]['html'][:200]} ({v['nodes'][0]['failureSummary'][:200]})"
            for v in found
            if v["impact"] in ("serious", "critical")
        ]

    def cut(self) -> str:
        """Name what sticks out of the page sideways, empty where nothing does.

        What a phone shows grows with what it is shown, so `innerWidth` does: the page's own width
        is asked for.
        """
        return str(
            self.run(
                "const { clientWidth: width, scrollWidth: needed } = document.documentElement;"
                "if (needed <= width) return '';"
                "const scrolls = (e) => e && (getComputedStyle(e).overflowX !== 'visible'"
                " || scrolls(e.parentElement));"
                "const wide = [...document.querySelectorAll('main *')].filter((e) =>"
                " e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));"
                "return `${needed} of ${width}: ${wide.at(-1)?.outerHTML.slice(0, 120)}`"
            )
        )

    def click(self, selector: str) -> None:
        """Click the first match with a real event, once nothing moves over it any more."""

        def clicked() -> bool:
            try:
                self.driver.find_element("css selector", selector).click()
            except ElementClickInterceptedException:  # what loads above it pushes it down
                return False
            return True

        until(clicked, DEADLINE_S, f"{selector} to be clicked")

    def type(self, selector: str, text: str) -> None:
        """Type into the first match."""
        self.driver.find_element("css selector", selector).send_keys(text)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page, whole or what is in sight."""
        import base64

        path.parent.mkdir(parents=True, exist_ok=True)
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole}
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def console(self) -> list[dict[str, Any]]:
        """Errors and warnings of the console since the last call."""
        return [e for e in self.driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]

    def requested(self) -> list[str]:
        """Addresses the page asked for since the last call."""
        import json

        messages = (json.loads(e["message"])["message"] for e in self.driver.get_log("performance"))
        return [
            m["params"]["request"]["url"]
            for m in messages
            if m["method"] == "Network.requestWillBeSent"
        ]

    def spent_ms(self, act: Callable[[], object]) -> float:
        """CPU of the page's main thread from an act until it is idle again, ms.

        Not the time that passes: on a busy machine that is mostly others'.
        """
        self.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        before = self._thread_s()
        act()
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "requestAnimationFrame(() => requestIdleCallback(() => setTimeout(done)))"
        )
        return 1e3 * (self._thread_s() - before)

    def _thread_s(self) -> float:
        told = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(one["value"] for one in told if one["name"] == "ThreadTime"))


def post_run(
    client: httpx.Client,
    run: Run,
    *,
    run_id: str | None = None,
    population: str | None = None,
    until: float = 1.0,
    checks: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0),
    policy: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Post a recorded run as it would have come, up to `until` of its budget.

    Checkpoints are sent in pieces that end at `checks`; a stop is obeyed, an end is told.

    Returns:
        The last decision.
    """
    history, name = run.history, run_id or run.run_id
    total = history.total_epochs
    assert total
    columns = ("epochs", "mqe", "topographic_error", "dead_neuron_ratio", "learning_rate", "radius")
    fixed = {
        "dataset": run.dataset,
        "population": population or history.population or run.dataset,
        "total_epochs": total,
        "context": history.context.model_dump(mode="json", exclude_none=True),
    }
    if policy is not None:
        fixed["policy"] = policy
    sent, decision = 0, {}
    for check in checks:
        if check > until + 1e-9:
            break
        n = sum(e <= check * total * (1 + 1e-9) for e in history.epochs)
        if n <= sent:
            continue
        piece = {
            c: list(values[sent:n]) for c in columns if (values := getattr(history, c)) is not None
        }
        decision = _posted(client, f"/v1/runs/{name}/checkpoints", piece | fixed)
        sent = n
        if decision["action"] == "stop":
            return decision
    if sent == len(history):
        _posted(client, f"/v1/runs/{name}/finish", {})
    return decision


def _posted(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(path, json=body)
    answer.raise_for_status()
    return dict(answer.json())


def post_search(client: httpx.Client, runs: Iterable[Run], population: str, live: int = 6) -> int:
    """Post recorded runs of one table as a search in full swing; the best `live` still run.

    They come last, as in a search that gets better: of runs like the others most would be stopped.
    """
    given = list(runs)
    scales = [run.history.context.mqe_of_mean for run in given]
    best = sorted(np.argsort(scores_among(finals_of(given).T, scales))[:live].tolist())
    found = [run for i, run in enumerate(given) if i not in best] + [given[i] for i in best]
    for i, run in enumerate(found):
        left = len(found) - i
        until = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8)[left % 6] if left <= live else 1.0
        post_run(
            client, run, run_id=f"{population}-{i + 1:03d}", population=population, until=until
        )
    return len(found)
