"""The libraries whose maps a search trains: what its genes mean, and how a map is trained."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from minisom import MiniSom

from oracle.hook import WatchedRun
from oracle.integrations import minisom
from oracle.integrations.maps import train_map
from oracle.integrations.minisom import RADII, RATES
from oracle.search import xpysom
from oracle.search.minisom import INITIALIZATIONS
from oracle.types import FloatArray

with redirect_stdout(StringIO()):  # it prints that there is no GPU
    from xpysom import XPySom

#: Shares of a run at which a watched run is measured.
LOOKS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
GENES = 7


class Library(ABC):
    """Reads genes in 0..1, and trains what they say."""

    #: As `oracle.search` calls it, and as the page does.
    name: ClassVar[str]
    title: ClassVar[str]
    #: What a search varies, in words.
    varies: ClassVar[str]
    #: Sample updates of a whole run.
    updates: ClassVar[int]

    def parameters(self, genes: Sequence[float]) -> dict[str, Any]:
        """Read GENES genes as parameters of `oracle.search` for this library."""
        g = np.clip(np.asarray(genes, dtype=float), 0.0, 1.0)
        x, y = (4 + int(gene * 10.99) for gene in g[:2])
        kind = _one(tuple(INITIALIZATIONS), g[6])
        more = self.read(g[2:6], min(x, y))
        return {"x": x, "y": y, "neighborhood_function": "gaussian", "initialization": kind, **more}

    @abstractmethod
    def read(self, genes: FloatArray, shorter: int) -> dict[str, Any]:
        """Read four genes within 0..1, of a map whose shorter side is so long."""

    @abstractmethod
    def made(self, settings: dict[str, Any], features: int, seed: int) -> Any:
        """Build the map of the parameters without `initialization`."""

    @abstractmethod
    def train(self, som: Any, data: FloatArray) -> None:
        """Train as the library does by itself."""

    @abstractmethod
    def watched(
        self, som: Any, data: FloatArray, watch: Callable[..., WatchedRun], **settings: Any
    ) -> WatchedRun:
        """Train under the hook, measured at LOOKS; `settings` are further ones of `watch`."""

    @abstractmethod
    def pieces(self, som: Any, data: FloatArray) -> Iterator[int]:
        """Train, pausing at LOOKS; gives the steps done."""

    @abstractmethod
    def steps(self, samples: int) -> int:
        """Count the steps of a whole run."""

    def looks(self, samples: int) -> dict[int, float]:
        """Give the steps after which a run is measured -> the share of it that they are."""
        whole = self.steps(samples)
        at = sorted({max(1, round(whole * share)) for share in LOOKS})
        return {step: step / whole for step in at}

    def som(self, genes: Sequence[float], data: FloatArray, seed: int) -> tuple[Any, str]:
        """Build the map of a genome, and tell how it was initialised."""
        settings = self.parameters(genes)
        kind = settings.pop("initialization")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's advice on what the search tries
            som = self.made(settings, data.shape[1], seed)
        if begin := INITIALIZATIONS[kind]:
            getattr(som, begin)(data)
        return som, kind


class MiniSomLibrary(Library):
    """MiniSom: one sample after the other."""

    name, title, updates = "minisom", "MiniSom", 5000
    varies = "map 4..14 a side, radius, learning rate, both decays, initialisation"

    def read(self, genes: FloatArray, shorter: int) -> dict[str, Any]:
        """Read radius, rate and how both fall."""
        return {
            "sigma": 0.3 + genes[0] * 0.6 * shorter,
            "learning_rate": 10 ** (-2.5 + 2.5 * genes[1]),
            "decay_function": _one(RATES, genes[2]),
            "sigma_decay_function": _one(RADII, genes[3]),
            "topology": "rectangular",
        }

    def made(self, settings: dict[str, Any], features: int, seed: int) -> MiniSom:
        """Build the map."""
        return MiniSom(input_len=features, random_seed=seed, **settings)

    def train(self, som: MiniSom, data: FloatArray) -> None:
        """Train."""
        som.train(data, self.updates, random_order=True)

    def watched(
        self, som: MiniSom, data: FloatArray, watch: Callable[..., WatchedRun], **settings: Any
    ) -> WatchedRun:
        """Train under the hook."""
        at = list(self.looks(len(data)))
        return minisom.train(
            som, data, self.updates, random_order=True, checkpoints=at, watch=watch, **settings
        )

    def pieces(self, som: MiniSom, data: FloatArray) -> Iterator[int]:
        """Train with pauses."""
        looks = self.looks(len(data))
        for done in minisom.steps(som, data, self.updates, random_order=True):
            if done in looks:
                yield done

    def steps(self, samples: int) -> int:
        """Count updates."""
        return self.updates


class XPySomLibrary(Library):
    """XPySom: all samples at once, in epochs over the table."""

    name, title, updates = "xpysom", "XPySom", 20_000
    varies = "map 4..14 a side, grid, radius at both ends, decay, initialisation"

    def read(self, genes: FloatArray, shorter: int) -> dict[str, Any]:
        """Read the radius at both ends, how it falls, and the grid."""
        sigma = (0.9 * shorter) ** genes[0]
        return {
            "sigma": sigma,
            "sigmaN": min(sigma, 0.3 * (2.0 / 0.3) ** genes[1]),
            "decay_function": _one(xpysom.DECAYS, genes[2]),
            "topology": _one(("rectangular", "hexagonal"), genes[3]),
        }

    def made(self, settings: dict[str, Any], features: int, seed: int) -> XPySom:
        """Build the map."""
        return XPySom(input_len=features, random_seed=seed, **settings)

    def train(self, som: XPySom, data: FloatArray) -> None:
        """Train."""
        som.train(data, self.steps(len(data)))

    def watched(
        self, som: XPySom, data: FloatArray, watch: Callable[..., WatchedRun], **settings: Any
    ) -> WatchedRun:
        """Train under the hook."""
        at, whole = list(self.looks(len(data))), self.steps(len(data))
        return train_map(som, data, whole, checkpoints=at, watch=watch, **settings)

    def pieces(self, som: XPySom, data: FloatArray) -> Iterator[int]:
        """Train with pauses."""
        whole = self.steps(len(data))
        for done, until in pairwise((0, *self.looks(len(data)))):
            som.train(data, whole, iter_beg=done, iter_end=until)
            yield until

    def steps(self, samples: int) -> int:
        """Count epochs: as many as are nearest to the updates."""
        return max(1, round(self.updates / samples))


def _one(kinds: Sequence[str], gene: float) -> str:
    return kinds[min(len(kinds) - 1, int(gene * len(kinds)))]


LIBRARIES: dict[str, Library] = {one.name: one for one in (MiniSomLibrary(), XPySomLibrary())}
