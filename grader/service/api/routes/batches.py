"""Routes of batches: list, show and cancel them, and list their submissions."""

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
from grader.service.api.service import ServiceDep
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
    """A batch and its progress."""

    id: str
    title: str
    owner: str = Field(description="Name of the token that submitted it.")
    assignment: str
    training: Mode
    created_at: datetime
    submissions: int
    states: dict[State, int] = Field(description="Number of submissions in each state.")
    done: bool = Field(description="Whether grading has ended for every submission.")
    links: dict[str, str] = Field(description="Paths of its submissions, events, overview and gradebook.")


class BatchPage(BaseModel):
    """A page of batches, newest first."""

    items: list[BatchView]
    next: str | None = Field(description="`after` of the next page; null on the last page.")


class SubmissionPage(BaseModel):
    """A page of submissions, by key."""

    items: list[SubmissionView]
    next: str | None = Field(description="`after` of the next page; null on the last page.")


@router.get("", summary="List batches")
def list_batches(token: Anyone, service: ServiceDep, after: AfterId = "", limit: PageSize = 50) -> BatchPage:
    """List batches, newest first. Instructors see all batches, others their own."""
    owner = None if token.role is Role.INSTRUCTOR else token.id
    rows, following = paginate(find_batches(service.store, owner, after, limit + 1), limit, lambda batch: batch.id)
    return BatchPage(items=[make_batch_view(batch) for batch in rows], next=following)


@router.get("/{batch}", summary="Show a batch", responses=document_problems("not-found"))
def show_batch(token: Anyone, service: ServiceDep, batch: Id) -> BatchView:
    """Show a batch and its progress."""
    return make_batch_view(get_batch(service, token, batch))


@router.get("/{batch}/submissions", summary="List the submissions of a batch", responses=document_problems("not-found"))
def list_batch_submissions(
    token: Anyone, service: ServiceDep, batch: Id, after: After = "", limit: PageSize = 100
) -> SubmissionPage:
    """List the submissions of a batch by key."""
    all_marks = token.role is Role.INSTRUCTOR
    batch_id = get_batch(service, token, batch).id
    submissions = find_submissions(service.store, batch_id, after, limit + 1, all_marks=all_marks)
    rows, following = paginate(submissions, limit, lambda submission: submission.key)
    return SubmissionPage(items=[make_submission_view(token, row) for row in rows], next=following)


@router.post("/{batch}/cancel", summary="Cancel a batch", responses=document_problems("not-found"))
def cancel_batch(token: Anyone, service: ServiceDep, batch: Id) -> CancelledSubmission:
    """Cancel the grading of all submissions that are not done. Existing reports stay."""
    return CancelledSubmission(cancelled=cancel_jobs(service.store, get_batch(service, token, batch).id))


def make_batch_view(batch: BatchStatus) -> BatchView:
    """Return a batch as the API shows it."""
    path = f"/v1/batches/{batch.id}"
    parts = ("submissions", "events", "overview", "gradebook")
    return BatchView(
        id=batch.id,
        title=batch.title,
        owner=batch.owner_name,
        assignment=Path(batch.assignment).name,
        training=batch.mode,
        created_at=batch.created_at,
        submissions=batch.submissions,
        states=dict(batch.counts),
        done=batch.done,
        links={"self": path, **{part: f"{path}/{part}" for part in parts}},
    )
