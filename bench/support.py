"""How often the support score refuses nonsense, and how rarely real histories.

    python -m bench.support [--model FOLDER] [--test FILE] [--real FILE ...] [--count N]
    python -m bench.support --train FILE --calibrate FILE ...   fits the score first

Without files it takes the shipped oracle and the few runs kept for tests.

Each line is a kind of history and the share of 1,000 of them that a policy abstains on, at each
threshold. `taught` kinds resemble what the score was fitted against (other code, other
strengths); `held out` kinds were never shown to it.
"""

from __future__ import annotations

import argparse
import json
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oracle.forecast.support import Support
from oracle.history.dataset import read_dataset, usable
from oracle.history.features import encode
from oracle.model.artifact import read_artifact
from oracle.training.support_fit import fit_support
from oracle.types import History, Run

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "data" / "support"
THRESHOLDS = (0.005, 0.01, 0.02, 0.05)
COLUMNS = ("mqe", "topographic_error", "dead_neuron_ratio")
STEPS = ("epochs", *COLUMNS, "learning_rate", "radius")

Raw = dict[str, Any]
Rng = np.random.Generator
Kind = Callable[[Raw, Rng], None]


def draw(run: Run, rng: Rng, longest: int = 40) -> Raw:
    """A random prefix of a real run as a dict: 2..longest checkpoints, progress .05...9."""
    h = run.history
    total = h.total_epochs or h.epochs[-1]
    end = rng.uniform(0.05, 0.9) * total
    last = max(int(np.searchsorted(h.epochs, end, side="right")), 2)
    count = min(int(rng.integers(2, longest + 1)), last)
    at = np.unique(np.linspace(0, last - 1, count).round().astype(int))
    raw: Raw = json.loads(h.model_dump_json(exclude_none=True))
    for name in STEPS:
        if name in raw:
            raw[name] = [raw[name][i] for i in at]
    return raw


def strip(raw: Raw, rng: Rng) -> None:
    """Leave out optional context: nothing in half of the cases, else some or all of it."""
    kind = rng.random()
    if kind < 0.5:
        return
    for name in ("total_epochs", "learning_rate", "radius"):
        if kind > 0.75 or rng.random() < 0.3:
            raw.pop(name, None)
    context = raw.get("context", {})
    for name in list(context):
        if kind > 0.75 or rng.random() < 0.3:
            del context[name]


def metrics_only(raw: Raw) -> None:
    """The brief's four arrays alone."""
    for name in set(raw) - {"epochs", *COLUMNS}:
        del raw[name]


# --- nonsense ------------------------------------------------------------------------------------


def constant(raw: Raw, rng: Rng) -> None:
    """The same generic values at every checkpoint."""
    values = (rng.choice([0.1, 0.25, 0.5, 1.0, 2.0]), rng.choice([0.0, 0.1, 0.5, 1.0]))
    for name, value in zip(COLUMNS, (*values, rng.choice([0.0, 0.2, 0.5])), strict=True):
        raw[name] = [float(value)] * len(raw["epochs"])


def oscillation(raw: Raw, rng: Rng) -> None:
    """mqe between two values, at least twofold; the ratios between low and high."""
    up = np.arange(len(raw["epochs"])) % 2 == rng.integers(2)
    factor = rng.uniform(2, 20)
    raw["mqe"] = [float(raw["mqe"][0] * (factor if u else 1)) for u in up]
    low, high = rng.uniform(0, 0.2), rng.uniform(0.7, 1)
    for name in COLUMNS[1:]:
        raw[name] = [float(high if u else low) for u in up]


def single_spike(raw: Raw, rng: Rng) -> None:
    """One checkpoint's mqe 5 to 1,000 times too high."""
    at = rng.integers(len(raw["mqe"]))
    raw["mqe"][at] = float((raw["mqe"][at] + 1e-6) * 10 ** rng.uniform(np.log10(5), 3))


def million(raw: Raw, rng: Rng) -> None:
    """mqe a million times mqe_of_mean, which is given."""
    raw["context"] = {**raw.get("context", {}), "mqe_of_mean": float(np.mean(raw["mqe"])) + 1e-9}
    raw["mqe"] = [1e6 * v for v in raw["mqe"]]


def shuffled_time(raw: Raw, rng: Rng) -> None:
    """Metrics in random order against the epochs."""
    order = np.arange(len(raw["epochs"]))
    while (np.diff(order) > 0).all():
        order = rng.permutation(order)
    for name in COLUMNS:
        raw[name] = [raw[name][i] for i in order]


