"""What the oracle costs runs of a tenth of a second: `python -m bench.speed.short_runs`.

The same trainings of MiniSom with the same ten measurements, in turn: alone; watched with a
population file; watched with one in PostgreSQL, where it is installed. The population has ended
runs already, so that every report is forecast and ranked, and none is stopped. Medians over runs,
of wall time: a database answers from another process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

import numpy as np
from made_up import made_outcome
from minisom import MiniSom
from serving import Postgres, postgres_binaries

from bench.speed.page import enter
from oracle import context_of, measure, watch
from oracle.hook import Population
from oracle.integrations import minisom
from oracle.types import Policy

UPDATES, CHECKPOINTS = 2500, 10
#: Runs that have ended before; a tenth of them is better than ours.
ENDED = 100


def train(data: np.ndarray, shared: Population | None, number: int) -> float:
    """Train one map; gives the seconds."""
    som = MiniSom(8, 8, data.shape[1], sigma=2.0, random_seed=number)
    begin = time.perf_counter()
    if shared is None:
        for done in minisom.steps(som, data, UPDATES, random_order=True):
            if done % (UPDATES // CHECKPOINTS) == 0:
                measure(som.get_weights(), data)
        return time.perf_counter() - begin
    context = context_of(som, data, num_iteration=UPDATES)
    with watch(total_epochs=UPDATES, context=context, population=shared, control=1.0,
               population_name="t") as run:  # fmt: skip
        for done in minisom.steps(som, data, UPDATES, random_order=True):
            if done % (UPDATES // CHECKPOINTS) == 0:
                run.report(done, **measure(som.get_weights(), data)._asdict())
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    data = np.random.default_rng(0).normal(size=(150, 4))
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        places: dict[str, Population | None] = {
            "alone": None,
            "watched, population file": Population(f"{folder}/runs.db"),
        }
        if postgres_binaries() is not None:
            server = stack.enter_context(Postgres())
            places["watched, PostgreSQL"] = Population(server.url)
        for shared in filter(None, places.values()):
            for i in range(ENDED):
                shared.start("t", f"old-{i}", policy=Policy(name="population"))
                shared.end("t", made_outcome(0.5 + i / ENDED, run_id=f"old-{i}"))
        took: dict[str, list[float]] = {name: [] for name in places}
        for number in range(-2, args.runs):
            for name, shared in places.items():
                seconds = train(data, shared, number + 2)
                if number >= 0:  # the first ones load the model
                    took[name].append(seconds)
        for shared in places.values():
            if shared is not None:
                shared.close()
    alone = statistics.median(took["alone"])
    lines = [
        f"{name:26} {statistics.median(seconds) * 1000:7.1f} ms"
        + ("" if name == "alone" else f"   {statistics.median(seconds) / alone - 1:+.1%}")
        for name, seconds in took.items()
    ]
    told = "\n".join([f"{args.runs} runs each, {CHECKPOINTS} measurements a run, a run:", *lines])
    print(told)
    if args.write_docs:
        enter("python -m bench.speed.short_runs", told)


if __name__ == "__main__":
    main()
