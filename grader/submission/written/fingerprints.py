"""Fingerprints of a book: hashes of short runs of its words, which tell a student's own words from the book's.

A fingerprint file has no text, and none can be made from it. Runs overlap by half in the book, and begin at every word
in what is compared with it, so a paragraph is recognised wherever its lines are broken. Markup, punctuation and the
roles of d2l's Markdown make no difference.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from grader.errors import AssignmentError

__all__ = ["Fingerprints", "load_fingerprints", "make_fingerprints", "split_blocks", "split_tokens"]

_MAGIC = b"grader fingerprints 1\n"
_BYTES = 4  # of a hash: among 100,000 of them, a run of other words is mistaken for one once in 40,000
_MOST_BYTES = 4_000_000
_WORDS = 4  # in a run
_CHARACTERS = 8  # in a run of Chinese, Japanese or Korean

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
_ROLE = re.compile(r":\w+:(?:`[^`\n]*`)?")  # :numref:`sec_pooling`
_HIDDEN = re.compile(r"<[^<>\n]{1,300}>|\]\([^()\s]*\)|\\[a-zA-Z]+")  # tags, the targets of links, commands of LaTeX
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"\A\s*(?:[-*+•]|\d{1,2}[.)])\s+")


class Fingerprints:
    """The hashes of one or more books."""

    def __init__(self, hashes: Iterable[int]) -> None:
        self._hashes = array("I", sorted(set(hashes)))

    def __len__(self) -> int:
        return len(self._hashes)

    def find_covered(self, tokens: Sequence[str]) -> list[bool]:
        """Return for each token of a block whether it is in a run that the book has."""
        covered = [False] * len(tokens)
        for start, end in _list_runs(tokens, step=1):
            if self._has(_hash(tokens[start:end])):
                covered[start:end] = [True] * (end - start)
        return covered

    def to_bytes(self) -> bytes:
        """Return the content of a fingerprint file."""
        return _MAGIC + _swap(self._hashes).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprints:
        """Read the content of a fingerprint file.

        Raises:
            ValueError: it is none.
        """
        if not data.startswith(_MAGIC) or (len(data) - len(_MAGIC)) % _BYTES or len(data) > _MOST_BYTES:
            raise ValueError("no fingerprints of this version")
        hashes = array("I")
        hashes.frombytes(data[len(_MAGIC) :])
        return cls(_swap(hashes))

    def _has(self, value: int) -> bool:
        place = bisect_left(self._hashes, value)
        return place < len(self._hashes) and self._hashes[place] == value


def make_fingerprints(texts: Iterable[str]) -> Fingerprints:
    """Return the fingerprints of Markdown texts."""
    hashes = set()
    for block in (block for text in texts for block in split_blocks(text)):
        tokens = split_tokens(block)
        hashes |= {_hash(tokens[start:end]) for start, end in _list_runs(tokens, step=0)}
    return Fingerprints(hashes)


@lru_cache(maxsize=8)
def load_fingerprints(path: Path) -> Fingerprints:
    """Read a fingerprint file, once in each process.

    Raises:
        AssignmentError: it cannot be read, or is no such file.
    """
    try:
        return Fingerprints.from_bytes(path.read_bytes())
    except OSError as error:
        raise AssignmentError(f"{path} cannot be read ({error.strerror}): check [written] in rubric.toml") from None
    except ValueError as error:
        raise AssignmentError(f"{path}: {error}: make it again with `grader assignment fingerprint`") from None


def split_blocks(text: str) -> Iterator[str]:
    """Yield the paragraphs, headings, list items and fenced code of Markdown, whole lines each."""
    block: list[str] = []
    fence = ""
    for line in text.split("\n"):
        marks = _FENCE.match(line)
        is_alone = not fence and line.lstrip().startswith("#")
        if block and not fence and (not line.strip() or _ITEM.match(line) or is_alone or marks):
            yield "\n".join(block)
            block = []
        if line.strip() or fence:
            block.append(line)
        ends = bool(marks and fence and marks[1].startswith(fence))
        if marks:
            fence = "" if ends else fence or marks[1]
        if block and (is_alone or ends):
            yield "\n".join(block)
            block = []
    if block:
        yield "\n".join(block)


def split_tokens(text: str) -> list[str]:
    """Return the words of a text, and its Chinese, Japanese and Korean characters one by one, normalised."""
    plain = _HIDDEN.sub(" ", _ROLE.sub(" ", _ITEM.sub("", text)))
    return _TOKEN.findall(unicodedata.normalize("NFKC", plain).casefold())


def _list_runs(tokens: Sequence[str], step: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs that begin every `step` tokens, 0 for half a run. A short block is a run of its own."""
    ideographs = sum(len(token) == 1 and token >= "\u3040" for token in tokens)
    length = _CHARACTERS if 2 * ideographs > len(tokens) else _WORDS
    if len(tokens) <= length:
        if tokens:
            yield 0, len(tokens)
        return
    last = len(tokens) - length
    for start in range(0, last, step or length // 2):
        yield start, start + length
    yield last, len(tokens)


def _hash(tokens: Sequence[str]) -> int:
    return int.from_bytes(blake2b(" ".join(tokens).encode(), digest_size=_BYTES).digest(), "big")


def _swap(hashes: array[int]) -> array[int]:
    """Return the hashes in big-endian order, or back."""
    swapped = array("I", hashes)
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped
