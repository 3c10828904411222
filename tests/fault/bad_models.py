"""T7: a damaged model is activated; it is refused, and the one before answers."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

from reliability import Result
from serving import HISTORY, copy_model
from small_model import edit_json, reseal

from oracle.server.http.telemetry import Telemetry
from oracle.server.models import ModelKeeper
from oracle.server.settings import Settings
from oracle.types import History


def bad_models(folder: Path, n: int, seed: int = 1) -> Result:
    """Activate `n` damaged models, one after the other."""
    result, rng = Result(), random.Random(seed)
    served, good, other = folder / "served", folder / "good", folder / "other"
    copy_model(good)
    copy_model(other)
    shutil.copytree(good, served)
    keeper = ModelKeeper(Settings(model=str(served), model_retry_s=0.001), Telemetry())
    keeper.look()
    history = History.parse(HISTORY)
    assert keeper.oracle is not None
    before = keeper.oracle.forecast(history).model_dump()
    names = sorted(path.name for path in good.iterdir())
    refused = 0
    for case in range(n):
        name = rng.choice(names)
        what = _damage(served / name, good, other, rng)
        (served / "manifest.json").touch()  # activated: the keeper looks again
        keeper.look()
        assert keeper.oracle is not None
        result.check(keeper.failure() is not None, f"case {case}: {what} of {name} was served")
        if case % 100 == 0:
            same = keeper.oracle.forecast(history).model_dump() == before
            result.check(same, f"case {case}: the old model answers otherwise")
        refused += keeper.failure() is not None
        _restore(served, good)
    (served / "manifest.json").touch()
    keeper.look()
    result.check(keeper.failure() is None, "the good model is refused")
    result.seen["refused"] = f"{refused:,}"
    return result


def _damage(file: Path, good: Path, other: Path, rng: random.Random) -> str:
    data = bytearray(file.read_bytes())
    kind = rng.randrange(10)
    if kind == 0:
        file.unlink()
        return "loss"
    if kind == 1:
        file.write_bytes(data[: rng.randrange(len(data))])
        return "truncation"
    if kind == 2:
        swapped = (other / file.name).read_bytes()
        if swapped != data:
            file.write_bytes(swapped)
            return "swap"
    if kind == 3:
        numbers = file.with_name("calibration.json")
        edit_json(numbers, lambda values: _break(values, rng))
        reseal(file.parent)
        return "broken numbers under right digests, instead"
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    return "flip"


def _break(values: dict[str, Any], rng: random.Random) -> None:
    """Shorten an array somewhere, or put a number in its place."""
    part: Any = values[rng.choice(list(values))]
    arrays = [name for name, value in part.items() if isinstance(value, list)]
    name = rng.choice(arrays)
    if rng.random() < 0.3:
        part[name] = rng.random()
        return
    array = part[name]
    while isinstance(array[0], list) and rng.random() < 0.5:
        array = rng.choice(array)
    array.pop()


def _restore(served: Path, good: Path) -> None:
    for file in good.iterdir():
        (served / file.name).write_bytes(file.read_bytes())
