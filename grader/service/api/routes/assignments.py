"""What can be handed in: assignments, their items and points; nothing that tells how they are judged."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from grader.assignment import Assignment
from grader.models.recipe import Mode
from grader.service.api.access import Anyone
from grader.service.api.problems import document_problems, not_found
from grader.service.api.service import Given

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/assignments",
    tags=["assignments"],
    responses=document_problems("unauthorized", "invalid-request", "too-many-requests", "unavailable"),
)


class ItemView(BaseModel):
    """One thing that earns points."""

    id: str = Field(examples=["corr2d.values"])
    section: str = Field(examples=["7.2.1"])
    title: str
    points: float


class AssignmentView(BaseModel):
    """One assignment."""

    name: str = Field(examples=["hw2"])
    title: str
    revision: str = Field(description="A hash of all that decides a verdict.")
    points: float
    modes: list[Mode] = Field(description="What can be done with trainings.")
    sections: dict[str, str] = Field(description="Each section's title.")
    items: list[ItemView]


class Assignments(BaseModel):
    """All assignments that are offered."""

    items: list[AssignmentView]


@router.get("", summary="The assignments that are offered")
def list_assignments(_: Anyone, service: Given) -> Assignments:
    """List what can be handed in; the first is what is meant where a batch names none."""
    return Assignments(items=[_view(service.catalog.find(name)) for name in service.catalog.names])


@router.get("/{name}", summary="One assignment", responses=document_problems("not-found"))
def show_assignment(_: Anyone, service: Given, name: str) -> AssignmentView:
    """Show one assignment."""
    if name not in service.catalog.names:
        raise not_found()
    return _view(service.catalog.find(name))


def _view(found: Assignment) -> AssignmentView:
    return AssignmentView(
        name=found.name,
        title=found.title,
        revision=found.revision,
        points=found.points,
        modes=[mode for mode in Mode if mode is Mode.NONE or any(mode in item.recipes for item in found.trained)],
        sections=found.sections,
        items=[
            ItemView(id=item.id, section=item.section, title=item.title, points=item.points) for item in found.items
        ],
    )
