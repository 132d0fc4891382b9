"""Routes of assignments: their items and points, but nothing about how they are judged."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from grader.assignment import Assignment
from grader.models.recipe import Mode
from grader.service.api.access import Anyone
from grader.service.api.problems import document_problems, not_found
from grader.service.api.service import ServiceDep

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/assignments",
    tags=["assignments"],
    responses=document_problems("unauthorized", "invalid-request", "too-many-requests", "unavailable"),
)


class ItemView(BaseModel):
    """An item of an assignment, which earns points."""

    id: str = Field(examples=["corr2d.values"])
    section: str = Field(examples=["7.2.1"])
    title: str
    points: float


class AssignmentView(BaseModel):
    """An assignment."""

    name: str = Field(examples=["hw2"])
    title: str
    revision: str = Field(description="A hash of everything that affects a verdict.")
    points: float
    modes: list[Mode] = Field(description="The available modes of handling trainings.")
    sections: dict[str, str] = Field(description="Title of each section.")
    items: list[ItemView]


class Assignments(BaseModel):
    """All assignments on offer."""

    items: list[AssignmentView]


@router.get("", summary="List assignments")
def list_assignments(_: Anyone, service: ServiceDep) -> Assignments:
    """List the assignments on offer. The first one is the default for batches that name none."""
    return Assignments(items=[_make_view(service.catalog.find(name)) for name in service.catalog.names])


@router.get("/{name}", summary="Show an assignment", responses=document_problems("not-found"))
def show_assignment(_: Anyone, service: ServiceDep, name: str) -> AssignmentView:
    """Show an assignment with its sections and items."""
    if name not in service.catalog.names:
        raise not_found()
    return _make_view(service.catalog.find(name))


def _make_view(assignment: Assignment) -> AssignmentView:
    return AssignmentView(
        name=assignment.name,
        title=assignment.title,
        revision=assignment.revision,
        points=assignment.points,
        modes=[mode for mode in Mode if mode is Mode.NONE or any(mode in item.recipes for item in assignment.trained)],
        sections=assignment.sections,
        items=[
            ItemView(id=item.id, section=item.section, title=item.title, points=item.points)
            for item in assignment.items
        ],
    )
