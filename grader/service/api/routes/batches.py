"""Routes of batches: hand in, look, cancel, sum up."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel, Field

from grader.models.recipe import Mode
from grader.service.api.access import Anyone, Id, get_batch
from grader.service.api.pagination import After, AfterId, PageSize, paginate
from grader.service.api.problems import document_problems
from grader.service.api.routes.submissions import CancelledSubmission, SubmissionView, make_submission_view
from grader.service.api.service import Given
from grader.service.store.queries.batches import BatchStatus, find_batches
from grader.service.store.queries.leases import cancel_jobs
from grader.service.store.queries.submissions import find_submissions
from grader.service.store.queries.tokens import Role
from grader.service.store.schema import State

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/batches",
    tags=["batches"],
    responses=document_problems("unauthorized", "invalid-request", "too-many-requests", "unavailable"),
)


class BatchView(BaseModel):
    """A batch, and how far it is."""

    id: str
    title: str
    owner: str = Field(description="The name of the token that handed it in.")
    assignment: str
    training: Mode
    created_at: datetime
    submissions: int
    states: dict[State, int] = Field(description="How many submissions' gradings are in each state.")
    done: bool = Field(description="Whether every grading has ended.")
    links: dict[str, str] = Field(description="Where its submissions, events, overview and gradebook are.")


class BatchPage(BaseModel):
    """A page of batches, newest first."""

    items: list[BatchView]
    next: str | None = Field(description="`after` of the next page, None on the last one.")


class SubmissionPage(BaseModel):
    """A page of submissions, by key."""

    items: list[SubmissionView]
    next: str | None = Field(description="`after` of the next page, None on the last one.")


@router.get("", summary="Batches")
def list_batches(token: Anyone, service: Given, after: AfterId = "", limit: PageSize = 50) -> BatchPage:
    """List batches, newest first: all of them for instructors, their own for others."""
    owner = None if token.role is Role.INSTRUCTOR else token.id
    found, following = paginate(find_batches(service.store, owner, after, limit + 1), limit, lambda each: each.id)
    return BatchPage(items=[make_batch_view(each) for each in found], next=following)


@router.get("/{batch}", summary="One batch", responses=document_problems("not-found"))
def show_batch(token: Anyone, service: Given, batch: Id) -> BatchView:
    """Show a batch and how far it is."""
    return make_batch_view(get_batch(service, token, batch))


@router.get("/{batch}/submissions", summary="The submissions of a batch", responses=document_problems("not-found"))
def list_batch_submissions(
    token: Anyone, service: Given, batch: Id, after: After = "", limit: PageSize = 100
) -> SubmissionPage:
    """List a batch's submissions by key."""
    all_marks = token.role is Role.INSTRUCTOR
    found = find_submissions(service.store, get_batch(service, token, batch).id, after, limit + 1, all_marks=all_marks)
    rows, following = paginate(found, limit, lambda each: each.key)
    return SubmissionPage(items=[make_submission_view(token, each) for each in rows], next=following)


@router.post("/{batch}/cancel", summary="Cancel a batch", responses=document_problems("not-found"))
def cancel_batch(token: Anyone, service: Given, batch: Id) -> CancelledSubmission:
    """End all gradings that have not ended; reports that are there stay."""
    return CancelledSubmission(cancelled=cancel_jobs(service.store, get_batch(service, token, batch).id))


def make_batch_view(found: BatchStatus) -> BatchView:
    """Return a batch as it is shown."""
    place = f"/v1/batches/{found.id}"
    parts = ("submissions", "events", "overview", "gradebook")
    return BatchView(
        id=found.id,
        title=found.title,
        owner=found.owner_name,
        assignment=Path(found.assignment).name,
        training=found.mode,
        created_at=found.created_at,
        submissions=found.submissions,
        states=dict(found.counts),
        done=found.done,
        links={"self": place, **{part: f"{place}/{part}" for part in parts}},
    )
