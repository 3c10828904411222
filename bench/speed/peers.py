"""The service beside general model servers: `python -m bench.speed.peers --peer NAME=PYTHON ...`.

Each peer answers the oracle's graph alone, from inputs that the client has encoded and scaled;
the service validates a raw history, encodes it, forecasts, draws and decides. One worker each, set
up as the peer's documentation has it; the same load, in turn, in short rounds. A peer lives in an
environment of its own, so that it may want other libraries:

    python -m venv peers/litserve && peers/litserve/bin/pip install litserve onnxruntime
    python -m bench.speed.peers --peer litserve=peers/litserve/bin/python

Peers: litserve, mlserver, bentoml. Those without `--peer` are named and skipped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# The service is started as the tests start it.
sys.path.append(str(ROOT / "tests"))

import numpy as np  # noqa: E402
import psutil  # noqa: E402
from serving import Server, free_port, until  # noqa: E402

from bench.speed.page import enter  # noqa: E402
from bench.speed.service import Measured, history, load  # noqa: E402
from oracle.history.features import encode  # noqa: E402
from oracle.model.artifact import read_artifact, resolve  # noqa: E402
from oracle.types import History  # noqa: E402

SESSION = """
import numpy as np
import onnxruntime
def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession("GRAPH", options, providers=["CPUExecutionProvider"])
def run(session, sequence, length):
    inputs = {"sequence": np.asarray(sequence, np.float32), "length": np.asarray(length, np.int32)}
    return session.run(["quantiles"], inputs)[0]
"""
LITSERVE = """
import sys, litserve
from graph import run, session
class Graph(litserve.LitAPI):
    def setup(self, device):
        self.session = session()
    def predict(self, request):
        return run(self.session, request["sequence"], request["length"])
    def encode_response(self, output):
        return {"quantiles": output.tolist()}
if __name__ == "__main__":
    litserve.LitServer(Graph(), accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=PORT, log_level="warning", generate_client_file=False)
"""
MLSERVER = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import decode_args
from graph import run, session
class Graph(MLModel):
    async def load(self) -> bool:
        self.session = session()
        return True
    @decode_args
    async def predict(self, sequence: np.ndarray, length: np.ndarray) -> np.ndarray:
        return run(self.session, sequence, length)
"""
BENTOML = """
import bentoml
import numpy as np
from graph import run, session
@bentoml.service(workers=1)
class Graph:
    def __init__(self) -> None:
        self.session = session()
    @bentoml.api
    def forecast(self, sequence: np.ndarray, length: np.ndarray) -> np.ndarray:
        return run(self.session, sequence, length)
"""


class Peer(NamedTuple):
    """How a peer serves the graph.

    Attributes:
        module, source: the file that its documentation has one write.
        command: after its Python.
        path: that answers.
        aim: times its answers a second that the service must reach.
    """

    module: str
    source: str
    command: tuple[str, ...]
    path: str
    aim: float


PEERS = {
    "litserve": Peer("served.py", LITSERVE, ("served.py",), "/predict", 2.5),
    "mlserver": Peer(
        "served.py",
        MLSERVER,
        ("-c", "from mlserver.cli import main; main()", "start", "."),
        "/v2/models/graph/infer",
        2.0,
    ),
    "bentoml": Peer(
        "served.py",
        BENTOML,
        ("-m", "bentoml", "serve", "served:Graph", "--host", "127.0.0.1", "--port", "PORT"),
        "/forecast",
        4.0,
    ),
}


def bodies() -> dict[str, bytes]:
    """The same history for each server: raw for ours, encoded and scaled for the peers."""
    scaling = read_artifact(resolve(None)).manifest.scaling
    rows = encode(History.parse(history()))
    scaled = np.clip((rows - np.array(scaling.mean)) / np.array(scaling.std), -8, 8)
    values = scaled.astype(np.float32)[None]
    plain = {"sequence": values.tolist(), "length": [len(rows)]}
    tensors = [
        {"name": "sequence", "datatype": "FP32", "shape": values.shape, "data": values.ravel()},
        {"name": "length", "datatype": "INT32", "shape": [1], "data": [len(rows)]},
    ]
    asked = {"inputs": tensors, "outputs": []}
    return {
        "service": json.dumps(history()).encode(),
        "litserve": json.dumps(plain).encode(),
        "bentoml": json.dumps(plain).encode(),
        "mlserver": json.dumps(asked, default=lambda array: array.tolist()).encode(),
    }


