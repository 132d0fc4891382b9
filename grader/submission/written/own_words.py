"""The student's own words in a passage, apart from the book's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from grader.submission.written.fingerprints import Fingerprints, split_blocks, split_tokens

__all__ = ["OwnWords", "find_own_words"]

_OWN_SHARE = 0.5  # of a sentence's words that the book does not have, for it to be the student's
_GAP = "[…]"
_PICTURE_OR_FORMULA = re.compile(r"!\[|<img\b|[$\\]\S", re.IGNORECASE)
_WHOLE = re.compile(r"\s*(?:```|~~~|\$\$|\||<table|\\begin)", re.IGNORECASE)
_BEGINS = re.compile(r"\s*[^a-z\s]")
_FEW = 3  # words
_SENTENCE = re.compile(r"(?<=[^\d\s][.!?])(?=\s+[^\sa-z])|(?<=[。！？])|(?<=\n)")


@dataclass(frozen=True)
class OwnWords:
    """What a student wrote.

    Attributes:
        text: the Markdown that is not the book's; "[…]" stands for paragraphs of the book in between.
        book: how many paragraphs of the book were left out, whole or in part.
        own: how many paragraphs have words of the student.
    """

    text: str
    book: int
    own: int


def find_own_words(text: str, book: Fingerprints | None) -> OwnWords:
    """Return the student's own words in Markdown."""
    if book is None:
        return OwnWords(text.strip(), 0, sum(1 for _ in split_blocks(text)))
    kept: list[str] = []
    left_out = own = 0
    for block, space in _split(text):
        words = _keep_own(block, book)
        left_out += words != block
        if words.strip():
            own += 1
            kept.append(words + space)
        elif not kept or kept[-1] != _GAP:
            kept.append(_GAP)
            kept.append("\n\n")
    joined = re.sub(rf"(?:{re.escape(_GAP)}\s*)+", f"\n\n{_GAP}\n\n", "".join(kept))
    joined = re.sub(r"\n{3,}", "\n\n", joined).strip().removeprefix(_GAP).removesuffix(_GAP).strip()
    return OwnWords(joined, left_out, own)


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Yield each block with the line breaks that follow it."""
    start = 0
    for block in split_blocks(text):
        start = text.index(block, start) + len(block)
        is_apart = text.startswith("\n\n", start) or not text[start : start + 200].strip()
        yield block, "\n\n" if is_apart else "\n"


def _keep_own(block: str, book: Fingerprints) -> str:
    """Return the sentences of a block that are not the book's. Code, formulas and tables are kept or left out whole."""
    sentences = [block] if _WHOLE.match(block) else [sentence for sentence in _SENTENCE.split(block) if sentence]
    tokens = [split_tokens(sentence) for sentence in sentences]
    covered = book.find_covered([token for part in tokens for token in part])
    is_known = 2 * sum(covered) > len(covered)
    kept = []
    start = 0
    before = "\n"
    for sentence, part in zip(sentences, tokens, strict=True):
        is_line = before.endswith("\n") and (sentence.endswith("\n") or sentence is sentences[-1])
        before = sentence
        known = sum(covered[start : start + len(part)])
        start += len(part)
        if not part:
            is_own = not is_known and _PICTURE_OR_FORMULA.search(sentence) is not None
        else:
            # Editions differ by a word here and there: beside the book's sentences, so little is the student's only if
            # it is a line of its own.
            is_rest = is_known and len(part) < _FEW and not (is_line and _BEGINS.match(sentence))
            is_own = len(part) - known >= _OWN_SHARE * len(part) and not is_rest
        if is_own:
            kept.append(sentence)
    return "".join(kept)
