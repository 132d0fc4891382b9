"""Read a bundle, and judge a notebook's definitions with its recorded cases."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from grader.authoring.bundling.check.cells import TimeUp, limit_time_and_output
from grader.authoring.bundling.check.replay import Replay, Unclear, Wrong

__all__ = ["CASES", "Bundle", "ItemCheck", "WrongCase", "fingerprint_mistake", "judge_change"]

CASES = "cases.json"

_ROUNDING = 1e-4  # two implementations of the same mistake differ by less


@dataclass(frozen=True)
class ItemCheck:
    """The result for one item.

    Attributes:
        item: the item's id.
        section: the section of the book.
        verdict: "right", "wrong", "unclear" (it cannot be judged here) or "absent".
        where: in how many cases it goes wrong, and the first of them.
        why: what goes wrong, or why there is no verdict.
        shown: the inputs of the first case that goes wrong, and the student's result.
        cell: the cell with the definition.
    """

    item: str
    section: str
    verdict: str
    where: str = ""
    why: str = ""
    shown: Sequence[tuple[str, Any]] = ()
    cell: int | None = None


@dataclass(frozen=True)
class WrongCase:
    """A case that goes wrong: its number, the inputs of the question that failed, and the student's result."""

    number: int
    description: str
    inputs: Sequence[Any]
    why: str
    found: Any = None


@dataclass(frozen=True)
class Bundle:
    """The recorded cases of an assignment.

    Attributes:
        title: the assignment's title.
        items: the items, as they are stored.
        left_out: the items that only the course's grader can judge, each with the reason.
    """

    title: str
    items: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read a bundle from its zip or its folder."""
        name = f"check/{CASES}"
        if path.is_dir():
            return cls.from_json((path / name).read_text(encoding="utf-8"))
        with zipfile.ZipFile(path) as archive:
            return cls.from_json(archive.read(name).decode("utf-8"))

    @classmethod
    def from_json(cls, text: str) -> Bundle:
        """Return the bundle stored as JSON in `text`."""
        content = json.loads(text)
        return cls(content["title"], content["items"], content["left_out"])

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the definitions that can be checked."""
        return tuple(dict.fromkeys(item["names"][0] for item in self.items))

    @property
    def used(self) -> tuple[str, ...]:
        """All names that the items use."""
        return tuple(dict.fromkeys(name for item in self.items for name in item["names"]))

    def judge(self, names: Mapping[str, Any], *changed: str, seconds: float = 60) -> Iterator[ItemCheck]:
        """Judge the items that use one of the changed names.

        Args:
            names: the notebook's definitions by name.
            changed: the names that changed.
            seconds: the time limit for each case.
        """
        for item in self.items:
            if item["names"][0] in names and set(item["names"]) & set(changed):
                yield _judge_item(item, names, seconds)


def judge_change(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> tuple[list[WrongCase], str]:
    """Run an item's cases. Return those that go wrong, and why there is no verdict ("" if there is one).

    Args:
        item: the item, as it is stored.
        names: the notebook's definitions by name.
        seconds: the time limit for each case.
    """
    wrong = []
    for number, case in enumerate(item["cases"]):
        replay = Replay(names)
        try:
            with limit_time_and_output(seconds):
                for step in case["steps"]:
                    replay.ask(step)
        except Wrong as mismatch:
            wrong.append(WrongCase(number, case["description"], replay.inputs, str(mismatch), mismatch.found))
        except TimeUp:
            slow = f"takes more than {seconds:g} seconds"
            return [*wrong, WrongCase(number, case["description"], replay.inputs, slow)], ""
        except Unclear as reason:
            return wrong, str(reason)
    return wrong, ""


def fingerprint_mistake(wrong: Sequence[WrongCase]) -> list[Any]:
    """Return what distinguishes one mistake from another: the number of each wrong case, and two sums of its result."""
    return [[case.number, _fingerprint_case(case)] for case in wrong]


def _fingerprint_case(case: WrongCase) -> Any:
    found = case.found
    if isinstance(found, Tensor) and not found.is_complex() and bool(found.isfinite().all()):
        flat = found.double().flatten()
        weights = torch.linspace(1, 2, len(flat), dtype=torch.float64, device="cpu")
        return [list(found.shape), float(flat.sum()), float((flat * weights).sum())]
    return case.why.partition(": ")[0] if case.why.startswith("raises ") else case.why


def _are_alike(a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_are_alike(*pair) for pair in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= _ROUNDING * max(1.0, abs(a))
    return bool(a == b)


def _judge_item(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> ItemCheck:
    result = ItemCheck(item["id"], item["section"], "right")
    wrong, unclear = judge_change(item, names, seconds)
    if unclear:
        return replace(result, verdict="unclear", why=f"{unclear}; the course's grader may be able to judge it")
    if not wrong:
        return result
    case = wrong[0]
    first = f", first with {case.description}" if case.description else ""
    where = f"in {len(wrong)} of {len(item['cases'])} cases{first}" if len(item["cases"]) > 1 else ""
    fingerprint = fingerprint_mistake(wrong)
    known = [mistake["says"] for mistake in item["mistakes"] if _are_alike(mistake["marks"], fingerprint)]
    shown = [*((f"input {number}", value) for number, value in enumerate(case.inputs, start=1)), ("found", case.found)]
    return replace(result, verdict="wrong", where=where, why=". ".join([*known[:1], case.why]), shown=shown)
