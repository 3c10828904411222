"""Bodies for T1: valid ones, nearly valid ones, and valid ones with their bytes changed."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

from serving import body

#: In what is sent, so that an echo shows.
MARK = "zq7mark"
_TOKENS = [
    *(b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0.0", b"1e-400", b"1e308", b"-1", b"9" * 400),
    *(b"null", b"true", b"{}", b"[]", b'""', b"[[[[[[[[", b"{" * 50, b"[" * 2000, b"'", b","),
    *(b'"\\ud800"', b"\x00", b"\xff\xfe", b"\xf0\x9f\x92\xa9"),
    *(b'"__proto__":1,', b'"run_id":"..",', f'"{MARK}"'.encode(), f'"{MARK}":1,'.encode()),
]
#: In the place of one value, or beside the others.
_VALUES: list[Any] = [
    *(None, True, False, "", " ", "x" * 300, "\x00", "a\x00b", "\ud800", "\u202e", "é", "💩"),
    *(0, -1, 0.5, -0.0, 1e-320, 1e308, 2**31, 2**63, 2**64, 10**400, "1", "NaN", "..", MARK),
    *([], {}, [None], [1e308] * 3, [[]], {"": 1}, {MARK: 1}, [0.1] * 1001),
]
#: What costs most is drawn least: a suggestion draws plans, an explanation asks for many forecasts.
_ROUTES = (
    *(3 * ("forecast", "decide", "decide/batch", "keep", "stop", "finish")),
    *(9 * ("checkpoints",)),
    *("explain", "suggest"),
)


def valid(case: int, rng: random.Random) -> tuple[str, dict[str, Any]]:
    """Draw the path and the body of a request that must not be refused for its body."""
    run = f"/v1/runs/{run_name(case, rng)}"
    route = rng.choice(_ROUTES)
    if route in ("forecast", "explain"):
        return f"/v1/{route}", history(rng)
    if route == "suggest":
        samples = int(10 ** rng.uniform(0.31, 6))
        table = {"n_samples": samples, "n_features": 5, "mqe_of_mean": 1.5}
        asked = {"library": rng.choice(("minisom", "nexussom")), "budget": 10 ** rng.randint(0, 9)}
        if asked["library"] == "minisom" and rng.random() < 0.5:
            asked["space"] = {
                "learning_rate": [0.1, 0.5],
                "sigma": rng.choice((1, 1.5, [1, 1.5, 2])),
            }
        # Drawing them is what costs, and no body: seldom as many as take several rounds.
        candidates = rng.choice((1, 2, 3)) if rng.random() < 0.9 else rng.randint(1, 20)
        return "/v1/suggest", {"context": table, "candidates": candidates, **asked}
    if route == "decide":
        return "/v1/decide", history(rng) | _judged(rng)
    if route == "decide/batch":
        several = [history(rng) for _ in range(rng.randint(1, 4))]
        return "/v1/decide/batch", {"histories": several, "generation": rng.random() < 0.5}
    if route == "checkpoints":
        piece = {
            "epochs": [case + 1],
            "mqe": [rng.random()],
            "topo_error": [rng.random()],
            "dead_ratio": [rng.random()],
            "total_epochs": 10**9,
            "population": f"p{case // 500}",
        }
        return f"{run}/checkpoints", piece
    if route == "finish":
        return f"{run}/finish", {"final_mqe": rng.random(), "censored": rng.random() < 0.5}
    return f"{run}/{route}", {"by": rng.choice(("someone", "é", None))}


def run_name(case: int, rng: random.Random) -> str:
    """One of a few runs; others follow soon, since most of what is said ends them."""
    return f"r{case // 50}-{rng.randrange(5)}"


def history(rng: random.Random) -> dict[str, Any]:
    """Draw a history, with some of what may be left out."""
    n = rng.choice((1, 2, 3, 12))
    drawn: dict[str, Any] = {
        "epochs": sorted(rng.sample(range(1_001), n)),
        "mqe": [rng.choice((rng.random(), 1e6 * rng.random())) for _ in range(n)],
        "topographic_error": [rng.choice((rng.random(), None)) for _ in range(n)],
        "dead_neuron_ratio": [rng.random() for _ in range(n)],
    }
    optional: dict[str, Any] = {
        "run_id": "r",
        "dataset": "d",
        "total_epochs": 1_000,
        "learning_rate": [rng.random() for _ in range(n)],
        "radius": [5 * rng.random() for _ in range(n)],
        "context": {
            "map_rows": rng.randint(1, 40),
            "topology": rng.choice(("hexagonal", "rectangular")),
            "mqe_of_mean": 0.1 + rng.random(),
            "geometry": {"variance_1": 0.5, "participation": rng.choice((2, 2.5, 4))},
            "schedule": {"progress": [0, 1], "radius": [3, 1]},
        },
    }
    return drawn | {name: value for name, value in optional.items() if rng.random() < 0.5}


def _judged(rng: random.Random) -> dict[str, Any]:
    """Draw what a decision is made against."""
    if rng.random() < 0.5:
        return {}
    outcomes = [{"final_mqe": rng.random()} for _ in range(rng.randint(1, 5))]
    return {
        "policy": {"name": "population"},
        "reference": {"outcomes": outcomes, "mqe_of_mean": 1.0},
    }


def nearly(value: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Break one thing of a valid body: a value, a length, an order, a name."""
    broken = copy.deepcopy(value)
    container, at = rng.choice(_places(broken))
    changes: list[Callable[[], Any]] = [
        lambda: container.__setitem__(at, copy.deepcopy(rng.choice(_VALUES))),
        lambda: container.__delitem__(at),
    ]
    if isinstance(container, list):
        changes += [lambda: container.insert(at, container[at]), container.reverse]
    else:
        changes += [lambda: container.__setitem__(rng.choice((MARK, "", "\x00")), 1)]
    rng.choice(changes)()
    return broken


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key or index below a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for at, part in inner:
        found.append((value, at))
        if isinstance(part, dict | list):
            found += _places(part)
    return found


def drawn_body(case: int, rng: random.Random) -> tuple[str, str, bytes]:
    """Draw (kind, path, body): a third each is valid, nearly valid and mutated."""
    path, value = valid(case, rng)
    kind = ("valid", "nearly valid", "mutated")[case % 3]
    if kind == "nearly valid":
        value = nearly(value, rng)
    raw = body(value)
    return kind, path, mutate(raw, rng) if kind == "mutated" else raw


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
