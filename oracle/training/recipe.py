"""What `oracle train` does: read and split, fit every seed, publish, judge on unseen runs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np

from oracle.errors import DatasetError, OracleError, must_be
from oracle.evaluation.summary import summarise
from oracle.forecast.forecaster import Oracle
from oracle.history.dataset import (
    constant_outcomes,
    read_dataset,
    read_weights,
    split_runs,
    usable,
    without_outcomes,
)
from oracle.history.targets import OUTPUTS
from oracle.model.artifact import ACTIVE, Artifact, read_artifact, resolve
from oracle.model.manifest import NAME_PATTERN
from oracle.pictures.learning_curve import plot_learning_curve
from oracle.training.architectures import ARCHITECTURES
from oracle.training.batches import Settings
from oracle.training.card import PARTS, Result, card_text
from oracle.training.correction import KINDS
from oracle.training.finetune import BATCH_SIZE, EPOCHS, LEARNING_RATE, compare, finetune
from oracle.training.fit import Fitted, fit
from oracle.training.publish import draft, publish
from oracle.types import TARGETS, Run

#: One run stands for so many at most: beyond, its own seed would be learned.
MAX_REPEATS = 20
#: Above this many runs a batch may be large without too few steps an epoch.
MANY_RUNS = 5000
#: What tells a run from every other: its name, and the reading that it begins with.
Key = tuple[str, float, float]


@dataclass(frozen=True)
class Request:
    """One call of `oracle train`; None = the default of the kind of training.

    Attributes:
        runs: of a service's store, beside the datasets.
        weights: run_id of a control run among them -> runs that it stands for.
        excluded: why runs of the store were left out -> how many.
    """

    runs: tuple[Run, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)
    datasets: tuple[Path, ...] = ()
    calibrate: Path | None = None
    test: Path | None = None
    architecture: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    correct: str | None = None
    seed: int = 0
    seeds: int | None = None
    out: Path = Path("models")
    name: str | None = None
    resume: bool = False
    start_from: str | None = None
    preset: str | None = None
    command: str = ""
    verbose: int = 1


@dataclass(frozen=True)
class Data:
    """Runs by use.

    Attributes:
        train: what the network is fitted to.
        calibrate: stops the training early and calibrates it; other tables where there are enough.
        test: nothing is fitted to these.
        by: "table" where whole tables were held out, else "run".
        excluded: why runs were left out -> how many.
        files: name -> runs read.
        weights: control run, as `_key` has it -> runs that it stands for.
        constant: target that ended the same in every training run, thus is undefined in all runs
            here -> training runs that had it.
    """

    train: list[Run]
    calibrate: list[Run]
    test: list[Run]
    by: str
    excluded: dict[str, int]
    files: dict[str, int] = field(default_factory=dict)
    weights: Mapping[Key, float] = field(default_factory=dict)
    constant: Mapping[str, int] = field(default_factory=dict)

    def fitted_to(self) -> list[Run]:
        """Give the training runs; a control run once for each run it stands for.

        Its policy stopped the others: without this, bad runs would vanish from the data.
        """
        return [run for run in self.train for _ in range(self._repeats(run))]

    def _repeats(self, run: Run) -> int:
        return min(MAX_REPEATS, max(1, round(self.weights.get(_key(run), 1.0))))

    def facts(self) -> dict[str, Any]:
        """Counts for metadata and card."""
        return {
            "files": self.files,
            "split_by": self.by,
            "excluded": self.excluded,
            "constant": dict(self.constant),
            "tables": len({r.dataset for part in PARTS for r in getattr(self, part)}),
            "control_runs": sum(self._repeats(run) > 1 for run in self.train),
            **{
                part: {"runs": len(runs), "tables": len({r.dataset for r in runs})}
                for part in PARTS
                for runs in [getattr(self, part)]
            },
        }


def run_request(request: Request) -> list[Result]:
    """Train what was asked for.

    Raises:
        DatasetError: a dataset cannot be read, or is too small to be split.
        OracleError: an unknown architecture, a name that no artifact has, or an option that this
            kind of training does not use.
    """
    _check(request)
    data = gather(request)
    name = request.name or _name(request)
    if request.start_from is not None:
        return [_finetuned(request, data, name)]
    settings = _settings(request, len(data.train))
    fitted = train_seeds(request, data, name, settings, request.seeds or 1)
    return [judge_and_publish(request, data, name, fitted, request.out / name)]


def _check(request: Request) -> None:
    """Refuse what would be found out at the end, or be passed over, before any work is done."""
    name = request.name
    if name is not None and (not re.match(NAME_PATTERN, name) or name == ACTIVE):
        rule = f"a name matching {NAME_PATTERN} other than {ACTIVE}"
        raise OracleError(must_be("--name", rule, name))
    if (request.calibrate is None) != (request.test is None):
        given, other = ("--calibrate", "--test") if request.calibrate else ("--test", "--calibrate")
        got = str(request.calibrate or request.test)
        raise OracleError(must_be(given, f"left out without {other}", got, "Give both, or none."))
    if request.start_from is not None:
        refuse_beside(
            "--from",
            {
                "--architecture": request.architecture,
                "--dropout": request.dropout,
                "--seeds": request.seeds,
                "--correct": request.correct,
            },
        )


def refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that another one makes of no use; those that are None are not given.

    Raises:
        OracleError: naming the first that is given.
    """
    for other, value in others.items():
        if value is not None:
            raise OracleError(must_be(other, f"left out with {option}", str(value)))


