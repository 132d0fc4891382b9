"""What each layer of a network gives, expected beside found, and from which layer on they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.render.text import sanitise_line

__all__ = ["LayerRow", "read_stages"]

_MOST_STAGES = 64
_CUT = "…"  # stands where evidence was cut, and tells nothing


@dataclass(frozen=True)
class LayerRow:
    """One layer; `widths` are how many channels are expected and found, in percent of the most that any layer has."""

    layer: str
    expected: str
    found: str
    differs: bool = False
    is_first: bool = False  # of those that differ
    widths: tuple[int, int] | None = None  # None where neither has channels, as after a flattening


def read_stages(evidence: Mapping[str, Any]) -> tuple[LayerRow, ...]:
    """Return the layers that evidence tells of, none where it tells of none."""
    told = evidence.get("stages")
    if not isinstance(told, list):
        return ()
    rows = [row for row in told[:_MOST_STAGES] if isinstance(row, Mapping)]
    most = max((_channels(row.get(side)) for row in rows for side in ("expected", "found")), default=0)
    drawn: list[LayerRow] = []
    for row in rows:
        expected, found = row.get("expected"), row.get("found")
        differs = expected != found and not (_is_cut(expected) or _is_cut(found))
        is_first = differs and not any(stage.differs for stage in drawn)
        widths = (_percent(_channels(expected), most), _percent(_channels(found), most))
        layer = sanitise_line(str(row.get("layer", "")))
        drawn.append(
            LayerRow(layer, _shape(expected), _shape(found), differs, is_first, widths if any(widths) else None)
        )
    if drawn and len(told) > len(drawn):
        drawn.append(LayerRow(_CUT, _CUT, _CUT))
    return tuple(drawn)


def _channels(shape: Any) -> int:
    """Count the channels of (channels, height, width); a batch before them does not matter."""
    if not isinstance(shape, list) or len(shape) < 3:
        return 0
    count = shape[-3]
    return count if isinstance(count, int) and count > 0 else 0


def _percent(count: int, most: int) -> int:
    """Round up, so that only nothing has no width; in integers, which a student's process may have made huge."""
    return -(-100 * count // most) if most else 0


def _is_cut(shape: Any) -> bool:
    return shape == _CUT or (isinstance(shape, list) and _CUT in shape)


def _shape(shape: Any) -> str:
    if shape is None:
        return "nothing"
    return sanitise_line("x".join(map(str, shape)) if isinstance(shape, list) else str(shape))
