"""Reads assignments of nbgrader: a source or release notebook, by the metadata of its cells."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from grader.authoring.importing.questions import ForeignAssignment, Headings, Question, QuestionKind
from grader.authoring.importing.refusal import NOT_PYTHON
from grader.errors import InputError
from grader.submission.notebook_json import Document

__all__ = ["is_nbgrader", "read_nbgrader"]

_SCHEMA = 3
_BEGIN, _END = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"
_GENERATED = ("### AUTOTEST", "### HASHED AUTOTEST")


def is_nbgrader(document: Document) -> bool:
    """Tell whether some cell has nbgrader's metadata."""
    return any(_metadata(cell) for cell in document.cells)


def read_nbgrader(name: str, document: Document, *, hidden: bool) -> ForeignAssignment:
    """Read a notebook of nbgrader.

    Args:
        name: the file's, for messages.
        document: the notebook.
        hidden: whether hidden tests are taken too.

    Raises:
        InputError: the metadata is of another version, or contradicts itself.
    """
    headings = Headings()
    questions: list[Question] = []
    cells: list[str] = []
    before: list[str] = []
    left: list[str] = []
    for number, cell in enumerate(document.cells):
        place, source, metadata = f"{name}, cell {number}", str(cell["source"]), _metadata(cell)
        if cell.get("cell_type") == "markdown":
            headings.read(source)
        if metadata:
            _refuse_other_versions(place, name, metadata)
        if cell.get("cell_type") == "code":
            visible, regions = _without_hidden(place, source)
        else:
            visible, regions = source, 0
        if _earns_points(metadata):
            taken = source if hidden else visible
            question = _question(place, headings.last, metadata, cell, taken, tuple(before))
            if regions and not hidden:
                count = f"{regions} {'statement' if regions == 1 else 'statements'}"
                left.append(f"{place}: the hidden tests of {question.id} ({count})")
            questions.append(_with_hidden(question, regions, taken=hidden))
        if cell.get("cell_type") == "code":
            cells.append(visible)
            if metadata.get("locked") is True:
                before.append(source if hidden else visible)
    return ForeignAssignment("nbgrader", headings.first, tuple(cells), tuple(questions), tuple(left))


def _metadata(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _refuse_other_versions(place: str, name: str, metadata: Mapping[str, Any]) -> None:
    version = metadata.get("schema_version", 0)
    if version == _SCHEMA:
        return
    if isinstance(version, int) and version < _SCHEMA:
        raise InputError(
            f"{place}: nbgrader's metadata has version {version}, and {_SCHEMA} is read: run `nbgrader update {name}`"
        )
    raise InputError(f"{place}: nbgrader's metadata has version {version!r:.20}, and only {_SCHEMA} is read")


def _earns_points(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("grade") is True or metadata.get("task") is True


def _question(
    place: str, section: str, metadata: Mapping[str, Any], cell: Mapping[str, Any], code: str, before: tuple[str, ...]
) -> Question:
    identifier, points = str(metadata.get("grade_id") or ""), metadata.get("points", 0)
    if not identifier:
        raise InputError(f"{place}: it earns points and has no grade_id: give it one in nbgrader's toolbar")
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 <= points < 1e6:
        raise InputError(f"{place}: {identifier} has points = {points!r:.40}: give a number in nbgrader's toolbar")
    tests = metadata.get("solution") is not True and metadata.get("task") is not True
    if not tests or cell.get("cell_type") != "code":
        return Question(identifier, section, float(points), place, QuestionKind.PERSON)
    return Question(identifier, section, float(points), place, QuestionKind.STATEMENTS, (code,), before)


def _with_hidden(question: Question, regions: int, *, taken: bool) -> Question:
    """Return a question whose hidden tests were taken or left out."""
    if question.form is QuestionKind.PERSON:
        return question
    (code,) = question.parts
    why = ""
    if any(mark in code for mark in _GENERATED):
        why = "nbgrader writes its tests when it is released: import the release version"
    elif not _has_statements(code):
        why = "all of its tests are hidden: --hidden takes them" if regions else "its cell has no tests"
    form = QuestionKind.PERSON if why else question.form
    return replace(question, form=form, hidden=taken and regions > 0, why=why)


def _has_statements(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except NOT_PYTHON:
        return True  # whoever translates it says what is wrong


def _without_hidden(place: str, source: str) -> tuple[str, int]:
    """Return a cell's code without its hidden tests, and how many statements those have."""
    visible: list[str] = []
    hidden: list[str] = []
    for line, inside in _lines(place, source):
        (hidden if inside else visible).append(line)
    try:
        count = len(ast.parse("\n".join(hidden)).body)
    except NOT_PYTHON:
        count = sum(1 for line in hidden if line.strip())
    return "\n".join(visible), count


def _lines(place: str, source: str) -> Iterator[tuple[str, bool]]:
    """Give each line that is no mark, and whether it is hidden."""
    inside = False
    for line in source.split("\n"):
        if _BEGIN in line:
            if inside:
                raise InputError(f"{place}: hidden tests begin inside hidden tests: end the first with ### {_END}")
            inside = True
        elif _END in line:
            inside = False
        else:
            yield line, inside
    if inside:
        raise InputError(f"{place}: hidden tests begin and never end: end them with ### {_END}")
