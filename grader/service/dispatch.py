"""Publishing: messages are sent for the gradings that wait, by whoever accepted, graded or reconciles."""

from __future__ import annotations

import logging

from celery import Celery

from grader.service.broker import send
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.dispatch import mark_dispatched, unmark_dispatched

__all__ = ["enqueue"]

_log = logging.getLogger("grader.service.dispatch")


def enqueue(store: Store, app: Celery, settings: Settings) -> int:
    """Publish what may be published, and return how many messages were sent; none where the broker is down.

    Args:
        store: where gradings wait.
        app: of the broker.
        settings: the share of each submitter, and when a message is taken for lost.

    Raises:
        SystemFault: the database cannot be reached.
    """
    publications = mark_dispatched(store, settings.share, settings.republish_seconds)
    for number, publication in enumerate(publications):
        _log.debug("published", extra={"facts": {"grading": publication.grading}})
        if not send(app, publication):
            unmark_dispatched(store, publications[number:])
            return number
    return len(publications)