def gather(request: Request) -> Data:
    """Read the datasets and split them, or take the parts from files of their own.

    A target that ends the same in every training run is undefined in all of `Data`'s runs.
    """
    files: dict[str, int] = {"store": len(request.runs)} if request.runs else {}
    weights = _weighed(request.runs, request.weights)
    left_out = Counter(request.excluded)

    def read(path: Path) -> list[Run]:
        runs = read_dataset(path)
        files[str(path) if path.name in files else path.name] = len(runs)
        weights.update(_weighed(runs, read_weights(path)))
        return runs

    def kept(runs: Iterable[Run], where: str = "") -> list[Run]:
        good, excluded = usable(runs)
        left_out.update({f"{why}{where}": count for why, count in excluded.items()})
        return good

    read_runs = [*request.runs, *(run for path in request.datasets for run in read(path))]
    runs = _once(read_runs)
    left_out["the same run again"] += len(read_runs) - len(runs)
    if request.calibrate is None or request.test is None:
        split = split_runs(runs, request.seed)
        left_out.update(split.excluded)
        train, calibrate, test, by = split.train, split.calibrate, split.test, split.by
    else:
        train, by = kept(runs), "table"
        calibrate = kept(read(request.calibrate), " (--calibrate)")
        test = kept(read(request.test), " (--test)")
        shared = {r.dataset for r in train} & {r.dataset for r in [*calibrate, *test]}
        if shared:
            rule = "of tables that --dataset does not have"
            raise DatasetError(must_be("--calibrate and --test", rule, sorted(shared)[:5]))
    constant = constant_outcomes(train)
    train, calibrate, test = (without_outcomes(p, constant) for p in (train, calibrate, test))
    return Data(train, calibrate, test, by, dict(+left_out), files, weights, constant)


def _weighed(runs: Iterable[Run], weights: Mapping[str, float]) -> dict[Key, float]:
    """Bind weights to the runs of one file: another file's run of that name is another run."""
    return {_key(run): weights[run.run_id] for run in runs if run.run_id in weights}


def _key(run: Run) -> Key:
    return run.run_id, run.history.epochs[0], run.history.mqe[0]


def _once(runs: Iterable[Run]) -> list[Run]:
    """Each run once, its longest record: a run in two parts of a split would be known twice.

    The same are runs of one name that begin with the same reading; other collections may well
    have given a name again.
    """
    found: dict[Key, Run] = {}
    for run in runs:
        key = _key(run)
        if key not in found or len(run.history) > len(found[key].history):
            found[key] = run
    return list(found.values())


def train_seeds(
    request: Request, data: Data, name: str, settings: Settings, seeds: int
) -> list[Fitted]:
    """Train the seeds of one architecture, with one scaling."""
    fitted: list[Fitted] = []
    for i in range(seeds):
        own = replace(settings, seed=settings.seed + i)
        fitted.append(
            fit(
                data.fitted_to(),
                data.calibrate,
                own,
                request.out,
                name if i == 0 else f"{name}_seed{own.seed}",
                resume=request.resume,
                scaling=fitted[0].scaling if fitted else None,
                verbose=request.verbose,
            )
        )
        _keep_last(fitted[-1].model, data.constant)
    return fitted


