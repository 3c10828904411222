"""A typed client of the service.

    with Client("http://127.0.0.1:8000") as client:
        decision = client.append("r-17", history)
        if decision.stop: ...

Errors of the service come back as the exceptions of `oracle.errors`; a busy or unreachable
service is tried again a few times, which is safe since every request may be repeated.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from oracle.audit.audit import Audit
from oracle.deadline import Deadline
from oracle.errors import InvalidHistory, StoreUnavailable, must_be
from oracle.exchange import as_json, error_of, pause_of, read
from oracle.server.http.wire import (
    BatchAnswer,
    Override,
    ReplayAnswer,
    RunDetail,
    RunList,
    RunSummary,
)
from oracle.server.http.wire_populations import (
    PopulationCount,
    PopulationDetail,
    PopulationList,
    PopulationTable,
    PromisingList,
)
from oracle.server.http.wire_service import ModelsAnswer
from oracle.server.http.wire_suggest import told_space
from oracle.types import (
    About,
    Decision,
    Explanation,
    Forecast,
    History,
    Policy,
    Reference,
    RunContext,
    Suggestions,
)
from oracle.types import about as named
from oracle.types.addresses import taken_apart
from oracle.types.run_names import run_id_of

M = TypeVar("M", bound=BaseModel)
Json = dict[str, Any]

_HEADERS = {"Content-Type": "application/json"}
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")


class Client:
    """One service, one connection pool; close it, or use it in a `with` block.

    Args:
        url: where the service is.
        api_key: sent as a bearer token; never shown.
        timeout_s: of one request, its answer read whole.
        attempts: of a request that finds the service busy or away, at least 1.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = 10.0,
        attempts: int = 4,
    ) -> None:
        parts = taken_apart(url)
        if parts is None or parts.scheme not in ("http", "https"):
            rule = "an address such as http://127.0.0.1:8000"
            raise InvalidHistory(must_be("url", rule, url))
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # No proxy leads to this machine; whoever set HTTP_PROXY did not think of it.
        is_here = _LOOPBACK.fullmatch(parts.hostname or "") is not None
        around = {f"all://{parts.netloc.rpartition('@')[2]}": None} if is_here else None
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, mounts=around)
        self._deadline, self._timeout_s = Deadline(self._http), timeout_s
        self._attempts = max(1, attempts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    # Stateless

    def forecast(self, history: History) -> Forecast:
        """Forecast how the run of one history will end."""
        return self._post("/v1/forecast", _json(history), Forecast)

    def explain(self, history: History) -> Explanation:
        """Tell what each checkpoint and each part of the plan did to a run's forecast."""
        return self._post("/v1/explain", _json(history), Explanation)

    def suggest(self, context: RunContext, n: int = 20, **wanted: Any) -> Suggestions:
        """Suggest settings for maps of a table.

        Args:
            context: the table's size, `mqe_of_mean` and `geometry`, as `context_of` reads them.
            n: plans wanted.
            wanted: library, objectives, space, budget, candidates, seed, as in `oracle.suggest`;
                population: of the service, whose ended runs teach the forecasts.
        """
        told = context.model_dump(mode="json", exclude_none=True)
        space = wanted.get("space")
        if isinstance(space, Mapping):
            wanted["space"] = told_space(space)
        return self._post("/v1/suggest", {"context": told, "n": n, **wanted}, Suggestions)

    def decide(
        self,
        history: History,
        reference: Reference | None = None,
        policy: Policy | None = None,
        *,
        previous: int = 0,
    ) -> Decision:
        """Decide on one history; see `oracle.decision.policy.decide`."""
        body = _json(history) | _given(reference=reference, policy=policy)
        return self._post("/v1/decide", body | {"previous": previous}, Decision)

    def decide_batch(
        self,
        histories: Sequence[History],
        reference: Reference | None = None,
        policy: Policy | None = None,
        *,
        generation: bool = False,
    ) -> list[Decision | InvalidHistory]:
        """Decide on many histories; a bad one gets its error in its place."""
        body: Json = {"histories": [_json(h) for h in histories], "generation": generation}
        body |= _given(reference=reference, policy=policy)
        answer = self._post("/v1/decide/batch", body, BatchAnswer)
        return [
            one.decision or InvalidHistory(one.error.message if one.error else "")
            for one in answer.results
        ]

    # Runs

    def append(
        self,
        run_id: str | int,
        piece: History,
        policy: Policy | None = None,
        *,
        population_size: int | None = None,
        rewind_from: float | None = None,
        about: About | None = None,
    ) -> Decision:
        """Append checkpoints to a stored run; those that are stored already do no harm.

        Args:
            run_id: name of the run; what cannot be a run_id is cleaned, here and in all methods.
            piece: one checkpoint or several.
            policy: rule for this decision; None = the service's.
            population_size: runs the whole search is planned to have.
            rewind_from: the run went on from an earlier map: the epoch from which on it is told
                anew.
            about: what is said of the run: name, config, tags, notes.

        Raises:
            RunConflict: they contradict what is stored, or the run has finished.
        """
        body = _json(piece) | _given(policy=policy)
        if run_id_of(run_id) != str(run_id):
            body |= named(str(run_id)).model_dump(mode="json", exclude_none=True)
        if about is not None:
            body |= about.model_dump(mode="json", exclude_unset=True)
        for name, value in (("population_size", population_size), ("rewind_from", rewind_from)):
            if value is not None:
                body[name] = value
        return self._post(f"{_run(run_id)}/checkpoints", body, Decision)

    def finish(
        self, run_id: str | int, *, censored: bool | None = None, **final: float | None
    ) -> RunSummary:
        """Say how a run ended.

        Args:
            run_id: name of the run.
            censored: it was stopped early; None = it was after a stop, unless it went on to its
                end.
            final: final_mqe, final_topographic_error, final_dead_neuron_ratio; those left out
                default to the last checkpoint's.
        """
        return self._do(run_id, "finish", {"censored": censored, **final})

    def describe(self, run_id: str | int, about: About) -> RunSummary:
        """Say a run's name, config, tags and notes; what is left out stays as it is."""
        said = about.model_dump(mode="json", exclude_unset=True)
        return self._post(f"{_run(run_id)}/about", said, RunSummary)

    def keep(self, run_id: str | int, by: str | None = None) -> RunSummary:
        """Say as a person that this run is never stopped."""
        return self._do(run_id, "keep", {"by": by})

    def stop(self, run_id: str | int, by: str | None = None) -> RunSummary:
        """Say as a person that this run stops at its next checkpoint."""
        return self._do(run_id, "stop", {"by": by})

    def override(self, run_id: str | int, to: Override | None, by: str | None = None) -> RunSummary:
        """Say as a person keep or stop; None gives the run back to its policy."""
        return self._do(run_id, "override", {"to": to, "by": by})

    def runs(self, **filters: str | int) -> Iterator[RunSummary]:
        """Go through the stored runs, newest first, over all pages.

        Args:
            filters: population, dataset, state, limit (of one page).
        """
        cursor: str | None = None
        while True:
            query = filters | ({"cursor": cursor} if cursor else {})
            page = self._get("/v1/runs", RunList, query)
            yield from page.runs
            cursor = page.next_cursor
            if cursor is None:
                return

    def run(self, run_id: str | int) -> RunDetail:
        """Give all that is stored about a run."""
        return self._get(_run(run_id), RunDetail)

    def replay(self, run_id: str | int, epoch: float) -> ReplayAnswer:
        """Give a decision with everything needed to make it again."""
        return self._get(f"{_run(run_id)}/decisions/{float(epoch)!r}", ReplayAnswer)

    def delete(self, run_id: str | int) -> None:
        """Forget a run and all that is stored about it."""
        self._send("DELETE", _run(run_id))

    def population(self, name: str) -> PopulationDetail:
        """Give a population's savings, wrong stops and outcomes."""
        return self._get(f"/v1/populations/{_quoted(name)}", PopulationDetail)

    def table(self, population: str, **query: str | int) -> PopulationTable:
        """Give the runs of a population by column, newest first, with their settings.

        Args:
            population: its name.
            query: limit, cursor (older ones), after (those that began since).
        """
        return self._get(f"/v1/populations/{_quoted(population)}/table", PopulationTable, query)

    def populations(self) -> tuple[PopulationCount, ...]:
        """List the populations last heard of."""
        return self._get("/v1/populations", PopulationList).populations

    def audit(self, population: str) -> Audit:
        """Hold what was said of a population's ended runs against how they ended."""
        return self._get(f"/v1/populations/{_quoted(population)}/audit", Audit)

    def promising(
        self, population: str, objectives: Sequence[str] | None = None, limit: int = 20
    ) -> PromisingList:
        """List the stopped runs of a population that are worth training to their end.

        Args:
            population: its name.
            objectives: score, or metrics; None = by the service's policy.
            limit: runs told at most.
        """
        query: Json = {"population": population, "limit": limit}
        if objectives is not None:
            query["objective"] = list(objectives)
        return self._get("/v1/promising", PromisingList, query)

    def models(self) -> ModelsAnswer:
        """Give the model in use and those that could be activated."""
        return self._get("/v1/models", ModelsAnswer)

    def events(self, after: int | None = None, **filters: str) -> Iterator[Json]:
        """Follow what happens, for ever; each event carries its `id` to resume from.

        The event `{"kind": "reset"}` says that events since `after` are no longer kept: what is
        known must be loaded again.

        Args:
            after: the last event known; None = only what comes.
            filters: population, run_id.
        """
        query: dict[str, str | int] = {**filters}
        if after is not None:
            query["after"] = after
        event_id: int | None = None
        try:
            with self._http.stream("GET", "/v1/events", params=query, timeout=None) as response:
                if response.status_code != 200:
                    response.read()
                    raise error_of(response)
                for line in response.iter_lines():
                    if line.startswith("id: "):
                        event_id = int(line[4:])
                    elif line == "event: reset":
                        yield {"kind": "reset"}
                    elif line.startswith("data: ") and event_id is not None:
                        yield {"id": event_id, **json.loads(line[6:])}
                        event_id = None
        except (httpx.RequestError, httpx.StreamError, TypeError, ValueError) as error:
            raise StoreUnavailable(f"The events broke off: {error}.") from error

    # Transport

    def _do(self, run_id: str | int, what: str, body: Json) -> RunSummary:
        given = {name: value for name, value in body.items() if value is not None}
        return self._post(f"{_run(run_id)}/{what}", given, RunSummary)

    def _get(self, path: str, model: type[M], query: Json | None = None) -> M:
        return read(model, self._send("GET", path, query=query).content)

    def _post(self, path: str, body: Json, model: type[M]) -> M:
        return read(model, self._send("POST", path, body).content)

    def _send(
        self, method: str, path: str, body: Json | None = None, query: Json | None = None
    ) -> httpx.Response:
        content, headers = (None, None) if body is None else (as_json(body), _HEADERS)
        for attempt in range(self._attempts):
            last = attempt == self._attempts - 1
            try:
                with self._deadline.within(self._timeout_s):
                    response = self._http.request(
                        *(method, path), content=content, headers=headers, params=query
                    )
            except httpx.RequestError as error:
                if last:
                    raise StoreUnavailable(f"The service does not answer: {error}.") from error
                pause_s = 0.1 * 2**attempt
            else:
                deleted = method == "DELETE" and attempt > 0 and response.status_code == 404
                if response.is_success or deleted:  # by an attempt whose answer was lost
                    return response
                if last or response.status_code not in (429, 503):
                    raise error_of(response)
                pause_s = pause_of(response)
            time.sleep(pause_s)
        raise AssertionError("unreachable")


def _run(run_id: str | int) -> str:
    return f"/v1/runs/{run_id_of(run_id)}"


def _quoted(name: str) -> str:
    """Write a name so that it is one part of a path, and no step up."""
    return quote(name, safe="").replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def _json(history: History) -> Json:
    return history.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _given(**members: BaseModel | None) -> Json:
    return {n: m.model_dump(mode="json") for n, m in members.items() if m is not None}
