"""Pictures in written answers: taken out of the Markdown, checked, and bounded in number and size."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["LARGEST_PICTURE", "AnswerPicture", "PictureCollector"]

LARGEST_PICTURE = 700_000  # characters of base64: half a megabyte
_LARGEST_TOTAL = 3_000_000  # of all pictures of a submission
_MOST = 40
_LONGEST_NAME = 80
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
_IN_MARKDOWN = re.compile(r"!\[([^\[\]]*)\]\(\s*<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
# Two steps, because one expression for both takes hours for a long tag that does not end.
_IN_HTML = re.compile(r"<img\b([^<>]*+)>", re.IGNORECASE)
_SOURCE = re.compile(r"\bsrc\s*+=\s*+[\"']?([^\"'\s<>]+)", re.IGNORECASE)
_DATA = re.compile(r"data:image/[\w.+-]+;base64,([A-Za-z0-9+/=]*)")
_MARK = re.compile(r"!\[([^\[\]]*)\]\(picture:(\d{1,3})\)")  # a student may write one, too


@dataclass(frozen=True)
class AnswerPicture:
    """A picture as a data URL. It is a PNG, JPEG or GIF by its first bytes; no more of it was looked at."""

    url: str


class PictureCollector:
    """Collects the pictures of a submission's answers.

    Args:
        files: the pictures handed in beside the notebooks, by path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._pictures: list[AnswerPicture] = []
        self._left = _LARGEST_TOTAL

    def mark(self, text: str, attachments: Mapping[str, str]) -> str:
        """Return Markdown with a short mark for each picture.

        Args:
            text: the Markdown of a cell.
            attachments: the cell's attachments, base64 by name.
        """
        text = _IN_HTML.sub(_write_as_markdown, text)
        text = _IN_MARKDOWN.sub(lambda found: self._mark_one(found[1], found[2], attachments), text)
        return _DATA.sub("picture", text)

    def resolve(self, text: str) -> tuple[str, list[AnswerPicture]]:
        """Return a marked text with its pictures numbered from 1, and these pictures."""
        shown: dict[int, int] = {}

        def name(found: re.Match[str]) -> str:
            if int(found[2]) >= len(self._pictures):
                return found[0]
            return self._name(found[1], shown.setdefault(int(found[2]), len(shown) + 1))

        return _MARK.sub(name, text), [self._pictures[index] for index in shown]

    @staticmethod
    def strip(text: str) -> str:
        """Return a marked text without its pictures."""
        return _MARK.sub(" ", text)

    def _mark_one(self, name: str, target: str, attachments: Mapping[str, str]) -> str:
        encoded = self._find(target, attachments)
        if encoded is None:
            return f"![{name}]({target[:200]})"
        name = name[:_LONGEST_NAME]
        kind = _read_kind(encoded)
        if not kind or len(encoded) > min(LARGEST_PICTURE, self._left) or len(self._pictures) == _MOST:
            name = name or (target if target.startswith("attachment:") else "in the notebook")
            return f"[picture, not shown: {name[:_LONGEST_NAME].removeprefix('attachment:')}]"
        self._left -= len(encoded)
        self._pictures.append(AnswerPicture(f"data:image/{kind};base64,{encoded}"))
        return f"![{name}](picture:{len(self._pictures) - 1})"

    def _find(self, target: str, attachments: Mapping[str, str]) -> str | None:
        """Return a picture as base64, None if the target is somewhere else, such as on the web."""
        if inline := _DATA.match(target):
            return inline[1]
        if target.startswith("attachment:"):
            return attachments.get(unquote(target.removeprefix("attachment:")), "")
        data = self._files.get(unquote(target).removeprefix("./"))
        if data is None:
            return None
        return base64.b64encode(data).decode() if len(data) <= LARGEST_PICTURE else ""  # a text may name it often

    def _name(self, name: str, number: int) -> str:
        return f"[picture {number}: {name}]" if name else f"[picture {number}]"


def _write_as_markdown(tag: re.Match[str]) -> str:
    source = _SOURCE.search(tag[1])
    return f"![]({source[1]})" if source else tag[0]


def _read_kind(encoded: str) -> str:
    """Return the kind of a picture by its first bytes, "" for none that is shown."""
    try:
        start = base64.b64decode(encoded[:16], validate=True)
    except (binascii.Error, ValueError):
        return ""
    return next((kind for magic, kind in _KINDS.items() if start.startswith(magic)), "")
