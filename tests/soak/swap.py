"""T9: the model is exchanged under load; nobody notices but by its digest."""

from __future__ import annotations

from pathlib import Path

from reliability import Result
from serving import Server, copy_model, until

from soak.load import Clients, Seen

#: Answers between two looks at the clock: with the swap, and as many without.
ANSWERS = 200
#: The 99th percentile of fewer answers is a handful of them, and noise: those fail where it is
#: doubled beyond doubt, and by their medians.
ENOUGH = 10_000
MOST_TIMES_SLOWER = 2.0


def swap_models(folder: Path, n: int) -> Result:
    """Activate two models in turn, `n` times, and wait as long without a swap after each."""
    result = Result()
    models = folder / "models"
    digests = {name: copy_model(models / name).info.sha256 for name in ("one", "two")}
    active = models / "active"
    active.write_text("one\n")
    with (
        Server(folder, models=models, model="", model_poll_s=0.05) as server,
        Clients(server.port, 4) as clients,
    ):

        def answers() -> Seen:
            until(lambda: len(clients.seen.took_s) >= ANSWERS, 120, "some answers")
            return clients.begin_again()

        answers()  # the first are slow: caches fill
        with_swaps, without = Seen(), Seen()
        for i in range(n):
            name = "two" if i % 2 == 0 else "one"
            temporary = models / ".active.tmp"
            temporary.write_text(f"{name}\n")
            temporary.replace(active)

            def serves(sha256: str = digests[name]) -> bool:
                return sha256 in clients.seen.models  # asking the server would cost it time, too

            until(serves, 60, f"swap {i}")
            result.check(True, "")
            with_swaps.add(answers())
            without.add(answers())
    for seen in (with_swaps, without):
        result.checked += sum(seen.statuses.values())
        result.check(set(seen.statuses) == {200}, f"statuses {seen.statuses} {seen.problems[:3]}")
        result.check(not seen.problems, f"{seen.problems[:3]}")
        result.check(seen.models <= set(digests.values()), f"models {seen.models}")
    slower = with_swaps.quantile_s(0.99) / without.quantile_s(0.99)
    at_least = with_swaps.quantile_s(0.99, errors=-2) / without.quantile_s(0.99, errors=2)
    usually = with_swaps.quantile_s(0.5) / without.quantile_s(0.5)
    result.check(at_least < MOST_TIMES_SLOWER, f"p99 at least {at_least:.2f} times as long")
    result.check(usually < MOST_TIMES_SLOWER, f"median {usually:.2f} times as long with swaps")
    if len(without.took_s) >= ENOUGH:
        result.check(slower < MOST_TIMES_SLOWER, f"p99 {slower:.2f} times as long with swaps")
    result.seen |= {
        "swaps": n,
        "answers": f"{len(with_swaps.took_s) + len(without.took_s):,}",
        "p99 with swaps over without": f"{slower:.2f} (at least {at_least:.2f})",
        "median": f"{usually:.2f}",
    }
    return result
