"""What a student wrote for a person to read: as plain text, because Markdown may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from grader.render.text import sanitise_line, sanitise_text

__all__ = ["WrittenAnswer", "read_written_answer"]

_LONGEST = 25_000  # more than evidence holds
_MOST_CELLS = 100


@dataclass(frozen=True)
class WrittenAnswer:
    """A text, and the cells that it is from in words, a notebook each."""

    text: Markup
    places: tuple[str, ...]


def read_written_answer(evidence: Mapping[str, Any]) -> WrittenAnswer | None:
    """Return what evidence has for a person to read, None where it has nothing of the kind."""
    text, cells = evidence.get("text"), evidence.get("cells")
    if evidence.get("kind") != "discussion" or not isinstance(text, str) or not text.strip():
        return None
    by_file: dict[str, list[str]] = {}
    for place in cells[:_MOST_CELLS] if isinstance(cells, list) else ():
        if isinstance(place, Mapping):
            by_file.setdefault(sanitise_line(str(place.get("file", ""))), []).append(
                sanitise_line(str(place.get("cell", "")))
            )
    places = (f"{file}, {'cell' if len(found) == 1 else 'cells'} {', '.join(found)}" for file, found in by_file.items())
    # Escaped here: what templates write themselves they cut much earlier.
    return WrittenAnswer(escape(sanitise_text(text, _LONGEST)), tuple(places))
