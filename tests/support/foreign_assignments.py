"""Assignments of other graders, made in code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

__all__ = ["ASSIGNMENTS", "Cell", "answer", "code", "judging", "notebook", "provided", "text", "written"]

ASSIGNMENTS = ROOT / "tests" / "authoring" / "importing" / "assignments"

Cell = dict[str, Any]


def _of_nbgrader(identifier: str, **roles: Any) -> dict[str, Any]:
    metadata = {"schema_version": 3, "grade_id": identifier, "grade": False, "solution": False, "locked": False}
    return {"nbgrader": {**metadata, "task": False, **roles}}


def text(source: str, **metadata: Any) -> Cell:
    """Return a Markdown cell."""
    return {"cell_type": "markdown", "metadata": metadata, "source": source}


def code(source: str, **metadata: Any) -> Cell:
    """Return a code cell."""
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


def answer(source: str, identifier: str = "answer") -> Cell:
    """Return a cell of nbgrader's in which students write."""
    return code(source, **_of_nbgrader(identifier, solution=True))


def provided(source: str, identifier: str = "provided") -> Cell:
    """Return a cell of nbgrader's that students cannot change."""
    return code(source, **_of_nbgrader(identifier, locked=True))


def judging(source: str, identifier: str = "tests", points: Any = 1, **roles: Any) -> Cell:
    """Return a cell of nbgrader's with tests."""
    return code(source, **_of_nbgrader(identifier, grade=True, locked=True, points=points, **roles))


def notebook(*cells: Cell, **metadata: Any) -> str:
    """Return a notebook file."""
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def written(path: Path, content: str) -> Path:
    """Write a file and the folders that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
