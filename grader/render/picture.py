"""Draw matrices as heat maps: each entry has a tint, from far below 0 to far above it, which CSS maps to a colour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from grader.render.curves import remove_curves
from grader.render.evidence import Exhibit, MatrixEntry, read_cases
from grader.render.stages import read_stages

__all__ = ["STEPS", "Picture", "PictureCell", "Scene", "make_scenes"]

STEPS = 6  # tints on either side of 0
_PLACES = 4  # decimals, as in evidence


@dataclass(frozen=True)
class PictureCell:
    """One entry: its text, the name of its tint ("" if it is not a number), and whether it is marked."""

    text: str
    tint: str
    differs: bool


@dataclass(frozen=True)
class Picture:
    """One drawn value; `spoken` describes the picture in words."""

    label: str
    text: str
    spoken: str
    rows: tuple[tuple[PictureCell, ...], ...]
    differs: bool
    wanted: bool = False  # the expected value beside one that differs
    meaning: str = ""


@dataclass(frozen=True)
class Scene:
    """One case; each group of `results` holds the expected value, the found value and their difference."""

    label: str
    text: str
    inputs: tuple[Picture, ...]
    results: tuple[tuple[Picture, ...], ...]
    others: tuple[Picture, ...]

    @property
    def is_tinted(self) -> bool:
        """Whether a cell has a colour, which needs a legend."""
        groups = (self.inputs, *self.results, self.others)
        return any(cell.tint for group in groups for picture in group for row in picture.rows for cell in row)


def make_scenes(evidence: Mapping[str, Any]) -> tuple[Scene, ...]:
    """Return the pictures of an item's evidence, case by case, without stages and curves, which other modules draw."""
    rest = remove_curves(evidence)
    rest = {name: value for name, value in rest.items() if name != "stages" or not read_stages(evidence)}
    return tuple(
        Scene(
            case.label,
            case.text,
            _draw_by_name(case.inputs),
            tuple(_draw_results(case.expected, case.found)),
            _draw_by_name(case.others),
        )
        for case in read_cases(rest)
    )


def _draw_by_name(exhibits: Sequence[Exhibit]) -> tuple[Picture, ...]:
    """Draw values that are not compared, with one scale for all matrices of a tensor."""
    tensors = groupby(exhibits, key=lambda exhibit: exhibit.label.partition("[")[0])
    return tuple(picture for _, matrices in tensors for picture in _draw(tuple(matrices)))


def _draw_results(expected: Sequence[Exhibit], found: Sequence[Exhibit]) -> Iterator[tuple[Picture, ...]]:
    """Draw expected and found values side by side on one scale, and their difference on another."""
    pictures = _draw((*expected, *found))
    left, right = pictures[: len(expected)], pictures[len(expected) :]
    if [exhibit.label.removeprefix("expected") for exhibit in expected] != [
        exhibit.label.removeprefix("found") for exhibit in found
    ]:
        if any(picture.differs for picture in right):
            left = [replace(picture, wanted=True) for picture in left]
        yield from (tuple(group) for group in ([left + right] if len(left) == 1 else [left, right]) if group)
        return
    differences = [_subtract(*pair) for pair in zip(expected, found, strict=True)]
    maps = iter(_draw([exhibit for exhibit in differences if exhibit]))
    for expected_picture, picture, difference in zip(left, right, differences, strict=True):
        pair = (replace(expected_picture, wanted=picture.differs), picture)
        yield (*pair, next(maps)) if difference else pair


def _subtract(expected: Exhibit, found: Exhibit) -> Exhibit | None:
    """Subtract one matrix from another. Return None unless both are matrices of numbers with the same shape."""
    if found.differs or [len(row) for row in expected.rows] != [len(row) for row in found.rows]:
        return None
    rows = tuple(
        tuple(_subtract_entry(*pair) for pair in zip(after, before, strict=True))
        for after, before in zip(found.rows, expected.rows, strict=True)
    )
    if all(entry.value is None for row in rows for entry in row):
        return None
    return Exhibit(found.label.replace("found", "difference", 1), "found - expected", rows)


def _subtract_entry(found: MatrixEntry, expected: MatrixEntry) -> MatrixEntry:
    """Subtract one entry from another. Entries that count as equal differ by 0, although evidence is rounded."""
    if found.value is None or expected.value is None:
        return MatrixEntry("…")
    value = round(found.value - expected.value, _PLACES) if found.differs else 0.0
    return MatrixEntry("0" if not value else "nan" if math.isnan(value) else f"{value:+.6g}", value=value)


def _draw(exhibits: Sequence[Exhibit]) -> list[Picture]:
    """Draw exhibits on one symmetric scale: 0 has no tint, and the number farthest from it the strongest."""
    entries = [entry for exhibit in exhibits for row in exhibit.rows for entry in row]
    largest = max((abs(e.value) for e in entries if e.value is not None and math.isfinite(e.value)), default=0.0)
    return [
        Picture(
            exhibit.label,
            exhibit.text,
            _describe(exhibit),
            tuple(tuple(PictureCell(e.text, _tint(e.value, largest), e.differs) for e in row) for row in exhibit.rows),
            exhibit.differs,
            meaning=exhibit.meaning,
        )
        for exhibit in exhibits
    ]


def _tint(value: float | None, largest: float) -> str:
    if value is None:
        return ""
    if not math.isfinite(value):
        return "unusual"
    step = round(STEPS * (abs(value) / largest)) if largest else 0  # in this order it cannot overflow
    return f"{'above' if value > 0 else 'below'}-{step}" if step else "zero"


def _describe(exhibit: Exhibit) -> str:
    marked = [entry.differs for row in exhibit.rows for entry in row]
    differing = f"{sum(marked)} of {len(marked)} entries differ" if any(marked) else ""
    return ", ".join(part for part in (exhibit.label, exhibit.meaning, exhibit.text, differing) if part)
