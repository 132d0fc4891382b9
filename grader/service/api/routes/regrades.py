"""Routes of regrading: grade again after the rubric has changed, look at what would change, publish it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from grader.models.recipe import Mode
from grader.service.api.access import Id, Staff, get_batch
from grader.service.api.problems import document_problems
from grader.service.api.service import Given
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
    """What is graded again."""

    gradings: int = Field(description="How many submissions had no report of this revision.")
    revision: str = Field(description="Of the rubric as it is now.")


class ChangeView(BaseModel):
    """What publishing would do to one submission."""

    submission: str
    key: str
    name: str
    old: float = Field(description="Points as published.")
    new: float = Field(description="Points in the newest draft, with all marks.")


class RegradePreview(BaseModel):
    """What publishing would do."""

    drafts: int = Field(description="How many submissions have a draft or new marks, also with the same points.")
    changes: list[ChangeView]


class PublishedReports(BaseModel):
    """What was published."""

    published: int = Field(description="How many submissions had a draft or new marks.")


@router.post(
    "/{batch}/regrade", status_code=202, summary="Grade a batch again", responses=document_problems("unusable-input")
)
def regrade_batch(
    token: Staff,
    service: Given,
    batch: Id,
    training: Annotated[Mode | None, Query(description="What is done with trainings; else as before.")] = None,
) -> RegradeRequest:
    """Grade what has no report of the rubric as it is now; new reports are drafts until they are published."""
    found = get_batch(service, token, batch)
    revision = service.catalog.at(found.assignment).revision
    gradings = create_regrade(service.store, found.id, revision, training or found.mode)
    service.dispatch()
    return RegradeRequest(gradings=gradings, revision=revision)


@router.get("/{batch}/regrade", summary="Look at what would change")
def preview_regrade(
    token: Staff,
    service: Given,
    batch: Id,
    all_: Annotated[bool, Query(alias="all", description="Show drafts with the same points, too.")] = False,
) -> RegradePreview:
    """Show old and new points of all submissions that have a draft."""
    drafts = find_changes(service.store, get_batch(service, token, batch).id)
    changes = [ChangeView.model_validate(each, from_attributes=True) for each in drafts if all_ or each.old != each.new]
    return RegradePreview(drafts=len(drafts), changes=changes)


@router.post("/{batch}/publish", summary="Publish drafts and marks")
def publish_regrade(token: Staff, service: Given, batch: Id) -> PublishedReports:
    """Make each submission's newest draft its report, and let students see the marks as they are now."""
    return PublishedReports(published=publish_drafts(service.store, get_batch(service, token, batch).id))
