"""Finds what a student wrote about each section: Markdown under headings such as Discussion or Takeaways.

No test judges it. It waits for a person, who reads it in the report together with its place in the notebook.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from grader.assignment import Assignment, Item
from grader.results.marks import describe_waiting
from grader.results.report import ItemResult, Verdict
from grader.submission.submission import Notebook, Submission

__all__ = ["Passage", "add_discussions", "find_passages"]

_LONGEST = 20_000  # characters of one section's text
_MAX_CELLS = 100  # of one section
_LONGEST_TITLE = 200
_BOLD = 7  # the level of a line in bold type: below all real headings

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKED = re.compile(r" {0,3}(#{1,6})(?!#)\s*(.*?)[\s#]*$")  # Colab takes `#Discussion` for a heading too
_TAGGED = re.compile(r"\s*<h([1-6])\b[^<>]*>([^<>]*)</h\1>\s*$", re.IGNORECASE)
_IN_BOLD = re.compile(r"\s*(\*\*|__)(?!\s)([^*_]+)\1\s*:?\s*$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*$")

# A heading with one of these asks for the student's own words.
_ASKS = re.compile(
    r"\b(discussions?|discuss|exercises?|take[ -]?aways?|take[ -]?home messages?)\b"
    r"|토론|토의|논의|고찰|연습 ?문제|느낀 ?점|배운 ?점"
)
# These may also be about something else ("Model summary"), so they count only if nothing else is in the heading.
_ENDS = re.compile(r"summary|summaries|conclusions?|reflections?|요약|정리|결론|소감|요약정리")
_LINKS = re.compile(r"and|of|the|my|own|for|section|messages?|key|questions|answers|및|과|와|내용|핵심|나의|문제|절|장")
_IMAGE = re.compile(r"data:image/[\w+.-]*;base64,[A-Za-z0-9+/=]*")  # a pasted image, often longer than the text
_WORD = re.compile(r"\w+")
_NUMBERS = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,2})+(?!\d)")  # 7.2, 7.2.5
_CHAPTER = re.compile(r"\W*(?:chapter |ch\.? ?|제 ?)?(\d{1,2})(?![\d])")


@dataclass(frozen=True)
class Passage:
    """The text under one heading, up to the next heading.

    Attributes:
        place: the section that it is about, such as 7.2.5, or only a chapter, or "" if none is known.
        file: the notebook.
        cells: the indexes of its cells.
        heading: the line of the heading.
        text: the Markdown without the heading.
    """

    place: str
    file: str
    cells: tuple[int, ...]
    heading: str
    text: str


def add_discussions(
    items: Iterable[ItemResult], submission: Submission, assignment: Assignment, only: Collection[str] | None = None
) -> list[ItemResult]:
    """Add the items that wait for a person to the results, in the rubric's order.

    Args:
        items: the results of tests.
        submission: the student's submission.
        assignment: the assignment.
        only: ids of the items to return; None for all.
    """
    by_person = [item for item in assignment.by_person if only is None or item.id in only]
    passages = find_passages(submission, assignment) if by_person else []
    results = {result.id: result for result in items} | {item.id: _make_result(item, passages) for item in by_person}
    return [results[item.id] for item in assignment.items if item.id in results]


def find_passages(submission: Submission, assignment: Assignment) -> list[Passage]:
    """Return the passages under headings of discussions, in the order of the notebooks.

    A passage belongs to the section whose number or title is in its heading or in one above it. It ends with the next
    heading of the same or a higher level; code cells do not end it.
    """
    return [passage for notebook in submission.notebooks for passage in _PassageReader(notebook, assignment).read()]


def _make_result(item: Item, passages: Sequence[Passage]) -> ItemResult:
    own = [passage for passage in passages if _within(passage.place, item.section)]
    # A discussion of the whole chapter may be about any of its sections; the person who marks it decides.
    own = own or [passage for passage in passages if _within(item.section, passage.place)]
    cells = dict.fromkeys((passage.file, cell) for passage in own for cell in passage.cells)
    text = "\n\n".join(f"{passage.heading}\n\n{passage.text}" for passage in own)
    words = sum(len(passage.text.split()) for passage in own)
    cut = len(text) - _LONGEST
    evidence: dict[str, Any] = {
        "kind": "discussion",
        "text": f"{text[:_LONGEST]}\n\n… ({cut:,} more characters are in the notebook)" if cut > 0 else text,
        "cells": [{"file": file, "cell": cell} for file, cell in islice(cells, _MAX_CELLS)],
        "words": words,
    }
    return ItemResult(
        id=item.id,
        section=item.section,
        title=item.title,
        points=0,
        max_points=item.points,
        verdict=Verdict.PENDING,
        message=describe_waiting(evidence),
        file=own[0].file if own else None,
        cell=own[0].cells[0] if own else None,
        evidence=evidence,
    )


def _within(place: str, section: str) -> bool:
    """Return whether a place is in a section: 7.2.5 is in 7.2, in 7 and in "", the whole book."""
    return not section or place == section or place.startswith(f"{section}.")


@dataclass
class _Part:
    """The lines under one heading."""

    place: str
    heading: str
    lines: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)


class _PassageReader:
    """Reads one notebook line by line, and keeps track of the headings above each line."""

    def __init__(self, notebook: Notebook, assignment: Assignment) -> None:
        self._notebook = notebook
        self._chapters = {item.section.partition(".")[0] for item in assignment.by_person}
        self._titles = _sections_by_title(assignment.sections)
        self._places: dict[int, str] = {}  # places of the headings above the line, by level
        self._open: tuple[int, str] | None = None  # level and place of the discussion that the line is in
        self._parts: list[_Part] = []

    def read(self) -> list[Passage]:
        for cell in self._notebook.cells:
            if cell.kind == "markdown":
                for line, level, is_sure in _split_lines(cell.source):
                    if level is None or not self._read_heading(level, line, is_sure):
                        self._add(cell.index, line)
        return [
            Passage(part.place, self._notebook.name, tuple(part.cells), part.heading, text)
            for part in self._parts
            if (text := _IMAGE.sub("(image)", "\n".join(part.lines)).strip())
        ]

    def _read_heading(self, level: int, line: str, is_sure: bool) -> bool:
        """Note a heading. Return False if the line only looks like a heading, and names no section or discussion."""
        title = _plain_title(line)
        is_discussion = _is_discussion(title)
        own = self._place_of(title, level)
        if not (is_sure or is_discussion or own):
            return False
        self._places = {other: place for other, place in self._places.items() if other <= level}
        if own is not None:
            self._places[level] = own
        place = self._places[max(self._places)] if self._places else ""
        if self._open and (level <= self._open[0] or not _within(place, self._open[1])):
            self._open = None
        if self._open is None and is_discussion:
            self._open = (level, place)
        if self._open:
            self._parts.append(_Part(place, line.strip()[:_LONGEST_TITLE]))
        return True

    def _add(self, cell: int, line: str) -> None:
        if self._open is None:
            return
        part = self._parts[-1]
        part.lines.append(line)
        if line.strip() and cell not in part.cells[-1:]:
            part.cells.append(cell)

    def _place_of(self, title: str, level: int) -> str | None:
        """Return the section or chapter that a heading names, or None if it names none."""
        for number in _NUMBERS.findall(title):
            if number.partition(".")[0] in self._chapters:
                return str(number)
        chapter = _CHAPTER.match(title)
        if chapter and chapter[1] in self._chapters and not _NUMBERS.search(title):
            return chapter[1]
        section = self._titles.get(_strip_words(title))
        above = [place for other, place in sorted(self._places.items()) if other < level]
        # "Padding and Stride" is a section, and also the title of a part of the section about pooling.
        return section if section and (not above or _within(section, above[-1])) else None


def _split_lines(source: str) -> Iterator[tuple[str, int | None, bool]]:
    """Yield the lines of Markdown, each with the level of its heading (None for no heading), and whether it is sure.

    A line in bold type may be a heading. So may a line above a row of dashes, though the row may be meant as a rule.
    """
    lines = source.split("\n")
    fence = ""
    number = 0
    while number < len(lines):
        line, following = lines[number], lines[number + 1] if number + 1 < len(lines) else ""
        before = lines[number - 1] if number else ""
        number += 1
        level = None if fence else _level(line)
        is_sure = level != _BOLD
        if marks := _FENCE.match(line):
            fence = "" if fence and marks[1].startswith(fence) else fence or marks[1]
        elif not fence and level is None and _is_underlined(before, line, following):
            level, is_sure = 1 if "=" in following else 2, False
            number += 1
        yield line, level, is_sure


def _is_underlined(before: str, line: str, following: str) -> bool:
    return not before.strip() and bool(line.strip()) and _UNDERLINE.match(following) is not None


def _level(line: str) -> int | None:
    if len(line) > 2 * _LONGEST_TITLE:
        return None
    if marked := _MARKED.match(line):
        return len(marked[1])
    if tagged := _TAGGED.match(line):
        return int(tagged[1])
    return _BOLD if _IN_BOLD.match(line) else None


def _plain_title(line: str) -> str:
    """Return the words of a heading, normalised."""
    text = unicodedata.normalize("NFKC", re.sub(r"<[^<>]*>", " ", line[: 2 * _LONGEST_TITLE]))
    return " ".join(re.sub(r"[#*_`~]", " ", text).casefold().split())


def _is_discussion(title: str) -> bool:
    if _ASKS.search(title):
        return True
    words = [word for word in _WORD.findall(title) if not word.isdecimal()]
    others = [word for word in words if not _ENDS.fullmatch(word)]
    return len(others) < len(words) and all(_LINKS.fullmatch(word) for word in others)


def _strip_words(title: str) -> str:
    """Return a heading without its number and without the words that make it the heading of a discussion."""
    words = _WORD.findall(_ASKS.sub(" ", _NUMBERS.sub(" ", title)))
    return " ".join(word for word in words if not _ENDS.fullmatch(word) and not _LINKS.fullmatch(word))


def _sections_by_title(sections: dict[str, str]) -> dict[str, str]:
    """Return the sections by title, without titles that several sections have."""
    named = [(_strip_words(_plain_title(title)), section) for section, title in sections.items()]
    titles = [title for title, _ in named]
    return {title: section for title, section in named if title and titles.count(title) == 1}
