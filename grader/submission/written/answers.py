"""Written answers: what a student wrote about each section, for a person to read and mark.

No test judges them. The report shows the text together with its place in the notebook.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from grader.assignment import AnswerCells, Assignment, Item
from grader.results.marks import describe_waiting
from grader.results.report import ItemResult, Verdict
from grader.submission.submission import CompanionFile, Submission
from grader.submission.written.answer_cells import select_answer_cells
from grader.submission.written.fingerprints import load_fingerprints
from grader.submission.written.own_words import find_own_words
from grader.submission.written.passages import Passage, Piece, read_passages
from grader.submission.written.pictures import LARGEST_PICTURE, PictureCollector
from grader.submission.written.sections import is_within

__all__ = ["add_written_answers"]

_LONGEST = 20_000  # characters of one answer
_LONGEST_CODE = 4_000  # characters of one code cell
_MAX_CELLS = 100  # of one answer
_PICTURES = (".png", ".jpg", ".jpeg", ".gif")
_MANY = 5  # paragraphs of the book: the notebook is the book's, with the student's words added

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")
_PLACEHOLDERS = re.compile(  # of nbgrader and otter-grader
    r"[\s_*#]*(?:YOUR ANSWER HERE|Type your answer here, replacing this text\.?"
    r"|YOUR CODE HERE(?:\s*raise NotImplementedError\(\))?|\.\.\.)[\s_*]*"
)
_FENCE = re.compile(r"`{3,}")


@dataclass(frozen=True)
class _OwnPassage:
    """The student's own words of a passage: a text for each cell, and what was left out."""

    passage: Passage
    pieces: tuple[Piece, ...]
    book: int

    def is_about(self, section: str) -> bool:
        return any(is_within(place, section) for place in self.passage.places)

    def may_be_about(self, section: str) -> bool:
        """Return whether it is about the chapter of the section, or about nothing in particular."""
        places = self.passage.places
        return not places or any(is_within(section, place) for place in places)


def add_written_answers(
    items: Iterable[ItemResult], submission: Submission, assignment: Assignment, only: Collection[str] | None = None
) -> list[ItemResult]:
    """Add the items that wait for a person to the results, in the rubric's order.

    Args:
        items: the results of tests.
        submission: the student's submission.
        assignment: the assignment.
        only: ids of the items to return; None for all.

    Raises:
        AssignmentError: the fingerprints of the assignment's book cannot be read.
    """
    by_person = [item for item in assignment.by_person if only is None or item.id in only]
    results = {result.id: result for result in items}
    if by_person:
        own = _OwnWordsReader(submission, assignment)
        results |= {item.id: own.make_result(item) for item in by_person}
    return [results[item.id] for item in assignment.items if item.id in results]