def sizes_far_outside(raw: Raw, rng: Rng) -> None:
    """Maps of 500 x 500, 10 million samples of 5,000 features, or budgets far beyond."""
    context = raw.setdefault("context", {})
    which = rng.integers(4)
    if which in (0, 3):
        context["map_rows"] = context["map_cols"] = float(rng.integers(300, 800))
    if which in (1, 3):
        context["n_samples"] = float(rng.integers(1_000_000, 20_000_000))
        context["n_features"] = float(rng.integers(2000, 8000))
    if which in (2, 3):
        context["total_updates"] = float(10 ** rng.uniform(11, 14))
        # Without the table's sizes, which count together or not at all, no budget is too large.
        if context.get("n_samples") is None or context.get("n_features") is None:
            context["n_samples"], context["n_features"] = 500.0, 10.0


TAUGHT: tuple[Kind, ...] = (
    constant,
    oscillation,
    single_spike,
    million,
    shuffled_time,
    sizes_far_outside,
)


def reversed_time(raw: Raw, rng: Rng) -> None:
    """The last checkpoint first."""
    for name in COLUMNS:
        raw[name] = raw[name][::-1]


def exploding(raw: Raw, rng: Rng) -> None:
    """mqe grows by a constant factor at every checkpoint, 1.3 to 3."""
    factor = rng.uniform(1.3, 3)
    raw["mqe"] = [float(raw["mqe"][0] * factor**i) for i in range(len(raw["mqe"]))]


def random_walk(raw: Raw, rng: Rng) -> None:
    """log mqe and both ratios wander."""
    n = len(raw["mqe"])
    raw["mqe"] = [float(v) for v in raw["mqe"][0] * np.exp(np.cumsum(rng.normal(0, 0.6, n)))]
    for name in COLUMNS[1:]:
        walk = rng.random() + np.cumsum(rng.normal(0, 0.25, n))
        raw[name] = [float(v) for v in np.clip(walk, 0, 1)]


def sawtooth(raw: Raw, rng: Rng) -> None:
    """mqe falls to a fifth and jumps back, every three to six checkpoints."""
    period = int(rng.integers(3, 7))
    raw["mqe"] = [
        float(raw["mqe"][0] * 0.2 ** ((i % period) / (period - 1))) for i in range(len(raw["mqe"]))
    ]


def ratios_jump(raw: Raw, rng: Rng) -> None:
    """mqe as recorded; the ratios 0 or 1 at random."""
    for name in COLUMNS[1:]:
        raw[name] = [float(v) for v in rng.integers(2, size=len(raw[name]))]


def absurd_rates(raw: Raw, rng: Rng) -> None:
    """Learning rate and radius a thousand times what a map can use."""
    n = len(raw["epochs"])
    raw["learning_rate"] = [float(v) for v in rng.uniform(100, 1000) * np.ones(n)]
    raw["radius"] = [float(v) for v in rng.uniform(1000, 10_000) * np.ones(n)]
    raw.get("context", {}).pop("schedule", None)


def linear_growth(raw: Raw, rng: Rng) -> None:
    """mqe grows linearly to 3 to 30 times its first value, the ratios stand still."""
    n = len(raw["mqe"])
    end = rng.uniform(3, 30)
    raw["mqe"] = [float(v) for v in raw["mqe"][0] * np.linspace(1, end, n)]
    for name in COLUMNS[1:]:
        raw[name] = [raw[name][0]] * n


HELD_OUT: tuple[Kind, ...] = (
    reversed_time,
    exploding,
    random_walk,
    sawtooth,
    ratios_jump,
    absurd_rates,
    linear_growth,
)


# --- real histories in unusual dress, not to be refused -------------------------------------------


def as_recorded(raw: Raw, rng: Rng) -> None:
    """All context."""


def some_context(raw: Raw, rng: Rng) -> None:
    """Context left out at random."""
    strip(raw, rng)


def four_arrays(raw: Raw, rng: Rng) -> None:
    """The brief's four arrays alone."""
    metrics_only(raw)


def rescaled(raw: Raw, rng: Rng) -> None:
    """mqe and mqe_of_mean both times 1e-3 to 1e6."""
    factor = 10 ** rng.uniform(-3, 6)
    raw["mqe"] = [factor * v for v in raw["mqe"]]
    if "mqe_of_mean" in raw.get("context", {}):
        raw["context"]["mqe_of_mean"] *= factor


def few_checkpoints(raw: Raw, rng: Rng) -> None:
    """1..3 checkpoints."""
    n = int(rng.integers(1, 4))
    for name in STEPS:
        if name in raw:
            raw[name] = raw[name][:n]


REAL: tuple[Kind, ...] = (as_recorded, some_context, four_arrays, rescaled, few_checkpoints)


