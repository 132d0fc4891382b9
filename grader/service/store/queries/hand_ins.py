"""Accepting a batch: once this returns, nothing of it can be lost."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grader.errors import InputError
from grader.models.recipe import Mode
from grader.service.store.columns import make_storable
from grader.service.store.database import Store
from grader.service.store.queries.events import record_event
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import BatchRow, EventKind, JobRow, SubmissionFileRow, SubmissionRow

__all__ = ["IdempotencyConflict", "NewSubmission", "StoredBatch", "accept_batch"]

_WRITERS = 16  # of blobs at once: a disk and an object store take as long for many as for one


class IdempotencyConflict(InputError):
    """An idempotency key was used before, for another request."""


@dataclass(frozen=True)
class NewSubmission:
    """What one student hands in.

    Attributes:
        key: unlike all others of the batch.
        name: as the learning management system shows it.
        identifiers: what that system knows it by, e.g. `canvas_id`.
        files: the notebooks' names and bytes; with none, the grading fails and says so.
        person: who may read it as a student, "" for nobody.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, bytes]] = ()
    person: str = ""


@dataclass(frozen=True)
class StoredBatch:
    """The batch that was made, or, where it is not `new`, the one that the same request made before."""

    batch: str
    new: bool


def accept_batch(
    store: Store,
    owner: Token,
    assignment: str,
    mode: Mode,
    title: str,
    submissions: Sequence[NewSubmission],
    idempotency_key: str = "",
) -> StoredBatch:
    """Keep a batch, with a grading that waits for each of its submissions.

    Args:
        store: where to.
        owner: who hands it over.
        assignment: its name.
        mode: what is to be done with trainings.
        title: what the batch is called.
        submissions: one or more.
        idempotency_key: makes no second batch of a request that is sent again; "" for none.

    Raises:
        IdempotencyConflict: the key was used for another request.
        InputError: there are no submissions, or two have one key.
        SystemFault: the database or the blobs cannot be reached; nothing was accepted.
    """
    twice = [key for key, count in Counter(make_storable(each.key) for each in submissions).items() if count > 1]
    if not submissions or twice:
        found = f"two submissions have the key {twice[0]!r}" if twice else "the batch has no submissions"
        raise InputError(f"{found}; give one or more, each with a key of its own")
    request = _digest(assignment, mode, title, submissions)
    if earlier := _earlier(store, owner, idempotency_key, request):
        return earlier
    # Blobs come first: a batch never names one that is not there. One that no batch names does no harm.
    with ThreadPoolExecutor(_WRITERS) as writers:
        blobs = list(
            writers.map(lambda each: [(name, store.blobs.put(data)) for name, data in each.files], submissions)
        )
    batch = BatchRow(
        owner=owner.id,
        assignment=assignment,
        mode=mode,
        title=title,
        idempotency_key=idempotency_key or None,
        request=request,
    )
    try:
        with store.session() as session:
            session.add(batch)
            session.flush()
            _add(session, batch, submissions, blobs)
            record_event(session, batch.id, None, EventKind.ACCEPTED, {"submissions": len(submissions)})
    except IntegrityError:
        # The same key, at the same time: the other transaction was first, and has been committed.
        if earlier := _earlier(store, owner, idempotency_key, request):
            return earlier
        raise
    return StoredBatch(batch.id, new=True)


def _add(
    session: Session,
    batch: BatchRow,
    submissions: Sequence[NewSubmission],
    blobs: Sequence[Sequence[tuple[str, str]]],
) -> None:
    rows = [
        SubmissionRow(
            batch=batch.id,
            key=each.key,
            name=each.name,
            identifiers={make_storable(known): make_storable(value) for known, value in each.identifiers.items()},
            person=each.person,
        )
        for each in submissions
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        SubmissionFileRow(submission=row.id, position=position, name=name, sha256=sha256)
        for row, files in zip(rows, blobs, strict=True)
        for position, (name, sha256) in enumerate(files)
    )
    session.add_all(JobRow(submission=row.id, assignment=batch.assignment, mode=batch.mode) for row in rows)
    session.flush()


def _earlier(store: Store, owner: Token, key: str, request: str) -> StoredBatch | None:
    if not key:
        return None
    query = select(BatchRow).where(BatchRow.owner == owner.id, BatchRow.idempotency_key == key)
    with store.reading() as session:
        batch = session.scalar(query)
    if batch is None:
        return None
    if batch.request != request:
        raise IdempotencyConflict(f"the idempotency key {key!r} was used for another request; give a new one")
    return StoredBatch(batch.id, new=False)


def _digest(assignment: str, mode: Mode, title: str, submissions: Sequence[NewSubmission]) -> str:
    """Return a hash of all that was asked for."""
    asked = [
        [
            each.key,
            each.name,
            dict(each.identifiers),
            each.person,
            [[name, hashlib.sha256(data).hexdigest()] for name, data in each.files],
        ]
        for each in submissions
    ]
    return hashlib.sha256(json.dumps([assignment, mode, title, asked], sort_keys=True).encode()).hexdigest()
