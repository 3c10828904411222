"""`oracle mcp`: the oracle as tools of an agent, by the Model Context Protocol over stdio."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

import oracle
from oracle.commands.runs import opened, told_of
from oracle.errors import InvalidHistory, OracleError, must_be
from oracle.forecast.forecaster import Oracle
from oracle.forks import UncutLock
from oracle.history.sample_table import read_table
from oracle.hook import watch
from oracle.hook.watched import WatchedRun
from oracle.search.suggest import suggest
from oracle.types import CHECKPOINT, Decision, History

P = ParamSpec("P")
Answer = dict[str, Any]

INSTRUCTIONS = """\
SOM Oracle forecasts how trainings of self-organizing maps will end, and says which to stop.
A search: `suggest` settings for a table; train each in steps, measuring mqe, topographic error and
dead neurons at checkpoints; `decide` after each step with the whole history so far, and stop where
its action is "stop" ("abstain" means go on); a history that reaches its total_epochs ends its run.
`runs` tells how the search went, `explain` why a forecast is what it is, `evaluate` how good
forecasts are on recorded runs."""

Given = Annotated[
    dict[str, Any],
    Field(
        description="A run so far, by column: epochs (increasing), mqe, topographic_error and "
        "dead_neuron_ratio (null where undefined), each one number a checkpoint; optional "
        "learning_rate and radius likewise, total_epochs (the budget, in the unit of epochs), "
        "run_id, dataset, and context (map_rows, map_cols, n_samples, n_features, mqe_of_mean, "
        "total_updates, schedule ...), which make the forecast better."
    ),
]


def mcp(
    population: Annotated[
        Path | None,
        typer.Option(help="File of the search's runs, which decisions rank against and enter."),
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder (default: the active).")] = None,
) -> None:
    """Serve the oracle to an agent over stdin and stdout: suggest, decide, runs, explain, evaluate.

    It is started by the agent's program, e.g. by an entry {"command": "oracle", "args": ["mcp",
    "--population", "runs.db"]}.
    """
    # What cannot be a population is told now, and not to every call.
    if population is not None and population.exists():
        opened(population)
    elif population is not None and not population.absolute().parent.is_dir():
        raise OracleError(must_be("--population", "in a folder that exists", str(population)))
    server_of(Tools(Oracle.load(model), population)).run("stdio")


class Tools:
    """What the tools do, for the runs of one agent.

    Args:
        oracle: who answers.
        population: the file of the search; None = runs are judged each by itself.
    """

    def __init__(self, oracle: Oracle, population: Path | None = None) -> None:
        self._oracle, self._population = oracle, population
        self._watched: dict[str, tuple[WatchedRun, float]] = {}  # ... and its last epoch
        self._lock = UncutLock()

    def suggest(
        self,
        table: Annotated[str, Field(description="CSV of the samples, as a map will see them.")],
        n: int = 5,
        library: str = "minisom",
        objectives: tuple[str, ...] = ("quality",),
        budget: float | None = None,
        candidates: int = 1_000,
        seed: int = 0,
    ) -> Answer:
        """Suggest settings for maps of a table that are worth training, before any is trained.

        Each has `code` that trains it and `expected`, the forecast at five levels; lower is better.
        """
        samples = read_table(Path(table)).values
        found = suggest(
            samples, n, library=library, objectives=objectives, budget=budget,
            candidates=candidates, seed=seed, oracle=self._oracle, population=self._population,
        )  # fmt: skip
        return found.model_dump(mode="json")

    def decide(self, history: Given, run_id: str) -> Answer:
        """Say whether a training run goes on, stops, or cannot be judged, and how it will end.

        Give the whole history so far after each step. The run is ranked among the others of its
        table (`dataset`); a stop, or a history that reaches total_epochs, ends it.
        """
        seen = History.parse({**history, "run_id": run_id})
        with self._lock:
            run, last = self._watched.get(run_id) or (self._begun(seen), -1.0)
            columns = [getattr(seen, name) or [None] * len(seen) for name in CHECKPOINT]
            new = [row for row in zip(*columns, strict=True) if row[0] > last]
            if not len(seen):
                run.plan()
            for epoch, *values in new:
                if run.state == "live":
                    run.report(epoch, **dict(zip(CHECKPOINT[1:], values, strict=True)))
                    if _is_over(run.decision):
                        run.finish()
            if seen.is_whole:
                run.finish()
            self._watched[run_id] = run, max([last, *seen.epochs])
            told = run.decision
        if told is None:
            rule = "known of a run without checkpoints, so that its plan can be forecast"
            raise InvalidHistory(must_be("context.mqe_of_mean", rule, None))
        decision = told.model_dump(mode="json", exclude={"forecast": {"curve"}})
        return {**decision, "state": run.state, "problems": list(run.problems.messages.values())}

    def _begun(self, seen: History) -> WatchedRun:
        """Watch a run that this process has not heard of, perhaps since it was restarted."""
        return watch(
            total_epochs=seen.total_epochs,
            context=seen.context,
            dataset=seen.dataset,
            population=self._population,
            population_name=seen.population_name,
            run_id=seen.run_id,
            model=self._oracle,
        )

    def runs(self, population_name: str | None = None) -> Answer:
        """Tell how the search went so far: runs by state, savings, wrong stops, every run's end."""
        if self._population is None:
            rule = "given to `oracle mcp`: without it no run is kept"
            raise OracleError(must_be("--population", rule, None))
        if not self._population.exists():
            return {"populations": []}
        shared, names = opened(self._population)
        if population_name is not None and population_name not in names:
            rule = f"one of {', '.join(names)}"
            raise InvalidHistory(must_be("population_name", rule, population_name))
        chosen = names if population_name is None else (population_name,)
        told = [{"summary": shared.summary(n), **told_of(shared, n)} for n in chosen]
        return {"populations": told}

    def explain(self, history: Given) -> Answer:
        """Tell what each checkpoint and each part of the plan did to the forecast of a run."""
        found = self._oracle.explain(History.parse(history))
        return {"text": str(found), **found.model_dump(mode="json")}

    def evaluate(
        self,
        dataset: Annotated[str, Field(description="Recorded runs, .csv, .csv.gz or .parquet.")],
    ) -> Answer:
        """Measure how good forecasts and stopping are on recorded runs, beside simple baselines."""
        from oracle.commands.evaluate import without_fit
        from oracle.evaluation.accuracy import report, score
        from oracle.history.dataset import read_dataset

        runs = read_dataset(dataset)
        return {"dataset": dataset, **report(score(runs, self._oracle, without_fit(runs)))}


def _is_over(decision: Decision | None) -> bool:
    return decision is not None and (decision.stop or decision.converged)


def server_of(tools: Tools) -> MCPServer:
    """Put the tools on a server of the protocol."""
    server = MCPServer(
        "som-oracle", instructions=INSTRUCTIONS, version=oracle.__version__, log_level="WARNING"
    )
    for tool in (tools.suggest, tools.decide, tools.runs, tools.explain, tools.evaluate):
        server.tool(description=getdoc(tool))(_told(tool))
    return server


def _told(tool: Callable[P, Answer]) -> Callable[P, Answer]:
    """Tell bad input to the agent in one line, as the command line does to a person."""

    @wraps(tool)
    def call(*args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return tool(*args, **kwargs)
        except OracleError as error:
            raise ToolError(str(error)) from None
        except OSError as error:
            raise ToolError(f"{error.strerror or error}: {error.filename}") from None
        except ModuleNotFoundError as error:
            needed = f"{tool.__name__} needs {error.name}, which som-oracle[train] brings"
            raise ToolError(f"{needed}. Install it.") from None

    return call
