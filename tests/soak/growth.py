"""T20: what the store is asked costs the same after a thousand runs and a hundred thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from compared import REPEATS, Act, Spent, compare
from made_up import StandIn
from reliability import Result
from sqlalchemy import Connection, func, insert, select
from storing import write_now

from oracle.server.http.wire import CheckpointsRequest, FinishRequest
from oracle.server.runs import counts, listing, populations, standing
from oracle.server.runs.lifecycle import Runs
from oracle.server.runs.standing import Standings
from oracle.server.storage import schema
from oracle.server.storage.store import Store
from oracle.types import MAX_REFERENCE_RUNS, Policy, RunContext

#: Runs are written so many at once.
_PAGE = 2_000
_POLICY = Policy(name="population", control=0.0)


def growth(folder: Path, n: int) -> Result:
    """Compare the costs at a fifth of `n` runs with those at `n`."""
    result = Result()
    # In short, too, there are more outcomes than a decision ranks among.
    with (
        patch.multiple(standing, MAX_REFERENCE_RUNS=min(MAX_REFERENCE_RUNS, n // 10)),
        filled(folder / "few.db", n // 5) as few,
        filled(folder / "many.db", n) as many,
    ):
        compare(result, few, many, (time.thread_time, time.thread_time))
    return result


@contextmanager
def filled(file: Path, size: int) -> Iterator[Iterator[tuple[str, Act]]]:
    """Open a store of `size` runs, and give what to ask it."""
    store = Store(f"sqlite:///{file}", answer=StandIn().answer)
    runs = Runs(_POLICY)
    store.on_rollback = runs.references.forget_all
    store.migrate()
    try:
        for first in range(0, size, _PAGE):
            ids = range(first, min(size, first + _PAGE))
            write_now(store, lambda c, ids=ids: fill(c, ids))
        yield asked(store, runs, Standings(), size)
    finally:
        store.close()


def fill(connection: Connection, ids: range) -> None:
    """Write finished runs of one population, as if each had been appended and finished."""
    base = connection.execute(select(func.coalesce(func.max(schema.runs.c.id), 0))).scalar_one()
    numbers = {i: base + n for n, i in enumerate(ids, 1)}
    context = RunContext(mqe_of_mean=2.0).model_dump_json(exclude_none=True)
    rows, checkpoints, outcomes = [], [], []
    for i in ids:
        final = {
            "mqe": 0.2 + (i * 7919 % 10_007) / 10_007,
            "topographic_error": 0.1,
            "dead_neuron_ratio": 0.1,
        }
        common = {"owner": "", "population": "big", "run_id": f"r{i}"}
        rows.append(
            {
                **common, **final, "id": numbers[i], "dataset": f"d{i % 5}", "total_epochs": 100.0,
                "context": context, "state": "finished", "control": False, "created_at": float(i),
                "updated_at": float(i), "ended_at": float(i), "n_checkpoints": 3, "epoch": 100.0,
            }
        )  # fmt: skip
        for epoch in (10.0, 50.0, 100.0):
            checkpoints.append({"run": numbers[i], "epoch": epoch, "attempt": 0, **final})
        ends = {f"final_{name}": value for name, value in final.items()}
        outcomes.append(
            {
                **common, **ends, "run": numbers[i], "censored": i % 2 == 0,
                "spread": 0.02 * (i % 2 == 0),
                "mqe_of_mean": 2.0, "created_at": float(i), "control": False, "withdrawn": False,
            }
        )  # fmt: skip
    connection.execute(insert(schema.runs), rows)
    connection.execute(insert(schema.checkpoints), checkpoints)
    connection.execute(insert(schema.outcomes), outcomes)
    last = listing.run_of(connection, "", f"r{ids[-1]}")
    counts.change(connection, None, last, float(ids[-1]))
    more = len(ids) - 1
    change = (
        f"UPDATE populations SET finished = finished + {more}, known_runs = known_runs + {more},"
        f" planned_epochs = planned_epochs + {100 * more}, used_epochs = used_epochs + {100 * more}"
    )
    connection.exec_driver_sql(change)


def asked(store: Store, runs: Runs, reading: Standings, size: int) -> Iterator[tuple[str, Act]]:
    """Give each kind of question, to be asked often; no two appends are the same."""
    n = iter(range(10**6))

    def append(run_id: str, epoch: float) -> None:
        piece = CheckpointsRequest.model_validate(
            {
                "epochs": [epoch],
                "mqe": [0.5],
                "topographic_error": [0.1],
                "dead_neuron_ratio": [0.1],
                "population": "big",
                "dataset": "d1",
                "total_epochs": 10_000,
                "context": {"mqe_of_mean": 2.0},
            }
        )
        write_now(store, lambda c: runs.append(c, "", run_id, piece))

    def finish(run_id: str) -> None:
        write_now(store, lambda c: runs.finish(c, "", run_id, FinishRequest(final_mqe=0.5)))

    def page(**filters: Any) -> Callable[[], object]:
        wanted = {"population": None, "dataset": None, "state": None, "cursor": None, **filters}
        return lambda: store.read_now(lambda c: listing.page(c, "", limit=200, **wanted))

    live = f"live-{size}"
    append(live, 1.0)
    yield "append", lambda: append(live, 2.0 + next(n))
    ending = [f"ending-{size}-{i}" for i in range(2 * (REPEATS + 1))]
    for run_id in ending:
        append(run_id, 1.0)
    yield "finish", lambda: finish(ending.pop())

    def append_after_finish() -> Spent:
        finish(ending.pop())
        began = time.thread_time()
        append(live, 2.0 + next(n))
        return Spent(time.thread_time() - began)

    yield "append after a finish", append_after_finish
    yield (
        "the population",
        lambda: store.read_now(lambda c: populations.detail(c, reading, "", "big", _POLICY)),
    )
    yield "populations", lambda: store.read_now(lambda c: populations.listed(c, ""))
    yield "a page", page()
    yield "a page of the population", page(population="big")
    yield "its last page", page(population="big", cursor="200")
    yield "those running", page(population="big", state="running")
    yield "those running of a table", page(dataset="d1", state="running")
    yield "a page of a table", page(dataset="d2")
    yield "one run", lambda: store.read_now(lambda c: listing.detail(c, "", f"r{size // 2}"))
    yield "retirement of one", lambda: write_now(store, lambda c: runs.retire(c, 1e12, at_most=1))
