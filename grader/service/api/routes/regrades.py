"""Routes of regrading: grade again after a change of the rubric, preview what would change, publish it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from grader.models.recipe import Mode
from grader.service.api.access import Id, Staff, get_batch
from grader.service.api.problems import document_problems
from grader.service.api.service import ServiceDep
from grader.service.store.queries.regrades import create_regrade, find_changes, publish_drafts

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/batches",
    tags=["regrading"],
    responses=document_problems(
        "unauthorized", "forbidden", "not-found", "invalid-request", "too-many-requests", "unavailable"
    ),
)


class RegradeRequest(BaseModel):
    """A regrade that was started."""

    gradings: int = Field(description="Number of submissions to grade again: those without a report of this revision.")
    revision: str = Field(description="Current revision of the rubric.")


class ChangeView(BaseModel):
    """What publishing would change for one submission."""

    submission: str
    key: str
    name: str
    old: float = Field(description="Published points.")
    new: float = Field(description="Points in the newest draft, including all marks.")


class RegradePreview(BaseModel):
    """What publishing would change."""

    drafts: int = Field(
        description="Number of submissions with a draft or new marks, even if their points stay the same."
    )
    changes: list[ChangeView]


class PublishedReports(BaseModel):
    """What was published."""

    published: int = Field(description="Number of submissions that had a draft or new marks.")


@router.post(
    "/{batch}/regrade", status_code=202, summary="Regrade a batch", responses=document_problems("unusable-input")
)
def regrade_batch(
    token: Staff,
    service: ServiceDep,
    batch: Id,
    training: Annotated[Mode | None, Query(description="How to handle trainings; by default as before.")] = None,
) -> RegradeRequest:
    """Grade submissions without a report of the current rubric. New reports are drafts until they are published."""
    status = get_batch(service, token, batch)
    revision = service.catalog.load(status.assignment).revision
    jobs = create_regrade(service.store, status.id, revision, training or status.mode)
    service.enqueue()
    return RegradeRequest(gradings=jobs, revision=revision)


@router.get("/{batch}/regrade", summary="Preview a regrade")
def preview_regrade(
    token: Staff,
    service: ServiceDep,
    batch: Id,
    all_: Annotated[bool, Query(alias="all", description="Include drafts with the same points.")] = False,
) -> RegradePreview:
    """Show old and new points of the submissions that have a draft or new marks."""
    drafts = find_changes(service.store, get_batch(service, token, batch).id)
    changes = [
        ChangeView.model_validate(draft, from_attributes=True) for draft in drafts if all_ or draft.old != draft.new
    ]
    return RegradePreview(drafts=len(drafts), changes=changes)


@router.post("/{batch}/publish", summary="Publish drafts and marks")
def publish_regrade(token: Staff, service: ServiceDep, batch: Id) -> PublishedReports:
    """Publish the newest draft of each submission, and the current marks."""
    return PublishedReports(published=publish_drafts(service.store, get_batch(service, token, batch).id))
