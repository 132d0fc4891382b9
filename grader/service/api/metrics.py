"""What there is to watch, for Prometheus: requests as this process saw them, gradings as the database has them."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from grader.errors import SystemFault
from grader.service.store.database import Store
from grader.service.store.queries.totals import count_totals

__all__ = ["Metrics"]

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

log = logging.getLogger("grader.service.api")


class Metrics:
    """The metrics of one API process, in a registry of their own."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "grader_request_seconds",
            "Time to answer a request, by the pattern of its path.",
            ("method", "route", "status"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_Stored(store))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one request; status 0 stands for a connection that ended before its answer began."""
        self._requests.labels(method if method in _METHODS else "other", route, status).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Stored(Collector):
    """What the database has, looked up whenever somebody asks: it is true whichever process answers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering asks no database."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Give the gradings by state, how long the oldest has waited, and the number of reports."""
        try:
            found = count_totals(self._store)
        except SystemFault as error:
            log.error("the metrics lack what the database knows: %s", error)
            yield GaugeMetricFamily("grader_database_up", "Whether the database answers.", 0)
            return
        yield GaugeMetricFamily("grader_database_up", "Whether the database answers.", 1)
        gradings = GaugeMetricFamily("grader_gradings", "Gradings in the database, by state.", labels=("state",))
        for state, count in found.gradings.items():
            gradings.add_metric((state.value,), count)
        yield gradings
        yield GaugeMetricFamily(
            "grader_oldest_waiting_seconds",
            "Age of the oldest grading that waits, 0 where none does.",
            found.oldest_waiting_seconds,
        )
        yield GaugeMetricFamily("grader_reports", "Reports in the database, drafts included.", found.reports)
