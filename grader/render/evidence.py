"""Prepare evidence for display: each value as a line of text or as small matrices, with differences marked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from grader.render.symbols import RESULT, Symbol, read_symbols
from grader.render.text import sanitise_line

__all__ = ["CaseView", "Exhibit", "MatrixEntry", "make_exhibits", "read_cases", "read_number"]

_MAX_EXHIBITS = 12  # in a group
_MAX_ROWS = 12  # and columns
_MAX_DEPTH = 6
_TOLERANCE = 2e-4  # the numbers in evidence are rounded
_TENSOR_KEYS = {"shape", "dtype", "values"}
_UNUSUAL = {"nan", "inf", "-inf"}  # floats that JSON cannot write as numbers
_SAID_ELSEWHERE = {"awaits_person", "cases", "symbols"}  # in the message, and beside each value
_SMALLEST = "the smallest input that goes wrong"


@dataclass(frozen=True)
class MatrixEntry:
    """One entry of a matrix; `value` is its number, None if it is not a number."""

    text: str
    differs: bool = False
    value: float | None = None


@dataclass(frozen=True)
class Exhibit:
    """One value: its name, its shape or the value itself, and its entries if it is a matrix.

    `meaning` says what the name stands for and, for a part of a tensor, which part it is; "" if no words are given.
    """

    label: str
    text: str
    rows: tuple[tuple[MatrixEntry, ...], ...] = ()
    differs: bool = False
    meaning: str = ""


@dataclass(frozen=True)
class CaseView:
    """One case: its inputs, the expected and the actual result, and anything else; `label` says which case."""

    label: str
    text: str
    inputs: tuple[Exhibit, ...]
    expected: tuple[Exhibit, ...]
    found: tuple[Exhibit, ...]
    others: tuple[Exhibit, ...]


def make_exhibits(evidence: Mapping[str, Any]) -> tuple[tuple[Exhibit, ...], ...]:
    """Return the exhibits in an item's evidence, in groups to be shown side by side.

    The groups of a case are its text, its inputs, the expected and found results, and anything else. Entries of `found`
    that do not equal those of `expected` are marked as differing.
    """
    groups: list[tuple[Exhibit, ...]] = []
    for case in read_cases(evidence):
        results = [case.expected + case.found] if len(case.expected) == 1 else [case.expected, case.found]
        groups += [(Exhibit(case.label, case.text),) if case.text else (), case.inputs, *results, case.others]
    return tuple(group[:_MAX_EXHIBITS] for group in groups if group)


def read_cases(evidence: Mapping[str, Any]) -> tuple[CaseView, ...]:
    """Return the cases in an item's evidence: the smallest one, if any, before the case it was derived from."""
    if evidence.get("kind") == "discussion":  # a written answer, see `written`
        return ()
    symbols = read_symbols(evidence)
    rest = {name: value for name, value in evidence.items() if name not in _SAID_ELSEWHERE}
    cases = []
    if isinstance(rest.get("smallest"), Mapping):
        cases.append(_read_case("smallest", {"case": _SMALLEST, **rest.pop("smallest")}, symbols))
    return (*cases, _read_case("case", rest, symbols)) if rest else tuple(cases)


