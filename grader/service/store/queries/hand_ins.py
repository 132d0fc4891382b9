"""Accept a batch: once `accept_batch` returns, the batch is stored durably."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from grader.errors import InputError
from grader.models.recipe import Mode
from grader.results.notice import Notice
from grader.service.store.columns import make_storable
from grader.service.store.database import Store
from grader.service.store.queries.events import record_event
from grader.service.store.queries.tokens import Token
from grader.service.store.schema import BatchRow, EventKind, JobRow, SubmissionFileRow, SubmissionRow
from grader.submission.kinds import is_notebook

__all__ = ["IdempotencyConflict", "NewSubmission", "StoredBatch", "accept_batch"]

_WRITERS = 16  # of blobs at once: a disk or an object store takes as long for many as for one


class IdempotencyConflict(InputError):
    """An idempotency key was already used for another request."""


@dataclass(frozen=True)
class NewSubmission:
    """One student's submission, not stored yet.

    Attributes:
        key: unique within the batch.
        name: the name shown in the learning management system.
        identifiers: ids in that system, e.g. `canvas_id`.
        files: path and bytes of each notebook and of each file beside them; without any, the report says so.
        notices: remarks on files that were left out.
        person: the student who may read it; "" if none.
    """

    key: str
    name: str
    identifiers: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[tuple[str, bytes]] = ()
    person: str = ""
    notices: Sequence[Notice] = ()


@dataclass(frozen=True)
class StoredBatch:
    """The id of the stored batch. If it is not `new`, an earlier identical request stored it."""

    batch: str
    new: bool


@dataclass(frozen=True)
class _StoredFile:
    """A file whose blob is stored."""

    name: str
    sha256: str
    is_notebook: bool


def accept_batch(
    store: Store,
    owner: Token,
    assignment: str,
    mode: Mode,
    title: str,
    submissions: Sequence[NewSubmission],
    idempotency_key: str = "",
) -> StoredBatch:
    """Store a batch, with a waiting job for each of its submissions.

    Args:
        store: the store.
        owner: the token of the submitter.
        assignment: name or path of the assignment.
        mode: what to do with trainings.
        title: title of the batch.
        submissions: at least one.
        idempotency_key: the same request with the same key is stored once; "" for no key.

    Raises:
        IdempotencyConflict: the key was used for another request.
        InputError: there are no submissions, or two have the same key.
        SystemFault: the database or the blobs cannot be reached; nothing was accepted.
    """
    counts = Counter(make_storable(submission.key) for submission in submissions)
    duplicates = [key for key, count in counts.items() if count > 1]
    if not submissions or duplicates:
        reason = f"two submissions have the key {duplicates[0]!r}" if duplicates else "the batch has no submissions"
        raise InputError(f"{reason}; give one or more, each with a key of its own")
    request = _digest(assignment, mode, title, submissions)
    if earlier := _find_earlier(store, owner, idempotency_key, request):
        return earlier
    # Blobs are written first, so that a batch never names a missing one. A blob that no batch names does no harm.
    with ThreadPoolExecutor(_WRITERS) as writers:
        blobs = list(writers.map(partial(_store_files, store), submissions))
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
            _add_rows(session, batch, submissions, blobs)
            record_event(session, batch.id, None, EventKind.ACCEPTED, {"submissions": len(submissions)})
    except IntegrityError:
        # The same key at the same time: the other transaction was faster and has been committed.
        if earlier := _find_earlier(store, owner, idempotency_key, request):
            return earlier
        raise
    return StoredBatch(batch.id, new=True)


def _make_storable_notice(notice: Notice) -> dict[str, Any]:
    values = asdict(notice)
    return {name: make_storable(value) if isinstance(value, str) else value for name, value in values.items()}


def _store_files(store: Store, new: NewSubmission) -> list[_StoredFile]:
    return [_StoredFile(name, store.blobs.put(data), is_notebook(name, data)) for name, data in new.files]


def _add_rows(
    session: Session,
    batch: BatchRow,
    submissions: Sequence[NewSubmission],
    blobs: Sequence[Sequence[_StoredFile]],
) -> None:
    rows = [
        SubmissionRow(
            batch=batch.id,
            key=new.key,
            name=new.name,
            identifiers={make_storable(name): make_storable(value) for name, value in new.identifiers.items()},
            person=new.person,
            notices=[_make_storable_notice(notice) for notice in new.notices],
        )
        for new in submissions
    ]
    session.add_all(rows)
    session.flush()
    session.add_all(
        SubmissionFileRow(
            submission=row.id, position=position, name=file.name, sha256=file.sha256, is_notebook=file.is_notebook
        )
        for row, files in zip(rows, blobs, strict=True)
        for position, file in enumerate(files)
    )
    session.add_all(JobRow(submission=row.id, assignment=batch.assignment, mode=batch.mode) for row in rows)
    session.flush()


def _find_earlier(store: Store, owner: Token, key: str, request: str) -> StoredBatch | None:
    if not key:
        return None
    query = select(BatchRow).where(BatchRow.owner == owner.id, BatchRow.idempotency_key == key)
    with store.read_session() as session:
        batch = session.scalar(query)
    if batch is None:
        return None
    if batch.request != request:
        raise IdempotencyConflict(f"the idempotency key {key!r} was used for another request; give a new one")
    return StoredBatch(batch.id, new=False)


def _digest(assignment: str, mode: Mode, title: str, submissions: Sequence[NewSubmission]) -> str:
    """Return a hash of the whole request."""
    content = [
        [
            new.key,
            new.name,
            dict(new.identifiers),
            new.person,
            [[name, hashlib.sha256(data).hexdigest()] for name, data in new.files],
            [asdict(notice) for notice in new.notices],
        ]
        for new in submissions
    ]
    return hashlib.sha256(json.dumps([assignment, mode, title, content], sort_keys=True).encode()).hexdigest()
