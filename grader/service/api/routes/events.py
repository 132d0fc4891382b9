"""What happens in a batch, as it happens: server-sent events that a client can go on with after the last it saw."""

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
from grader.service.api.service import Given
from grader.service.store.database import Store
from grader.service.store.queries.batches import find_batch as batch_status
from grader.service.store.queries.events import Event, find_events

__all__ = ["router"]

_POLLED = 0.5  # seconds between two looks into the database
_HEARTBEAT = 15  # seconds; proxies end connections that are silent for a minute
_SEND_SECONDS = 60  # a client that takes nothing for so long is gone
_GRACE = 5  # seconds for a stream to end when the server stops
_AT_ONCE = 500
_HIGHEST = 2**31 - 1  # of an event's id

router = APIRouter(prefix="/v1/batches", tags=["batches"])
log = logging.getLogger("grader.service.api")

# As OpenAPI 3.2 describes streams: the schema is that of one event.
_EVENT = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "event", "data")}}
_EXAMPLE = """\
id: 17
event: graded
data: {"submission": "0a7c9a3e-5f0e-4f43-9d1f-0d7f6f0b8c55", "at": "2026-11-25T18:05:00+00:00", "detail": {}}

"""


async def _one_more(token: Anyone, service: Given) -> AsyncIterator[None]:
    """Count a stream until it has ended."""
    with hold_share(service.streams, token, "streams of events"):
        yield


@router.get(
    "/{batch}/events",
    dependencies=[Depends(_one_more)],
    summary="Watch a batch",
    response_class=EventSourceResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": _EVENT, "example": _EXAMPLE}}},
        **document_problems("unauthorized", "not-found", "invalid-request", "too-many-requests", "unavailable"),
    },
)
async def stream_events(
    token: Anyone,
    service: Given,
    batch: Id,
    after: Annotated[int, Query(ge=0, le=_HIGHEST, description="Leave out events up to this id.")] = 0,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=_HIGHEST, description="What a client that reconnects sends; comes before `after`.")
    ] = None,
) -> EventSourceResponse:
    """Send all events of a batch, past ones first; ends with an event `done` once every grading has ended."""
    await run_in_threadpool(get_batch, service, token, batch)
    start = after if last_event_id is None else last_event_id
    stopping = anyio.Event()
    return EventSourceResponse(
        _stream(service.store, batch, start, stopping),
        ping=_HEARTBEAT,
        send_timeout=_SEND_SECONDS,
        shutdown_event=stopping,
        shutdown_grace_period=_GRACE,
    )


async def _stream(store: Store, batch: str, after: int, stopping: anyio.Event) -> AsyncIterator[ServerSentEvent]:
    """Give events until all has ended. No thread is held between two looks, however many clients watch."""
    try:
        while not stopping.is_set():
            # Asked for first: what ends after this look still has its event after it.
            ended = await run_in_threadpool(_ended, store, batch)
            found = await run_in_threadpool(find_events, store, batch, after, _AT_ONCE)
            for event in found:
                after = event.id
                yield _told(event)
            if not found:
                if ended:
                    yield ServerSentEvent(event="done", id=str(after), data="{}")
                    return
                with anyio.move_on_after(_POLLED):
                    await stopping.wait()
    except SystemFault as error:
        # The client connects again and goes on after the last event it saw.
        log.error("a stream of events ends early: %s", error)


def _told(event: Event) -> ServerSentEvent:
    data = {"submission": event.submission, "at": event.at.isoformat(), "detail": dict(event.detail)}
    return ServerSentEvent(event=event.kind.value, id=str(event.id), data=json.dumps(data))


def _ended(store: Store, batch: str) -> bool:
    found = batch_status(store, batch)
    return found is None or found.done
