"""T8: folders made to do harm are refused before anything of them is run or unpacked.

Whoever made them also wrote the digests: these must fail on what they are.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from reliability import ROOT, Result
from small_model import edit_json, reseal, write_stand_in

from oracle.model.artifact import MAX_BYTES, WEIGHTS, read_artifact

#: What reading a hostile folder may cost, bytes above a good one.
MEMORY_BYTES = 200 * 1024 * 1024
#: CPU time of one refusal.
REFUSED_WITHIN_S = 5.0
DEADLINE_S = 300

Attack = Callable[[Path], None]


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def pickled_calibration(folder: Path) -> None:
    (folder / "calibration.json").write_bytes(pickle.dumps(Bomb(str(folder.parent / "ran"))))


def pickled_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb(str(folder.parent / "ran"))))


def pickle_beside(folder: Path) -> None:
    (folder / "scaler.pkl").write_bytes(pickle.dumps(Bomb(str(folder.parent / "ran"))))


def keras_lambda_beside(folder: Path) -> None:
    config = {"class_name": "Lambda", "config": {"function": "__import__('os').system('true')"}}
    with zipfile.ZipFile(folder / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))


def keras_as_weights(folder: Path) -> None:
    keras_lambda_beside(folder)
    (folder / "model.keras").rename(folder / WEIGHTS)


def h5_beside(folder: Path) -> None:
    (folder / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(512))


def h5_as_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(512))


def python_beside(folder: Path) -> None:
    (folder / "__init__.py").write_text("raise SystemExit('ran')")


def zip_bomb_as_weights(folder: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000_000))
    (folder / WEIGHTS).write_bytes(packed.getvalue())


def graph_beside(folder: Path) -> None:
    """A graph could read files, loop for ever and fill the memory: none is ever loaded."""
    (folder / "oracle.onnx").write_bytes(read_artifact(folder).onnx())


def graph_as_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(read_artifact(folder).onnx())


def edit_numbers(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    numbers = np.frombuffer((folder / WEIGHTS).read_bytes(), "<f4").copy()
    (folder / WEIGHTS).write_bytes(change(numbers).tobytes())


def one_number_short(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: numbers[:-1])


def one_number_more(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: np.append(numbers, numbers[:1]))


def one_byte_short(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1])


def no_numbers(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def double_precision(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: numbers.astype("<f8"))


def big_endian(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: numbers.astype(">f4"))


def not_a_number(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: np.append(numbers[:-1], np.float32(np.nan)))


def infinite_weight(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: np.append(np.float32(np.inf), numbers[1:]))


def largest_weights(folder: Path) -> None:
    """Finite all, and infinite once they are multiplied."""
    edit_numbers(folder, lambda numbers: np.full_like(numbers, np.finfo(np.float32).max))


def shuffled_weights(folder: Path) -> None:
    edit_numbers(folder, lambda numbers: numbers[::-1])


def format_of_old(folder: Path) -> None:
    edit_manifest(folder, lambda m: m.update(format=1))


def huge_units(folder: Path) -> None:
    edit_manifest(folder, lambda m: trunk(m).update(units=[2**40]))


def thousands_of_networks(folder: Path) -> None:
    """As many as a manifest has room for."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["ensemble"]["networks"] *= 3_000

    edit_manifest(folder, change)


def negative_units(folder: Path) -> None:
    edit_manifest(folder, lambda m: trunk(m).update(units=[-6, 5]))


def other_direction(folder: Path) -> None:
    edit_manifest(folder, lambda m: trunk(m).update(bidirectional=True))


def unknown_trunk(folder: Path) -> None:
    edit_manifest(folder, lambda m: trunk(m).update(kind="os.system"))


def largest_network(folder: Path) -> None:
    """The largest that the manifest allows, without its weights."""
    units = [1024] * 8
    network = {"trunk": {"units": units, "bidirectional": True}, "dense": units}
    edit_manifest(folder, lambda m: m["ensemble"].update(networks=[network] * 32))


def traversal_name(folder: Path) -> None:
    edit_manifest(folder, lambda m: m.update(name="../../../tmp/x"))


def traversal_file(folder: Path) -> None:
    edit_manifest(folder, lambda m: m["files"].update({"../../etc/passwd": m["files"]["card.md"]}))


def link_to_secret(folder: Path) -> None:
    (folder / "card.md").unlink()
    (folder / "card.md").symlink_to("/etc/passwd")


def link_to_zeros(folder: Path) -> None:
    (folder / "calibration.json").unlink()
    (folder / "calibration.json").symlink_to("/dev/zero")


def pipe(folder: Path) -> None:
    """Opening it for reading would wait for ever."""
    (folder / "golden.json").unlink()
    os.mkfifo(folder / "golden.json")


def folder_for_file(folder: Path) -> None:
    (folder / "golden.json").unlink()
    (folder / "golden.json").mkdir()


