"""Make the pictures of the live page: a real server, a real search, a real Chromium.

python docs/pictures.py        (needs chromium and chromium-driver, and the dev environment)
"""

# ruff: noqa: E402  (the paths come before what lies on them)
from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx
from browser import DEADLINE_S, Browser, post_search
from serving import Server, until

from oracle.history.dataset import read_dataset

IMAGES = ROOT / "docs/img"
POPULATION = "wine-ea-3"


def main() -> None:
    """Write docs/img/page*.png."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        with httpx.Client(base_url=server.url, timeout=DEADLINE_S) as client:
            runs = read_dataset(ROOT / "tests/data/search.csv.gz")
            post_search(client, runs, POPULATION, live=8)
            listed = client.get(f"/v1/runs?population={POPULATION}&state=running").json()["runs"]
        live = listed[0]["run_id"]
        chosen = ",".join(f"{POPULATION}-{n:03d}" for n in (57, 49, 59, 53))
        browser = Browser(server.url)
        try:
            for name, route, sign, dark, height in (
                ("page", f"/?population={POPULATION}", "tr[data-run]", False, 1120),
                ("page-run", f"/run/{live}", "#decisions-title", False, 1000),
                ("page-compare-dark", f"/compare?runs={chosen}", "#differing", True, 900),
            ):
                browser.dark(dark)
                browser.size(1440, height)
                browser.open(route)
                until(lambda sign=sign: browser.has(sign), DEADLINE_S, sign)
                until(lambda: browser.of("#live") == "Live", DEADLINE_S, "the stream")
                time.sleep(2)  # new rows fade from their tint
                browser.picture(IMAGES / f"{name}.png", whole=False)
        finally:
            browser.close()
    shrink()


def shrink() -> None:
    """Pack the files as tightly as PNG allows."""
    from PIL import Image

    for path in IMAGES.glob("page*.png"):
        with Image.open(path) as image:
            plain = image.convert("RGB")
        plain.save(path, optimize=True)


if __name__ == "__main__":
    main()
