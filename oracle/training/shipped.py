"""What `oracle train --preset shipped` does: the oracles in models/, from collected files alone.

The default is trained in legs over growing collections: what is learned of few runs is there
early, and is made right by many. The others are there to be compared with, and see all runs in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import read_dataset, usable
from oracle.training.batches import Settings
from oracle.training.card import Result
from oracle.training.fit import Fitted, fit
from oracle.training.recipe import Data, Request, gather, judge_and_publish, refuse_beside
from oracle.types import Run

#: What is read; `make oracle` collects it, docs/training.md tells the commands.
PRETRAINING = tuple(Path(f"data/pretraining-{i}.csv.gz") for i in range(1, 7))
SEARCHES = tuple(Path(f"data/searches-{i}.csv.gz") for i in range(1, 4))
MOST = (*PRETRAINING[:3], SEARCHES[0])
FIRST, FRESH = (*PRETRAINING[:4], SEARCHES[0]), (*PRETRAINING[4:], *SEARCHES[1:])
CALIBRATE, TEST = Path("data/calibrate.csv.gz"), Path("data/test.csv.gz")
#: Runs of one random table each, in all twice as many as CALIBRATE has: a few whole tables alone
#: would have the calibration learn what is peculiar to them. They have no say in when training
#: stops.
CALIBRATE_MORE = (Path("data/calibrate-random.csv.gz"), Path("data/calibrate-searches.csv.gz"))


@dataclass(frozen=True)
class Leg:
    """A part of a training.

    Attributes:
        files: collections that it sees.
        epochs: over all their runs.
        learning_rate: at its start; it falls as a cosine.
    """

    files: tuple[Path, ...]
    epochs: int
    learning_rate: float = 2e-3


@dataclass(frozen=True)
class Shipped:
    """One artifact.

    Attributes:
        architecture: a key of `oracle.training.architectures.ARCHITECTURES`.
        legs: of its training, in order.
        seeds: networks averaged in it.
    """

    architecture: str
    legs: tuple[Leg, ...]
    seeds: int = 1


SHIPPED = {
    "default": Shipped(
        "wide",
        (
            Leg(PRETRAINING[:1], 14),
            Leg(PRETRAINING[:3], 12, 1.5e-3),
            Leg(MOST, 10, 1.5e-3),
            Leg(FIRST, 16, 1.5e-3),
            Leg(FIRST, 22, 1.5e-3),
            # Tables never seen before teach more than another look at those of the legs before.
            Leg(FRESH, 26, 1e-3),
        ),
    ),
    "standard": Shipped("standard", (Leg(MOST, 8),)),
    "lite": Shipped("lite", (Leg(MOST, 6),)),
    "bidirectional": Shipped("bidirectional", (Leg(MOST, 3),)),
}


def train_shipped(request: Request) -> list[Result]:
    """Train and publish all shipped oracles, or the one that the request names.

    Raises:
        DatasetError: a file was not collected yet.
        OracleError: an unknown preset or name, or an option that the preset settles.
    """
    if request.preset != "shipped":
        raise OracleError(must_be("--preset", "shipped", request.preset))
    refuse_beside(
        "--preset",
        {
            "--dataset": ", ".join(map(str, request.datasets)) or None,
            "--calibrate": request.calibrate,
            "--test": request.test,
            "--from": request.start_from,
            "--architecture": request.architecture,
            "--batch-size": request.batch_size,
            "--learning-rate": request.learning_rate,
            "--dropout": request.dropout,
            "--correct": request.correct,
            "--seed": request.seed or None,
            "--seeds": request.seeds,
        },
    )
    wanted = [request.name] if request.name else list(SHIPPED)
    if unknown := [n for n in wanted if n not in SHIPPED]:
        raise OracleError(must_be("--name", f"one of {', '.join(SHIPPED)}", unknown[0]))
    legs = [leg for name in wanted for leg in SHIPPED[name].legs]
    files = dict.fromkeys(path for leg in legs for path in leg.files)
    for path in (*files, CALIBRATE, *CALIBRATE_MORE, TEST):
        if not path.is_file():
            raise DatasetError("must be collected first. `make oracle` does it.", file=str(path))
    validation, _ = usable(read_dataset(CALIBRATE))
    results = []
    for key in wanted:
        made = SHIPPED[key]
        fitted = [_in_legs(request, made, validation, seed) for seed in range(made.seeds)]
        name = f"shipped-{key}"
        data, legs_facts = _gathered(request, made), _facts(made)
        results.append(
            judge_and_publish(request, data, name, fitted, request.out / name, facts=legs_facts)
        )
    return results


def _gathered(request: Request, made: Shipped) -> Data:
    """Read what calibrates and judges, and of what trained the last leg's: all are too many."""
    files = made.legs[-1].files
    data = gather(replace(request, datasets=files, calibrate=CALIBRATE, test=TEST))
    more = {path.name: usable(read_dataset(path))[0] for path in CALIBRATE_MORE}
    return replace(
        data,
        calibrate=[*data.calibrate, *(run for runs in more.values() for run in runs)],
        files={**data.files, **{name: len(runs) for name, runs in more.items()}},
    )


def _facts(made: Shipped) -> dict[str, Any]:
    """What the training saw, leg by leg, for metadata and card."""
    legs = [
        {
            "files": [path.name for path in leg.files],
            "epochs": leg.epochs,
            "learning_rate": leg.learning_rate,
        }
        for leg in made.legs
    ]
    return {"legs": legs, "epochs_run": [sum(leg.epochs for leg in made.legs)] * made.seeds}


def _in_legs(request: Request, made: Shipped, validation: Sequence[Run], seed: int) -> Fitted:
    """Train one network; a leg begins with the weights in which the one before ended."""
    fitted: Fitted | None = None
    for number, leg in enumerate(made.legs, 1):
        runs = [run for path in leg.files for run in usable(read_dataset(path))[0]]
        settings = Settings(
            architecture=made.architecture,
            epochs=request.epochs or leg.epochs,
            batch_size=96,
            learning_rate=leg.learning_rate,
            decay="cosine",
            dropout=0.0,
            seed=seed,
        )
        fitted = fit(
            runs,
            validation,
            settings,
            request.out,
            f"shipped_{made.architecture}_seed{seed}_leg{number}",
            resume=request.resume,
            start_from=fitted.model if fitted else None,
            scaling=fitted.scaling if fitted else None,
            verbose=request.verbose,
        )
    if fitted is None:
        raise OracleError(must_be("legs", "one at least", 0))
    return fitted