def _keep_last(model: keras.Model, targets: Collection[str]) -> None:
    """Answer the last value, give or take anything, where there was no outcome to learn from.

    Weights that no outcome ever moved would answer noise.
    """
    output = model.get_layer("output")
    kernel, bias = output.get_weights()
    outputs = np.arange(len(bias)).reshape(OUTPUTS, -1)  # [horizon and metric, level]
    for target in targets:
        columns = outputs[TARGETS.index(target) :: len(TARGETS)].ravel()
        kernel[:, columns] = bias[columns] = 0.0
    output.set_weights([kernel, bias])


def judge_and_publish(
    request: Request,
    data: Data,
    name: str,
    fitted: Sequence[Fitted],
    folder: Path,
    parent: Artifact | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Result:
    """Judge on unseen runs, write the artifact and what was found beside it.

    Args:
        request, data, name: as of `train_seeds`.
        fitted: a network for each seed.
        folder: of the artifact.
        parent: what was fine-tuned.
        facts: more to be known of the training, or other than its last `fit` can tell.
    """
    made = draft(fitted, data.train, data.calibrate, folder.name, parent)
    found = summarise(Oracle(made), data.test, data.train)
    verdict = compare(Oracle(parent), Oracle(made), data.test, data.by) if parent else None
    told = {
        "command": request.command,
        "settings": asdict(fitted[0].settings),
        "seeds": [f.settings.seed for f in fitted],
        "epochs_run": [len(f.history) for f in fitted],
        "data": data.facts(),
        "parent": parent.info.model_dump() if parent else None,
        "score": found.as_dict(),
        **(facts or {}),
    }
    artifact = None
    if verdict is None or verdict.better:
        artifact = publish(made, folder, told, card_text(folder.name, told, found))
    metadata = {**told, "artifact": str(folder) if artifact else None}
    (request.out / f"{name}_metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    picture = request.out / f"{name}_learning_curve.png"
    plot_learning_curve(picture, [f.history for f in fitted], name)
    return Result(name, artifact, data.facts(), found, verdict)


def _finetuned(request: Request, data: Data, name: str) -> Result:
    parent = read_artifact(resolve(request.start_from))
    settings = Settings(
        epochs=request.epochs or EPOCHS,
        batch_size=request.batch_size or BATCH_SIZE,
        learning_rate=request.learning_rate or LEARNING_RATE,
        decay="cosine",
        seed=request.seed,
    )
    fitted = finetune(
        parent, data.fitted_to(), data.calibrate, request.out, name, settings,
        resume=request.resume, verbose=request.verbose,
    )  # fmt: skip
    return judge_and_publish(request, data, name, fitted, request.out / name, parent)


def _settings(request: Request, runs: int) -> Settings:
    architecture = request.architecture or "standard"
    if architecture not in ARCHITECTURES:
        rule = f"one of {', '.join(ARCHITECTURES)}"
        raise OracleError(must_be("--architecture", rule, architecture))
    if request.correct is not None and request.correct not in KINDS:
        raise OracleError(must_be("--correct", f"one of {', '.join(KINDS)}", request.correct))
    default = Settings()
    return Settings(
        architecture=architecture,
        epochs=request.epochs or default.epochs,
        batch_size=request.batch_size or (256 if runs > MANY_RUNS else 64),
        learning_rate=request.learning_rate or default.learning_rate,
        dropout=default.dropout if request.dropout is None else request.dropout,
        correct=next((kind for kind in KINDS if kind == request.correct), None),
        seed=request.seed,
    )


def _name(request: Request) -> str:
    """The usual name with a timestamp, or that of the newest interrupted training."""
    stem = f"lstm_oracle_{request.architecture or 'standard'}_"
    if request.start_from is not None:
        stem = "lstm_oracle_finetuned_"
    if request.resume:
        left = sorted(request.out.glob(f".{stem}*_backup"))
        if not left:
            raise OracleError(
                must_be(
                    "--resume", f"used where {request.out} holds an interrupted training", "none"
                )
            )
        return left[-1].name[1:].removesuffix("_backup").split("_seed")[0]
    return stem + datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