def read_number(value: Any) -> float | None:
    """Return a number as stored in JSON or a report, None if `value` is not one."""
    if isinstance(value, str) and value in _UNUSUAL:
        return float(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:  # Python's integers are unbounded
        return math.inf if value > 0 else -math.inf


def _read_case(label: str, evidence: Mapping[str, Any], symbols: Mapping[str, Symbol]) -> CaseView:
    rest = dict(evidence)
    text = _text(rest.pop("case")) if "case" in rest else ""
    named = rest.pop("inputs", {})
    named = named if isinstance(named, Mapping) else {"inputs": named}
    order = {name: number for number, name in enumerate(symbols)}
    inputs = sorted(named.items(), key=lambda entry: order.get(str(entry[0]), len(order)))
    expected = rest.pop("expected", None)
    return CaseView(
        label,
        text,
        inputs=_limit(
            exhibit
            for name, value in inputs
            for exhibit in _Shower(symbols, str(name)).show(sanitise_line(str(name)), value)
        ),
        expected=() if expected is None else _limit(_Shower(symbols, RESULT).show("expected", expected)),
        found=_limit(_Shower(symbols, RESULT).show("found", rest.pop("found"), expected)) if "found" in rest else (),
        others=_limit(
            exhibit for name, value in rest.items() for exhibit in _Shower(symbols, "").show(_make_label(name), value)
        ),
    )


def _limit(exhibits: Iterable[Exhibit]) -> tuple[Exhibit, ...]:
    return tuple(islice(exhibits, _MAX_EXHIBITS))


def _make_label(name: Any) -> str:
    return sanitise_line(str(name)).replace("_", " ")


@dataclass(frozen=True)
class _Shower:
    """Shows a value as exhibits, with the meaning of its name."""

    symbols: Mapping[str, Symbol]
    name: str

    def show(
        self, label: str, value: Any, expected: Any = None, depth: int = 0, *, is_first: bool = True
    ) -> Iterator[Exhibit]:
        """Yield an exhibit for each matrix in a value. Entries that do not equal the expected ones are marked.

        Only the first exhibit of a name says what the name stands for.
        """
        if _is_tensor(value):
            yield from self._show_tensor(label, value, expected if _is_tensor(expected) else None, is_first=is_first)
        elif depth < _MAX_DEPTH and _holds_tensors(value):
            is_named = isinstance(value, Mapping)
            for number, (name, entry) in enumerate(value.items() if is_named else enumerate(value)):
                own = is_named and str(name) in self.symbols
                shower = _Shower(self.symbols, str(name)) if own else self
                part, wanted = f"{label}[{sanitise_line(str(name))}]", _get_entry(expected, name)
                yield from shower.show(part, entry, wanted, depth + 1, is_first=own or (is_first and not number))
        else:
            comparable = expected is not None and not _is_tensor(expected)
            differs = comparable and _differ(value, expected)
            yield Exhibit(label, _text(value), differs=differs, meaning=self._explain(0, "", is_first=is_first))

    def _show_tensor(
        self, label: str, value: Mapping[str, Any], expected: Mapping[str, Any] | None, *, is_first: bool
    ) -> Iterator[Exhibit]:
        shape = _format_shape(value)
        same_shape = expected is None or _format_shape(expected) == shape
        dtype = f" {sanitise_line(value['dtype'])}" if isinstance(value.get("dtype"), str) else ""
        axes = len(value["shape"])
        grids = list(_split_into_matrices(value.get("values")))
        if not grids:
            meaning = self._explain(axes, "", is_first=is_first)
            yield Exhibit(label, shape + dtype, differs=not same_shape, meaning=meaning)
        others = dict(_split_into_matrices(expected.get("values"))) if expected and same_shape else {}
        for number, (index, grid) in enumerate(grids):
            rows = _make_rows(grid, others.get(index))
            of_one = len(grids) == 1  # all of the tensor, so that its indexes tell nothing
            meaning = self._explain(0 if of_one else axes, "" if of_one else index, is_first=is_first and not number)
            yield Exhibit(label + index, shape + dtype, rows, not same_shape, meaning)

    def _explain(self, axes: int, index: str, *, is_first: bool) -> str:
        symbol = self.symbols.get(self.name)
        if symbol is None:
            return ""
        is_plain_result = self.name == RESULT and not index  # which is a word already
        return symbol.describe(axes, index, with_words=is_first and not is_plain_result)


def _split_into_matrices(values: Any, index: str = "") -> Iterator[tuple[str, list[list[Any]]]]:
    """Split nested lists into matrices, and yield each with its index in the outer dimensions."""
    if values is None or index.count("[") > _MAX_DEPTH:
        return
    if not isinstance(values, list):
        yield index, [[values]]
    elif not any(isinstance(row, list) for row in values):
        yield index, [values]
    elif all(isinstance(row, list) and not any(isinstance(entry, list) for entry in row) for row in values):
        yield index, values
    else:
        for position, part in enumerate(values):
            yield from _split_into_matrices(part, f"{index}[{position}]")


def _make_rows(grid: list[list[Any]], expected: list[list[Any]] | None) -> tuple[tuple[MatrixEntry, ...], ...]:
    rows = []
    for i, row in enumerate(grid[:_MAX_ROWS]):
        others = expected[i] if expected and i < len(expected) else []
        entries = [
            MatrixEntry(_text(value), j < len(others) and _differ(value, others[j]), read_number(value))
            for j, value in enumerate(row[:_MAX_ROWS])
        ]
        rows.append((*entries, MatrixEntry("…")) if len(row) > _MAX_ROWS else tuple(entries))
    if len(grid) > _MAX_ROWS:
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


def _get_entry(values: Any, name: Any) -> Any:
    try:
        return values[name]
    except (KeyError, IndexError, TypeError):
        return None


def _format_shape(tensor: Mapping[str, Any]) -> str:
    sizes = [_text(size) for size in tensor["shape"]]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _text(value: Any) -> str:
    """Format a value on one line: numbers with six digits, lists and objects as in JSON."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return sanitise_line(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{sanitise_line(str(name))}: {_text(entry)}" for name, entry in value.items())
    return sanitise_line(json.dumps(value, ensure_ascii=False, default=str))
