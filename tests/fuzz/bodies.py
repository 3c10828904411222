"""T1: mutated bodies on every route that takes one."""

from __future__ import annotations

import json
import random
from pathlib import Path

from inprocess import Answer, App
from reliability import Result
from serving import HISTORY, body, checkpoint

MARK = "zq7mark"
MAX_REFUSAL_BYTES = 8_192
_TOKENS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0.0", b"1e-400", b"1e308", b"-1", b"9" * 400),
    *(b"null", b"true", b"{}", b"[]", b'""', b"[[[[[[[[", b"{" * 50, b"[" * 2000, b"'", b","),
    *(b'"\\ud800"', b"\x00", b"\xff\xfe", b"\xf0\x9f\x92\xa9"),
    *(b'"__proto__":1,', b'"run_id":"..",', f'"{MARK}"'.encode(), f'"{MARK}":1,'.encode()),
]


def seeds() -> list[tuple[str, bytes]]:
    """Valid requests, one or more a route."""
    full = HISTORY | {
        "run_id": "r",
        "dataset": "d",
        "learning_rate": [0.9, 0.5, 0.1],
        "radius": [3.0, 2.0, 1.0],
        "context": {
            "map_rows": 5,
            "topology": "hexagonal",
            "mqe_of_mean": 1.0,
            "schedule": {"progress": [0, 1], "radius": [3, 1]},
        },
    }
    reference = {"outcomes": [{"final_mqe": 0.1}] * 3, "mqe_of_mean": 1.0}
    return [
        ("/v1/forecast", body(HISTORY)),
        ("/v1/forecast", body(full)),
        ("/v1/decide", body(full | {"policy": {"name": "population"}, "reference": reference})),
        ("/v1/decide/batch", body({"histories": [HISTORY, full], "generation": True})),
        ("/v1/runs/{run}/checkpoints", body(checkpoint(10, population="p", total_epochs=100))),
        ("/v1/runs/{run}/keep", body({"by": "someone"})),
        ("/v1/runs/{run}/finish", body({"final_mqe": 0.1, "censored": False})),
    ]


def mutate(raw: bytes, rng: random.Random) -> bytes:
    """Change a body in one to three places."""
    data = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at:at] = rng.choice(_TOKENS)
        elif kind == 1:  # a value in the place of another
            end = next((i for i in range(at, len(data)) if data[i] in b",]}"), len(data))
            data[at:end] = rng.choice(_TOKENS)
        elif kind == 2 and data:
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 3:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 4:
            del data[at:]
        else:
            data[at:at] = data[at : at + rng.randint(1, 40)]
    return bytes(data)


def fuzz_bodies(folder: Path, n: int, seed: int = 1) -> Result:
    """Send `n` mutated bodies."""
    result, rng = Result(), random.Random(seed)
    valid = seeds()
    statuses: dict[int, int] = {}
    with App(folder, rate_limit_per_s=1e9, rate_limit_burst=10**9) as app:
        for path, raw in valid:
            answer = app.run(app.call("POST", path.format(run="r"), raw))
            assert answer.status < 300, (path, answer)
        for i in range(n):
            path, raw = rng.choice(valid)
            sent = mutate(raw, rng)
            answer = app.run(app.call("POST", path.format(run=f"r{i % 50}"), sent))
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            problem = problem_of(answer)
            result.check(not problem, f"{problem}: seed {seed}, case {i}, {path} {sent[:200]!r}")
    result.seen["statuses"] = " ".join(f"{s}: {c}" for s, c in sorted(statuses.items()))
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
