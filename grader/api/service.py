"""What the routes work with: the store, the broker, and how much may be going on at once."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import dataclass, field
from typing import Annotated

from celery import Celery
from fastapi import Depends, Request

from grader.api.catalog import Catalog
from grader.api.limits import RequestLimits
from grader.api.metrics import Metrics
from grader.broker import send
from grader.settings import Settings
from grader.store.database import Store
from grader.store.leases import dispatch

__all__ = ["UPLOADS", "Given", "Service"]

UPLOADS = 8  # at once; each may have `upload_bytes` on disk
_UNPACKED = 2  # at once; each may have what its zip holds in memory

log = logging.getLogger("grader.api")


@dataclass(frozen=True)
class Service:
    """What one API process has.

    Attributes:
        uploads: taken while a body is received and used.
        unpacking: taken while what a zip holds is in memory.
    """

    settings: Settings
    store: Store
    broker: Celery
    catalog: Catalog
    limits: RequestLimits
    metrics: Metrics
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS))
    unpacking: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_UNPACKED))

    def dispatch(self) -> None:
        """Hand gradings that wait to workers; what cannot be sent now is sent by the reconciler later."""
        for publication in dispatch(self.store, self.settings.share, self.settings.republish_seconds):
            if not send(self.broker, publication):
                return


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Given = Annotated[Service, Depends(_service)]
