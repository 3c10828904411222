"""T1: bodies and addresses that nobody should send, and as many that somebody does.

The application is called without a socket or a client, and many requests are on their way at once.
A long form is cut into parts, each with an application and a store of its own, on all cores.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from inprocess import Answer, App
from reliability import Result, cases, is_over

from fuzz.addresses import ORIGINS, drawn_address
from fuzz.bodies import MARK, drawn_body

MAX_REFUSAL_BYTES = 8_192
#: One in so many requests has no body and an address from the battery.
ADDRESSES = 4
#: So many are on their way at once: the store commits, and the network forecasts, for all of them.
TOGETHER = 48
#: Requests of one part at most: with more the lists that are asked for get long.
PART = 25_000
#: How a valid body may be answered: a run may be gone, or have ended.
RIGHT = {200, 201, 404, 409}


def fuzz_requests(folder: Path, n: int, first: int = 0) -> Result:
    """Send `n` requests, a quarter of them without a body, others than the `first` ones."""
    starts = range(first, first + n, PART)
    folders = [folder / str(start) for start in starts]
    sizes = [min(PART, first + n - start) for start in starts]
    # Time may end a run within several of its parts: another that goes on has none of their seeds.
    seeds = [f"{start} after {first}" for start in starts]
    if len(starts) == 1:
        return _told([_fuzz_part(folders[0], n, seeds[0])])
    spawn = multiprocessing.get_context("spawn")  # one process a part: none inherits a loop
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, spawn, max_tasks_per_child=1) as pool:
        return _told(list(pool.map(_fuzz_part, folders, sizes, seeds)))


def _told(parts: list[Result]) -> Result:
    """Add up the parts, what was answered in order."""
    whole = Result()
    for part in parts:
        whole.add(part)
    whole.counts = Counter(dict(sorted(whole.counts.items())))
    return whole


def _fuzz_part(folder: Path, n: int, seed: str) -> Result:
    result, rng = Result(), random.Random(seed)
    if is_over():
        return result
    limits = {
        "rate_limit_per_s": 1e9,
        "rate_limit_burst": 10**9,
        "max_waiting_batches": TOGETHER,
        # A machine that is busy with other things is not asked here.
        "batch_timeout_s": 3_600.0,
        "store_timeout_s": 3_600.0,
    }
    with App(folder, **limits) as app:
        for first in cases(n, TOGETHER):
            asked = [_Case.drawn(i, rng) for i in range(first, min(n, first + TOGETHER))]
            answers = app.run(_answers(app, asked))
            for i, (case, answer) in enumerate(zip(asked, answers, strict=True), first):
                result.counts[f"{case.kind} {answer.status}:"] += 1
                problem = problem_of(answer, case)
                if not problem and case.kind == "valid" and answer.status not in RIGHT:
                    problem = f"a valid body got {answer.status} {answer.body[:200]!r}"
                result.check(not problem, f"{problem}: seed {seed!r}, case {i}, {case.told()}")
    return result


async def _answers(app: App, asked: list[_Case]) -> list[Answer]:
    return await asyncio.gather(*(case.call(app) for case in asked))


class _Case(NamedTuple):
    kind: str
    method: str
    path: str
    body: bytes
    query: bytes
    origin: str = ""

    @classmethod
    def drawn(cls, number: int, rng: random.Random) -> _Case:
        if number % ADDRESSES == 0:
            method, path, query = drawn_address(number, rng)
            # A page of another origin is refused whatever it asks: seldom, so that most are asked.
            origin = rng.choice(ORIGINS) if rng.random() < 0.05 else ""
            return cls("address", method, path, b"", query, origin)
        kind, path, sent = drawn_body(number, rng)
        return cls(kind, "POST", path, sent, b"")

    def call(self, app: App) -> Coroutine[Any, Any, Answer]:
        stays = self.path != "/v1/events"  # whose answer ends when its client is gone
        headers = {"origin": self.origin} if self.origin else None
        return app.call(self.method, self.path, self.body, headers, query=self.query, stays=stays)

    def told(self) -> str:
        told = f"{self.method} {self.path[:200]!r} {(self.query or self.body)[:200]!r}"
        return f"{told} of {self.origin!r}" if self.origin else told


def problem_of(answer: Answer, case: _Case) -> str:
    """Say what is wrong with an answer, nothing where it is right."""
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.status < 400:
        return ""
    if len(answer.body) > MAX_REFUSAL_BYTES:
        return f"{len(answer.body)} bytes"
    # A conflict names what is stored, which may be the mark of another request.
    if MARK.encode() in answer.body and MARK in f"{case.path} {case.query!r} {case.body!r}":
        return "echo"
    try:
        error = answer.json()["error"]
    except (json.JSONDecodeError, KeyError, TypeError):
        return "another shape"
    ok = (
        {"code", "message", "request_id"}
        <= set(error)
        <= {"code", "message", "request_id", "field"}
    )
    return "" if ok else "another shape"
