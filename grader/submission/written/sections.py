"""Which sections a heading names, by number or by title."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.submission.written.vocabulary import Vocabulary, plain_title

__all__ = ["OTHER", "NamedSections", "SectionNames", "is_within"]

OTHER = "other"  # the section of titles from other chapters
_PART = r"\d{1,2}"
_NUMBER = re.compile(rf"(?<![\d.]){_PART}(?:\.{_PART})+(?!\d)")  # 7.2, 7.2.5
_DASHED = re.compile(rf"(?<![\w.-])({_PART})[-_–]({_PART})(?![\w-]|\.\d)")  # 7-2
_IN_WORDS = re.compile(  # 7장 2절, 第7章第2节, chapter 7 section 2
    rf"(?:제|第|chapter|ch\.?)? ?({_PART}) ?(?:장|章|,|:)? ?(?:제|第|section|sec\.?|§)? ?({_PART}) ?(?:절|[节節])?"
)
_NEEDS_WORD = re.compile(r"[장章절节節§]|chapter|ch\.?\s*\d|sec")
_CHAPTER = re.compile(rf"\W*(?:chapter |ch\.? ?|제 ?|第 ?)?({_PART})(?![\d])")
_LEADING = re.compile(rf"\W*(?:section|sec\.?|chapter|ch\.?|제|第)?\W*({_PART}(?:\.{_PART})+)(?!\d)")
_OWN_NUMBER = re.compile(  # "1. Discussion", "4.1 Pooling"
    rf"\A\W*{_PART}(?:\.{_PART})*[.)]?\s+"
)
_RANGE = re.compile(r"\s*(?:[-~–—〜∼]|to|through|부터|에서|到|至|から)\s*")
_ALIAS = re.compile(r"\(([^()\s]{2,20})\)")  # "Networks Using Blocks (VGG)" is called VGG
_TIMES = re.compile(r"\\times|×")
_SPACED = re.compile(r"(?<=\d) ?x ?(?=\d)")


@dataclass(frozen=True)
class NamedSections:
    """The sections, or the chapter, that a heading names, and whether it has no words besides."""

    places: tuple[str, ...]
    is_only: bool = False


def is_within(place: str, section: str) -> bool:
    """Return whether a place is in a section: 7.2.5 is in 7.2 and in 7."""
    return place == section or place.startswith(f"{section}.")


class SectionNames:
    """The numbers and titles of an assignment's sections, and of those of its book that it does not have."""

    def __init__(self, answered: Sequence[str], titles: Iterable[tuple[str, str]], vocabulary: Vocabulary) -> None:
        """Read the names.

        Args:
            answered: the sections with written answers.
            titles: sections, each with one of its titles.
            vocabulary: the words that are not part of a title.
        """
        self._vocabulary = vocabulary
        self._sections = tuple(dict.fromkeys(answered))
        self._chapters = {section.partition(".")[0] for section in self._sections}
        self._known: set[str] = set()
        self._titles: dict[str, tuple[str, ...]] = {}
        self._by_word: dict[str, list[str]] = {}  # titles by their first word
        for section, title in titles:
            self._known |= {section} if section != OTHER else set()
            for name in (title, *_ALIAS.findall(title)):
                self._add_title(section, vocabulary.strip(normalise_title(name)))

    def _add_title(self, section: str, title: str) -> None:
        known = self._titles.get(title, ())
        if title and not known:
            self._by_word.setdefault(title.split()[0], []).append(title)
        if title and section not in known:
            self._titles[title] = (*known, section)

    def find(self, title: str, current: Sequence[str], above: Sequence[str]) -> NamedSections | None:
        """Return what a heading names, None if it names nothing.

        Args:
            title: the heading, from `plain_title`.
            current: the places of the text before it.
            above: the places of the heading one level up; a title of another section is no section under it.
        """
        title = normalise_title(title)
        numbers, rest = self._read_numbers(title)
        words = self._vocabulary.strip(_OWN_NUMBER.sub("", rest))
        titled = self._find_title(words, current, above, is_asking=self._vocabulary.asks(title))
        if numbers:
            misnumbered = titled and titled.count(".") == 1 == numbers[0].count(".") and len(numbers) == 1
            if misnumbered and titled and not is_within(titled, numbers[0]):
                return NamedSections((titled,), is_only=True)
            return NamedSections(numbers, is_only=bool(titled) or not words)
        if titled:
            return NamedSections((titled,), is_only=words in self._titles)
        if leading := _LEADING.match(title):
            # A section of another chapter, or the student's own number for a part of this one.
            return None if above or (current and not words) else NamedSections((leading[1],))
        chapter = _CHAPTER.match(title)
        return NamedSections((chapter[1],)) if chapter and chapter[1] in self._chapters else None

    def knows(self, place: str) -> bool:
        """Return whether a place is a section that has a title, or a part of one; a chapter is none."""
        return place in self._known or any(is_within(place, section) for section in self._sections)

    def _read_numbers(self, title: str) -> tuple[tuple[str, ...], str]:
        """Return the section numbers in a title, and the title without them."""
        found = [match for match in _NUMBER.finditer(title) if match[0].partition(".")[0] in self._chapters]
        if found:
            numbers = [match[0] for match in found]
            if len(found) == 2 and _RANGE.fullmatch(title[found[0].end() : found[1].start()]):
                numbers = self._list_range(*numbers)
            return tuple(dict.fromkeys(numbers)), _NUMBER.sub(" ", title)
        patterns = [_DASHED, *([_IN_WORDS] if _NEEDS_WORD.search(title) else [])]
        for match in (match for pattern in patterns for match in pattern.finditer(title)):
            if (number := f"{match[1]}.{match[2]}") in self._sections:
                return (number,), title[: match.start()] + " " + title[match.end() :]
        return (), title

    def _list_range(self, first: str, last: str) -> list[str]:
        keys = {section: _split(section) for section in self._sections}
        between = [section for section, key in keys.items() if _split(first) <= key <= _split(last)]
        return between or [first, last]

    def _find_title(self, words: str, current: Sequence[str], above: Sequence[str], *, is_asking: bool) -> str:
        """Return the section that has this title, "" if none or several have it.

        "Training" is a part of many sections, and "Padding and Stride" also one of the section about pooling: the part
        of the current section comes first, then a whole section.
        """
        candidates = self._titles.get(words, ())
        if not candidates and words and (is_asking or not (current or above)):
            candidates = self._find_contained(words)
        tops = {_top(place) for place in current}
        near = [section for section in candidates if _top(section) in tops]
        if near:
            return min(near, key=len)
        # The other chapters' titles, such as Dropout, are also parts of sections.
        whole = [section for section in candidates if section.count(".") <= 1 and (section != OTHER or not current)]
        if len(whole) != 1:
            return candidates[0] if len(candidates) == 1 and not current else ""
        return whole[0] if not above or any(is_within(whole[0], place) for place in above) else ""

    def _find_contained(self, words: str) -> tuple[str, ...]:
        """Return the sections with the longest title among these words, none if there is another title beside it."""
        begun = (title for word in dict.fromkeys(words.split()) for title in self._by_word.get(word, ()))
        within = [title for title in begun if f" {title} " in f" {words} "]
        longest = max(within, key=len, default="")
        return self._titles[longest] if longest and all(title in longest for title in within) else ()


def normalise_title(title: str) -> str:
    """Return a plain title in which 1x1 is written in one way."""
    return _SPACED.sub("x", _TIMES.sub("x", plain_title(title)))


def _top(place: str) -> str:
    return ".".join(place.split(".")[:2])


def _split(section: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in section.split("."))
