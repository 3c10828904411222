"""T9: the model is exchanged under load; nobody notices but by its digest."""

from __future__ import annotations

from pathlib import Path

import httpx
from reliability import Result
from serving import Server, copy_model, until

from soak.load import Clients


def swap_models(folder: Path, n: int) -> Result:
    """Activate two models in turn, `n` times."""
    result = Result()
    models = folder / "models"
    digests = {name: copy_model(models / name).info.sha256 for name in ("one", "two")}
    active = models / "active"
    active.write_text("one\n")
    with (
        Server(folder, models=models, model="", model_poll_s=0.05) as server,
        Clients(server.port, 4) as clients,
    ):
        until(lambda: len(clients.seen.took_s) > 200, 60, "some answers")
        quiet = clients.begin_again()
        for i in range(n):
            name = "two" if i % 2 == 0 else "one"
            temporary = models / ".active.tmp"
            temporary.write_text(f"{name}\n")
            temporary.replace(active)

            def serves(sha256: str = digests[name]) -> bool:
                ready = httpx.get(f"{server.url}/readyz").json()
                return bool(ready["model"]["sha256"] == sha256)

            until(serves, 30, f"swap {i}")
            result.check(True, "")
        seen = clients.begin_again()
    answers = sum(seen.statuses.values())
    result.checked += answers
    result.check(set(seen.statuses) == {200}, f"statuses {seen.statuses} {seen.problems[:3]}")
    result.check(not seen.problems, f"{seen.problems[:3]}")
    result.check(seen.models <= set(digests.values()), f"models {seen.models}")
    result.seen |= {
        "swaps": n,
        "answers": f"{answers:,}",
        "p99 with swaps over without": round(seen.p99_s() / quiet.p99_s(), 2),
    }
    return result
