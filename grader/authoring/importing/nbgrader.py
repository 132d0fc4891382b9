"""Read assignments of nbgrader: source or release notebooks, by the metadata of their cells."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from grader.assignment import AnswerCells
from grader.authoring.importing.questions import ForeignAssignment, Headings, Question, QuestionKind
from grader.authoring.importing.refusal import NOT_PYTHON
from grader.errors import InputError
from grader.place import Place
from grader.submission.notebook_json import Document

__all__ = ["is_nbgrader", "read_nbgrader"]

_SCHEMA = 3
_BEGIN, _END = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"
_GENERATED = ("### AUTOTEST", "### HASHED AUTOTEST")


def is_nbgrader(document: Document) -> bool:
    """Tell whether a cell of the notebook has nbgrader's metadata."""
    return any(_get_metadata(cell) for cell in document.cells)


def read_nbgrader(name: str, document: Document, *, hidden: bool) -> ForeignAssignment:
    """Read a notebook of nbgrader.

    Args:
        name: the file name, for messages.
        document: the notebook.
        hidden: import hidden tests too.

    Raises:
        InputError: the metadata has another version, or contradicts itself.
    """
    headings = Headings()
    questions: list[Question] = []
    cells: list[str] = []
    before: list[str] = []
    answers: list[str] = []  # ids of the cells for answers since the last question
    skipped: list[str] = []
    for number, cell in enumerate(document.cells):
        location, source, metadata = Place(name, number).describe(), str(cell["source"]), _get_metadata(cell)
        if cell.get("cell_type") == "markdown":
            headings.read(source)
        if metadata:
            _refuse_other_versions(location, name, metadata)
        if cell.get("cell_type") == "code":
            visible, hidden_count = _split_hidden(location, source)
        else:
            visible, hidden_count = source, 0
        if _earns_points(metadata):
            code = source if hidden else visible
            question = _read_question(location, headings.last, metadata, cell, code, tuple(before))
            if question.kind is not QuestionKind.PERSON:
                # If its tests cannot be translated, a person reads the answers above them.
                question = replace(question, answer=AnswerCells(cell_ids=tuple(answers)))
            answers = []
            if hidden_count and not hidden:
                count = f"{hidden_count} {'statement' if hidden_count == 1 else 'statements'}"
                skipped.append(f"{location}: the hidden tests of {question.id} ({count})")
            questions.append(_check_tests(question, hidden_count, included=hidden))
        elif metadata.get("solution") is True and metadata.get("grade_id"):
            answers.append(str(metadata["grade_id"]))
        if cell.get("cell_type") == "code":
            cells.append(visible)
            if metadata.get("locked") is True:
                before.append(source if hidden else visible)
    return ForeignAssignment("nbgrader", headings.first, tuple(cells), tuple(questions), tuple(skipped))


def _get_metadata(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = cell.get("metadata")
    own = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return own if isinstance(own, dict) else {}


def _refuse_other_versions(location: str, name: str, metadata: Mapping[str, Any]) -> None:
    version = metadata.get("schema_version", 0)
    if version == _SCHEMA:
        return
    if isinstance(version, int) and version < _SCHEMA:
        raise InputError(
            f"{location}: nbgrader's metadata has version {version}, but only {_SCHEMA} is supported: "
            f"run `nbgrader update {name}`"
        )
    raise InputError(f"{location}: nbgrader's metadata has version {version!r:.20}, but only {_SCHEMA} is supported")


def _earns_points(metadata: Mapping[str, Any]) -> bool:
    return metadata.get("grade") is True or metadata.get("task") is True


def _read_question(
    location: str,
    section: str,
    metadata: Mapping[str, Any],
    cell: Mapping[str, Any],
    code: str,
    before: tuple[str, ...],
) -> Question:
    identifier, points = str(metadata.get("grade_id") or ""), metadata.get("points", 0)
    if not identifier:
        raise InputError(f"{location}: it earns points but has no grade_id: give it one in nbgrader's toolbar")
    if isinstance(points, bool) or not isinstance(points, int | float) or not 0 <= points < 1e6:
        raise InputError(f"{location}: {identifier} has points = {points!r:.40}: give a number in nbgrader's toolbar")
    has_tests = metadata.get("solution") is not True and metadata.get("task") is not True
    if not has_tests or cell.get("cell_type") != "code":
        # A task is a text of the author: the answer is in cells of the student's own below it.
        is_task = metadata.get("task") is True
        below = next((line for line in str(cell["source"]).split("\n") if line.strip(" #")), "") if is_task else ""
        answer = AnswerCells(below=below.strip()) if is_task else AnswerCells(cell_ids=(identifier,))
        return Question(identifier, section, float(points), location, QuestionKind.PERSON, answer=answer)
    return Question(identifier, section, float(points), location, QuestionKind.STATEMENTS, (code,), before)


def _check_tests(question: Question, hidden_count: int, *, included: bool) -> Question:
    """Return the question, to be marked by a person if it has no tests of its own to run.

    Args:
        question: a question whose hidden tests were included or left out.
        hidden_count: the number of statements in its hidden tests.
        included: whether the hidden tests are part of its code.
    """
    if question.kind is QuestionKind.PERSON:
        return question
    (code,) = question.parts
    reason = ""
    if any(mark in code for mark in _GENERATED):
        reason = "gets its tests when nbgrader releases it: import the release version"
    elif not _has_statements(code):
        reason = "has hidden tests only: --hidden imports them" if hidden_count else "has no tests in its cell"
    kind = QuestionKind.PERSON if reason else question.kind
    return replace(question, kind=kind, hidden=included and hidden_count > 0, reason=reason)


def _has_statements(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except NOT_PYTHON:
        return True  # the translation reports the error


def _split_hidden(location: str, source: str) -> tuple[str, int]:
    """Return a cell's code without its hidden tests, and the number of statements in those."""
    visible: list[str] = []
    hidden: list[str] = []
    for line, is_hidden in _mark_hidden_lines(location, source):
        (hidden if is_hidden else visible).append(line)
    try:
        count = len(ast.parse("\n".join(hidden)).body)
    except NOT_PYTHON:
        count = sum(1 for line in hidden if line.strip())
    return "\n".join(visible), count


def _mark_hidden_lines(location: str, source: str) -> Iterator[tuple[str, bool]]:
    """Yield each line that is not a marker, and whether it is part of a hidden test."""
    is_hidden = False
    for line in source.split("\n"):
        if _BEGIN in line:
            if is_hidden:
                raise InputError(f"{location}: hidden tests begin inside hidden tests: end the first with ### {_END}")
            is_hidden = True
        elif _END in line:
            is_hidden = False
        else:
            yield line, is_hidden
    if is_hidden:
        raise InputError(f"{location}: hidden tests begin and never end: end them with ### {_END}")
