"""An assignment of another grader as data, whichever grader it was written for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from grader.assignment import AnswerCells

__all__ = ["ForeignAssignment", "Headings", "Question", "QuestionKind"]

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)[\s#]*$", re.MULTILINE)
_FENCED = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)


class QuestionKind(StrEnum):
    """How a question is judged."""

    STATEMENTS = "statements"  # Python that raises an exception if the work is wrong
    EXAMPLES = "examples"  # an interpreter session in doctest's format
    PERSON = "person"  # a person reads it


@dataclass(frozen=True)
class Question:
    """One question, which earns points.

    Attributes:
        id: its author's name for it.
        section: the heading above it, "" if there is none.
        points: its points, possibly 0.
        location: where it is in the source, for people.
        kind: how it is judged.
        parts: the code that judges it. All parts must pass, and no part sees what another binds.
        before: the author's code that runs before it, in order. The parts may use what it defines.
        hidden: whether students do not see it.
        reason: why its tests are left to a person, "" if there are none or they run.
        answer: the cells with the answer that a person reads.
    """

    id: str
    section: str
    points: float
    location: str
    kind: QuestionKind
    parts: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    hidden: bool = False
    reason: str = ""
    answer: AnswerCells = field(default_factory=AnswerCells)


@dataclass(frozen=True)
class ForeignAssignment:
    """An assignment of another grader.

    Attributes:
        grader: the name of that grader.
        title: the notebook's first heading, "" if there is none.
        cells: the code cells of the students' notebook, in order.
        questions: the questions, in order.
        skipped: what the source has and the import leaves out, a sentence each.
    """

    grader: str
    title: str
    cells: tuple[str, ...]
    questions: tuple[Question, ...]
    skipped: tuple[str, ...] = ()


class Headings:
    """The first and the last heading of a notebook, read cell by cell."""

    def __init__(self) -> None:
        self.first = ""
        self.last = ""

    def read(self, markdown: str) -> None:
        """Read the next Markdown cell."""
        headings: Sequence[str] = [match[2] for match in _HEADING.finditer(_FENCED.sub("", markdown))]
        plain = [" ".join(re.sub(r"[*_`]", "", heading).split())[:200] for heading in headings]
        for heading in filter(None, plain):
            self.first = self.first or heading
            self.last = heading
