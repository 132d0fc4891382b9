"""Hints to one item, in steps: where it goes wrong, what kind of mistake it is, the smallest case; never the solution.

A report tells an instructor everything at once. A student who checks their own work gets the same facts one by one:
each step is taken from the item's result, and holds neither code nor an expected tensor as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from grader.assignment import Item
from grader.results.report import ItemResult, Verdict

__all__ = ["Hint", "make_hints"]

_SMALLEST = "; the smallest input that goes wrong is "
_LARGEST_SHARE = 2e-4  # of a number in evidence, which is rounded


@dataclass(frozen=True)
class Hint:
    """One step: a few sentences, and what to show beside them (plain JSON values: inputs, and what was found)."""

    text: str
    shown: Mapping[str, Any] = field(default_factory=dict)


def make_hints(result: ItemResult, item: Item, chapter: str = "") -> tuple[Hint, ...]:
    """Return the hints to an item, the least telling one first; none where it is right or waits.

    Args:
        result: what the item came to.
        item: what the rubric says of it.
        chapter: the title of its section.
    """
    if result.verdict in (Verdict.PASSED, Verdict.PENDING):
        return ()
    section = f"section {result.section} ({chapter})" if chapter else f"section {result.section}"
    read = f"Read {section} again."
    if result.verdict is Verdict.ABSENT:
        return (Hint(f"{_sentence(result.message)} {read}"),)
    told = _told(result)
    kind = told.known or _kind(result, told.detail)
    steps = [Hint(f"{_where(result, item, told.detail)} {read}"), *([Hint(kind)] if kind else [])]
    if item.visible:
        steps.append(_smallest(result, told))
    return tuple(steps)


@dataclass(frozen=True)
class _Told:
    """A result's message, taken apart: the known mistake, what went wrong, and the same for the smallest case."""

    known: str
    detail: str
    smallest: str


def _told(result: ItemResult) -> _Told:
    known, rest = "", result.message
    if result.misconception is not None:
        known, mark, rest = result.message.partition(f" (section {result.section}). ")
        known = f"{known}." if mark else ""
    detail, _, smallest = rest.partition(_SMALLEST)
    case = str(result.evidence.get("case", ""))
    before, mark, after = detail.partition(f"first with {case}: ")
    return _Told(known, after if mark and before else detail, smallest)


def _where(result: ItemResult, item: Item, detail: str) -> str:
    if not item.visible:
        return _sentence(detail)
    cases, case = result.evidence.get("cases"), result.evidence.get("case")
    stops = "Stops with an error" if result.verdict is Verdict.ERROR else "Wrong"
    if isinstance(cases, Mapping) and case:
        wrong = int(cases["total"]) - int(cases["right"])
        return f"{stops} in {wrong} of {cases['total']} cases, first with {case}."
    return f"{stops if result.verdict is Verdict.ERROR else 'It is not right yet'}."


def _kind(result: ItemResult, detail: str) -> str:
    """Say what kind of mistake it is where no known one answers the same, "" where nothing can be said of it."""
    if result.verdict is Verdict.ERROR:
        return _sentence(detail)
    expected, found = result.evidence.get("expected"), result.evidence.get("found")
    if isinstance(found, Mapping) and isinstance(expected, Mapping) and "shape" in found:
        if list(found["shape"]) != list(expected["shape"]):
            return "The result does not have the right shape: count how many places there are in each direction."
        differing = [(right, wrong) for _, right, wrong in _entries(expected, found) if _differ(right, wrong)]
        if differing:
            return (
                f"The shape is right; {len(differing)} of its {len(list(_entries(expected, found)))} numbers are not."
            )
        return "The shape is right; numbers in it are not."
    if isinstance(expected, Mapping):
        return "What it gives is no tensor to compare: look at what it returns."
    if "stages" in result.evidence:
        return "The layers depart from the book's at one place: compare them one by one, from the input on."
    if isinstance(expected, int) and isinstance(found, int):
        return f"It has too {'many' if found > expected else 'few'}: {found:,}. Count them layer by layer."
    return ""


def _smallest(result: ItemResult, told: _Told) -> Hint:
    """Show the smallest case that is known, with what was found, and one entry of what was expected."""
    evidence = result.evidence.get("smallest", result.evidence)
    expected, found = evidence.get("expected"), evidence.get("found")
    shown = {name: evidence[name] for name in ("inputs", "found") if name in evidence}
    case = str(result.evidence.get("case", ""))
    what = told.smallest or (f"{case}: {told.detail}" if case and told.detail != case else told.detail)
    text = f"The smallest case found is {what}." if told.smallest else _sentence(what)
    if " at [" not in what and isinstance(expected, Mapping) and isinstance(found, Mapping):
        first = next((each for each in _entries(expected, found) if _differ(*each[1:])), None)
        if first is not None:
            index, right, wrong = first
            text += f" At {list(index)} it should be {right:.4g} and is {wrong:.4g}."
    return Hint(text, shown)


def _entries(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[tuple[int, ...], float, float]]:
    """Give each index with the numbers that two tensors of one shape have there, nothing where they are not known."""
    if expected.get("shape") == found.get("shape"):
        yield from _pairs(expected.get("values"), found.get("values"), ())


def _pairs(right: Any, wrong: Any, index: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], float, float]]:
    if isinstance(right, list) and isinstance(wrong, list):
        for number, pair in enumerate(zip(right, wrong, strict=False)):
            yield from _pairs(*pair, (*index, number))
    elif isinstance(right, int | float | str) and isinstance(wrong, int | float | str):
        # Numbers that are not finite are strings in evidence.
        yield index, float(right), float(wrong)


def _differ(right: float, wrong: float) -> bool:
    return not (abs(right - wrong) <= _LARGEST_SHARE * max(1.0, abs(right)) or right == wrong)


def _sentence(text: str) -> str:
    # As it begins: it may be with the name of a function.
    return text if text.endswith((".", "!", "?")) else f"{text}."
