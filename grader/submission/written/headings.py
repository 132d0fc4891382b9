"""Recognises headings: what a line names, whether it asks for words, and whether it goes on with text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.assignment import Assignment
from grader.submission.written.lines import BOLD, LISTED, PLAIN, Line
from grader.submission.written.sections import NamedSections, SectionNames, is_within
from grader.submission.written.vocabulary import LONGEST_TITLE, Vocabulary, plain_title

__all__ = ["Heading", "HeadingReader"]

_LONGEST_PLAIN = LONGEST_TITLE // 2  # characters of a plain line that is a heading and nothing else
_ITEM = r"(?:[-*+•]\s+|\d{1,2}[.)]\s+)?"
_LABEL = re.compile(_ITEM + r"(?:\*\*|__)?([^:：*_\n]{1,80}?)(?:\*\*|__)?\s*[:：](?:\*\*|__)?(?!//)\s*\S")
_NUMBERED = re.compile(
    _ITEM + r"[\s*_]*(?:§|section|sec\.?|제|第)?\s*\d{1,2}(?:\.\d{1,2})+[.)절节節]?(.*)", re.IGNORECASE
)
_GOES_ON = re.compile(r"\s*[%a-z×=<>+/,]|\s*\d|\s*$")  # "7.2 is", "7.2 %": a number and no section
_IN_CONTENTS = re.compile(r"\s*(?:[-*+•\[]|\W*\d)")  # an item, a link, a number
_HAS_NUMBER = re.compile(r"\d[.장章-]")
_LINKED = re.compile(r"\]\(https?:")


@dataclass(frozen=True)
class Heading:
    """A heading.

    Attributes:
        level: from 1; lines that are headings by their words alone come after real ones.
        is_sure: whether it is a heading by its form.
        text: its line.
        named: the sections it names, None for none.
        asks: whether it asks for the student's own words.
        is_overall: whether it says that it is about everything.
        has_text: whether its line goes on with text.
    """

    level: int
    is_sure: bool
    text: str
    named: NamedSections | None
    asks: bool
    is_overall: bool = False
    has_text: bool = False


class HeadingReader:
    """Reads the headings among the lines of a notebook."""

    def __init__(self, names: SectionNames, vocabulary: Vocabulary) -> None:
        self._names = names
        self._vocabulary = vocabulary

    @classmethod
    def of(cls, assignment: Assignment) -> HeadingReader:
        """Return the reader for an assignment; it is made once."""
        written = assignment.written
        answered = tuple(item.section for item in assignment.by_person)
        return _make_reader(
            written.headings, answered, *(tuple(x.items()) for x in (assignment.sections, written.titles))
        )

    def read(self, line: Line, current: Sequence[str], above: Sequence[str], *, is_titled: bool) -> Heading | None:
        """Return the heading that a line is, None if it is none.

        Args:
            line: the line.
            current: the places of the text before it.
            above: the places of the heading one level up.
            is_titled: whether real headings name the notebook's sections; then a title in a line of text names none.
        """
        if line.level is None:
            return None
        if line.level >= PLAIN:
            return self._read_plain(line, line.level, current, is_titled)
        title = plain_title(line.text)
        named = self._names.find(title, current, above)
        asks = self._vocabulary.asks(title)
        if not line.is_sure:
            only_asks = self._vocabulary.asks_only(title) if line.level == BOLD else asks
            named = named if named and self._is_new(named, title, current, is_titled) else None
            if not only_asks and named is None:
                return None
        is_overall = self._vocabulary.is_overall(title)
        return Heading(line.level, line.is_sure, line.text, named, asks, is_overall)

    def skip_contents(self, lines: Sequence[Line]) -> Iterator[Line]:
        """Yield the lines without those of a table of contents: lines in a row that name sections and say no more."""
        alone = [self._names_only(line) for line in lines]
        for number, line in enumerate(lines):
            beside = alone[max(number - 1, 0) : number] + alone[number + 1 : number + 2]
            if not (alone[number] and any(beside)):
                yield line

    def _read_plain(self, line: Line, level: int, current: Sequence[str], is_titled: bool) -> Heading | None:
        """Read a line without the form of a heading: only what begins with a section or with a word such as Answer."""
        start = line.text[: 2 * LONGEST_TITLE].strip(" >\t")
        label, is_short = _LABEL.match(start), len(line.text) <= _LONGEST_PLAIN
        if _LINKED.search(start) or not (is_short or label or _NUMBERED.match(start)):
            return None
        title = plain_title(line.text)
        if is_short and self._vocabulary.asks_only(title):
            return Heading(level, False, line.text, self._names.find(title, current, ()), asks=True)
        if label:
            labelled = plain_title(label[1])
            named = self._find_section(label[1], labelled, current, is_titled or level == LISTED)
            if named or self._vocabulary.asks_only(labelled):
                asks = self._vocabulary.asks(labelled)
                return Heading(level, False, label[0][:-1], named, asks, has_text=True)
        named = self._find_section(start, title, current, is_titled or level == LISTED)
        if named is None:
            return None
        asks = self._vocabulary.asks(title)
        has_text = not (is_short and (named.is_only or asks))
        return Heading(level, False, "" if has_text else line.text, named, asks and not has_text, has_text=has_text)

    def _find_section(self, text: str, title: str, current: Sequence[str], is_titled: bool) -> NamedSections | None:
        """Return the sections that a line of text names: by a number at its beginning, or by a title alone."""
        named = self._names.find(title, current, ())
        if named is None or not self._is_new(named, title, current, is_titled):
            return None
        if numbered := _NUMBERED.match(text):
            return named if named.is_only or not _GOES_ON.match(numbered[1]) else None
        return named if named.is_only else None

    def _is_new(self, named: NamedSections, title: str, current: Sequence[str], is_titled: bool) -> bool:
        """Return whether a line that is no real heading may name these sections.

        Without a number, "Pooling" may also be a layer that the text is about.
        """
        place = named.places[0]
        if not self._names.knows(place):
            return False
        return not is_titled or _HAS_NUMBER.search(title) is not None or any(is_within(place, top) for top in current)

    def _names_only(self, line: Line) -> bool:
        is_real = line.level is not None and line.level < PLAIN
        if is_real or len(line.text) > LONGEST_TITLE or not _IN_CONTENTS.match(line.text):
            return False
        named = self._names.find(plain_title(line.text), (), ())
        return named is not None and (named.is_only or "](#" in line.text)


@lru_cache(maxsize=8)
def _make_reader(
    headings: tuple[str, ...],
    answered: tuple[str, ...],
    sections: tuple[tuple[str, str], ...],
    titles: tuple[tuple[str, tuple[str, ...]], ...],
) -> HeadingReader:
    vocabulary = Vocabulary(headings)
    listed = [*sections, *((section, title) for section, others in titles for title in others)]
    return HeadingReader(SectionNames(answered, listed, vocabulary), vocabulary)
