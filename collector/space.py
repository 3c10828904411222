"""The hyperparameter spaces runs are drawn from, bad regions included.

`sample_ea` draws what an evolutionary search over MiniSom would try. `sample_wide` draws for the
compiled core what many libraries do, so that an oracle trained on it meets their dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from collector.schedules import RADIUS_ONLY, RATE_ONLY

T = TypeVar("T", bound=str)
Mode = Literal["online", "blocks", "minibatch", "batch"]
Grid = Literal["rectangular", "hexagonal", "hexagonal-cube", "torus", "hexagonal-torus"]

MIN_SIDE, MAX_SIDE = 4, 30
#: Share of the compiled core's runs that are MiniSom's as `sample_ea` draws them.
MINISOM_RATIO = 0.25


@dataclass(frozen=True)
class Decay:
    """One schedule (`collector.schedules.schedule`): kind, start, end, shape."""

    kind: str
    start: float
    end: float
    shape: float


@dataclass(frozen=True)
class Phase:
    """A later part of a training, with schedules of its own.

    Attributes:
        begins: share of the run at which it begins.
        rate, radius: from there to the next phase or the end.
    """

    begins: float
    rate: Decay
    radius: Decay


@dataclass(frozen=True)
class Configuration:
    """One run of the compiled core.

    Attributes:
        mode: how samples become updates.
        rows, cols, grid, neighborhood: the map (`collector.fast_som`).
        initialization: one of `collector.fast_run.INITIALIZATIONS`.
        rate, radius: schedules; radius in grid units.
        passes: sample updates planned, as a multiple of the table's rows.
        batch: mean samples a step (blocks, minibatch).
        growth: last over first batch size (blocks).
        sections: parts of the table that blocks draw from in equal numbers.
        order: replacement, shuffled (anew each pass), mixed (all passes at once), once (one
            order repeated), sequential.
        by_epoch: online schedules stand still within a pass over the table.
        rule: how a batch moves the map (`collector.fast_som.BATCH_RULES`).
        has_rate: False for Kohonen's batch map without a learning rate.
        phases: what follows the first schedules, in order.
        reach: radius of the kernel over the radius that the library is told.
        clock: checkpoints are counted in seconds, which pass unevenly.
        flat_measure: the topographic error of a torus is measured as if it had borders.
        turned: the library calls rows what others call columns.
    """

    mode: Mode
    rows: int
    cols: int
    grid: Grid
    neighborhood: str
    initialization: str
    rate: Decay
    radius: Decay
    passes: float
    batch: float = 1.0
    growth: float = 1.0
    sections: int = 1
    order: str = "shuffled"
    by_epoch: bool = False
    rule: str = "mean"
    has_rate: bool = True
    phases: tuple[Phase, ...] = ()
    reach: float = 1.0
    clock: bool = False
    flat_measure: bool = False
    turned: bool = False

    def cost(self, n_samples: int, n_features: int, n_checkpoints: int) -> float:
        """Estimate the run's work: neuron-feature operations, updates and measurements."""
        per_sample = self.rows * self.cols * (n_features + 6)
        return n_samples * per_sample * (2 * self.passes + n_checkpoints)

    def cheaper(self, rng: np.random.Generator) -> Configuration:
        """Shrink the map or shorten the run, at random."""
        if rng.random() < 0.5 and self.rows * self.cols > 64:
            side = min(4, self.rows, self.cols) if 1 in (self.rows, self.cols) else 4
            rows, cols = max(side, int(self.rows * 0.8)), max(side, int(self.cols * 0.8))
            if self.grid == "hexagonal-torus":  # its columns come in pairs
                cols += cols % 2
            factor = max(rows, cols) / max(self.rows, self.cols)
            start = self.radius.start * factor
            return replace(self, rows=rows, cols=cols, radius=replace(self.radius, start=start))
        least = 0.5 if self.mode != "batch" else min(10.0, self.passes)
        return replace(self, passes=max(least, self.passes * 0.7))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw from low..high, uniform in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def pick(rng: np.random.Generator, weights: dict[T, float]) -> T:
    """Draw a key with its weight."""
    share = np.array(list(weights.values()), dtype=np.float64)
    return list(weights)[int(rng.choice(len(share), p=share / share.sum()))]


def _sides(rng: np.random.Generator) -> tuple[int, int]:
    low, high = MIN_SIDE - 0.49, MAX_SIDE + 0.49
    longer = round(log_uniform(rng, low, high) if rng.random() < 0.6 else rng.uniform(low, 20))
    if rng.random() < 0.55:
        return longer, longer
    shorter = max(MIN_SIDE - 1, round(longer * rng.uniform(0.4, 1.0)))
    return (longer, shorter) if rng.random() < 0.5 else (shorter, longer)


