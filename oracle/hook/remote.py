"""The service as a judge, spoken to with the standard library alone.

Every request has one deadline over name resolution, connection, headers and body: it runs in
a thread of its own, whose connection is cut when the deadline passes. What is not exactly an answer
to the question asked (another run, another checkpoint, no forecast at all, HTML, a gigabyte) is
refused. Three
failures in a row leave the service alone for a while, for all runs of the process; three refusals
in a row of what one run sends leave it alone for that run.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Hashable
from math import inf, nextafter
from operator import index
from typing import Any, SupportsIndex, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from oracle.errors import InvalidHistory, OracleError, StoreUnavailable, must_be
from oracle.hook.circuit import Circuit, circuit_of
from oracle.hook.foreign import check_forecast
from oracle.hook.line import Line
from oracle.hook.local import State
from oracle.hook.verdicts import Verdicts
from oracle.hook.warn_once import Problems
from oracle.types import TARGETS, About, Decision, History, Outcome, Policy, explain
from oracle.types.addresses import taken_apart

#: The longest answer that is read, bytes.
MAX_ANSWER_BYTES = 1_000_000
#: Deadline of one request, seconds.
TIMEOUT_S = 2.0
#: Runs of a search at most, as the service takes it.
MAX_SIZE = 10_000_000

T = TypeVar("T")


def planned_size(size: object, field: str = "population_size") -> int:
    """Read how many runs a search is planned to have, as the setting `field` tells it.

    Raises:
        InvalidHistory: it is no whole number, or none that the service takes.
    """
    # NumPy's, too; a truth is none.
    whole = 0 if isinstance(size, bool) or not isinstance(size, SupportsIndex) else index(size)
    if not 1 <= whole <= MAX_SIZE:
        raise InvalidHistory(must_be(field, f"a whole number, 1 to {MAX_SIZE:,}", size))
    return whole


class RemoteJudge:
    """Post the checkpoints of one run to the service and take its decisions.

    Args:
        url: where the service is, e.g. http://127.0.0.1:8000.
        run_id: name of the run.
        policy: sent with every checkpoint; None = the service's own.
        population: the runs that it is ranked among.
        api_key: sent as a bearer token.
        timeout_s: deadline of one request.
        about: what is said of the run.
        size: runs the whole search is planned to have, None = open-ended.
        problems: where it is told that the run goes on from an earlier map.
    """

    def __init__(
        self,
        url: str,
        run_id: str,
        policy: Policy | None = None,
        *,
        population: str | None = None,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        about: About | None = None,
        size: int | None = None,
        problems: Problems | None = None,
    ) -> None:
        parts = taken_apart(url)
        if parts is None or parts.scheme not in ("http", "https"):
            rule = "an address such as http://127.0.0.1:8000"
            raise InvalidHistory(must_be("url", rule, url))
        self._secure, self._port = parts.scheme == "https", parts.port
        self._host = parts.hostname or ""
        self._root = f"{parts.path.rstrip('/')}/v1"
        self._path = f"{self._root}/runs/{quote(run_id, safe='')}"
        self._run_id, self._policy, self._timeout_s = run_id, policy, timeout_s
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._posted: float | None = None  # the last epoch that the service has
        self._line: Line | None = None
        self._rewind_from: float | None = None  # until the service knows
        self.is_alone = False
        self.search: Hashable = (self._host, self._port, population)
        self._circuit = circuit_of(f"{self._host}:{self._port}")
        self._refused = Circuit()  # of this run alone
        self._said = (about or About()).model_dump(mode="json", exclude_none=True)
        if size is not None:
            self._said["population_size"] = planned_size(size)
        self._problems = problems or Problems()

    def start(self) -> None:
        """Do nothing: the first checkpoint announces the run."""

    def decide(self, history: History, previous: int) -> Decision:
        """Post the newest checkpoint; a plan alone is judged without being stored.

        Raises:
            StoreUnavailable: the service does not answer, or not to this question.
            OracleError: it refuses what was sent.
        """

        def read(raw: bytes) -> Decision:
            decision = Decision.model_validate_json(raw)
            if decision.run_id != self._run_id:
                raise StoreUnavailable(must_be("run_id", "the run's in the answer", "another"))
            if decision.progress != history.progress:
                rule = f"{history.progress} in the answer"
                raise StoreUnavailable(must_be("progress", rule, decision.progress))
            if decision.forecast is not None:
                check_forecast(decision.forecast)
            return decision

        if not history.epochs:
            return self._post(f"{self._root}/decide", self._checkpoint(history), read)
        try:
            decision = self._append(history, read)
        except OracleError as error:
            if error.status != 409 or self._posted is not None or self._rewind_from is not None:
                raise
            # Its name is that of a run that broke off: this one goes on from an earlier map of it.
            self._rewind_from = history.epochs[0]
            decision = self._append(history, read)
            message = f"the service {_RESUMED.format(epoch=history.epochs[0])}"
            self._problems.note("resumed", message)
            self._refused.succeeded()
        self._posted, self._rewind_from = history.epochs[-1], None
        return decision

    def _append(self, history: History, read: Callable[[bytes], Decision]) -> Decision:
        body = self._checkpoint(history)
        if self._posted is None:
            body |= self._said
        if self._rewind_from is not None:
            body["rewind_from"] = self._rewind_from
        return self._post(f"{self._path}/checkpoints", body, read)

    def rewind(self, epoch: float) -> None:
        """Tell the service with the next post that the training went back to the map of `epoch`."""
        after = nextafter(epoch, inf)
        self._rewind_from = after if self._rewind_from is None else min(after, self._rewind_from)

    def end(
        self,
        state: State,
        outcome: Outcome | None,
        history: History | None,
        verdicts: Verdicts,
    ) -> None:
        """Tell the service how the run ended; a run given up is left to its retention."""
        try:
            # A run that never began is stored nowhere.
            if outcome is not None and not (history is not None and not history.epochs):
                if state == "left" and history is not None and self._posted != history.epochs[-1]:
                    self.decide(history, 0)  # a run that was left ends with what it last reported
                self._post(f"{self._path}/finish", _finish(state, outcome), lambda raw: raw)
        finally:
            self._hang_up()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_line": None}  # a copy has a connection of its own

    def _checkpoint(self, history: History) -> dict[str, Any]:
        body = history.model_dump(mode="json", exclude_none=True)
        if self._policy is not None:
            body["policy"] = self._policy.model_dump(mode="json")
        return body

    def _post(self, path: str, body: dict[str, Any], read: Callable[[bytes], T]) -> T:
        """Post and read the answer; what cannot be read counts as a failure of the service."""
        if not self._circuit.closed():
            raise StoreUnavailable("The service failed three times and is left alone for a while.")
        if not self._refused.closed():
            raise StoreUnavailable("The service refused this run three times, which waits a while.")
        try:
            raw = self._within_deadline(path, json.dumps(body).encode())
            answer = read(raw)
        except ValidationError as error:
            self._circuit.failed()
            raise StoreUnavailable(f"The answer is no decision: {explain(error)}") from None
        except Exception as error:
            # What the service refuses of one run says nothing of the others.
            status = error.status if isinstance(error, OracleError) else 500
            its_own = 400 <= status < 500 and status not in (408, 429)
            (self._refused if its_own else self._circuit).failed()
            raise
        self._circuit.succeeded()
        self._refused.succeeded()
        return answer

    def _within_deadline(self, path: str, body: bytes) -> bytes:
        result: list[bytes | Exception] = []
        line, self._line = self._line, None  # the thread's own, until it comes back in time
        exchange = _Exchange(self._open, line, path, body, self._headers)

        def work() -> None:
            try:
                result.append(exchange.answer())
            except Exception as error:
                result.append(error)
            finally:
                if not result or isinstance(result[0], Exception) or not exchange.line.is_open:
                    exchange.line.close()

        # A resolver that hangs, or a server that drips a byte a second, has no timeout of its own.
        thread = threading.Thread(target=work, name="som-oracle-post", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if not result:
            exchange.cut()
            raise StoreUnavailable(
                must_be("service", f"answering within {self._timeout_s:g} s", "silence")
            )
        if isinstance(result[0], Exception):
            raise result[0]
        self._line = exchange.line if exchange.line.is_open else None
        return result[0]

    def _open(self) -> Line:
        return Line(self._host, self._port, self._secure, self._timeout_s)

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


class _Exchange:
    """One request and its answer, in a thread of its own.

    Args:
        open_line: opens a connection.
        line: kept from the request before, None = none.
        path, body, headers: of the request.
    """

    def __init__(
        self,
        open_line: Callable[[], Line],
        line: Line | None,
        path: str,
        body: bytes,
        headers: dict[str, str],
    ) -> None:
        self._open, self._reused = open_line, line is not None
        self.line = line or open_line()
        self._request = path, body, headers
        self._late = threading.Event()

    def cut(self) -> None:
        """End it from the thread that waits."""
        self._late.set()
        self.line.cut()

    def answer(self) -> bytes:
        """Post once; a kept connection that the server has closed meanwhile is opened again."""
        try:
            return self._post()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not self._reused or self._late.is_set():
                raise
        self.line.close()
        self.line = self._open()
        if self._late.is_set():
            self.line.cut()
        return self._post()

    def _post(self) -> bytes:
        path, body, headers = self._request
        connection = self.line.http
        connection.request("POST", path, body, headers)
        with connection.getresponse() as response:  # left half read, it keeps its socket open
            raw = response.read(MAX_ANSWER_BYTES + 1)
        if len(raw) > MAX_ANSWER_BYTES:
            raise StoreUnavailable(
                must_be("answer", f"at most {MAX_ANSWER_BYTES} bytes", "more", "Check the url.")
            )
        if not 200 <= response.status < 300:
            raise _refusal(response.status, raw)
        if "json" not in response.getheader("Content-Type", ""):
            raise StoreUnavailable(
                must_be("answer", "JSON", response.getheader("Content-Type"), "Check the url.")
            )
        return raw


_RESUMED = (
    "has a run of this name that ended nowhere: this one goes on from an earlier map of it, and "
    "what was told from epoch {epoch:g} on is left behind. Another run needs a name of its own."
)


def _finish(state: State, outcome: Outcome) -> dict[str, Any]:
    """Compose how the run ended.

    The service's own forecast stands for a stopped run, and its last checkpoint for one that was
    left: values would say that it came to its end.
    """
    if outcome.censored:
        return {"censored": True}
    if state == "left":
        return {}
    values = outcome.model_dump(mode="json", exclude_none=True)
    return {"censored": False, **{name: values[name] for name in TARGETS if name in values}}


def _refusal(status: int, raw: bytes) -> OracleError:
    """Name a refusal by the service's own message; without one it is no answer of a service."""
    try:
        message = str(json.loads(raw)["error"]["message"])[:400]
    except (ValueError, LookupError, TypeError):
        return StoreUnavailable(
            f"The service answered {status}, in a form not its own. Check the url."
        )
    error = OracleError(f"The service answered {status}: {message.rstrip('.')}.")
    error.status = status
    return error
