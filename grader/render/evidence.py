"""Evidence made ready to be shown: each value as a line of text or as small matrices, with what differs marked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from grader.render.text import sanitise_line

__all__ = ["CaseView", "Exhibit", "MatrixEntry", "make_exhibits", "read_cases", "read_number"]

_MOST_EXHIBITS = 12  # in a group
_MOST_ROWS = 12  # and columns
_DEEPEST = 6
_TOLERANCE = 2e-4  # evidence is rounded
_TENSOR_KEYS = {"shape", "dtype", "values"}
_UNUSUAL = {"nan", "inf", "-inf"}  # numbers for which JSON has no number
_SMALLEST = "the smallest input that goes wrong"


@dataclass(frozen=True)
class MatrixEntry:
    """One entry of a matrix; `value` is its number, None where it is none."""

    text: str
    differs: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Exhibit:
    """One value: its name, what it is, and its entries where they are shown."""

    label: str
    text: str
    rows: tuple[tuple[MatrixEntry, ...], ...] = ()
    differs: bool = False


@dataclass(frozen=True)
class CaseView:
    """What went in, what should have come out, what came out, and whatever else is known; `label` says which case."""

    label: str
    text: str
    inputs: tuple[Exhibit, ...]
    expected: tuple[Exhibit, ...]
    found: tuple[Exhibit, ...]
    others: tuple[Exhibit, ...]


def make_exhibits(evidence: Mapping[str, Any]) -> tuple[tuple[Exhibit, ...], ...]:
    """Return what an item's evidence shows, in groups that belong side by side.

    These are, of each case, its text, its inputs, what was expected and found, and all else. Entries of `found` that
    are not those of `expected` are marked as differing.
    """
    groups: list[tuple[Exhibit, ...]] = []
    for case in read_cases(evidence):
        results = [case.expected + case.found] if len(case.expected) == 1 else [case.expected, case.found]
        groups += [(Exhibit(case.label, case.text),) if case.text else (), case.inputs, *results, case.others]
    return tuple(group[:_MOST_EXHIBITS] for group in groups if group)


def read_cases(evidence: Mapping[str, Any]) -> tuple[CaseView, ...]:
    """Return the cases that an item's evidence shows: the smallest, where there is one, before the one it came from."""
    if evidence.get("kind") == "discussion":  # for a person to read: see `written`
        return ()
    rest = dict(evidence)
    found = []
    if isinstance(rest.get("smallest"), Mapping):
        found.append(_case("smallest", {"case": _SMALLEST, **rest.pop("smallest")}))
    return (*found, _case("case", rest)) if rest else tuple(found)


def read_number(value: Any) -> float | None:
    """Return a number as JSON or a report has it, None for what is none."""
    if isinstance(value, str) and value in _UNUSUAL:
        return float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # Python's integers have no largest
        return math.inf if value > 0 else -math.inf


def _case(label: str, evidence: Mapping[str, Any]) -> CaseView:
    rest = dict(evidence)
    text = _text(rest.pop("case")) if "case" in rest else ""
    named = rest.pop("inputs", {})
    named = named if isinstance(named, Mapping) else {"inputs": named}
    right = rest.pop("expected", None)
    return CaseView(
        label,
        text,
        inputs=_few(shown for name, value in named.items() for shown in _shown(sanitise_line(str(name)), value)),
        expected=() if right is None else _few(_shown("expected", right)),
        found=_few(_shown("found", rest.pop("found"), right)) if "found" in rest else (),
        others=_few(shown for name, value in rest.items() for shown in _shown(_words(name), value)),
    )


def _few(shown: Iterable[Exhibit]) -> tuple[Exhibit, ...]:
    return tuple(islice(shown, _MOST_EXHIBITS))


def _words(name: Any) -> str:
    return sanitise_line(str(name)).replace("_", " ")


def _shown(label: str, value: Any, expected: Any = None, depth: int = 0) -> Iterator[Exhibit]:
    if _is_tensor(value):
        yield from _tensor(label, value, expected if _is_tensor(expected) else None)
    elif depth < _DEEPEST and _holds_tensors(value):
        named = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, entry in named:
            yield from _shown(f"{label}[{sanitise_line(str(name))}]", entry, _entry(expected, name), depth + 1)
    else:
        comparable = expected is not None and not _is_tensor(expected)
        yield Exhibit(label, _text(value), differs=comparable and _differ(value, expected))


def _tensor(label: str, value: Mapping[str, Any], expected: Mapping[str, Any] | None) -> Iterator[Exhibit]:
    shape = _shape(value)
    same_shape = expected is None or _shape(expected) == shape
    dtype = f" {sanitise_line(value['dtype'])}" if isinstance(value.get("dtype"), str) else ""
    grids = list(_grids(value.get("values")))
    if not grids:
        yield Exhibit(label, shape + dtype, differs=not same_shape)
    others = dict(_grids(expected.get("values"))) if expected and same_shape else {}
    for index, grid in grids:
        yield Exhibit(label + index, shape + dtype, _rows(grid, others.get(index)), not same_shape)


def _grids(values: Any, index: str = "") -> Iterator[tuple[str, list[list[Any]]]]:
    """Cut nested lists into matrices, each with the index it has among the outer dimensions."""
    if values is None or index.count("[") > _DEEPEST:
        return
    if not isinstance(values, list):
        yield index, [[values]]
    elif not any(isinstance(row, list) for row in values):
        yield index, [values]
    elif all(isinstance(row, list) and not any(isinstance(entry, list) for entry in row) for row in values):
        yield index, values
    else:
        for position, part in enumerate(values):
            yield from _grids(part, f"{index}[{position}]")


def _rows(grid: list[list[Any]], expected: list[list[Any]] | None) -> tuple[tuple[MatrixEntry, ...], ...]:
    rows = []
    for i, row in enumerate(grid[:_MOST_ROWS]):
        others = expected[i] if expected and i < len(expected) else []
        entries = [
            MatrixEntry(_text(value), j < len(others) and _differ(value, others[j]), read_number(value))
            for j, value in enumerate(row[:_MOST_ROWS])
        ]
        rows.append((*entries, MatrixEntry("…")) if len(row) > _MOST_ROWS else tuple(entries))
    if len(grid) > _MOST_ROWS:
        rows.append(tuple(MatrixEntry("…") for _ in rows[0]))
    return tuple(rows)


def _differ(found: Any, expected: Any) -> bool:
    a, b = read_number(found), read_number(expected)
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return bool(found != expected)
    return not abs(a - b) <= _TOLERANCE * max(1.0, abs(b))


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("shape"), Sequence) and value.keys() <= _TENSOR_KEYS


def _holds_tensors(value: Any) -> bool:
    entries = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return any(_is_tensor(entry) or _holds_tensors(entry) for entry in entries)


def _entry(values: Any, name: Any) -> Any:
    try:
        return values[name]
    except (KeyError, IndexError, TypeError):
        return None


def _shape(tensor: Mapping[str, Any]) -> str:
    sizes = [_text(size) for size in tensor["shape"]]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _text(value: Any) -> str:
    """Write a value on one line: numbers shortly, names and numbers in lists and objects as JSON has them."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return sanitise_line(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{sanitise_line(str(name))}: {_text(entry)}" for name, entry in value.items())
    return sanitise_line(json.dumps(value, ensure_ascii=False, default=str))
