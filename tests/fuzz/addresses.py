"""Addresses for T1: paths and query strings that nobody should send."""

from __future__ import annotations

import random
from typing import NamedTuple
from urllib.parse import quote

from fuzz.bodies import MARK, run_name

_TEXTS = [
    *(
        "\x00",
        "a\x00b",
        "%00",
        "\n",
        "\u202e",
        "\ufeff",
        "é",
        "💩",
        "\U0010ffff",
        " ",
        "",
        "/",
        "a/b",
    ),
    *("0", "-1", "1", "50", "1.5", "1e3", "1e999", "NaN", "inf", "0x10", "٣", "9" * 19, "9" * 400),
    *(str(2**31), str(2**63 - 1), str(2**63), str(2**64), "..", ".", "a" * 64, "a" * 65, MARK),
    *(
        "running",
        "true",
        "null",
        "[]",
        "{}",
        "'",
        '"',
        ";",
        "&",
        "#",
        "?",
        "%",
        "%ff%fe",
        "x" * 9_000,
    ),
]
#: What a browser, or nobody, says of the page that asks.
ORIGINS = (
    *("null", "http://127.0.0.1", "https://elsewhere.example", "http://[", "http://[::1", "a]b"),
    *("http://127.0.0.1:99999", "//", "://", "\x85", "x" * 9_000, "http://é"),
)
_PATHS = (
    *("/v1/runs", "/v1/runs/{}", "/v1/runs/{}/decisions/{}", "/v1/populations"),
    *("/v1/populations/{}", "/v1/promising", "/v1/events", "/v1/models/{}", "/{}"),
    *("/v1/populations/{}/audit", "/v1/populations/{}/settings", "/v1/populations/{}/alerts"),
    "/v1/searches",
)
#: Nothing can be put into these, and their answers are long: one address in ten.
_FIXED = (
    "/v1/models",
    "/v1/models/active",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
)
_QUERIES = (
    "population",
    "dataset",
    "state",
    "limit",
    "cursor",
    "after",
    "run_id",
    "objective",
    MARK,
)


class Address(NamedTuple):
    """One request without a body; the path is decoded, the query is not."""

    method: str
    path: str
    query: bytes


def drawn_address(case: int, rng: random.Random) -> Address:
    """Draw a method, a path and a query; runs of `drawn_body` are among the paths."""

    def text() -> str:
        if rng.random() < 0.3:
            return run_name(case, rng)
        return rng.choice(_TEXTS) + rng.choice(("", "", rng.choice(_TEXTS)))

    path = rng.choice(_FIXED if rng.random() < 0.1 else _PATHS)
    for _ in range(path.count("{}")):
        path = path.replace("{}", text(), 1)
    parts = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        value = text()
        shown = value.encode() if rng.random() < 0.1 else quote(value, safe="").encode()
        parts.append(rng.choice(_QUERIES).encode() + b"=" + shown)
    method = "DELETE" if path.startswith("/v1/runs/") and rng.random() < 0.2 else "GET"
    return Address(method, path, b"&".join(parts))
