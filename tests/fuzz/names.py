"""T17: names that would like to be paths, formulas, log lines or code."""

from __future__ import annotations

import asyncio
import random
import sys
import sysconfig
from pathlib import Path
from urllib.parse import quote

from inprocess import Answer, App
from reliability import Result
from serving import MODEL, body, checkpoint

from oracle.model.artifact import resolve

_PARTS = [
    "../", "..\\", "/etc/passwd", "%2e%2e%2f", "\x00", "\n", "\r\n", "\u2028", "{{7*7}}",
    "${jndi:x}",
    "=cmd|' /C calc'!A0", "+1", "@x", "';DROP TABLE runs;--", '" or 1=1', "file:///etc/passwd",
    "sqlite:///x", "~/.ssh/id_rsa", "CON", "a" * 300, "\u202e", "\ufeff", "<script>", "|id", "`id`",
    '","level":"error', "pickle.loads", "\x1b[2J", "é", ".", "..", " ", "",
]  # fmt: skip


def fuzz_names(folder: Path, n: int, seed: int = 1) -> Result:
    """Use `n` hostile strings as run, population and dataset, in bodies, paths and queries."""
    result, rng = Result(), random.Random(seed)
    allowed = [
        str(path)
        for path in (
            folder,
            resolve(MODEL or None).parent,
            Path(sys.prefix).resolve(),
            Path(sysconfig.get_paths()["stdlib"]).parent,
            Path(__file__).parents[2] / "oracle",
            Path(__file__).parents[1],
        )
    ]
    watching = False
    forbidden: list[str] = []

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if not watching:
            return
        if event == "open":
            path = str(arguments[0])
            if path.startswith("/") and not path.startswith((*allowed, "/dev/", "/proc/self")):
                forbidden.append(f"open {path}")
        elif event in ("subprocess.Popen", "os.system", "os.exec", "pickle.find_class", "os.spawn"):
            forbidden.append(event)

    sys.addaudithook(audit)
    with App(folder, rate_limit_per_s=1e9, rate_limit_burst=10**9) as app:
        for _ in range(n):
            text = "".join(rng.choice(_PARTS) for _ in range(rng.randint(1, 4)))
            path = quote(text, safe="/:") if rng.random() < 0.3 else text
            calls = [
                ("POST", "/v1/runs/r/checkpoints", body(checkpoint(1, population=text)), b""),
                ("POST", "/v1/runs/q/checkpoints", body(checkpoint(1, dataset=text)), b""),
                ("POST", "/v1/runs/s/keep", body({"by": text}), b""),
                ("POST", "/v1/forecast", body(checkpoint(1, run_id=text)), b""),
                ("POST", f"/v1/runs/{path}/checkpoints", body(checkpoint(1)), b""),
                ("GET", f"/v1/runs/{path}", b"", b""),
                ("GET", f"/v1/populations/{path}", b"", b""),
                ("GET", f"/{path}", b"", b""),
                ("GET", "/v1/runs", b"", f"population={quote(text)}&cursor={quote(text)}".encode()),
            ]
            watching = True
            answers = app.run(_answers(app, calls))
            watching = False
            for (method, route, *_), answer in zip(calls, answers, strict=True):
                result.check(answer.status < 500, f"{answer.status}: {method} {route!r} {text!r}")
            result.check(not forbidden, f"{forbidden}: {text!r}")
            forbidden.clear()
    return result


async def _answers(app: App, calls: list[tuple[str, str, bytes, bytes]]) -> list[Answer]:
    """Send all at once: the store commits once for all of them."""
    sent = (app.call(method, route, raw, query=query) for method, route, raw, query in calls)
    return await asyncio.gather(*sent)
