"""One MiniSom run as an evolutionary search proposes it, over named real tables or one's own."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from minisom import MiniSom

from collector.schedules import schedule
from collector.som_run import checkpoint_updates, som_run
from collector.sources import OwnTable, load_dataset, load_own
from collector.space import CALLABLES, MiniSomConfiguration, sample_ea
from oracle.errors import OracleError, must_be
from oracle.history.tables import ROLES, SCALINGS
from oracle.integrations.minisom import updates_of
from oracle.types import Run, run_id_of

Floats = npt.NDArray[np.float64]

#: Checkpoints a run: between a third of this and all of it.
MAX_CHECKPOINTS = 30
#: Nominal seconds that the updates of one run may take; longer runs get fewer of them.
BUDGET_S = 0.3
#: MiniSom's cost an update, measured: seconds each, and seconds each weight.
UPDATE_S, WEIGHT_S = 25e-6, 6e-9
#: A run that leaves this multiple of mqe_of_mean has diverged; the search would not keep it.
MAX_RELATIVE_MQE = 20.0


@dataclass(frozen=True)
class Towards:
    """A decay that MiniSom has not, with an end of its own; MiniSom takes it as a callable."""

    kind: str
    end: float

    def __call__(self, start: float, t: float, total: float) -> float:
        """Give the value at `t` of `total`."""
        at = np.asarray(float(t))
        return float(schedule(self.kind, at, int(total), float(start), self.end))


def ea_datasets(tables: str | None = None) -> tuple[str, ...]:
    """Name the datasets of a collection, `<table>-<scaling>`, in the order runs take them.

    Args:
        tables: table names separated by commas; None for all there are.

    Raises:
        OracleError: an unknown table; the message lists what there is.
    """
    names = [name.strip() for name in tables.split(",")] if tables else sorted(ROLES)
    for name in names:
        if name not in ROLES:
            raise OracleError(
                must_be("tables", f"of {', '.join(sorted(ROLES))}", name, "Choose among these.")
            )
    # One scaling a table, so that runs of one table stand on one scale and can be ranked.
    return tuple(f"{name}-{SCALINGS[i % len(SCALINGS)]}" for i, name in enumerate(names))


def run_one(index: int, seed: int, settings: Mapping[str, Any]) -> Run:
    """Train run `index`; it depends on (index, seed, settings) alone.

    Args:
        index: number of the run, from 0; runs take the tables in turn.
        seed: seed of the collection.
        settings: {"tables": names separated by commas, or None}, or {"own": an OwnTable's fields}.
    """
    if own := settings.get("own"):
        table = OwnTable(**{**own, "without": tuple(own["without"])})
        dataset, data = table.dataset, load_own(table)
    else:
        datasets = ea_datasets(settings.get("tables"))
        dataset = datasets[index % len(datasets)]
        data = load_dataset(dataset)
    for attempt in range(100):
        rng = np.random.default_rng((seed, index, attempt))
        run = _train(sample_ea(rng, len(data)), data, rng, run_id_of(f"{dataset}-{index}"), dataset)
        if run is not None:
            return run
    raise OracleError(f"run {index}: no configuration stays finite on {dataset}.")


def make_som(c: MiniSomConfiguration, data: Floats) -> MiniSom:
    """Build and initialise the MiniSom of a configuration."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on settings that are bad on purpose
        som = MiniSom(
            c.rows,
            c.cols,
            data.shape[1],
            sigma=c.sigma,
            learning_rate=c.learning_rate,
            decay_function=(
                Towards(c.decay_function, c.learning_rate_end)
                if c.decay_function in CALLABLES
                else c.decay_function
            ),
            neighborhood_function=c.neighborhood_function,
            topology=c.topology,
            random_seed=c.random_seed,
            **(
                {}
                if c.sigma_decay_function in CALLABLES
                else {"sigma_decay_function": c.sigma_decay_function}
            ),
        )
        if c.sigma_decay_function in CALLABLES:
            # MiniSom takes names only here; users set the attribute.
            som._sigma_decay_function = Towards(c.sigma_decay_function, c.sigma_end)
        if c.initialization == "sample":
            som.random_weights_init(data)
        elif c.initialization == "pca":
            som.pca_weights_init(data)
    return som


def affordable(c: MiniSomConfiguration, n_samples: int, n_features: int) -> int:
    """Cut `num_iteration` to what BUDGET_S pays for, one epoch at least."""
    seconds = UPDATE_S + WEIGHT_S * c.rows * c.cols * n_features
    updates = int(BUDGET_S / seconds)
    return max(1, min(c.num_iteration, updates // n_samples if c.use_epochs else updates))


def _train(
    c: MiniSomConfiguration, data: Floats, rng: np.random.Generator, run_id: str, dataset: str
) -> Run | None:
    """Train and record; None where the weights left all bounds."""
    if c.initialization == "pca" and data.shape[1] < 2:
        return None
    iterations = affordable(c, *data.shape)
    total = updates_of(len(data), iterations, c.use_epochs)
    count = int(rng.integers(MAX_CHECKPOINTS // 3, MAX_CHECKPOINTS + 1))
    spacing: Literal["log", "linear"] = "log" if rng.random() < 0.5 else "linear"
    try:
        with np.errstate(all="ignore"):
            run = som_run(
                make_som(c, data),
                data,
                iterations,
                run_id=run_id,
                dataset=dataset,
                random_order=c.random_order,
                use_epochs=c.use_epochs,
                checkpoints=checkpoint_updates(total, count, spacing),
                initialization=c.initialization,
            )
    except OracleError:  # the weights are no longer finite
        return None
    scale = run.history.context.mqe_of_mean
    return None if scale is not None and run.final_mqe > MAX_RELATIVE_MQE * scale else run
