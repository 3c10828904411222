"""The live page in a real Chromium against a real server with real recorded runs."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import httpx
import pytest
from browser import DEADLINE_S, LONG_TASK_MS, Browser, post_run, post_search, programs
from selenium.webdriver import ActionChains
from serving import Server, checkpoint, until

from oracle.history.dataset import read_dataset
from oracle.hook import watch
from oracle.model.artifact import read_artifact, resolve, write_artifact
from oracle.types import METRICS, Decision, Policy, Reason, Run

HERE = Path(__file__).parent
SEARCH = HERE.parent / "data/search.csv.gz"
#: Where the pictures go that somebody looks at.
PICTURES = Path(os.environ.get("PAGE_PICTURES", "build/page"))
WIDTHS = (1440, 768, 390)
POPULATION = "wine-ea-3"
LIVE_S = 2.0
#: An idle machine opens the page in a quarter of LIVE_S: a busy one may take so many times what it
#: takes to open it.
AT_MOST = 4.0
STREAMS = "oracle_event_streams "

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(None in programs(), reason="needs chromium and chromium-driver"),
]


class Followed(NamedTuple):
    """What a hooked run heard, and how it ended."""

    decisions: list[Decision]
    state: str


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return read_dataset(SEARCH)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=DEADLINE_S) as opened:
        yield opened


@pytest.fixture(scope="module")
def searched(client: httpx.Client, runs: list[Run]) -> str:
    """A search in full swing; gives the id of a run that still trains."""
    post_search(client, runs, POPULATION, live=8)
    listed = client.get("/v1/runs", params={"population": POPULATION, "state": "running"}).json()
    assert listed["runs"], "the last runs of the search must still be running"
    return str(listed["runs"][0]["run_id"])


@pytest.fixture(scope="module")
def chromium(server: Server) -> Iterator[Browser]:
    opened = Browser(server.url)
    yield opened
    opened.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Browser]:
    """The browser, wide and light; at the end nothing was logged and nobody else was asked."""
    chromium.size(1440)
    chromium.dark(False)
    chromium.console()
    chromium.requested()
    yield chromium
    # A busy service answers 503 and the page asks again: no error of either.
    assert [e for e in chromium.console() if "status of 503" not in e["message"]] == []
    asked = [u for u in chromium.requested() if not u.startswith(("about:", "blob:", "data:"))]
    assert [u for u in asked if not u.startswith(f"{chromium.url}/")] == []


def shows(page: Browser, text: str, deadline_s: float = DEADLINE_S) -> float:
    return until(lambda: text in page.text, deadline_s, f"{text!r} on the page")


def there(page: Browser, selector: str) -> None:
    until(lambda: page.has(selector), DEADLINE_S, selector)


def serious(page: Browser) -> list[str]:
    """What axe finds serious or critical."""
    page.run((HERE / "vendor/axe.min.js").read_text(encoding="utf-8"))
    found = page.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, { resultTypes: ['violations'] }).then((r) => done(r.violations))"
    )
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} ({v['nodes'][0]['failureSummary'][:200]})"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def cut(page: Browser) -> str:
    """Name what sticks out of the page sideways, empty where nothing does."""
    return str(
        page.run(
            "if (document.documentElement.scrollWidth <= innerWidth) return '';"
            "const wide = [...document.querySelectorAll('main *')]"
            ".filter((e) => e.getBoundingClientRect().right > innerWidth + 1);"
            "return `${document.documentElement.scrollWidth} ${wide[0]?.outerHTML.slice(0, 120)}`"
        )
    )


def compared(client: httpx.Client) -> str:
    return ",".join(f"{POPULATION}-{n:03d}" for n in (60, 59, 49, 57))


VIEWS = {
    "overview": (f"/?population={POPULATION}", "tr[data-run]"),
    "run": ("/run/{run}", "#decisions-title"),
    "compare": ("/compare?runs={compared}", "#differing"),
    "model": ("/model", ".card"),
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_at_every_width_and_theme(
    page: Browser, client: httpx.Client, searched: str, view: str
) -> None:
    route, sign = VIEWS[view]
    route = route.format(run=searched, compared=compared(client))
    for width in WIDTHS:
        page.size(width, 844 if width < 600 else 1000)
        page.open(route)
        there(page, sign)
        until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
        until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
        assert cut(page) == "", f"{view} at {width}"
        page.picture(PICTURES / f"{view}-{width}.png")
    page.size(1440)
    assert serious(page) == []
    page.dark(True)
    page.open(route)
    there(page, sign)
    until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
    assert serious(page) == []
    page.picture(PICTURES / f"{view}-dark.png")


def test_the_overview_counts_what_the_service_counts(
    page: Browser, client: httpx.Client, searched: str
) -> None:
    detail = client.get(f"/v1/populations/{POPULATION}").json()
    page.open(VIEWS["overview"][0])
    there(page, "tr[data-run]")
    until(lambda: page.of("#count-stopped") == str(detail["stopped"]), DEADLINE_S, "counts")
    assert page.of("#count-finished") == str(detail["finished"])
    saved = detail["savings"]["saved_share"]
    assert page.of("#saved") == f"{100 * saved:.0f} %"
    wrong = detail["wrong_stops"]
    until(lambda: "known" in page.of("#wrong") or " of " in page.of("#wrong"), DEADLINE_S, "rate")
    if wrong["controls"]:
        assert f"{wrong['wrong']} of {wrong['controls']}" in page.of("#wrong")
        assert f"at most {100 * wrong['upper']:.0f} %" in page.of("#wrong")


def test_a_post_is_seen_within_two_seconds(
    page: Browser, client: httpx.Client, runs: list[Run]
) -> None:
    page.open("/?population=live")
    opened_s = shows(page, "No runs yet")
    opened_s += until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
    allowed_s = max(LIVE_S, AT_MOST * opened_s)
    post_run(client, runs[0], run_id="first", population="live", until=0.05)
    assert shows(page, "1 run") <= allowed_s
    page.go("/run/first")
    shows(page, "Decisions")
    before = page.of(".head .sub")
    post_run(client, runs[0], run_id="first", population="live", until=0.2)
    took = until(
        lambda: page.of(".head .sub").split(",")[1:3] != before.split(",")[1:3], DEADLINE_S
    )
    assert took <= allowed_s


def test_the_fan_follows_the_forecast_to_the_end(
    page: Browser, client: httpx.Client, runs: list[Run]
) -> None:
    post_run(client, runs[0], run_id="fanned", population="fans", until=0.3)
    found = client.get("/v1/runs/fanned").json()
    curve = found["decision"]["forecast"]["curve"]["mqe"]
    assert curve[-1] == found["run"]["forecast"]["final_mqe"]
    page.open("/run/fanned")
    there(page, "#decisions-title")
    until(lambda: not page.has(".skeleton"), DEADLINE_S, "all loaded")
    page.picture(PICTURES / "run-fan.png")
    plot = page.driver.find_element("css selector", ".u-over")
    at = page.run(  # half of what is left lies here
        "const box = document.querySelector('.u-over').getBoundingClientRect();"
        "return Math.round(box.width * (arguments[0] - 0.5))",
        (1 + found["run"]["progress"]) / 2,
    )
    ActionChains(page.driver).move_to_element_with_offset(plot, at, 0).perform()
    until(lambda: page.of(".reading").startswith("At "), DEADLINE_S, "a reading of the fan")
    told = page.of(".reading").split("90 %: ")[1].split(" to ")
    low, high = curve[1][0], curve[1][-1]
    assert [float(v) for v in told] == pytest.approx([low, high], rel=0.02)


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
            there(page, "#stop")
            page.click("#stop")
            shows(page, "A person stops this run")
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
            there(page, "#keep")
            page.click("#keep")
            shows(page, "A person keeps this run")
        finally:
            pressed.set()
        decisions, state = run.result(DEADLINE_S)
    assert not any(d.stop for d in decisions)
    assert len(decisions) == len(runs[0].history)
    assert state == "finished"
    saved = [d for d in decisions if d.reason is Reason.OVERRULED]
    assert saved
    assert all(d.message.startswith("A person said keep. The policy said:") for d in saved)


def listed(server: Server, run_id: str) -> int:
    """How many checkpoints of a run the service holds."""
    answer = httpx.get(f"{server.url}/v1/runs/{run_id}")
    return len(answer.json()["history"]["epochs"]) if answer.status_code == 200 else 0


def test_downloads_hold_the_run(page: Browser, client: httpx.Client, searched: str) -> None:
    page.open(f"/run/{searched}")
    there(page, "#csv")
    page.run("document.querySelector('#csv').click(); document.querySelector('#json').click()")
    stored = client.get(f"/v1/runs/{searched}").json()
    table, whole = (Path(page.profile) / f"{searched}.{kind}" for kind in ("csv", "json"))
    until(lambda: table.exists() and whole.exists(), DEADLINE_S, "both files")
    lines = table.read_text().splitlines()
    assert lines[0].startswith("run_id,epoch,progress,mqe,")
    assert len(lines) == 1 + len(stored["history"]["epochs"])
    assert float(lines[-1].split(",")[3]) == stored["history"]["mqe"][-1]
    assert '"track"' in whole.read_text()


@pytest.mark.parametrize("kept", [True, False])
def test_the_model_view_tells_how_honest_the_intervals_are(tmp_path: Path, kept: bool) -> None:
    artifact = read_artifact(resolve(None))
    score: Any = deepcopy(artifact.manifest.training["score"])
    for share, found in score["by_progress"].items():
        found.pop("coverage", None)
        if kept:
            found["coverage"] = {"0.5": 0.4 + float(share) / 5, "0.9": 0.871}
    training = {**artifact.manifest.training, "score": score}
    model = tmp_path / "told"
    write_artifact(
        model,
        artifact.manifest.model_copy(update={"name": "told", "training": training}),
        weights=artifact.weights,
        calibration=artifact.calibration,
        golden=artifact.golden,
        card=artifact.card,
    )
    with Server(tmp_path / "data", model=model) as server:
        page = Browser(server.url)
        try:
            page.open("/model")
            there(page, "#coverage")
            if kept:
                there(page, "#coverage canvas")
                label = "return document.querySelector('#coverage .chart').ariaLabel"
                assert "90 % interval 87 %, 87 %, 87 %, 87 %, 87 %, 87 %" in page.run(label)
                assert "50 % interval 40 %, 42 %, 44 %, 46 %, 50 %, 54 %" in page.run(label)
            else:
                assert "not in this model's manifest" in page.of("#coverage")
                assert "oracle evaluate" in page.of("#coverage")
            for width in (1440, 390):
                page.size(width, 844 if width < 600 else 1000)
                until(lambda: cut(page) == "", DEADLINE_S, f"fits {width}")
                page.picture(PICTURES / f"model-{'covered' if kept else 'older'}-{width}.png")
            assert serious(page) == []
        finally:
            page.close()


def test_by_keyboard_alone(page: Browser, client: httpx.Client, searched: str) -> None:
    page.open(VIEWS["overview"][0])
    there(page, "tr[data-run]")
    page.type("body", "/")
    page.type("#filter", "stopped")
    until(lambda: "of 60 runs" in page.text, DEADLINE_S, "the filter")
    page.run("document.querySelector('.scroller').focus()")
    from selenium.webdriver import ActionChains, Keys

    ActionChains(page.driver).send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, "x").perform()
    focused = "return document.activeElement.closest('tr').querySelector('input').checked"
    assert page.run(focused)
    ActionChains(page.driver).send_keys(Keys.ENTER).perform()
    there(page, "#decisions-title")
    ActionChains(page.driver).send_keys("c").perform()
    shows(page, "Choose runs to compare")
    ActionChains(page.driver).send_keys("t").perform()
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.run("localStorage.clear()")
    ActionChains(page.driver).send_keys("?").perform()
    there(page, "dialog[open]")
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()


def test_nothing_stopped_says_why(page: Browser, client: httpx.Client) -> None:
    for n in range(3):
        body = checkpoint(1, 0.5, population="patient", total_epochs=1000)
        client.post(f"/v1/runs/patient-{n}/checkpoints", json=body).raise_for_status()
    page.open("/?population=patient")
    there(page, "#why-none")
    assert "3 runs: too few checkpoints" in page.of("#why-none")
    page.go("/compare?runs=patient-0,patient-1")
    there(page, "#why-none")


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
        there(page, "#decisions-title")
        assert cut(page) == "", name
        page.size(390, 844)
        until(lambda: cut(page) == "", DEADLINE_S, f"{name} fits a phone")
        page.picture(PICTURES / f"odd-{name[:6].strip('._-')}-390.png")
        page.size(1440)
    page.open("/?population=odd")
    until(lambda: "5 runs" in page.text, DEADLINE_S, "all five")
    page.picture(PICTURES / "odd-overview-1440.png")
    page.go(f"/compare?runs=huge,nulls,{odd},one-checkpoint,gone")
    shows(page, "Not stored any more")
    assert "NaN" not in page.text
    page.console()  # the browser itself notes the 404 of the run that is gone


#: Each word that a canvas of the page is drawn with from now on; charts are drawn anew.
DRAWN = """
window.drawn = [];
const plain = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  window.drawn.push(text);
  return plain.call(this, text, ...rest);
};
document.dispatchEvent(new Event("themechange"));
"""


def course(epoch: float, worse: float = 1.0, pace: float = 8) -> dict[str, float]:
    """Give the metrics of a made run at an epoch of 100."""
    left = math.exp(-epoch / pace)
    return {"mqe": 0.4 + worse * left, "topographic_error": 0.02 + 0.3 * left}


def test_each_way_of_ending_has_its_word(page: Browser, server: Server) -> None:
    strict = Policy(name="threshold", threshold=0.2, caution=0.1, control=0)
    for state, until_epoch, policy in (
        ("finished", 100, None),
        ("left", 40, None),
        ("stopped", 100, strict),
        ("converged", 100, Policy(name="threshold", converged=0.3)),
        ("abandoned", 40, None),
    ):
        fixed: dict[str, Any] = {"run_id": f"ends-{state}", "population_name": "endings"}
        with (
            suppress(InterruptedError),
            watch(total_epochs=100, url=server.url, policy=policy, timeout_s=30, **fixed) as run,
        ):
            for epoch in range(5, until_epoch + 1, 5):
                pace = 8 if state == "converged" else 30
                if run.report(epoch, dead_neuron_ratio=0.1, **course(epoch, pace=pace)).stop:
                    break
            if state == "abandoned":
                raise InterruptedError  # it is gone, and tells nobody
        assert run.state == ("finished" if state == "converged" else state), run.summary()
    words = {
        "finished": ("Finished", "Finished."),
        "left": ("Left", "Left at 40% of its budget"),
        "stopped": ("Stopped", "Stopped at"),
        "converged": ("Converged", "Converged at"),
        "abandoned": ("Abandoned?", "seems to be abandoned"),
    }
    page.open("/?population=endings")
    until(lambda: "5 runs" in page.text, DEADLINE_S, "all five")
    assert "Abandoned?" not in page.text  # it was heard of a moment ago
    page.run("const now = Date.now; Date.now = () => now() + 25 * 3_600_000")
    for state, (word, ending) in words.items():
        page.go(f"/run/ends-{state}")
        until(lambda ending=ending: ending in page.of("#ending"), DEADLINE_S, state)  # type: ignore[misc]
        assert page.of(".sub").startswith(word)
        page.picture(PICTURES / f"ends-{state}-1440.png")
    page.go("/?population=endings")
    there(page, "tr[data-run='ends-left']")
    page.picture(PICTURES / "endings-1440.png")
    for state, (word, _) in words.items():
        assert word in page.of(f"tr[data-run='ends-{state}']")
    used = page.of("#saved")
    assert 0 < int(used.split(" ")[0]) < 100


def test_where_a_run_went_back_is_marked(page: Browser, server: Server) -> None:
    with watch(total_epochs=100, url=server.url, run_id="went-back", timeout_s=30) as run:
        for told, worse in (
            (range(5, 65, 5), 1.0),
            (range(45, 75, 5), 1.2),
            (range(65, 105, 5), 1),
        ):
            if told.start > 5:
                run.rewind(told.start - 5)
            for epoch in told:
                run.report(epoch, dead_neuron_ratio=0.1, **course(epoch, worse))
    assert run.problems.messages == {}
    page.open("/run/went-back")
    there(page, "#decisions-title")
    assert "attempt 3" in page.of(".sub")
    page.run(DRAWN)
    until(lambda: page.run("return window.drawn.length") > 0, DEADLINE_S, "charts drawn anew")
    drawn = page.run("return window.drawn")
    assert (
        drawn.count("attempt 2") == drawn.count("attempt 3") == 4
    )  # the metrics', and the forecast's
    decided = [r.split("\t")[:2] for r in page.of(".decisions tbody").splitlines() if "\t" in r]
    assert ["65.0 %", "Attempt 3"] in decided
    assert ["45.0 %", "Attempt 2"] in decided
    assert cut(page) == ""
    assert serious(page) == []
    page.picture(PICTURES / "went-back-1440.png")
    page.size(390, 844)
    until(lambda: cut(page) == "", DEADLINE_S, "a rewound run fits a phone")
    page.picture(PICTURES / "went-back-390.png")


def test_what_was_said_of_a_run_is_shown(page: Browser, client: httpx.Client) -> None:
    common: dict[str, Any] = {"population": "said", "total_epochs": 100}
    said: dict[str, Any] = {
        "name": "lr=0.1, night 3",
        "config": {"sigma": 2.5, "seed": 20261129, "learning_rate": 1 / 3, "pca": False},
        "tags": ["baseline", "<b>bold</b>"],
        "notes": "First with the new scaling.\nCompare with run 12.",
    }
    for name, body in {"said-1": said, "said-2": {"config": {"sigma": 1.5, "pca": True}}}.items():
        client.post(f"/v1/runs/{name}/checkpoints", json=checkpoint(1, **common) | body)
    page.open("/run/said-1")
    there(page, "#told .facts")
    told = page.of("#told")
    for text in ("2.5", "20261129", "0.333333", "false", "baseline", "<b>bold</b>", "run 12."):
        assert text in told
    assert page.of(".sub").startswith("“lr=0.1, night 3”, Running")
    assert serious(page) == []
    page.picture(PICTURES / "said-1440.png")
    page.go("/compare?runs=said-1,said-2")
    there(page, "#differing")
    rows = page.of("#differing").splitlines()
    assert any(row.split("\t")[:3] == ["sigma", "2.50", "1.50"] for row in rows)
    assert any(row.split("\t")[:3] == ["pca", "false", "true"] for row in rows)
    page.go("/?population=said")
    there(page, "#filter")
    page.type("#filter", "baseline")
    until(lambda: "1 of 2 runs" in page.text, DEADLINE_S, "found by its tag")


def test_a_final_value_is_drawn_wherever_it_lies(page: Browser, client: httpx.Client) -> None:
    seen = {"epochs": [10, 40, 69], "mqe": [4.0, 3.2, 2.9], "dead_neuron_ratio": [0.1] * 3}
    body = {**seen, "topographic_error": [0.02] * 3, "total_epochs": 100, "population": "off-axis"}
    policy = {"policy": {"name": "population"}}
    client.post("/v1/runs/off-axis/checkpoints", json=body | policy).raise_for_status()
    client.post("/v1/runs/off-axis/finish", json={"final_mqe": 1.0}).raise_for_status()
    page.open("/run/off-axis")
    there(page, "#decisions-title")
    page.run(DRAWN)
    until(lambda: "final 1.00" in page.run("return window.drawn"), DEADLINE_S, "the final mqe")
    drawn = page.run("return window.drawn")
    ticks = [text for text in drawn if re.fullmatch(r"[12]\.\d+ %", text)]
    assert len(ticks) == len(set(ticks)) >= 2  # around a share that never changed they differ
    assert "Ended at 1.00" in page.text


def test_a_page_that_is_left_gives_its_connection_back(page: Browser, client: httpx.Client) -> None:
    def streams() -> str:
        text = client.get("/metrics").text
        return next(line.split()[1] for line in text.splitlines() if line.startswith(STREAMS))

    page.open()
    until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
    assert float(streams()) == 1
    page.driver.get("about:blank")
    until(lambda: float(streams()) == 0, 10, "no stream")
    page.driver.back()
    until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream again")
    assert float(streams()) == 1


def test_a_run_deleted_while_open(page: Browser, client: httpx.Client) -> None:
    client.post("/v1/runs/brief/checkpoints", json=checkpoint(1)).raise_for_status()
    page.open("/run/brief")
    there(page, "#decisions-title")
    until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
    client.delete("/v1/runs/brief").raise_for_status()
    shows(page, "This run was deleted")
    page.open("/run/never-there")
    shows(page, "There is no such run")
    page.open("/nonsense")
    shows(page, "There is no such page")
    page.console()  # the browser itself notes the 404


def test_two_thousand_runs_scroll_and_sort_smoothly(page: Browser, client: httpx.Client) -> None:
    def body(n: int) -> dict[str, Any]:
        return checkpoint(n % 7 + 1, 0.2 + n / 1e4, population="crowd", total_epochs=100)

    for n in range(2000):
        answer = client.post(f"/v1/runs/crowd-{n:04d}/checkpoints", json=body(n))
        answer.raise_for_status()
    page.open("/?population=crowd")
    shows(page, "2,000 runs")
    until(
        lambda: not page.has("[aria-busy]") and "loading" not in page.of(".head .sub"), DEADLINE_S
    )
    for _ in range(2):
        assert max(_exercised(page), default=0) <= LONG_TASK_MS
    assert max(_told_of_forty(page, client), default=0) <= LONG_TASK_MS
    assert len(page.driver.find_elements("css selector", "tr[data-run]")) < 60


def _exercised(page: Browser) -> list[int]:
    """Sort by five columns both ways, scroll to the end, filter; returns the long tasks, ms."""
    page.run(
        "const filter = document.querySelector('#filter'); filter.value = '';"
        "filter.dispatchEvent(new Event('input'))"
    )
    page.watch_long_tasks()
    for column in range(1, 6):
        for _ in range(2):
            page.run("document.querySelectorAll('.runs th button')[arguments[0]].click()", column)
    page.driver.execute_async_script(
        "const done = arguments[0], box = document.querySelector('.scroller'); let at = 0;"
        "const step = () => { box.scrollTop = at += 1500;"
        " at < box.scrollHeight ? requestAnimationFrame(step) : done(); }; step()"
    )
    page.type("#filter", "crowd-19")
    until(lambda: "100 of 2,000 runs" in page.text, DEADLINE_S, "the filter")
    return page.long_tasks()


def _told_of_forty(page: Browser, client: httpx.Client) -> list[int]:
    """Post to forty of the runs in a rush while all are shown; returns the long tasks, ms."""
    page.run(
        "const filter = document.querySelector('#filter'); filter.value = '';"
        "filter.dispatchEvent(new Event('input'))"
    )
    shows(page, "2,000 runs")
    until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream")
    page.watch_long_tasks()
    for n in range(40):
        body = checkpoint(50, 0.1 + n / 1e4, population="crowd", total_epochs=100)
        client.post(f"/v1/runs/crowd-{n:04d}/checkpoints", json=body).raise_for_status()
    before = page.of("#count-finished")
    client.post("/v1/runs/crowd-0039/finish", json={}).raise_for_status()
    until(lambda: page.of("#count-finished") != before, DEADLINE_S, "the last of the events")
    return page.long_tasks()


def test_the_server_goes_away_and_returns(tmp_path: Path, runs: list[Run]) -> None:
    with Server(tmp_path) as server, httpx.Client(timeout=DEADLINE_S) as client:
        client.base_url = server.url  # type: ignore[assignment]
        post_run(client, runs[0], run_id="lasting", population="lasting", until=0.1)
        page = Browser(server.url)
        try:
            page.open("/?population=lasting")
            there(page, "tr[data-run]")
            server.kill()
            shows(page, "The service does not answer")
            assert page.has("tr[data-run]"), "what was known stays in sight"
            page.picture(PICTURES / "away-1440.png")
            server.start()
            until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream again")
            post_run(client, runs[1], run_id="later", population="lasting", until=0.1)
            shows(page, "2 runs")
            assert "does not answer" not in page.text
        finally:
            page.close()


def test_no_model_and_nothing_stored(tmp_path: Path) -> None:
    with suppress(TimeoutError):
        (tmp_path / "none").mkdir()
    server = Server(tmp_path / "data", model=tmp_path / "none")
    server.start(ready=False)
    page = Browser(server.url)
    try:
        page.open("/")
        shows(page, "No runs yet")
        there(page, "#no-model")
        assert serious(page) == []
        page.picture(PICTURES / "empty-1440.png")
        page.go("/model")
        shows(page, "oracle models activate")
        page.picture(PICTURES / "no-model-1440.png")
    finally:
        page.close()
        server.kill()


def test_it_asks_for_the_key(tmp_path: Path) -> None:
    from oracle.server.http.keys import new_key

    secret, line = new_key("anna")
    with Server(tmp_path, api_keys=line) as server:
        page = Browser(server.url)
        try:
            page.open("/")
            there(page, "dialog[open] #key")
            page.picture(PICTURES / "key-1440.png")
            page.type("#key", "wrong\n")
            shows(page, "The key was not accepted")
            page.type("#key", f"{secret}\n")
            shows(page, "No runs yet")
            until(lambda: page.of("#live") == "Live", DEADLINE_S, "the stream with the key")
            assert page.run("return localStorage.length") == 0
            assert secret not in page.run("return location.href + document.cookie")
        finally:
            page.close()


def test_a_failing_list_can_be_tried_again(page: Browser, searched: str) -> None:
    page.open("/")
    there(page, "tr[data-run]")
    page.go("/?population=" + "x" * 201)
    until(lambda: "cannot be loaded" in page.text or "No runs yet" in page.text, DEADLINE_S)
    page.console()  # the browser itself notes the refusal
