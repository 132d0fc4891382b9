"""What the routes work with: the store, the broker, and how much may be going on at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from typing import Annotated

from celery import Celery
from fastapi import Depends, Request

from grader.service.api.catalog import Catalog
from grader.service.api.limits import ConcurrencyShare, RequestLimits
from grader.service.api.metrics import Metrics
from grader.service.dispatch import enqueue
from grader.service.settings import Settings
from grader.service.store.database import Store

__all__ = ["STREAMS_OF_ONE", "UPLOADS", "UPLOADS_OF_ONE", "Given", "Service"]

UPLOADS = 8  # at once; each may have `upload_bytes` on disk
UPLOADS_OF_ONE = 4  # of one token: a body may take its time, and others hand in meanwhile
STREAMS_OF_ONE = 20  # of events, of one token; each asks the database twice a second
_UNPACKED = 2  # at once; each may have what its zip holds in memory

log = logging.getLogger("grader.service.api")


@dataclass(frozen=True)
class Service:
    """What one API process has.

    Attributes:
        uploads: taken while a body is received and used.
        uploads_of_one: of those, what one token may have.
        streams: of events that one token may have open.
        unpacking: taken while what a zip holds is in memory.
    """

    settings: Settings
    store: Store
    broker: Celery
    catalog: Catalog
    limits: RequestLimits
    metrics: Metrics
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))
    uploads_of_one: ConcurrencyShare = field(default_factory=lambda: ConcurrencyShare(UPLOADS_OF_ONE))
    streams: ConcurrencyShare = field(default_factory=lambda: ConcurrencyShare(STREAMS_OF_ONE))
    unpacking: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_UNPACKED))

    def dispatch(self) -> None:
        """Hand gradings that wait to workers; what cannot be sent now is sent by the reconciler later."""
        enqueue(self.store, self.broker, self.settings)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Given = Annotated[Service, Depends(_service)]
