"""Hints to one item in steps: where it goes wrong, what kind of mistake it is, the smallest case; never the solution.

A report tells an instructor everything at once. A student who checks their own work gets the same facts one by one.
Each step is derived from the item's result, and has neither code nor a whole expected tensor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grader.assignment import Item
from grader.results.report import ItemResult, Verdict

__all__ = ["Hint", "make_hints"]

_SMALLEST = "; the smallest input that goes wrong is "
_NO_END = "did not end within "
_ABOUT_THE_BODY = ("is not written yet", "is not finished", "has no return statement", "returns nothing")
_TOLERANCE = 2e-4  # relative, because numbers in evidence are rounded


@dataclass(frozen=True)
class Hint:
    """One step: a few sentences, and what to show with them (plain JSON values: inputs, the student's result)."""

    text: str
    shown: Mapping[str, Any] = field(default_factory=dict)


def make_hints(result: ItemResult, item: Item, chapter: str = "") -> tuple[Hint, ...]:
    """Return the hints to an item, the most general one first; empty if the item is passed or pending.

    Args:
        result: the result of the item.
        item: the item in the rubric.
        chapter: the title of its section.
    """
    if result.verdict in (Verdict.PASSED, Verdict.PENDING):
        return ()
    if result.because_of is not None:
        return (Hint(f"{_sentence(result.reason)} Mend that first."),)
    section = f"section {result.section} ({chapter})" if chapter else f"section {result.section}"
    read = f"Read {section} again."
    if result.verdict is Verdict.ABSENT:
        return (Hint(f"{_sentence(result.message)} {read}"),)
    message = _parse_message(result)
    place = _describe_place(result, item, message.detail)
    kind = message.known or _describe_kind(result, message.detail)
    steps = [Hint(f"{place} {read}"), *([Hint(kind)] if kind and kind != place else [])]
    if item.visible:
        steps.append(_show_smallest(result, message))
    return tuple(steps)


@dataclass(frozen=True)
class _ParsedMessage:
    """The parts of a result's message: the known mistake, what went wrong, and the same for the smallest case."""

    known: str
    detail: str
    smallest: str


def _parse_message(result: ItemResult) -> _ParsedMessage:
    known, rest = "", result.message
    if result.misconception is not None:
        known, mark, rest = result.message.partition(f" (section {result.section}). ")
        known = f"{known}." if mark else ""
    detail, _, smallest = rest.partition(_SMALLEST)
    case = str(result.evidence.get("case", ""))
    before, mark, after = detail.partition(f"first with {case}: ")
    return _ParsedMessage(known, after if mark and before else detail, smallest)


def _describe_place(result: ItemResult, item: Item, detail: str) -> str:
    if not item.visible:
        return _sentence(detail)
    cases, case = result.evidence.get("cases"), result.evidence.get("case")
    if case is None and any(words in detail for words in _ABOUT_THE_BODY):
        return _sentence(detail)
    stops = "Stops with an error" if result.verdict is Verdict.ERROR else "Wrong"
    if _NO_END in detail:
        stops = "Does not end in time"
    if isinstance(cases, Mapping) and case:
        wrong = int(cases["total"]) - int(cases["right"])
        return f"{stops} in {wrong} of {cases['total']} cases, first with {case}."
    return f"{stops if result.verdict is Verdict.ERROR else 'It is not right yet'}."


def _describe_kind(result: ItemResult, detail: str) -> str:
    """Return what kind of mistake it is if it is none of the known ones; "" if nothing can be said about it."""
    if result.verdict is Verdict.ERROR:
        return _sentence(detail)
    expected, found = result.evidence.get("expected"), result.evidence.get("found")
    if isinstance(found, Mapping) and isinstance(expected, Mapping) and "shape" in found:
        if list(found["shape"]) != list(expected["shape"]):
            return "The result does not have the right shape: count the positions in each direction."
        differing = [(right, wrong) for _, right, wrong in _entries(expected, found) if _differ(right, wrong)]
        if differing:
            return (
                f"The shape is right; {len(differing)} of its {len(list(_entries(expected, found)))} numbers are not."
            )
        return "The shape is right; numbers in it are not."
    if isinstance(expected, Mapping):
        return "The result is not a tensor that can be compared: look at what is returned."
    if "stages" in result.evidence:
        return "The layers differ from the book's in one place: compare them one by one, starting at the input."
    if isinstance(expected, int) and isinstance(found, int):
        return f"It has too {'many' if found > expected else 'few'}: {found:,}. Count them layer by layer."
    return ""


def _show_smallest(result: ItemResult, message: _ParsedMessage) -> Hint:
    """Return the smallest known case with the student's result and one expected entry."""
    evidence = result.evidence.get("smallest", result.evidence)
    expected, found = evidence.get("expected"), evidence.get("found")
    shown = {name: evidence[name] for name in ("inputs", "found") if name in evidence}
    if shown and "symbols" in result.evidence:
        shown["symbols"] = result.evidence["symbols"]
    case = str(result.evidence.get("case", ""))
    detail = message.detail
    what = message.smallest or (f"{case}: {detail}" if case and detail != case else detail)
    text = f"The smallest case found is {what}." if message.smallest else _sentence(what)
    if " at [" not in what and isinstance(expected, Mapping) and isinstance(found, Mapping):
        first = next((entry for entry in _entries(expected, found) if _differ(*entry[1:])), None)
        if first is not None:
            index, right, wrong = first
            text += f" At {list(index)} it should be {right:.4g} and is {wrong:.4g}."
    return Hint(text, shown)


def _entries(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Yield each index with the numbers of two tensors there; nothing if shapes differ or values are unknown."""
    if expected.get("shape") == found.get("shape"):
        yield from _pairs(expected.get("values"), found.get("values"), ())


def _pairs(right: Any, wrong: Any, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], float, float]]:
    if isinstance(right, list) and isinstance(wrong, list):
        for number, pair in enumerate(zip(right, wrong, strict=False)):
            yield from _pairs(*pair, (*index, number))
    elif isinstance(right, int | float | str) and isinstance(wrong, int | float | str):
        # Evidence has numbers that are not finite as strings.
        yield index, float(right), float(wrong)


def _differ(right: float, wrong: float) -> bool:
    return not (abs(right - wrong) <= _TOLERANCE * max(1.0, abs(right)) or right == wrong)


def _sentence(text: str) -> str:
    # Do not capitalise it: it may begin with the name of a function.
    return text if text.endswith((".", "!", "?")) else f"{text}."