def sparse_giant(folder: Path) -> None:
    with (folder / WEIGHTS).open("wb") as file:
        file.truncate(1 << 40)


def one_byte_too_many(folder: Path) -> None:
    (folder / "card.md").write_bytes(b"x" * (MAX_BYTES["card.md"] + 1))


def deep_json(folder: Path) -> None:
    (folder / "calibration.json").write_bytes(b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}")


def deep_manifest(folder: Path) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    text = (folder / "manifest.json").read_text().replace('"training": {}', f'"training": {deep}')
    (folder / "manifest.json").write_text(text)


def infinite_json(folder: Path) -> None:
    (folder / "calibration.json").write_text('{"offset": Infinity}')


def infinite_golden(folder: Path) -> None:
    (folder / "golden.json").write_text('{"sequence": [[[1e999]]], "quantiles": [[[NaN]]]}')


def many_files(folder: Path) -> None:
    for i in range(2000):
        (folder / f"{i}.bin").touch()


ATTACKS: list[Attack] = [
    pickled_calibration,
    pickled_weights,
    pickle_beside,
    keras_lambda_beside,
    keras_as_weights,
    h5_beside,
    h5_as_weights,
    python_beside,
    zip_bomb_as_weights,
    graph_beside,
    graph_as_weights,
    one_number_short,
    one_number_more,
    one_byte_short,
    no_numbers,
    double_precision,
    big_endian,
    not_a_number,
    infinite_weight,
    largest_weights,
    shuffled_weights,
    format_of_old,
    huge_units,
    thousands_of_networks,
    negative_units,
    other_direction,
    unknown_trunk,
    largest_network,
    traversal_name,
    traversal_file,
    link_to_secret,
    link_to_zeros,
    pipe,
    folder_for_file,
    sparse_giant,
    one_byte_too_many,
    deep_json,
    deep_manifest,
    infinite_json,
    infinite_golden,
    many_files,
]


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    edit_json(folder / "manifest.json", change)


def trunk(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest["ensemble"]["networks"][0]["trunk"]


READ_ALL = """
import json, os, sys, time
from oracle.model.artifact import read_artifact
from oracle.errors import ArtifactError
from oracle.model.runtime import open_artifact

def peak_bytes():  # of this process alone: ru_maxrss would begin at the parent's
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

touched = []
def audit(event, args):
    if event in ("os.system", "subprocess.Popen", "os.exec", "pickle.find_class", "socket.connect"):
        touched.append(event)
    if event == "open" and isinstance(args[0], str) and args[0].startswith(("/etc/", "/dev/z")):
        touched.append(args[0])

open_artifact(read_artifact(sys.argv[1]))
before = peak_bytes()
sys.addaudithook(audit)
results = {}
for path in sys.argv[2:]:
    start = time.process_time()
    try:
        open_artifact(read_artifact(path))
        what = "accepted"
    except ArtifactError as error:
        what = type(error).__name__ + ": " + str(error)
    except BaseException as error:
        what = "raised " + repr(error)[:200]
    results[os.path.basename(path)] = [what, time.process_time() - start]
grown = peak_bytes() - before
print(json.dumps({"results": results, "touched": touched, "grown_bytes": grown}))
"""


def hostile_models(folder: Path, n: int) -> Result:
    """Read every hostile folder `n` times in one process that is watched."""
    result = Result()
    good = folder / "good"
    write_stand_in(good)
    folders = []
    for attack in ATTACKS:
        made = folder / attack.__name__
        made.mkdir()
        for file in good.iterdir():
            (made / file.name).write_bytes(file.read_bytes())
        attack(made)
        reseal(made)
        folders.append(str(made))
    reseal(good)  # the helper itself writes folders that can be read
    slowest_s = grown = 0.0
    for _ in range(n):
        done = subprocess.run(
            [sys.executable, "-c", READ_ALL, str(good), *folders],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        if done.returncode:
            result.check(False, done.stderr[-2_000:])
            continue
        report = json.loads(done.stdout)
        for name, (what, seconds) in report["results"].items():
            refused = what.startswith(("ArtifactCorrupt: ", "ArtifactIncompatible: "))
            clear = refused and ("must be" in what or "valid" in what) and len(what) < 700
            result.check(clear, f"{name}: {what[:300]}")
            result.check(seconds < REFUSED_WITHIN_S, f"{name}: {seconds:.1f} s of CPU time")
            slowest_s = max(slowest_s, seconds)
        result.check(report["touched"] == [], f"touched {report['touched']}")
        result.check(not (folder / "ran").exists(), "code of a model was run")
        grown = max(grown, report["grown_bytes"])
        result.check(grown < MEMORY_BYTES, f"memory grew by {grown / 1e6:.0f} MB")
    result.seen |= {
        "attacks": len(ATTACKS),
        "slowest refusal": f"{slowest_s:.1f} s",
        "memory": f"{grown / 1e6:+.0f} MB",
    }
    return result