def versions(name: str, python: str) -> str:
    """What answers, as `litserve 1.0, Python 3.11.7`."""
    ask = (
        "import sys, importlib.metadata as m;"
        f"print('{name}', m.version('{name}') + ', onnxruntime', m.version('onnxruntime') + "
        "', Python', sys.version.split()[0])"
    )
    return subprocess.check_output([python, "-c", ask], text=True).strip()


@contextmanager
def serving(name: str, python: str, folder: Path, body: bytes) -> Iterator[str]:
    """Serve the graph by a peer; gives its address once it has answered."""
    peer, port = PEERS[name], free_port()
    folder.mkdir()
    graph = folder.absolute() / "oracle.onnx"
    graph.write_bytes(read_artifact(resolve(None)).onnx())
    (folder / "graph.py").write_text(SESSION.replace("GRAPH", str(graph)))
    (folder / peer.module).write_text(peer.source.replace("PORT", str(port)))
    if name == "mlserver":
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
        model = {"name": "graph", "implementation": "served.Graph"}
        (folder / "settings.json").write_text(json.dumps(settings))
        (folder / "model-settings.json").write_text(json.dumps(model))
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [python, *(str(port) if part == "PORT" else part for part in peer.command)],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": str(folder), "HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"},
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended:\n{log.read_text()}")
        try:
            return bool(asyncio.run(asyncio.wait_for(load(url, [(peer.path, body)], 0.2), 5)))
        except (OSError, RuntimeError, EOFError):
            return False

    try:
        until(up, 120, name)
        yield url
    finally:
        family = []
        if process.poll() is None:
            family = psutil.Process(process.pid).children(recursive=True)
        for member in (process, *family):
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write-docs", action="store_true", help="enter it in docs/speed.md")
    args = parser.parse_args()
    pythons = dict(named.split("=", 1) for named in args.peer)
    if unknown := pythons.keys() - PEERS.keys():
        parser.error(f"--peer must name one of {', '.join(PEERS)}, but got {', '.join(unknown)}.")
    asked, told = bodies(), []
    rows: dict[str, list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        server = stack.enter_context(Server(Path(name) / "service", max_waiting_requests=256))
        kinds: dict[str, Callable[[], Measured]] = {
            "service": partial(_measure, server.url, "/v1/decide", asked["service"], args.seconds)
        }
        for peer, how in PEERS.items():
            if peer not in pythons:
                told.append(
                    f"{peer}: skipped; in a venv `pip install {peer} onnxruntime`, "
                    f"then --peer {peer}=VENV/bin/python"
                )
                continue
            python = str(Path(pythons[peer]).absolute())
            told.append(versions(peer, python))
            url = stack.enter_context(serving(peer, python, Path(name) / peer, asked[peer]))
            kinds[peer] = partial(_measure, url, how.path, asked[peer], args.seconds)
        for _ in range(args.rounds):
            for kind, measure in kinds.items():
                rows.setdefault(kind, []).append(measure())
    told += report(rows)
    print("\n".join(told))
    if args.write_docs:
        enter("python -m bench.speed.peers", "\n".join(told))


def _measure(url: str, path: str, body: bytes, seconds: float) -> Measured:
    return asyncio.run(load(url, [(path, body)], seconds))


def report(rows: dict[str, list[Measured]]) -> list[str]:
    """Tell medians over the rounds, and how many times each peer the service answers."""
    told = [f"{'':12}{'per s':>10}{'p50 ms':>10}{'p99 ms':>10}{'service / it':>14}"]
    for name, measured in rows.items():
        middle = (
            statistics.median(getattr(m, f) for m in measured)
            for f in ("per_s", "p50_ms", "p99_ms")
        )
        line = f"{name:12}" + "".join(f"{value:10.1f}" for value in middle)
        if name in PEERS:
            pairs = zip(rows["service"], measured, strict=True)
            ratio = statistics.median(ours.per_s / its.per_s for ours, its in pairs)
            line += f"{ratio:14.2f}   aim >= {PEERS[name].aim:g}"
        told.append(line)
    return told


if __name__ == "__main__":
    main()
