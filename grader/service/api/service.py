"""The resources that routes share: the store, the broker, and the limits of concurrent work."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from typing import Annotated

from celery import Celery
from fastapi import Depends, Request

from grader.service.api.catalog import Catalog
from grader.service.api.limits import ConcurrencyLimit, RequestLimits
from grader.service.api.metrics import Metrics
from grader.service.enqueue import enqueue_waiting_jobs
from grader.service.settings import Settings
from grader.service.store.database import Store

__all__ = ["STREAMS_PER_TOKEN", "UPLOADS", "UPLOADS_PER_TOKEN", "Service", "ServiceDep"]

UPLOADS = 8  # at once; each may take `upload_bytes` on disk
UPLOADS_PER_TOKEN = 4  # so that others can submit while one token's uploads take their time
STREAMS_PER_TOKEN = 20  # streams of events; each queries the database twice a second
_UNPACKED = 2  # zip files at once; the contents of each are in memory

log = logging.getLogger("grader.service.api")


@dataclass(frozen=True)
class Service:
    """The shared resources of one API process.

    Attributes:
        uploads: held while a body is received and used.
        uploads_per_token: the limit of uploads of one token.
        streams: the limit of open event streams of one token.
        unpacking: held while the contents of a zip file are in memory.
    """

    settings: Settings
    store: Store
    broker: Celery
    catalog: Catalog
    limits: RequestLimits
    metrics: Metrics
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))
    uploads_per_token: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(UPLOADS_PER_TOKEN))
    streams: ConcurrencyLimit = field(default_factory=lambda: ConcurrencyLimit(STREAMS_PER_TOKEN))
    unpacking: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_UNPACKED))

    def enqueue(self) -> None:
        """Enqueue the jobs that are due. Those that cannot be sent now are sent by the reconciler later."""
        enqueue_waiting_jobs(self.store, self.broker, self.settings)


def _get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_get_service)]
