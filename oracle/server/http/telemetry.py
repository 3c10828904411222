"""What the service tells Prometheus.

With several workers prometheus_client adds their numbers up through PROMETHEUS_MULTIPROC_DIR,
which `oracle serve` sets; a gauge says in its help what it means then.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from oracle.types import Decision, Forecast, ModelInfo

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_FORECAST_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Telemetry:
    """All metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "oracle_requests", "Requests by route and status.", ["route", "status"], registry=r
        )
        self.latency = Histogram(
            "oracle_request_seconds",
            "Time from the whole head of a request to the end of its answer.",
            ["route"],
            buckets=_LATENCY_S,
            registry=r,
        )
        self.decisions = Counter(
            "oracle_decisions", "Decisions by action and reason.", ["action", "reason"], registry=r
        )
        self.forecast_time = Histogram(
            "oracle_forecast_seconds", "Time of one forecast.", buckets=_FORECAST_S, registry=r
        )
        self.support = Histogram(
            "oracle_forecast_support",
            "How much the histories resemble the training data, 0..1.",
            buckets=_SHARES,
            registry=r,
        )
        self.drift = Gauge(
            "oracle_input_drift",
            "Running mean of an input in training standard deviations: 0 is as in training.",
            ["feature"],
            registry=r,
            multiprocess_mode="mostrecent",
        )
        self.checkpoints = Counter("oracle_checkpoints", "Checkpoints stored.", registry=r)
        self.commits = Histogram(
            "oracle_commit_seconds",
            "Time of one write transaction.",
            buckets=_LATENCY_S,
            registry=r,
        )
        self.commit_jobs = Histogram(
            "oracle_commit_jobs",
            "Writes that shared one transaction.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=r,
        )
        self.store_failures = Counter(
            "oracle_store_failures", "Transactions the store refused.", registry=r
        )
        self.model_info = Gauge(
            "oracle_model_info",
            "1 for the model in use.",
            ["name", "version", "sha256"],
            registry=r,
            multiprocess_mode="mostrecent",
        )
        self.model_failures = Counter(
            "oracle_model_failures", "Attempts to load a model that was refused.", registry=r
        )
        self.control_runs = Gauge(
            "oracle_control_runs",
            "Runs that the policy would have stopped but were let run on, by outcome: wrong / "
            "(wrong + right) is the realised rate of wrong stops; those waiting still train.",
            ["outcome"],
            registry=r,
            multiprocess_mode="mostrecent",
        )
        self.streams = Gauge(
            "oracle_event_streams",
            "Open event streams.",
            registry=r,
            multiprocess_mode="livesum",
        )
        self._request_children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._decision_children: dict[tuple[str, str], Counter] = {}
        self._model: ModelInfo | None = None

    def request(self, route: str, status: int, took_s: float) -> None:
        """Count one request; `route` is the template, never the path."""
        key = (route, status)
        children = self._request_children.get(key)
        if children is None:
            children = (
                self.requests.labels(route, str(status)),
                self.latency.labels(route),
            )
            self._request_children[key] = children
        children[0].inc()
        children[1].observe(took_s)

    def forecast(self, forecast: Forecast, took_s: float) -> None:
        """Count one forecast."""
        self.forecast_time.observe(took_s)
        self.support.observe(forecast.support)

    def decision(self, decision: Decision) -> None:
        """Count one decision."""
        key = (decision.action.value, decision.reason.value)
        child = self._decision_children.get(key)
        if child is None:
            child = self._decision_children[key] = self.decisions.labels(*key)
        child.inc()

    def committed(self, jobs: int, took_s: float) -> None:
        """Count one write transaction that so many writes shared."""
        self.commit_jobs.observe(jobs)
        self.commits.observe(took_s)

    def failed(self) -> None:
        """Count one write transaction that the store refused."""
        self.store_failures.inc()

    def controls(self, ended: int, wrong: int, waiting: int) -> None:
        """Tell the control runs of all populations, as the store counts them."""
        for outcome, n in (("wrong", wrong), ("right", ended - wrong), ("waiting", waiting)):
            self.control_runs.labels(outcome).set(n)

    def model(self, info: ModelInfo) -> None:
        """Name the model in use."""
        if self._model is not None:
            self.model_info.labels(*_labels(self._model)).set(0)
        self.model_info.labels(*_labels(info)).set(1)
        self._model = info

    def exposition(self) -> bytes:
        """Render everything for Prometheus, all workers together."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(self.registry)


def _labels(info: ModelInfo) -> tuple[str, str, str]:
    return info.name, info.version, info.sha256
