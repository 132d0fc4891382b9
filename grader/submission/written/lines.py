"""Lines of Markdown, each with what it looks like: a heading of some kind, or text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.submission.written.vocabulary import LONGEST_TITLE

__all__ = ["BOLD", "LISTED", "PLAIN", "Line", "split_lines"]

BOLD = 7  # the levels of lines that may be headings, below those of real headings
PLAIN = 8
LISTED = 9
_LONGEST_HEADING = 2 * LONGEST_TITLE

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_MARKED = re.compile(r"[ >]{0,6}(?:[-*+] |\d{1,2}[.)] )?(#{1,6})(?!#)\s*(.*?)[\s#]*$")  # Colab reads `#Title` as one
_TAGGED = re.compile(r"(?:<(?:center|div|p)\b[^<>]*>\s*)?<h([1-6])\b[^<>]*>.*</h\1>", re.IGNORECASE)
_ENCLOSED = re.compile(
    r"[>\s]*(?:(\*\*|__)(?!\s)([^*_]+)\1\s*[:：]?"
    r"|<(b|u|strong|font|center|summary|big|mark|span|div|p|em)\b[^<>]*>.+</\3>)\s*$",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r" {0,3}(?:={2,}|-{2,})\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,2}[.)])\s+")


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        text: the line as it was written.
        level: the level of the heading that it is or may be, None for text that is none.
        is_sure: whether it is a heading by its form alone. Others are headings only if their words say so.
    """

    text: str
    level: int | None
    is_sure: bool = False


def split_lines(source: str) -> Iterator[Line]:
    """Yield the lines of Markdown. Lines in fences are text; the row below an underlined heading is left out."""
    lines = source.split("\n")
    fence = ""
    number = 0
    while number < len(lines):
        line, following = lines[number], lines[number + 1] if number + 1 < len(lines) else ""
        before = lines[number - 1] if number else ""
        number += 1
        if marks := _FENCE.match(line):
            fence = "" if fence and marks[1].startswith(fence) else fence or marks[1]
            yield Line(line, None)
        elif fence:
            yield Line(line, None)
        elif _is_underlined(before, line, following):
            number += 1
            yield Line(line, 1 if "=" in following else 2)  # the row may also be meant as a rule
        else:
            yield _read_line(before, line)


def _is_underlined(before: str, line: str, following: str) -> bool:
    starts = not before.strip() and bool(line.strip()) and len(line) <= _LONGEST_HEADING
    return starts and _match_marked(line) is None and _UNDERLINE.match(following) is not None


def _read_line(before: str, line: str) -> Line:
    if line.lstrip().startswith("|"):
        return Line(line, None)
    if not line.strip() or len(line) > _LONGEST_HEADING:
        # The beginning of a long line may still name a section, as in "7.2 Convolutions for Images: I think ...".
        return Line(line, PLAIN if line.strip() and not before.strip() else None)
    if marked := _match_marked(line):
        return Line(line, len(marked[1]), is_sure=True)
    if tagged := _TAGGED.match(line.lstrip()):
        return Line(line, int(tagged[1]), is_sure=True)
    if _ENCLOSED.match(line):
        return Line(line, BOLD)
    if _ITEM.match(line):
        return Line(line, LISTED)
    return Line(line, PLAIN if not before.strip() or _match_marked(before) else None)


def _match_marked(line: str) -> re.Match[str] | None:
    """Match a heading. Only lines of its length are looked at: in long rows of blanks, the search takes hours."""
    return _MARKED.match(line) if len(line) <= _LONGEST_HEADING else None
