"""T18: wrong keys and too many requests."""

from __future__ import annotations

import logging
import random
import string
from io import StringIO
from pathlib import Path

from inprocess import App
from reliability import Result

from oracle.server.http.keys import new_key


def wrong_keys(folder: Path, n: int, seed: int = 1) -> Result:
    """Try `n` wrong keys, then use up the right key's rate."""
    result, rng = Result(), random.Random(seed)
    right, line = new_key("ann")
    counts = {401: 0, 429: 0}
    with App(folder, api_keys=line, rate_limit_per_s=0.001, rate_limit_burst=50) as app:
        log = StringIO()
        handler = logging.StreamHandler(log)
        logging.getLogger("oracle").addHandler(handler)

        def status(authorization: str | None) -> int:
            headers = {"authorization": authorization} if authorization is not None else {}
            return app.run(app.call("GET", "/v1/models", headers=headers)).status

        for i in range(n):
            found = status(_wrong(right, rng))
            counts[found] = counts.get(found, 0) + 1
            result.check(found in (401, 429), f"case {i}: {found}")
        # Wrong attempts from the same address do not lock the right key out.
        allowed = [status(f"Bearer {right}") for _ in range(60)]
        result.check(allowed[:50] == [200] * 50, f"right key: {allowed[:50]}")
        result.check(allowed[50:] == [429] * 10, f"beyond the rate: {allowed[50:]}")
        logging.getLogger("oracle").removeHandler(handler)
        result.check(right not in log.getvalue(), "the key is in the log")
        result.check(right not in repr(app.service.settings), "the key is in a repr")
    result.check(counts[401] and counts[429], f"{counts}")
    result.seen |= {"401": f"{counts[401]:,}", "429": f"{counts[429]:,}"}
    return result


def _wrong(right: str, rng: random.Random) -> str | None:
    kind = rng.randrange(7)
    if kind == 0:
        return None
    if kind == 1:
        return f"Bearer {right[:-1]}"
    if kind == 2:
        return f"Basic {right}"
    if kind == 3:
        return right
    if kind == 4:
        return "Bearer "
    if kind == 5:
        at = rng.randrange(len(right))
        other = rng.choice([c for c in string.ascii_letters if c != right[at]])
        return f"Bearer {right[:at]}{other}{right[at + 1 :]}"
    return "Bearer " + "".join(rng.choices(string.ascii_letters, k=43))
