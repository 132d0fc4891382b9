"""Written answers of students, as plain text, because Markdown may contain anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from grader.render.text import sanitise_line, sanitise_text

__all__ = ["WrittenAnswer", "read_written_answer"]

_MAX_LENGTH = 25_000  # more than evidence holds
_MAX_CELLS = 100
_MAX_PICTURES = 40
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/]{4,1000000}={0,2}")


@dataclass(frozen=True)
class WrittenAnswer:
    """A text, its cells in words, one entry for each notebook, and its pictures as data URLs."""

    text: Markup
    places: tuple[str, ...]
    pictures: tuple[Markup, ...] = ()


def read_written_answer(evidence: Mapping[str, Any]) -> WrittenAnswer | None:
    """Return the written answer in an item's evidence, None if there is none."""
    text, cells = evidence.get("text"), evidence.get("cells")
    if evidence.get("kind") != "discussion" or not isinstance(text, str) or not text.strip():
        return None
    by_file: dict[str, list[str]] = {}
    for place in cells[:_MAX_CELLS] if isinstance(cells, list) else ():
        if isinstance(place, Mapping):
            by_file.setdefault(sanitise_line(str(place.get("file", ""))), []).append(
                sanitise_line(str(place.get("cell", "")))
            )
    places = (f"{file}, {'cell' if len(own) == 1 else 'cells'} {', '.join(own)}" for file, own in by_file.items())
    pictures = evidence.get("pictures")
    urls = [url for url in pictures if isinstance(url, str)] if isinstance(pictures, list) else []
    # Markup, because templates shorten plain text; nothing in such a URL can end an attribute.
    shown = tuple(Markup(url) for url in urls[:_MAX_PICTURES] if _PICTURE.fullmatch(url))
    # Escaped here, because templates shorten plain text much more.
    return WrittenAnswer(escape(sanitise_text(text, _MAX_LENGTH)), tuple(places), shown)