def rising(run: Run) -> bool:
    """mqe ends at least a tenth above its first value."""
    return run.history.mqe[-1] > 1.1 * run.history.mqe[0]


def flat(run: Run) -> bool:
    """mqe changes by less than 1 % over the second half."""
    mqe = run.history.mqe[len(run.history) // 2 :]
    return max(mqe) <= 1.01 * min(mqe)


def in_batches(run: Run) -> bool:
    """Mini-batch or full-batch training."""
    return (run.history.context.batch_size or 1) > 1


def prefixes(
    runs: Sequence[Run], kind: Kind, count: int, seed: int, nonsense: bool
) -> list[History]:
    """`count` random prefixes of `runs`, each treated by `kind`."""
    rng = np.random.default_rng([seed, len(kind.__name__), *kind.__name__.encode()])
    histories = []
    for _ in range(count):
        raw = draw(runs[int(rng.integers(len(runs)))], rng)
        if nonsense:
            strip(raw, rng)
        kind(raw, rng)
        histories.append(History.parse(raw))
    return histories


def scores(
    support: Support, runs: Sequence[Run], kind: Kind, count: int, seed: int, nonsense: bool
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Support of `count` random prefixes of `runs`, each treated by `kind`."""
    histories = prefixes(runs, kind, count, seed, nonsense)
    return np.array(support.score([encode(h) for h in histories], histories))


def report(
    support: Support, test: Sequence[Run], foreign: dict[str, Sequence[Run]], count: int, seed: int
) -> None:
    """Print the table."""
    print(f"{'share refused at support below':42}", *(f"{t:>7}" for t in THRESHOLDS))

    def line(name: str, values: np.ndarray[Any, Any]) -> None:
        print(f"{name:42}", *(f"{np.mean(values < t):7.1%}" for t in THRESHOLDS), flush=True)

    for title, kinds in (("taught", TAUGHT), ("held out", HELD_OUT)):
        pooled = []
        for kind in kinds:
            values = scores(support, test, kind, count, seed, nonsense=True)
            pooled.append(values)
            line(f"{title}: {kind.__name__.replace('_', ' ')}", values)
        line(f"{title}: all", np.concatenate(pooled))
    for kind in REAL:
        name = kind.__name__.replace("_", " ")
        line(f"real, {name}", scores(support, test, kind, count, seed, nonsense=False))
    for chosen in (rising, flat, in_batches):
        some = [run for run in test if chosen(run)]
        if some:
            values = scores(support, some, as_recorded, count, seed, nonsense=False)
            line(f"real, {chosen.__name__.replace('_', ' ')} ({len(some)} runs)", values)
    for name, runs in foreign.items():
        for kind in (as_recorded, four_arrays):
            values = scores(support, runs, kind, count, seed, nonsense=False)
            line(f"{name}, {kind.__name__.replace('_', ' ')}", values)


def _runs(path: Path) -> list[Run]:
    return usable(read_dataset(path))[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit or load, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "shipped-default")
    parser.add_argument("--train", type=Path, help="fit on these runs; with --calibrate")
    parser.add_argument("--calibrate", type=Path)
    parser.add_argument("--test", type=Path, default=KEPT / "test.csv.gz")
    parser.add_argument(
        "--real",
        type=Path,
        nargs="*",
        default=[KEPT / "libraries.csv.gz"],
        help="runs of other libraries",
    )
    parser.add_argument("--count", type=int, default=1000, help="histories of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if (options.train is None) != (options.calibrate is None):
        parser.error("--train and --calibrate must be given together.")
    if options.train is None:
        numbers = read_artifact(options.model).calibration["support"]
    else:
        train, calibrate = (_runs(path) for path in (options.train, options.calibrate))
        begin = time.process_time()
        numbers = fit_support(train, calibrate, options.seed)
        size = len(json.dumps(numbers)) / 1000
        print(f"fitted in {time.process_time() - begin:.0f} s of one core, {size:.0f} kB")
    support, test = Support.from_json(numbers), _runs(options.test)
    rows = encode(max((run.history for run in test), key=len).prefix(10))
    timer = timeit.Timer(lambda: support.score([rows]), timer=time.process_time)
    cost_us = min(timer.repeat(repeat=50, number=200)) / 200 * 1e6
    print(f"one score at {len(rows)} checkpoints: {cost_us:.0f} us")
    foreign: dict[str, Sequence[Run]] = {
        path.stem.removesuffix("_runs"): _runs(path) for path in options.real
    }
    report(support, test, foreign, options.count, options.seed)


if __name__ == "__main__":
    main()
