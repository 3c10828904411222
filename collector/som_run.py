"""One real MiniSom training, measured at checkpoints: the map ends as `MiniSom.train` leaves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from oracle.errors import InvalidHistory, must_be
from oracle.history.context import context_of
from oracle.history.metrics import measure
from oracle.integrations.minisom import in_force, steps, updates_of
from oracle.types import MAX_CHECKPOINTS, History, Run

#: Share of the budget at which logarithmic checkpoints begin.
FIRST_LOG_CHECKPOINT = 0.01


def checkpoint_updates(
    total: int, count: int, spacing: Literal["log", "linear"] = "linear"
) -> list[int]:
    """Place up to `count` checkpoints over `total` updates; the last is at the end.

    Args:
        total: sample updates of the whole run.
        count: checkpoints wanted, 1..MAX_CHECKPOINTS; fewer where they would coincide.
        spacing: equal steps, or growing ones, denser early when curves still fall fast.
    """
    if not 1 <= count <= MAX_CHECKPOINTS:
        raise InvalidHistory(must_be("checkpoints", f"within 1..{MAX_CHECKPOINTS}", count))
    if spacing == "log":
        places = np.geomspace(total, max(1.0, total * FIRST_LOG_CHECKPOINT), count)
    else:
        places = np.linspace(total / count, total, count)
    return sorted({min(total, max(1, round(p))) for p in places} | {total})


def som_run(
    som: Any,
    data: Any,
    num_iteration: int,
    *,
    run_id: str,
    dataset: str,
    random_order: bool = False,
    use_epochs: bool = False,
    fixed_points: Mapping[int, tuple[int, int]] | None = None,
    checkpoints: int | Sequence[int] = 20,
    initialization: str | None = None,
    on_checkpoint: Callable[[History], bool] | None = None,
) -> Run:
    """Train `som` and record its history; `epochs` count sample updates.

    Args:
        som: a `minisom.MiniSom`, initialised, trained in place.
        data: samples [sample, feature], scaled as the map shall see them.
        num_iteration, random_order, use_epochs, fixed_points: as in `MiniSom.train`.
        run_id: name of the run, unique in its dataset.
        dataset: name of the table.
        checkpoints: how many, equally spaced, or the updates after which to measure (the last
            update is always one).
        initialization: how the weights began: random, sample or pca.
        on_checkpoint: sees the history so far; true stops the training.

    Returns:
        The run; `censored` where it was stopped before its last update.

    Raises:
        OracleError: naming what cannot be recorded, e.g. weights that are no longer finite.
        ValueError: MiniSom's own, for settings it refuses.
    """
    samples = np.asarray(data, dtype=float)
    total = updates_of(len(samples), num_iteration, use_epochs)
    if isinstance(checkpoints, int):
        at = set(checkpoint_updates(total, checkpoints))
    else:
        at = {c for c in checkpoints if 1 <= c <= total} | {total}
    context = context_of(
        som,
        samples,
        num_iteration=num_iteration,
        use_epochs=use_epochs,
        initialization=initialization,
    )
    rows: list[tuple[float | None, ...]] = []

    def history() -> History:
        return History.of_rows(
            rows, run_id=run_id, dataset=dataset, total_epochs=float(total), context=context
        )

    stopped = False
    for done in steps(
        som,
        data,
        num_iteration,
        random_order=random_order,
        use_epochs=use_epochs,
        fixed_points=fixed_points,
    ):
        if done not in at:
            continue
        metrics = measure(som.get_weights(), samples, som.topology)
        values = (metrics.mqe, metrics.topographic_error, metrics.dead_neuron_ratio)
        now = in_force(som, done, len(samples), num_iteration, use_epochs)
        rows.append((float(done), *values, *now))
        if done < total and on_checkpoint is not None and on_checkpoint(history()):
            stopped = True
            break
    recorded = history()
    return Run(
        run_id=run_id,
        source="minisom",
        dataset=dataset,
        final_mqe=recorded.mqe[-1],
        final_topographic_error=recorded.topographic_error[-1],
        final_dead_neuron_ratio=recorded.dead_neuron_ratio[-1],
        censored=stopped,
        history=recorded,
    )
