"""Metrics for Prometheus: the requests of this process, and the jobs in the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from grader.errors import SystemFault
from grader.service.store.database import Store
from grader.service.store.queries.totals import WaitingJobs, count_totals

__all__ = ["Metrics"]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

log = logging.getLogger("grader.service.api")


class Metrics:
    """The metrics of one API process, in their own registry."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "grader_request_seconds",
            "Time to answer a request, by the pattern of its path.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_StoreCollector(store))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Record a request. Status 0 means that the connection ended before the response began."""
        self._requests.labels(method if method in _METHODS else "other", route, status).observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """Metrics read from the database at each scrape, so that every process gives the same answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering does not query the database."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Yield the jobs by state, the waiting ones of each queue and their age, and the number of reports."""
        try:
            totals = count_totals(self._store)
        except SystemFault as error:
            log.error("the metrics of the database are missing: %s", error)
            yield GaugeMetricFamily("grader_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("grader_database_up", "Whether the database answers.", 1)
        jobs = GaugeMetricFamily("grader_gradings", "Grading jobs in the database, by state.", labels=("state",))
        for state, count in totals.jobs.items():
            jobs.add_metric((state.value,), count)
        yield jobs
        yield GaugeMetricFamily(
            "grader_oldest_waiting_seconds",
            "Age of the oldest waiting job; 0 if none waits.",
            max(queue.oldest_seconds for queue in totals.waiting.values()),
        )
        yield from _measure_queues(totals.waiting)
        yield GaugeMetricFamily("grader_reports", "Reports in the database, drafts included.", totals.reports)


def _measure_queues(waiting: Mapping[str, WaitingJobs]) -> Iterator[Metric]:
    counts = GaugeMetricFamily("grader_jobs_waiting", "Waiting jobs, by queue.", labels=("queue",))
    ages = GaugeMetricFamily(
        "grader_jobs_oldest_waiting_seconds", "Age of the oldest waiting job, by queue; 0 if none.", labels=("queue",)
    )
    for queue, jobs in waiting.items():
        counts.add_metric((queue,), jobs.count)
        ages.add_metric((queue,), jobs.oldest_seconds)
    yield from (counts, ages)
