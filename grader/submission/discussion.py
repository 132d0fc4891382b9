"""What a student wrote about each section: Markdown under headings such as Discussion, Exercises and Takeaways.

No test judges it. It waits for a person, who reads it in the report beside the place that it is from.
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
_MOST_CELLS = 100  # of one section
_LONGEST_TITLE = 200
_BOLD = 7  # a line in bold type is a heading below all that have a level

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKED = re.compile(r" {0,3}(#{1,6})(?!#)\s*(.*?)[\s#]*$")  # Colab takes `#Discussion` for a heading too
_TAGGED = re.compile(r"\s*<h([1-6])\b[^<>]*>([^<>]*)</h\1>\s*$", re.IGNORECASE)
_IN_BOLD = re.compile(r"\s*(\*\*|__)(?!\s)([^*_]+)\1\s*:?\s*$")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)\s*$")

# Where one of these stands in a heading, the heading asks for the student's own words.
_ASKS = re.compile(
    r"\b(discussions?|discuss|exercises?|take[ -]?aways?|take[ -]?home messages?)\b"
    r"|토론|토의|논의|고찰|연습 ?문제|느낀 ?점|배운 ?점"
)
# These may also be about something else ("Model summary"), and count where nothing else is in the heading.
_ENDS = re.compile(r"summary|summaries|conclusions?|reflections?|요약|정리|결론|소감|요약정리")
_LINKS = re.compile(r"and|of|the|my|own|for|section|messages?|key|questions|answers|및|과|와|내용|핵심|나의|문제|절|장")
_IMAGE = re.compile(r"data:image/[\w+.-]*;base64,[A-Za-z0-9+/=]*")  # pasted, and longer than all that is written
_WORD = re.compile(r"\w+")
_NUMBERS = re.compile(r"(?<![\d.])\d{1,2}(?:\.\d{1,2})+(?!\d)")  # 7.2, 7.2.5
_CHAPTER = re.compile(r"\W*(?:chapter |ch\.? ?|제 ?)?(\d{1,2})(?![\d])")


@dataclass(frozen=True)
class Passage:
    """What stands under one heading, up to the next one.

    Attributes:
        place: the section that it is about, such as 7.2.5; only a chapter, or "" where no section is known.
        file: the notebook.
        cells: the indexes of the cells that it runs through.
        heading: the heading's line.
        text: Markdown, without the heading.
    """

    place: str
    file: str
    cells: tuple[int, ...]
    heading: str
    text: str


def add_discussions(
    items: Iterable[ItemResult], submission: Submission, assignment: Assignment, only: Collection[str] | None = None
) -> list[ItemResult]:
    """Return the results with those that wait for a person among them, in the rubric's order.

    Args:
        items: what tests judged.
        submission: what the student handed in.
        assignment: the rubric.
        only: ids of the items that are wanted; None for all.
    """
    wanted = [item for item in assignment.by_person if only is None or item.id in only]
    found = find_passages(submission, assignment) if wanted else []
    results = {result.id: result for result in items} | {item.id: _waiting(item, found) for item in wanted}
    return [results[item.id] for item in assignment.items if item.id in results]


def find_passages(submission: Submission, assignment: Assignment) -> list[Passage]:
    """Return all that is written under headings of discussions, in the order in which it stands.

    A passage is in the section whose number or title its heading or one above it has, and ends with the next heading of
    the same or a higher level; code cells do not end it.
    """
    return [passage for each in submission.notebooks for passage in _Reader(each, assignment).passages()]


def _waiting(item: Item, found: Sequence[Passage]) -> ItemResult:
    mine = [each for each in found if _within(each.place, item.section)]
    # A discussion of the whole chapter may answer any of its sections: who marks it sees.
    mine = mine or [each for each in found if _within(item.section, each.place)]
    cells = dict.fromkeys((each.file, cell) for each in mine for cell in each.cells)
    text = "\n\n".join(f"{each.heading}\n\n{each.text}" for each in mine)
    words = sum(len(each.text.split()) for each in mine)
    cut = len(text) - _LONGEST
    evidence: dict[str, Any] = {
        "kind": "discussion",
        "text": f"{text[:_LONGEST]}\n\n… ({cut:,} more characters are in the notebook)" if cut > 0 else text,
        "cells": [{"file": file, "cell": cell} for file, cell in islice(cells, _MOST_CELLS)],
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
        file=mine[0].file if mine else None,
        cell=mine[0].cells[0] if mine else None,
        evidence=evidence,
    )


def _within(place: str, section: str) -> bool:
    """Tell whether a place is in a section: 7.2.5 is in 7.2, in 7 and in the whole book."""
    return not section or place == section or place.startswith(f"{section}.")


@dataclass
class _Part:
    """The lines under one heading, as they are gathered."""

    place: str
    heading: str
    lines: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)


class _Reader:
    """Reads one notebook from its first cell to its last, and knows at each line under which headings it stands."""

    def __init__(self, notebook: Notebook, assignment: Assignment) -> None:
        self._notebook = notebook
        self._chapters = {item.section.partition(".")[0] for item in assignment.by_person}
        self._titles = _titles(assignment.sections)
        self._places: dict[int, str] = {}  # of the headings that are open, by their level
        self._open: tuple[int, str] | None = None  # level and place of the discussion that is open
        self._parts: list[_Part] = []

    def passages(self) -> list[Passage]:
        for cell in self._notebook.cells:
            if cell.kind == "markdown":
                for line, level, is_sure in _lines(cell.source):
                    if level is None or not self._begins(level, line, is_sure):
                        self._take(cell.index, line)
        return [
            Passage(part.place, self._notebook.name, tuple(part.cells), part.heading, text)
            for part in self._parts
            if (text := _IMAGE.sub("(image)", "\n".join(part.lines)).strip())
        ]

    def _begins(self, level: int, line: str, is_sure: bool) -> bool:
        """Note a heading; False where the line is none after all, because it only looks like one and says nothing."""
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

    def _take(self, cell: int, line: str) -> None:
        if self._open is None:
            return
        part = self._parts[-1]
        part.lines.append(line)
        if line.strip() and cell not in part.cells[-1:]:
            part.cells.append(cell)

    def _place_of(self, title: str, level: int) -> str | None:
        """Return the section or the chapter that a heading names, None where it names none."""
        for number in _NUMBERS.findall(title):
            if number.partition(".")[0] in self._chapters:
                return str(number)
        chapter = _CHAPTER.match(title)
        if chapter and chapter[1] in self._chapters and not _NUMBERS.search(title):
            return chapter[1]
        named = self._titles.get(_without_words(title))
        above = [place for other, place in sorted(self._places.items()) if other < level]
        # "Padding and Stride" is a section, and again a part of the one about pooling.
        return named if named and (not above or _within(named, above[-1])) else None


def _lines(source: str) -> Iterator[tuple[str, int | None, bool]]:
    """Give the lines of Markdown, each with the level of its heading (None for none), and whether that is sure.

    A line in bold type may be one; a line above a row of dashes too, though who wrote it may have meant a rule.
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
    """Return a heading's words, in one form whatever they were typed on."""
    text = unicodedata.normalize("NFKC", re.sub(r"<[^<>]*>", " ", line[: 2 * _LONGEST_TITLE]))
    return " ".join(re.sub(r"[#*_`~]", " ", text).casefold().split())


def _is_discussion(title: str) -> bool:
    if _ASKS.search(title):
        return True
    words = [word for word in _WORD.findall(title) if not word.isdecimal()]
    others = [word for word in words if not _ENDS.fullmatch(word)]
    return len(others) < len(words) and all(_LINKS.fullmatch(word) for word in others)


def _without_words(title: str) -> str:
    """Return a heading without its number and without the words that make it one of a discussion."""
    words = _WORD.findall(_ASKS.sub(" ", _NUMBERS.sub(" ", title)))
    return " ".join(word for word in words if not _ENDS.fullmatch(word) and not _LINKS.fullmatch(word))


def _titles(sections: dict[str, str]) -> dict[str, str]:
    """Return the sections by title; a title that several have tells nothing."""
    named = [(_without_words(_plain_title(title)), section) for section, title in sections.items()]
    titles = [title for title, _ in named]
    return {title: section for title, section in named if title and titles.count(title) == 1}
