"""Settings, runs and values that users named as nobody would: each is shown, none is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import httpx
import pytest
from browser import DEADLINE_S, MARKS, Browser
from serving import until

pytestmark = MARKS

ODD = "odd-names"
LONG = "the_learning_rate_of_the_second_phase_of_training"
LONG_VALUE = "x" * 196


def config(i: int) -> str:
    """Settings of the i-th run as JSON, `__proto__` among them."""
    named = {
        "constructor": i,
        "run_id": f"mine-{i}",
        "mqe": i / 2,
        "score": i,
        f"{LONG}_start": i * i,
    }
    named |= {f"{LONG}_end": i % 3, "note": LONG_VALUE if i == 1 else "short"}
    return json.dumps({"__proto__": i + 1, **named})  # explains the score, so it has a column


@pytest.fixture(scope="module")
def odd(client: httpx.Client) -> str:
    """A search of fourteen ended runs whose settings have such names."""
    for i in range(14):
        fixed = json.dumps({
            "population": ODD, "total_epochs": 3, "epochs": [1, 2, 3],
            "mqe": [0.9, 0.7, 0.5 + i / 100], "topographic_error": [0.2, 0.1, 0.1],
            "dead_neuron_ratio": [0.1, 0.1, 0.1],
        })  # fmt: skip
        body = f'{fixed[:-1]}, "config": {config(i)}}}'
        told = {"Content-Type": "application/json"}
        path = f"/v1/runs/odd-number-of-{i:02d}"
        client.post(f"{path}/checkpoints", content=body, headers=told).raise_for_status()
        client.post(f"{path}/finish", json={}).raise_for_status()
    return ODD


def test_settings_named_as_what_every_object_has(page: Browser, odd: str) -> None:
    page.open(f"/?population={odd}&cols=settings")
    page.there("#settings .explains button")
    axes = page.run("return document.querySelector('.parallel canvas').ariaLabel")
    assert "constructor" in axes
    assert "__proto__" in axes
    heads = "return [...document.querySelectorAll('.runs th button')].map((b) => b.title)"
    named = {"constructor", "__proto__"}
    until(lambda: named <= set(page.run(heads)), DEADLINE_S, "their columns")
    for name in ("constructor", "__proto__"):
        page.click(f"[data-setting='{name}']")
    page.go(f"/?population={odd}&cols=settings&brush=score:2..4")  # theirs, not the quality score
    until(lambda: page.of("#runs-title + span") == "3 of 14 runs", DEADLINE_S, "the filter")
    page.go(f"/?population={odd}&cols=settings")
    until(lambda: page.of("#runs-title + span") == "14 runs", DEADLINE_S, "no filter")
    page.click("#runs-csv")
    file = Path(page.profile) / f"{odd}.csv"
    until(file.exists, DEADLINE_S, "the file")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = {row["run_id"]: row for row in csv.DictReader(lines)}
    assert rows["odd-number-of-03"]["constructor"] == "3"
    assert rows["odd-number-of-03"]["__proto__"] == "4"
    assert rows["odd-number-of-03"]["mqe"] == "0.53"  # the run's own, and then its settings
    assert rows["odd-number-of-03"]["config.mqe"] == "1.5"
    assert rows["odd-number-of-03"]["config.run_id"] == "mine-3"
    page.go("/run/odd-number-of-03")  # beside the best, which has others
    page.there("#decisions-title")
    against = "[aria-label='Against the best run'] table"
    until(lambda: page.has(against), DEADLINE_S, "what differs from the best")
    assert {"constructor", "__proto__"} <= set(page.of(against).split())


def test_compare_names_such_settings(page: Browser, client: httpx.Client, odd: str) -> None:
    page.open("/compare?runs=odd-number-of-03,odd-number-of-04")
    page.there("#differing tbody tr")
    said = {
        row[0]: row[1:]
        for row in page.run(
            "return [...document.querySelectorAll('#differing tbody tr')]"
            ".map((row) => [...row.cells].map((cell) => cell.innerText))"
        )
    }
    assert said["constructor"] == ["3", "4"]
    assert said["__proto__"] == ["4", "5"]
    run = client.get("/v1/runs/odd-number-of-03").json()["run"]
    weights = client.get(f"/v1/populations/{odd}").json()["weights"]
    ended = sum(w * v for w, v in zip(weights, (run["mqe"], 0.1, 0.1), strict=True))
    assert float(said["quality score, final or forecast"][0]) == pytest.approx(ended, abs=6e-3)


def test_long_names_and_values_keep_to_their_place(page: Browser, odd: str) -> None:
    page.open("/compare?runs=odd-number-of-01,odd-number-of-02")
    page.there("#differing tbody tr")
    assert page.run("return document.querySelector('#differing table').offsetWidth") < 1440
    assert page.has(f"#differing td [title='{LONG_VALUE}']")
    page.open(f"/?population={odd}&cols=settings")
    page.there(f"th [title='{LONG}_start']")
    labels = "return [...document.querySelectorAll('.runs th.narrow .label')].map((one) => {text})"
    assert len(set(page.run(labels.format(text="one.textContent")))) == 6  # none as another
    out = "one.scrollWidth - one.clientWidth + Math.max(0, one.offsetHeight - 38)"
    assert page.run(labels.format(text=out)) == [0] * 6
    parts = "return [...document.querySelectorAll('.runs a.cut span')]"
    cut = f"{parts}.filter((one) => one.scrollWidth > one.clientWidth).length"
    assert page.run(cut) == 0  # there is room for names of sixteen characters
    assert "posted whole" in page.of("#why-none")


def test_a_phone_shows_settings_and_every_view(page: Browser, odd: str) -> None:
    page.size(390)
    page.open(f"/?population={odd}&cols=settings")
    page.there(f"th [title='{LONG}_start']")
    width = "return document.querySelector('td:nth-child(8)').offsetWidth"
    assert page.run(width) > 40
    out = page.run(
        "const inner = (box) => box.scrollWidth - box.clientWidth;"
        "return [document.querySelector('.top nav'), ...document.querySelectorAll("
        "'.strip strong, .strip .note')].map((e) => inner(e) + e.scrollHeight - e.clientHeight)"
    )
    assert max(out) <= 1
    assert page.cut() == ""


def test_what_is_written_from_right_to_left_turns_nothing_beside_it(
    page: Browser, client: httpx.Client, odd: str
) -> None:
    arabic, run_id = "\u0646\u0633\u062e\u0647 2", "right-to-left"
    told = {"population": f"{arabic} (3)", "total_epochs": 3, "epochs": [1], "mqe": [0.9],
            "topographic_error": [0.2], "dead_neuron_ratio": [0.1], "name": arabic,
            "tags": [arabic, "(1)"], "notes": f"{arabic} (1)",
            "config": {arabic: arabic}}  # fmt: skip
    client.post(f"/v1/runs/{run_id}/checkpoints", json=told).raise_for_status()
    client.post(f"/v1/runs/{run_id}/keep", json={"by": arabic}).raise_for_status()
    # Where each of them stands: what comes before a name in its sentence ends left of it.
    alone = (
        "const texts = document.createTreeWalker(document.body, 4), bad = [];"
        "for (let text = texts.nextNode(); text; text = texts.nextNode()) {"
        " if (!/[\\u0600-\\u06ff]/.test(text.data)) continue;"
        " const box = text.parentElement, style = getComputedStyle(box);"
        " if (box.tagName === 'OPTION') continue;"
        " if (!/isolate|plaintext/.test(style.unicodeBidi)) bad.push(box.outerHTML); } return bad;"
    )
    for route, sign in (
        (f"/run/{run_id}", "#told .tag"),
        (f"/?population={arabic} (3)&run={run_id}", ".sheet .tag"),
        ("/searches", f"[data-name='{arabic} (3)']"),
        (f"/compare?runs={run_id},odd-number-of-01", "#differing tbody tr"),
    ):
        page.open(route)
        page.there(sign)
        assert page.run(alone) == [], route
    page.open(f"/run/{run_id}")
    page.shows(f"A person keeps this run ({arabic}, ")