def _rate(rng: np.random.Generator) -> Decay:
    start = log_uniform(rng, 0.02, 1.0)
    kind = pick(
        rng,
        {
            "linear": 22, "exponential": 18, "constant": 4, "cosine": 6, "power": 6, "step": 4,
            "two_phase": 4, "exp_drop": 9, "log_drop": 6, "step_down": 5,
            "asymptotic_decay": 7, "inverse_decay_to_zero": 7, "linear_decay_to_zero": 7,
        },
    )  # fmt: skip
    if rng.random() < 0.6:
        end = start * log_uniform(rng, 1e-3, 1.0)
    else:
        end = log_uniform(rng, 1e-5, start)
    return Decay(kind, start, end, _shape(rng, kind))


def _radius(rng: np.random.Generator, longer: int, *, floor: float) -> Decay:
    ratio = log_uniform(rng, 0.05, 1.0) if rng.random() < 0.94 else rng.uniform(0.8, 1.5)
    start = max(floor, ratio * longer)
    kind = pick(
        rng,
        {
            "linear": 22, "exponential": 18, "constant": 3, "cosine": 6, "power": 6, "step": 4,
            "two_phase": 4, "exp_drop": 9, "log_drop": 6, "step_down": 6,
            "asymptotic_decay": 6, "inverse_decay_to_one": 6, "linear_decay_to_one": 6,
        },
    )  # fmt: skip
    choice = rng.random()
    if choice < 0.75:
        end = max(floor, log_uniform(rng, 0.15, 2.0))
    elif choice < 0.9:
        end = max(floor, start * rng.uniform(0.05, 1.0))
    else:
        end = 1.0
    if kind == "step_down":
        end = min(end, start)
    return Decay(kind, start, end, _shape(rng, kind))


def _shape(rng: np.random.Generator, kind: str) -> float:
    if kind in ("exp_drop", "log_drop"):
        return log_uniform(rng, 0.5, 50)  # NexusSOM's growth_g
    if kind == "step":
        return float(rng.integers(2, 11))
    return log_uniform(rng, 0.4, 4.0)


def sample_wide(rng: np.random.Generator, n_samples: int) -> Configuration:
    """Draw one run of the compiled core on a table of `n_samples` rows."""
    if rng.random() < MINISOM_RATIO:
        return sample_ea(rng, n_samples).compiled(n_samples)
    mode: Mode = pick(rng, {"online": 36, "blocks": 24, "minibatch": 24, "batch": 16})
    rows, cols = _sides(rng)
    rule, batch = "normalized", float(n_samples)
    if mode == "minibatch":
        rule = pick(rng, {"mean": 40, "sum": 30, "normalized": 30})
        # Normalizing over one or two samples would throw the whole map at them.
        least = min(n_samples, max(4, 0.02 * n_samples)) if rule == "normalized" else 1
        batch = log_uniform(rng, least, n_samples)
    averaged = mode in ("batch", "minibatch") and rule != "mean"  # needs a mass above 0
    neighborhood = pick(
        rng,
        {
            "gaussian": 80, "disc": 4, "bubble": 3, "cut_gaussian": 3, "epanechnikov": 2,
            "mexican_hat": 0 if averaged else 1.5, "exponential": 2.5, "narrow_gaussian": 3,
            "cone": 1,
        },
    )  # fmt: skip
    # Where a neighbourhood has an edge, a radius below 1/2 would leave even the BMU alone.
    floor = 0.15 if neighborhood in ("gaussian", "exponential", "narrow_gaussian") else 0.5
    passes = log_uniform(rng, 0.5, 40) if rng.random() < 0.8 else log_uniform(rng, 0.3, 100)
    has_rate, growth = True, 1.0
    if mode == "batch":
        passes = float(round(log_uniform(rng, 10, 100)))
        has_rate = rng.random() < 0.25
    elif mode == "blocks":
        batch = log_uniform(rng, 1, max(2.0, 0.4 * n_samples))
        growth = log_uniform(rng, 1, 30) if rng.random() < 0.7 else 1.0
    grid: Grid = pick(rng, {"rectangular": 53, "hexagonal": 22, "hexagonal-cube": 22, "torus": 3})
    return Configuration(
        mode=mode,
        rows=rows,
        cols=cols,
        grid=grid,
        flat_measure=grid == "torus",
        neighborhood=neighborhood,
        initialization=pick(
            rng,
            {
                "unit_interval": 25, "unit_length": 13, "normal": 7, "data_range": 15,
                "near_mean": 4, "sample": 19, "pca_unit": 9, "pca_scaled": 8,
            },
        ),
        rate=_rate(rng),
        radius=_radius(rng, max(rows, cols), floor=floor),
        passes=passes,
        batch=batch,
        growth=growth,
        sections=int(rng.integers(1, 11)) if rng.random() < 0.6 else 1,
        order=pick(rng, {"replacement": 30, "shuffled": 30, "once": 22, "sequential": 18}),
        rule=rule,
        has_rate=has_rate,
    )  # fmt: skip


