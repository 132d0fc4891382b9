"""Server-sent events of a batch, as they happen. A client can resume after the last event it saw."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header, Query
from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent

from grader.errors import SystemFault
from grader.service.api.access import Anyone, Id, get_batch, hold_share
from grader.service.api.problems import document_problems
from grader.service.api.service import ServiceDep
from grader.service.store.database import Store
from grader.service.store.queries.batches import find_batch
from grader.service.store.queries.events import Event, find_events

__all__ = ["router"]

_POLL_SECONDS = 0.5  # between two queries of the database
_HEARTBEAT_SECONDS = 15  # proxies close connections that are silent for a minute
_SEND_SECONDS = 60  # a client that receives nothing for this long counts as gone
_GRACE_SECONDS = 5  # for a stream to end when the server stops
_EVENTS_PER_QUERY = 500
_HIGHEST_ID = 2**31 - 1

router = APIRouter(prefix="/v1/batches", tags=["batches"])
log = logging.getLogger("grader.service.api")

# The schema is that of one event, as OpenAPI 3.2 describes streams.
_EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
_EXAMPLE = """\
id: 17
event: graded
data: {"submission": "0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55", "at": "2026-11-25T18:05:00+00:00", "detail": {}}

"""


async def _count_stream(token: Anyone, service: ServiceDep) -> AsyncIterator[None]:
    """Count a stream towards the token's limit until it ends."""
    with hold_share(service.streams, token, "event streams"):
        yield


@router.get(
    "/{batch}/events",
    dependencies=[Depends(_count_stream)],
    summary="Watch a batch",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}}},
        **document_problems("unauthorized", "not-found", "invalid-request", "too-many-requests", "unavailable"),
    },
)
async def stream_events(
    token: Anyone,
    service: ServiceDep,
    batch: Id,
    after: Annotated[int, Query(ge=0, le=_HIGHEST_ID, description="Send only events after this id.")] = 0,
    last_event_id: Annotated[
        int | None,
        Header(ge=0, le=_HIGHEST_ID, description="Sent by a client that reconnects; takes precedence over `after`."),
    ] = None,
) -> EventSourceResponse:
    """Stream all events of a batch, past ones first. The stream ends with an event `done` once the batch is done."""
    await run_in_threadpool(get_batch, service, token, batch)
    start = after if last_event_id is None else last_event_id
    stopping = anyio.Event()
    return EventSourceResponse(
        _stream(service.store, batch, start, stopping),
        ping=_HEARTBEAT_SECONDS,
        send_timeout=_SEND_SECONDS,
        shutdown_event=stopping,
        shutdown_grace_period=_GRACE_SECONDS,
    )


async def _stream(store: Store, batch: str, after: int, stopping: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    """Yield events until the batch is done. Between two queries no thread is occupied, however many clients watch."""
    try:
        while not stopping.is_set():
            # Checked before the events are read: a job that ends in between still has its event read.
            done = await run_in_threadpool(_is_done, store, batch)
            events = await run_in_threadpool(find_events, store, batch, after, _EVENTS_PER_QUERY)
            for event in events:
                after = event.id
                yield _encode(event)
            if not events:
                if done:
                    yield ServerSentEvent(event="done", id=str(after), data="{}")
                    return
                with anyio.move_on_after(_POLL_SECONDS):
                    await stopping.wait()
    except SystemFault as error:
        # The client reconnects and resumes after the last event it saw.
        log.error("an event stream ends early: %s", error)


def _encode(event: Event) -> ServerSentEvent:
    data = {"submission": event.submission, "at": event.at.isoformat(), "detail": dict(event.detail)}
    return ServerSentEvent(event=event.kind.value, id=str(event.id), data=json.dumps(data))


def _is_done(store: Store, batch: str) -> bool:
    status = find_batch(store, batch)
    return status is None or status.done
