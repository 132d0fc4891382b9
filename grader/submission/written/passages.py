"""Reads what is written in a notebook, passage by passage, with the sections that each is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from grader.assignment import Assignment
from grader.submission.submission import Cell, Notebook
from grader.submission.written.code_cells import read_prose
from grader.submission.written.headings import Heading, HeadingReader
from grader.submission.written.lines import split_lines
from grader.submission.written.sections import is_within
from grader.submission.written.vocabulary import LONGEST_TITLE

__all__ = ["Passage", "Piece", "read_passages"]

_MOST_LINES = 20_000  # of Markdown in a notebook
_FOUND = 0  # the level of a section that is named by a line without the form of a heading


@dataclass(frozen=True)
class Piece:
    """What one cell has of a passage: Markdown, or code as it was written."""

    cell: int
    text: str
    is_code: bool = False


@dataclass
class Passage:
    """What is written under one heading, up to the next heading.

    Attributes:
        places: the sections that it is about, such as 7.2.5, or a chapter; empty if none is known.
        file: the notebook.
        heading: the line of the heading, "" if it has none of its own.
        is_asked: whether the heading, or one above it, asks for the student's own words.
        pieces: the text, cell by cell.
    """

    places: tuple[str, ...]
    file: str
    heading: str
    is_asked: bool
    pieces: list[Piece] = field(default_factory=list)

    def add(self, cell: int, lines: Sequence[str]) -> None:
        """Add lines of Markdown, if there is anything in them."""
        if any(line.strip() for line in lines):
            self.pieces.append(Piece(cell, "\n".join(lines).strip("\n")))


def read_passages(notebook: Notebook, assignment: Assignment) -> list[Passage]:
    """Return all that is written in a notebook, in order.

    A passage is about the sections whose numbers or titles are in its heading or in one above it. It ends with the next
    heading. Code belongs to a passage only if a heading asks for the student's words.
    """
    reader = _PassageReader(notebook.name, assignment)
    for cell in notebook.cells:
        reader.read(cell)
    return [passage for passage in reader.passages if passage.pieces]


class _PassageReader:
    """Reads one notebook cell by cell, and keeps track of the headings above each line."""

    def __init__(self, file: str, assignment: Assignment) -> None:
        self._file = file
        self._headings = HeadingReader.of(assignment)
        judged = "|".join(map(re.escape, assignment.names))
        self._judged = re.compile(rf"^\s*(?:def|class)\s+({judged or '(?!)'})\b", re.MULTILINE)
        self._defined: set[str] = set()
        self._left = _MOST_LINES
        self._places: dict[int, tuple[str, ...]] = {}  # by level of the heading that names them
        self._open: tuple[int, tuple[str, ...]] | None = None  # level and places of the heading that asks
        self.passages = [Passage((), file, "", is_asked=False)]

    def read(self, cell: Cell) -> None:
        if cell.kind == "code":
            self._read_code(cell)
            return
        lines: list[str] = []
        read = list(islice(split_lines(cell.source), self._left))
        self._left -= len(read)
        for line in self._headings.skip_contents(read):
            heading = self._headings.read(
                line, self._current, self._find_above(line.level or 0), is_titled=bool(self._places.keys() - {_FOUND})
            )
            if heading:
                self.passages[-1].add(cell.index, lines)
                lines = []
                self._enter(heading)
            if heading is None or heading.has_text:
                lines.append(line.text)
        self.passages[-1].add(cell.index, lines)

    def _read_code(self, cell: Cell) -> None:
        passage, code = self.passages[-1], cell.source.strip("\n")
        # The first definition of what tests judge is no answer in words, even right below a heading that asks for one.
        new = set(self._judged.findall(code)) - self._defined
        self._defined |= new
        if new or not code.strip():
            return
        if passage.is_asked:
            passage.pieces.append(Piece(cell.index, code, is_code=True))
        elif prose := read_prose(code):
            passage.pieces.append(Piece(cell.index, prose))

    def _enter(self, heading: Heading) -> None:
        """Begin the passage under a heading."""
        self._places = {level: places for level, places in self._places.items() if level <= heading.level}
        if heading.named is not None:
            self._note(heading, heading.named.places)
        elif heading.is_overall:
            self._places = {}
        places = self._current
        if self._open and (heading.level <= self._open[0] or not _are_within(places, self._open[1])):
            self._open = None
        if self._open is None and heading.asks:
            self._open = (heading.level, places)
        # The beginning of a line that goes on is shown with the line.
        title = "" if heading.has_text else heading.text.strip()[:LONGEST_TITLE]
        self.passages.append(Passage(places, self._file, title, self._open is not None))

    def _note(self, heading: Heading, places: tuple[str, ...]) -> None:
        """Note the places that a heading names."""
        if heading.is_sure:
            self._places.pop(_FOUND, None)
            self._places[heading.level] = places
            return
        # Without a part of it above, this is a section that lasts until the next one is named, whatever comes between.
        above = {level: outer for level, outer in self._places.items() if _are_within(places, outer)}
        self._places = above | {heading.level if above else _FOUND: places}

    def _find_above(self, level: int) -> tuple[str, ...]:
        above = [places for other, places in sorted(self._places.items()) if _FOUND < other < level]
        return above[-1] if above else ()

    @property
    def _current(self) -> tuple[str, ...]:
        return self._places[max(self._places)] if self._places else ()


def _are_within(places: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether all places are in one of the others; all are in none at all, the whole book."""
    return not others or (bool(places) and all(any(is_within(place, other) for other in others) for place in places))