class _OwnWordsReader:
    """Finds what a student wrote about an item."""

    def __init__(self, submission: Submission, assignment: Assignment) -> None:
        self._submission = submission
        self._book = load_fingerprints(assignment.written.book) if assignment.written.book else None
        self._pictures = PictureCollector({file.path: file.data for file in submission.files if _is_picture(file)})
        self._attachments = {
            (notebook.name, cell.index): dict(cell.attachments)
            for notebook in submission.notebooks
            for cell in notebook.cells
            if cell.attachments
        }
        passages = [passage for notebook in submission.notebooks for passage in read_passages(notebook, assignment)]
        self._passages = [self._separate(passage) for passage in passages]
        by_file: dict[str, int] = {}
        for own in self._passages:
            by_file[own.passage.file] = by_file.get(own.passage.file, 0) + own.book
        self._of_the_book = {file for file, book in by_file.items() if book >= _MANY}

    def find(self, item: Item) -> list[_OwnPassage]:
        """Return the passages that belong to an item, those without words of the student included.

        These are the cells that the assignment names, else the passages of the section under headings that ask for
        words, else all that is written in the section, else what is asked for about the whole chapter or book.
        """
        cells = self._find_cells(item.answer)
        if cells is not None:
            return cells
        about = [own for own in self._passages if own.is_about(item.section)]
        asked = [own for own in about if own.passage.is_asked]
        if any(own.pieces for own in asked):
            return [own for own in about if own in asked or (own.pieces and own.passage.file in self._of_the_book)]
        about = [own for own in about if own.passage.is_asked or len(own.passage.places) == 1]
        if any(own.pieces for own in about):
            return about
        whole = [own for own in self._passages if own.passage.is_asked and own.may_be_about(item.section)]
        return whole if any(own.pieces for own in whole) else about

    def _find_cells(self, answer: AnswerCells) -> list[_OwnPassage] | None:
        """Return the cells that an assignment names, without what it wrote in them itself; None if there are none."""
        if answer == AnswerCells():
            return None
        found = [
            (notebook.name, cell)
            for notebook in self._submission.notebooks
            for cell in select_answer_cells(notebook.cells, answer)
        ]
        pieces = [
            (file, Piece(cell.index, cell.source.strip("\n"), cell.kind == "code"))
            for file, cell in found
            if cell.source.strip() and not _PLACEHOLDERS.fullmatch(cell.source)
        ]
        return [self._separate(Passage((), file, "", True, [piece])) for file, piece in pieces] if found else None

    def _separate(self, passage: Passage) -> _OwnPassage:
        """Take the book's paragraphs out of a passage, and its pictures out of the text."""
        pieces: list[Piece] = []
        left_out = 0
        for piece in passage.pieces:
            if piece.is_code:
                pieces.append(Piece(piece.cell, _fence(piece.text), is_code=True))
                continue
            attachments = self._attachments.get((passage.file, piece.cell), {})
            own = find_own_words(self._pictures.mark(piece.text, attachments), self._book)
            left_out += own.book
            if own.text and not _PLACEHOLDERS.fullmatch(own.text):
                pieces.append(Piece(piece.cell, own.text))
        return _OwnPassage(passage, tuple(pieces), left_out)

    def make_result(self, item: Item) -> ItemResult:
        """Return the result of an item: it waits for a person, with what was found as evidence."""
        found = self.find(item)
        own = [part for part in found if part.pieces]
        pieces = [(part.passage.file, piece) for part in own for piece in part.pieces]
        cells = dict.fromkeys((file, piece.cell) for file, piece in pieces)
        parts = [
            text for part in own for text in (part.passage.heading, *(piece.text for piece in part.pieces)) if text
        ]
        text, pictures = self._pictures.resolve("\n\n".join(parts))
        evidence: dict[str, Any] = {
            "kind": "discussion",
            "text": _cut(text),
            "cells": [{"file": file, "cell": cell} for file, cell in islice(cells, _MAX_CELLS)],
            "words": sum(
                len(_WORD.findall(PictureCollector.strip(piece.text))) for _, piece in pieces if not piece.is_code
            ),
            "code_cells": sum(piece.is_code for _, piece in pieces),
            "book_paragraphs": sum(part.book for part in found),
            "pictures": [picture.url for picture in pictures],
        }
        return ItemResult(
            id=item.id,
            section=item.section,
            title=item.title,
            points=0,
            max_points=item.points,
            verdict=Verdict.PENDING,
            message=describe_waiting(evidence),
            file=pieces[0][0] if pieces else None,
            cell=pieces[0][1].cell if pieces else None,
            evidence=evidence,
        )


def _count_words(text: str) -> int:
    return len(_WORD.findall(PictureCollector.strip(text)))


def _is_picture(file: CompanionFile) -> bool:
    return file.path.lower().endswith(_PICTURES) and len(file.data) <= LARGEST_PICTURE * 3 // 4


def _cut(text: str) -> str:
    cut = len(text) - _LONGEST
    return f"{text[:_LONGEST]}\n\n… ({cut:,} more characters are in the notebook)" if cut > 0 else text


def _fence(code: str) -> str:
    """Return code as Markdown shows it, in a fence that it does not end itself."""
    longest = max(map(len, _FENCE.findall(code)), default=2)
    marks = "`" * (longest + 1)
    shown = code if len(code) <= _LONGEST_CODE else f"{code[:_LONGEST_CODE]}\n# … ({len(code):,} characters in all)"
    return f"{marks}python\n{shown}\n{marks}"
