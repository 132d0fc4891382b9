"""Enqueueing: send a message to the broker for each job that waits and whose turn it is."""

from __future__ import annotations

import logging

from celery import Celery

from grader.service.broker import send_message
from grader.service.settings import Settings
from grader.service.store.database import Store
from grader.service.store.queries.queue import mark_enqueued, unmark_enqueued

__all__ = ["enqueue_waiting_jobs"]

_log = logging.getLogger("grader.service.enqueue")


def enqueue_waiting_jobs(store: Store, app: Celery, settings: Settings) -> int:
    """Enqueue the jobs whose turn it is.

    The API calls this after it accepted a batch, workers after each job, and the reconciler at intervals.

    Args:
        store: the store with the waiting jobs.
        app: the broker's Celery application.
        settings: the share of each submitter, and when a message counts as lost.

    Returns:
        The number of messages sent; 0 if the broker is down.

    Raises:
        SystemFault: the database cannot be reached.
    """
    jobs = mark_enqueued(store, settings.share, settings.republish_seconds)
    for number, job in enumerate(jobs):
        _log.debug("enqueued", extra={"facts": {"grading": job.job}})
        if not send_message(app, job):
            unmark_enqueued(store, jobs[number:])
            return number
    return len(jobs)
