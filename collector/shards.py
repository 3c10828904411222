"""Shards: a share of a collection's runs that one job of a batch system makes, and by what code."""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import collector
import oracle
from oracle.errors import OracleError, must_be

#: Libraries that the values of a run come from.
LIBRARIES = ("minisom", "numba", "numpy", "scikit-learn", "scipy", "statsmodels")


@dataclass(frozen=True)
class Shard:
    """One of several equal shares of a collection, neighbours by index.

    Runs of one random table are neighbours, so that few tables are made in more than one shard.

    Attributes:
        number: from 1.
        of: how many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `3/64`.

        Raises:
            OracleError: it is no such text, or there is no such shard.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            rule = "NUMBER/OF with NUMBER within 1..OF, e.g. 3/64"
            raise OracleError(must_be("--shard", rule, text))
        return cls(int(found[1]), int(found[2]))

    def indices(self, runs: int) -> range:
        """Give the indices of its runs, of a collection of so many.

        >>> [list(Shard(number, 3).indices(7)) for number in (1, 2, 3)]
        [[0, 1], [2, 3], [4, 5, 6]]

        Raises:
            OracleError: there are fewer runs than shards.
        """
        if self.of > runs:
            raise OracleError(must_be("--shard", f"of at most {runs} shards, one a run", str(self)))
        return range((self.number - 1) * runs // self.of, self.number * runs // self.of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@lru_cache(maxsize=1)
def code_version() -> dict[str, str]:
    """Tell the code that makes runs here: its version and digest, and what it computes with.

    Shards whose code differs in any of these are no parts of one collection.
    """
    digest = hashlib.sha256()
    for package in (collector, oracle):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{file.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return {
        "som-oracle": oracle.__version__,
        "source": digest.hexdigest()[:16],
        "python": ".".join(platform.python_version_tuple()[:2]),
        **{name: _version_of(name) for name in LIBRARIES},
    }


def _version_of(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"
