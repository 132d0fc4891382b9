"""What an assignment of another grader consists of, whichever grader it was written for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ForeignAssignment", "Headings", "Question", "QuestionKind"]

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)[\s#]*$", re.MULTILINE)
_FENCED = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)


class QuestionKind(StrEnum):
    """How a question is judged."""

    STATEMENTS = "statements"  # Python that raises where the work is wrong
    EXAMPLES = "examples"  # an interpreter's session, as doctest reads it
    PERSON = "person"  # by somebody who reads it


@dataclass(frozen=True)
class Question:
    """One thing that earns points.

    Attributes:
        id: what its author calls it.
        section: the heading that it stands under, "" where there is none.
        points: what it is worth, maybe 0.
        place: where it stands, for people.
        form: how it is judged.
        parts: the code that judges it; all parts must pass, and none sees what another binds.
        before: the author's code that runs before it, in order: what it may use besides the student's work.
        hidden: whether students do not see it.
        why: why a person has to judge it, "" where its author wants that.
    """

    id: str
    section: str
    points: float
    place: str
    form: QuestionKind
    parts: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    hidden: bool = False
    why: str = ""


@dataclass(frozen=True)
class ForeignAssignment:
    """An assignment as another grader has it.

    Attributes:
        grader: whose it is.
        title: the notebook's first heading, "" where there is none.
        cells: the code of the notebook that students are given, in order.
        questions: in order.
        left: what is there and was not taken, a sentence each.
    """

    grader: str
    title: str
    cells: tuple[str, ...]
    questions: tuple[Question, ...]
    left: tuple[str, ...] = ()


class Headings:
    """The headings of a notebook, read cell by cell."""

    def __init__(self) -> None:
        self.first = ""
        self.last = ""

    def read(self, markdown: str) -> None:
        """Go on to a further Markdown cell."""
        found: Sequence[str] = [match[2] for match in _HEADING.finditer(_FENCED.sub("", markdown))]
        plain = [" ".join(re.sub(r"[*_`]", "", each).split())[:200] for each in found]
        for heading in filter(None, plain):
            self.first = self.first or heading
            self.last = heading
