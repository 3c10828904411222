"""What `oracle train --preset shipped` does: the oracles in models/, from collected files alone.

Networks are trained in two legs. The first runs over the pretraining collection; the second goes on
over it and the runs of libraries whose Gaussian is narrower than their radius says, after which a
radius is taken for what the curves say it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from oracle.errors import DatasetError, OracleError, must_be
from oracle.history.dataset import read_dataset, usable
from oracle.training.batches import Settings
from oracle.training.fit import Fitted, fit
from oracle.training.recipe import Request, Result, gather, judge_and_publish, train_seeds
from oracle.types import Run

#: What is read; docs/training.md tells the commands that collect it.
PRETRAINING, NARROW = Path("data/pretraining.csv.gz"), Path("data/narrow.csv.gz")
CALIBRATE, TEST = Path("data/calibrate.csv.gz"), Path("data/test.csv.gz")
#: Runs of one random table each, about as many as CALIBRATE has: a few whole tables alone would
#: have the calibration learn what is peculiar to them. They have no say in when training stops.
CALIBRATE_RANDOM = Path("data/calibrate-random.csv.gz")
#: Learning rate at the start of the second leg, half of the first's.
SECOND_RATE = 1e-3


@dataclass(frozen=True)
class Shipped:
    """One artifact.

    Attributes:
        architecture: a key of `oracle.training.architectures.ARCHITECTURES`.
        epochs, second_epochs: of the two legs; 0 = no second one.
        seeds: networks averaged in it.
    """

    architecture: str
    epochs: int
    second_epochs: int = 0
    seeds: int = 1

    def settings(self, epochs: int | None) -> Settings:
        """How the first leg is trained, for `epochs` where they are given."""
        return Settings(
            architecture=self.architecture,
            epochs=epochs or self.epochs,
            batch_size=96,
            learning_rate=2e-3,
            decay="cosine",
            dropout=0.0,
            hide=0.5,
        )


#: Equal networks are trained once; lite and bidirectional are there to be compared with.
SHIPPED = {
    "default": Shipped("standard", 20, 8, seeds=3),
    "standard": Shipped("standard", 20, 8),
    "lite": Shipped("lite", 8),
    "bidirectional": Shipped("bidirectional", 5),
}


def train_shipped(request: Request) -> list[Result]:
    """Train and publish all shipped oracles, or the one that the request names.

    Raises:
        DatasetError: a file was not collected yet.
        OracleError: an unknown preset or name.
    """
    if request.preset != "shipped":
        raise OracleError(must_be("--preset", "shipped", request.preset))
    wanted = [request.name] if request.name else list(SHIPPED)
    if unknown := [n for n in wanted if n not in SHIPPED]:
        raise OracleError(must_be("--name", f"one of {', '.join(SHIPPED)}", unknown[0]))
    for path in (PRETRAINING, NARROW, CALIBRATE, CALIBRATE_RANDOM, TEST):
        if not path.is_file():
            raise DatasetError(
                "must be collected first. docs/training.md gives the command.", file=str(path)
            )
    request = replace(request, datasets=(PRETRAINING,), calibrate=CALIBRATE, test=TEST)
    data = gather(request)
    narrow, random = (usable(read_dataset(path))[0] for path in (NARROW, CALIBRATE_RANDOM))
    one_leg = replace(
        data,
        calibrate=[*data.calibrate, *random],
        files={**data.files, CALIBRATE_RANDOM.name: len(random)},
    )
    two_legs = replace(
        one_leg,
        train=[*data.train, *narrow],
        files={**one_leg.files, NARROW.name: len(narrow)},
    )
    results, trained = [], dict[str, list[Fitted]]()
    for key in wanted:
        made = SHIPPED[key]
        fitted = trained.get(made.architecture, [])
        if len(fitted) < made.seeds:
            stem, settings = f"shipped_{made.architecture}", made.settings(request.epochs)
            fitted = train_seeds(request, data, stem, settings, made.seeds)
            if made.second_epochs:
                epochs = min(made.second_epochs, settings.epochs)
                fitted = [
                    second_leg(request, two_legs.train, data.calibrate, first, epochs)
                    for first in fitted
                ]
            trained[made.architecture] = fitted
        name = f"shipped-{key}"
        used = two_legs if made.second_epochs else one_leg
        results.append(
            judge_and_publish(request, used, name, fitted[: made.seeds], request.out / name)
        )
    return results


def second_leg(
    request: Request, train: Sequence[Run], validation: Sequence[Run], first: Fitted, epochs: int
) -> Fitted:
    """Go on with one network, over more runs."""
    second = fit(
        train,
        validation,
        replace(first.settings, epochs=epochs, learning_rate=SECOND_RATE),
        request.out,
        first.final.stem.removesuffix("_final") + "_narrow",
        resume=request.resume,
        start_from=first.model,
        scaling=first.scaling,
        verbose=request.verbose,
    )
    return replace(second, settings=first.settings, history=[*first.history, *second.history])
