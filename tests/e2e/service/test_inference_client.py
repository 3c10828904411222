"""Triton's own client calls the service unchanged, as it calls any server of KServe's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import HISTORY, Server
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from oracle.client import Client
from oracle.types import History

NAME = "shipped-default"


def inputs(*, binary: bool, **change: Any) -> list[triton.InferInput]:
    columns = {**HISTORY, "total_epochs": [HISTORY["total_epochs"]], **change}
    made = []
    for name, values in columns.items():
        array = np.asarray(values, np.float64)
        tensor = triton.InferInput(name, list(array.shape), "FP64")
        tensor.set_data_from_numpy(array, binary_data=binary)
        made.append(tensor)
    context = triton.InferInput("context", [1], "BYTES")
    context.set_data_from_numpy(np.array([b'{"n_features": 4}'], np.object_), binary_data=binary)
    return [*made, context]


def test_triton_s_client(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        client = triton.InferenceServerClient(server.url.removeprefix("http://"))
        try:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready(NAME)
            assert not client.is_model_ready("another")
            assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
            told = client.get_model_metadata(NAME)
            assert [tensor["name"] for tensor in told["outputs"]][:2] == ["levels", "final_mqe"]
            history = History.parse({**HISTORY, "context": {"n_features": 4}})
            with Client(server.url) as ours:
                forecast = ours.forecast(history)
            for binary in (True, False):
                answer = client.infer(NAME, inputs(binary=binary), request_id="r-1")
                for name, expected in forecast.final.items():
                    assert tuple(answer.as_numpy(name)) == expected
                assert answer.as_numpy("action")[0] in (b"continue", b"stop", b"abstain")
                asked = [triton.InferRequestedOutput("support", binary_data=binary)]
                alone = client.infer(NAME, inputs(binary=binary), outputs=asked)
                assert alone.as_numpy("support")[0] == forecast.support
                with pytest.raises(InferenceServerException, match=r"\[422\].*`mqe` must be as lo"):
                    client.infer(NAME, inputs(binary=binary, mqe=[1.0, 0.5]))
        finally:
            client.close()
