"""T1: bodies and addresses that nobody should send, and as many that somebody does."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

from inprocess import Answer, App
from reliability import Result

from fuzz.addresses import drawn_address
from fuzz.bodies import MARK, drawn_body

MAX_REFUSAL_BYTES = 8_192
#: One in so many requests has no body and an address from the battery.
ADDRESSES = 4
#: How a valid body may be answered: a run may be gone, or have ended.
RIGHT = {200, 201, 404, 409}


def fuzz_requests(folder: Path, n: int, seed: int = 1) -> Result:
    """Send `n` requests, a quarter of them without a body."""
    result, rng = Result(), random.Random(seed)
    statuses: dict[str, Counter[int]] = {}
    with App(folder, rate_limit_per_s=1e9, rate_limit_burst=10**9) as app:
        for i in range(n):
            if i % ADDRESSES == 0:
                address = drawn_address(i, rng)
                kind, told = "address", str(address)
                stays = address.path != "/v1/events"  # whose answer ends when its client is gone
                call = app.call(address.method, address.path, query=address.query, stays=stays)
                answer = app.run(call)
            else:
                kind, path, sent = drawn_body(i, rng)
                told = f"{path} {sent[:200]!r}"
                answer = app.run(app.call("POST", path, sent))
            statuses.setdefault(kind, Counter())[answer.status] += 1
            problem = problem_of(answer)
            if not problem and kind == "valid" and answer.status not in RIGHT:
                problem = f"a valid body got {answer.status} {answer.body[:200]!r}"
            result.check(not problem, f"{problem}: seed {seed}, case {i}, {told[:400]}")
    for kind, counts in sorted(statuses.items()):
        result.seen[kind] = " ".join(f"{s}: {c}" for s, c in sorted(counts.items()))
    return result


def problem_of(answer: Answer) -> str:
    """Say what is wrong with an answer, nothing where it is right."""
    if answer.status >= 500:
        return f"status {answer.status}"
    if answer.status < 400:
        return ""
    if len(answer.body) > MAX_REFUSAL_BYTES:
        return f"{len(answer.body)} bytes"
    if MARK.encode() in answer.body:
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
