"""Read the questions of otter-grader that a person marks: they have no tests, and only the notebook shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.assignment import AnswerCells
from grader.authoring.importing.questions import Headings, Question, QuestionKind
from grader.place import Place
from grader.submission.notebook_json import Document

__all__ = ["read_manual_questions"]

_BEGIN = re.compile(r"<!--\s*BEGIN QUESTION\s*-->")
_END = re.compile(r"<!--\s*END QUESTION\s*-->")
_CHECK = re.compile(r"\.\s*check\(")
_POINTS = re.compile(r"^_Points:_\s*(\d+(?:\.\d+)?)\s*$", re.MULTILINE)
_LONGEST_NAME = 40


@dataclass
class _ManualQuestion:
    location: str
    section: str
    text: str
    has_tests: bool = False


def read_manual_questions(name: str, document: Document) -> Iterator[Question]:
    """Yield the questions between otter's marks that no cell checks.

    Without points in its text a question has one, as in otter.

    Args:
        name: the file name, for messages.
        document: the students' notebook.
    """
    headings = Headings()
    current: _ManualQuestion | None = None
    for number, cell in enumerate(document.cells):
        source = str(cell["source"])
        if cell.get("cell_type") == "markdown":
            if current and _END.search(source):
                yield from _make_question(current)
                current = None
            headings.read(source)
            if _BEGIN.search(source):
                text = _BEGIN.split(source)[-1]
                current = _ManualQuestion(Place(name, number).describe(), headings.last, text)
        elif current and _CHECK.search(source):
            current.has_tests = True


def _make_question(question: _ManualQuestion) -> Iterator[Question]:
    lines = [line.strip() for line in question.text.split("\n") if line.strip()]
    if question.has_tests or not lines:
        return
    points = _POINTS.search(question.text)
    bold = re.match(r"[#\s]*\*\*(.+?)\*\*", lines[0])
    name = (bold[1] if bold else lines[0].lstrip("# "))[:_LONGEST_NAME].strip(" .:")
    worth = float(points[1]) if points else 1.0
    answer = AnswerCells(below=lines[0])
    yield Question(name, question.section, worth, question.location, QuestionKind.PERSON, answer=answer)
