"""The cells of a submission as they were handed in, bounded, for pages that show code beside its result."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["SourceCell", "Sources", "collect_sources", "pack_sources", "unpack_sources"]

_MAX_CELL = 20_000  # characters
_MAX_TOTAL = 1_000_000  # characters of a submission
_MAX_CELLS = 2000  # of a notebook


@dataclass(frozen=True)
class SourceCell:
    """One cell: `kind` is code, markdown or raw, and `text` its source, cut if it is long."""

    kind: str
    text: str


# By the name of the notebook, in the order of its cells.
Sources: TypeAlias = Mapping[str, tuple[SourceCell, ...]]


def collect_sources(notebooks: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> Sources:
    """Return the cells of notebooks within bounds.

    Args:
        notebooks: the name of each, and the kind and the source of each of its cells.
    """
    left = _MAX_TOTAL
    sources: dict[str, tuple[SourceCell, ...]] = {}
    for name, cells in notebooks:
        kept: list[SourceCell] = []
        for kind, text in cells:
            if len(kept) == _MAX_CELLS:
                break
            shown = text if len(text) <= min(_MAX_CELL, left) else text[: min(_MAX_CELL, left)] + "\n…"
            left -= min(len(text), len(shown))
            kept.append(SourceCell(kind, shown))
        sources[name] = tuple(kept)
    return sources


def pack_sources(sources: Sources) -> str:
    """Return cells as JSON."""
    return json.dumps({name: [[cell.kind, cell.text] for cell in cells] for name, cells in sources.items()})


def unpack_sources(text: str) -> Sources:
    """Return the cells that `pack_sources` packed."""
    return {name: tuple(SourceCell(*cell) for cell in cells) for name, cells in json.loads(text).items()}
