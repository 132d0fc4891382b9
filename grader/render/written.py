"""Written answers of students, as plain text, because Markdown may contain anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from grader.render.text import sanitise_line, sanitise_text

__all__ = ["WrittenAnswer", "read_written_answer"]

_MAX_LENGTH = 25_000  # more than evidence holds
_MAX_CELLS = 100


@dataclass(frozen=True)
class WrittenAnswer:
    """A text, and its cells in words, one entry for each notebook."""

    text: Markup
    places: tuple[str, ...]


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
    # Escaped here, because templates shorten plain text much more.
    return WrittenAnswer(escape(sanitise_text(text, _MAX_LENGTH)), tuple(places))
