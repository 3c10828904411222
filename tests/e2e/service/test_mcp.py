"""`oracle mcp`: the SDK's own client drives a small search through the server's process."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from minisom import MiniSom

from oracle import cli
from oracle.commands.mcp import Tools, server_of
from oracle.forecast.forecaster import Oracle
from oracle.history.context import context_of
from oracle.history.dataset import write_dataset
from oracle.history.metrics import measure
from oracle.hook.population import Population
from oracle.types import History, Run

PASSES = 20
EXAMPLE: dict[str, Any] = {
    "epochs": [10, 50, 100], "mqe": [0.5, 0.3, 0.25], "topographic_error": [0.1, 0.09, 0.08],
    "dead_neuron_ratio": [0.2, 0.15, 0.12], "total_epochs": 1000,
}  # fmt: skip


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    return Tools(Oracle.load(), tmp_path_factory.mktemp("mcp") / "runs.db")


def said(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def call(tools: Tools, name: str, **arguments: Any) -> CallToolResult:
    async def ask() -> CallToolResult:
        async with Client(server_of(tools)) as client:
            return await client.call_tool(name, arguments)

    return asyncio.run(ask())


def answered(result: CallToolResult) -> dict[str, Any]:
    assert not result.is_error, said(result)
    assert result.structured_content is not None
    return result.structured_content


def test_a_search(tmp_path: Path) -> None:
    """Suggested plans of MiniSom are trained in steps and judged; the file knows how they ended."""
    data = np.random.default_rng(3).normal(size=(80, 3))
    table, file = tmp_path / "table.csv", tmp_path / "runs.db"
    np.savetxt(table, data, delimiter=",", header="a,b,c", comments="")
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "oracle", "mcp", "--population", str(file)]
    )

    async def search() -> dict[str, str]:
        states: dict[str, str] = {}
        async with Client(command) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"suggest", "decide", "runs", "explain", "evaluate"}
            asked = {"table": str(table), "n": 3, "candidates": 60, "seed": 1}
            plans = answered(await client.call_tool("suggest", asked))["plans"]
            assert len(plans) == 3
            assert answered(await client.call_tool("runs", {})) == {"populations": []}
            for number, plan in enumerate(plans):
                som = MiniSom(**plan["make"])
                history: dict[str, Any] = {
                    "dataset": "table", "total_epochs": PASSES, "epochs": [], "mqe": [],
                    "topographic_error": [], "dead_neuron_ratio": [],
                    "context": context_of(som, data).model_dump(mode="json", exclude_none=True),
                }  # fmt: skip
                for epoch in range(1, PASSES + 1):
                    som.train(data, len(data))
                    history["epochs"].append(epoch)
                    for name, value in (
                        measure(som.get_weights(), data, som.topology)._asdict().items()
                    ):
                        history[name].append(value)
                    arguments = {"history": history, "run_id": f"r-{number}"}
                    told = answered(await client.call_tool("decide", arguments))
                    if told["action"] == "stop":
                        break
                states[f"r-{number}"] = told["state"]
                assert told["problems"] == []
            (population,) = answered(await client.call_tool("runs", {}))["populations"]
            assert {run["run_id"]: run["state"] for run in population["runs"]} == states
            assert population["name"] == "table"
            why = answered(await client.call_tool("explain", {"history": history}))
            assert why["text"]
        return states

    states = asyncio.run(search())
    assert set(states) == {"r-0", "r-1", "r-2"}
    assert set(states.values()) <= {"finished", "stopped"}
    assert {m.run_id: m.state for m in Population(file).members("table")} == states


def test_it_is_what_the_oracle_says(tools: Tools) -> None:
    history = {**EXAMPLE, "population": "same"}
    told = answered(call(tools, "decide", history=history, run_id="a"))
    expected = Oracle.load().forecast(History.parse(EXAMPLE))
    assert told["forecast"]["final"] == {k: list(v) for k, v in expected.final.items()}
    assert (told["run_id"], told["state"]) == ("a", "live")
    again = answered(call(tools, "decide", history=history, run_id="a"))
    assert again == told  # no checkpoint is judged twice


def test_a_whole_history_ends_its_run_once(tools: Tools) -> None:
    whole = {**EXAMPLE, "population": "whole", "total_epochs": 100}
    for _ in range(2):
        told = answered(call(tools, "decide", history=whole, run_id="w"))
        assert told["state"] == "finished"
    (told,) = answered(call(tools, "runs", population_name="whole"))["populations"]
    assert (told["finished"], told["live"]) == (1, 0)
    assert told["runs"][0]["final_mqe"] == 0.25


def test_a_stop_stays_one(tools: Tools) -> None:
    """A hopeless run among good ones is stopped; asked again, the answer is still to stop."""
    for i in range(12):
        good = {
            **EXAMPLE,
            "population": "p",
            "total_epochs": 100,
            "mqe": [0.2, 0.02, 0.01 + i / 1e4],
        }
        answered(call(tools, "decide", history=good, run_id=f"good-{i}"))
    bad = {
        "population": "p", "total_epochs": 100, "epochs": list(range(5, 90, 5)),
        "mqe": [5.0 - i / 100 for i in range(17)], "topographic_error": [0.5] * 17,
        "dead_neuron_ratio": [0.5] * 17,
    }  # fmt: skip
    ended = [f"bad-{i}" for i in range(3)]  # one in twenty is let run as a control
    told = [answered(call(tools, "decide", history=bad, run_id=name)) for name in ended]
    stopped = [one for one in told if one["action"] == "stop"]
    assert stopped
    assert stopped[0]["state"] == "stopped"
    longer = {
        name: [*bad[name], bad[name][-1]]
        for name in ("mqe", "topographic_error", "dead_neuron_ratio")
    }
    more = {**bad, **longer, "epochs": [*bad["epochs"], 90]}
    again = answered(call(tools, "decide", history=more, run_id=stopped[0]["run_id"]))
    assert again == stopped[0]


def test_evaluate(tools: Tools, tmp_path: Path) -> None:
    runs = []
    for i in range(6):
        mqe = [1.0, 0.6, 0.4 + i / 50, 0.3 + i / 50]
        history = History.parse({
            "epochs": [1, 4, 7, 10], "mqe": mqe, "topographic_error": [0.3, 0.2, 0.1, 0.1],
            "dead_neuron_ratio": [0.2, 0.1, 0.05, 0.02 * i], "total_epochs": 10,
        })  # fmt: skip
        runs.append(
            Run(run_id=f"r-{i}", source="test", dataset="t", final_mqe=mqe[-1],
                final_topographic_error=0.1, final_dead_neuron_ratio=0.02 * i, history=history)
        )  # fmt: skip
    write_dataset(tmp_path / "d.csv", runs, {})
    found = answered(call(tools, "evaluate", dataset=str(tmp_path / "d.csv")))
    assert found["runs"] == 6
    assert {row["forecaster"] for row in found["errors"]} >= {"oracle", "last", "mean"}


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "history": (
        "decide", {"history": {**EXAMPLE, "mqe": [1]}, "run_id": "x"}, "`mqe` must be as long",
    ),
    "field": ("explain", {"history": {**EXAMPLE, "mqee": 1}}, "`mqee` must be a known field"),
    "run_id": ("decide", {"history": EXAMPLE, "run_id": "a b"}, "`run_id` must be"),
    "nothing": ("decide", {"history": {}, "run_id": "x"}, "`epochs` must be of one checkpoint"),
    "plan": (
        "decide", {"history": {"context": {"map_rows": 3}}, "run_id": "p"}, "`context.mqe_of_mean`",
    ),
    "no argument": ("decide", {"history": EXAMPLE}, "run_id"),
    "table": ("suggest", {"table": "no.csv"}, "no.csv"),
    "library": ("suggest", {"table": "{table}", "library": "x"}, "`library` must be one of"),
    "population": ("runs", {"population_name": "nobody's"}, "`population_name` must be one of"),
    "dataset": ("evaluate", {"dataset": "no.csv"}, "no.csv"),
    "tool": ("guess", {}, "guess"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "named"), WRONG.values(), ids=WRONG)
def test_bad_input_is_told(
    tools: Tools, tmp_path: Path, name: str, arguments: dict[str, Any], named: str
) -> None:
    table = tmp_path / "table.csv"
    np.savetxt(table, np.random.default_rng(0).normal(size=(30, 2)), delimiter=",")
    given = {k: str(table) if v == "{table}" else v for k, v in arguments.items()}
    answered(call(tools, "decide", history={**EXAMPLE, "population": "b"}, run_id="begun"))
    result = call(tools, name, **given)
    assert result.is_error
    assert named in said(result)
    assert "Traceback" not in said(result)


def test_without_a_population(tools: Tools) -> None:
    alone = Tools(Oracle.load())
    told = answered(call(alone, "decide", history=EXAMPLE, run_id="a"))
    assert told["policy"]["name"] == "threshold"
    assert "`--population` must be given" in said(call(alone, "runs"))


@pytest.mark.parametrize(
    ("name", "named"),
    [("no/runs.db", "`--population` must be in a folder that exists"), ("notes.txt", "notes.txt")],
)
def test_what_cannot_be_a_population(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, named: str
) -> None:
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(SystemExit) as end:
        cli.main(["mcp", "--population", str(tmp_path / name)])
    assert end.value.code == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "no").exists()