@dataclass(frozen=True)
class MiniSomConfiguration:
    """One MiniSom run as an evolutionary search would propose it.

    Attributes:
        decay_function, sigma_decay_function: a name MiniSom knows, or `exponential`, `linear`
            or `cosine` for a callable to `*_end`.
        initialization: random, sample or pca.
        num_iteration: updates, or with `use_epochs` epochs.
    """

    rows: int
    cols: int
    topology: Literal["rectangular", "hexagonal"]
    neighborhood_function: str
    sigma: float
    sigma_decay_function: str
    sigma_end: float
    learning_rate: float
    decay_function: str
    learning_rate_end: float
    initialization: Literal["random", "sample", "pca"]
    random_order: bool
    use_epochs: bool
    num_iteration: int
    random_seed: int

    def compiled(self, n_samples: int) -> Configuration:
        """The same run for the compiled core, on a table of `n_samples` rows."""
        once = "once" if self.use_epochs else "mixed"
        return Configuration(
            mode="online",
            rows=self.rows,
            cols=self.cols,
            grid=self.topology,
            neighborhood=self.neighborhood_function,
            initialization=_MINISOM_INITIALIZATIONS[self.initialization],
            rate=Decay(self.decay_function, self.learning_rate, self.learning_rate_end, 1.0),
            radius=Decay(self.sigma_decay_function, self.sigma, self.sigma_end, 1.0),
            passes=self.num_iteration / (1 if self.use_epochs else n_samples),
            order=once if self.random_order else "sequential",
            by_epoch=self.use_epochs,
        )


#: MiniSom's initialisations among those of `collector.fast_run.INITIALIZATIONS`.
_MINISOM_INITIALIZATIONS = {"random": "unit_length", "sample": "sample", "pca": "pca_unit"}
#: Decays handed to MiniSom as callables, besides its own (`collector.schedules` computes them).
CALLABLES = ("exponential", "linear", "cosine")


def sample_ea(rng: np.random.Generator, n_samples: int) -> MiniSomConfiguration:
    """Draw one MiniSom run on a table of `n_samples` rows."""
    rows, cols = _sides(rng)
    neighborhood = pick(rng, {"gaussian": 80, "bubble": 9, "triangle": 5, "mexican_hat": 6})
    sigma = max(0.5, log_uniform(rng, 0.06, 0.7) * max(rows, cols))
    rate = log_uniform(rng, 0.02, 1.0)
    if neighborhood in ("bubble", "triangle"):
        sigma = max(1.0, float(round(sigma)))
    if neighborhood == "triangle":  # its peak is sigma^2: keep the first step below 2
        rate = min(rate, 1.0 / sigma**2)
    if neighborhood == "mexican_hat":
        rate = min(rate, 0.3)
    passes = log_uniform(rng, 0.5, 20)
    use_epochs = bool(rng.random() < 0.3)
    iterations = max(1, round(passes)) if use_epochs else max(20, round(passes * n_samples))
    return MiniSomConfiguration(
        rows=rows,
        cols=cols,
        topology=pick(rng, {"rectangular": 0.6, "hexagonal": 0.4}),
        neighborhood_function=neighborhood,
        sigma=sigma,
        sigma_decay_function=pick(
            rng, {**dict.fromkeys(RADIUS_ONLY, 24), **dict.fromkeys(CALLABLES, 10)}
        ),
        sigma_end=log_uniform(rng, 0.2, 2.0),
        learning_rate=rate,
        decay_function=pick(rng, {**dict.fromkeys(RATE_ONLY, 24), **dict.fromkeys(CALLABLES, 10)}),
        learning_rate_end=rate * log_uniform(rng, 1e-3, 1.0),
        initialization=pick(rng, {"random": 0.4, "sample": 0.4, "pca": 0.2}),
        random_order=bool(rng.random() < 0.75),
        use_epochs=use_epochs,
        num_iteration=iterations,
        random_seed=int(rng.integers(2**31)),
    )
