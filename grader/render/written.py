"""Written answers of students, formatted, in reports and where they are marked alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from grader.render.student_markdown import render_student_markdown

__all__ = ["WrittenAnswer", "read_written_answer"]

_HEADINGS = 2  # levels by which those of an answer stand lower: pages name the item on the first two
_MAX_CELLS = 100
_MAX_PICTURES = 40
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif);base64,[A-Za-z0-9+/]{4,1000000}={0,2}")


@dataclass(frozen=True)
class WrittenAnswer:
    """A text, each of its notebooks with the indexes of its cells, and its pictures as data URLs."""

    text: Markup
    places: tuple[tuple[str, tuple[int, ...]], ...]
    pictures: tuple[Markup, ...] = ()


def read_written_answer(evidence: Mapping[str, Any]) -> WrittenAnswer | None:
    """Return the written answer in an item's evidence, None if there is none."""
    text, cells = evidence.get("text"), evidence.get("cells")
    if evidence.get("kind") != "discussion" or not isinstance(text, str) or not text.strip():
        return None
    by_file: dict[str, list[int]] = {}
    for place in cells[:_MAX_CELLS] if isinstance(cells, list) else ():
        if isinstance(place, Mapping) and isinstance(place.get("cell"), int):
            by_file.setdefault(str(place.get("file", "")), []).append(place["cell"])
    places = ((file, tuple(own)) for file, own in by_file.items())
    pictures = evidence.get("pictures")
    urls = [url for url in pictures if isinstance(url, str)] if isinstance(pictures, list) else []
    # Markup, because templates shorten plain text; nothing in such a URL can end an attribute.
    shown = tuple(Markup(url) for url in urls[:_MAX_PICTURES] if _PICTURE.fullmatch(url))
    return WrittenAnswer(render_student_markdown(text, {}, lowered_by=_HEADINGS), tuple(places), shown)
