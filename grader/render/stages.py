"""The output shape of each layer of a network, expected and found, and the first layer that differs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.render.text import sanitise_line

__all__ = ["LayerRow", "read_stages"]

_MAX_STAGES = 64
_CUT = "…"  # where evidence was cut


@dataclass(frozen=True)
class LayerRow:
    """One layer; `widths` are the expected and found channels, in percent of the widest layer."""

    layer: str
    expected: str
    found: str
    differs: bool = False
    is_first: bool = False  # the first that differs
    widths: tuple[int, int] | None = None  # None if neither has channels, as after flattening


def read_stages(evidence: Mapping[str, Any]) -> tuple[LayerRow, ...]:
    """Return the layers in an item's evidence, an empty tuple if there are none."""
    stages = evidence.get("stages")
    if not isinstance(stages, list):
        return ()
    rows = [row for row in stages[:_MAX_STAGES] if isinstance(row, Mapping)]
    most = max((_count_channels(row.get(side)) for row in rows for side in ("expected", "found")), default=0)
    layers: list[LayerRow] = []
    for row in rows:
        expected, found = row.get("expected"), row.get("found")
        differs = expected != found and not (_is_cut(expected) or _is_cut(found))
        is_first = differs and not any(other.differs for other in layers)
        widths = (_percent(_count_channels(expected), most), _percent(_count_channels(found), most))
        layer = sanitise_line(str(row.get("layer", "")))
        shapes = _format_shape(expected), _format_shape(found)
        layers.append(LayerRow(layer, *shapes, differs, is_first, widths if any(widths) else None))
    if layers and len(stages) > len(layers):
        layers.append(LayerRow(_CUT, _CUT, _CUT))
    return tuple(layers)


def _count_channels(shape: Any) -> int:
    """Return the channels of (channels, height, width), with or without a batch dimension in front; else 0."""
    if not isinstance(shape, list) or len(shape) < 3:
        return 0
    count = shape[-3]
    return count if isinstance(count, int) and count > 0 else 0


def _percent(count: int, most: int) -> int:
    """Return a percentage, rounded up so that only 0 has no width. Uses integers: a student's numbers may be huge."""
    return -(-100 * count // most) if most else 0


def _is_cut(shape: Any) -> bool:
    return shape == _CUT or (isinstance(shape, list) and _CUT in shape)


def _format_shape(shape: Any) -> str:
    if shape is None:
        return "nothing"
    return sanitise_line("x".join(map(str, shape)) if isinstance(shape, list) else str(shape))
