"""Reads a bundle, and judges what a notebook defines by its recorded cases."""

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

_ROUNDING = 1e-4  # between two ways to make the same mistake


@dataclass(frozen=True)
class ItemCheck:
    """What was found of one item.

    Attributes:
        verdict: "right", "wrong", "unclear" (it cannot be asked here) or "absent".
        where: in how many cases it goes wrong, and in which first.
        why: what goes wrong, or why nothing can be said.
        shown: the inputs that go wrong first, and what was found.
        cell: where the definition stands.
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
    """A case that goes wrong: its number, the inputs of the question that is not answered right, and what was found."""

    number: int
    description: str
    inputs: Sequence[Any]
    why: str
    found: Any = None


@dataclass(frozen=True)
class Bundle:
    """The recorded cases of an assignment.

    Attributes:
        title: the assignment's.
        items: as they are stored.
        left_out: items that only the course's grader can judge, each with the reason.
    """

    title: str
    items: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Bundle:
        """Read a bundle's zip, or its folder."""
        name = f"check/{CASES}"
        if path.is_dir():
            return cls.of((path / name).read_text(encoding="utf-8"))
        with zipfile.ZipFile(path) as archive:
            return cls.of(archive.read(name).decode("utf-8"))

    @classmethod
    def of(cls, text: str) -> Bundle:
        """Return what a bundle's JSON says."""
        content = json.loads(text)
        return cls(content["title"], content["items"], content["left_out"])

    @property
    def names(self) -> tuple[str, ...]:
        """The names under which something can be checked."""
        return tuple(dict.fromkeys(item["names"][0] for item in self.items))

    @property
    def used(self) -> tuple[str, ...]:
        """Every name that some item looks at."""
        return tuple(dict.fromkeys(name for item in self.items for name in item["names"]))

    def judged(self, names: Mapping[str, Any], *changed: str, seconds: float = 60) -> Iterator[ItemCheck]:
        """Judge the items that ask for something of what changed.

        Args:
            names: what the notebook defines.
            changed: names.
            seconds: how long each item may take.
        """
        for item in self.items:
            if item["names"][0] in names and set(item["names"]) & set(changed):
                yield _judged(item, names, seconds)


def judge_change(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> tuple[list[WrongCase], str]:
    """Ask an item's cases, and return those that go wrong, and why nothing can be said, "" where it can.

    Args:
        item: as it is stored.
        names: what the notebook defines.
        seconds: how long each case may take.
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
        except Unclear as why:
            return wrong, str(why)
    return wrong, ""


def fingerprint_mistake(wrong: Sequence[WrongCase]) -> list[Any]:
    """Return what tells one mistake from another: of each wrong case its number, and two sums over what was found."""
    return [[case.number, _mark(case)] for case in wrong]


def _mark(case: WrongCase) -> Any:
    found = case.found
    if isinstance(found, Tensor) and not found.is_complex() and bool(found.isfinite().all()):
        flat = found.double().flatten()
        weights = torch.linspace(1, 2, len(flat), dtype=torch.float64, device="cpu")
        return [list(found.shape), float(flat.sum()), float((flat * weights).sum())]
    return case.why.partition(": ")[0] if case.why.startswith("raises ") else case.why


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _ROUNDING * max(1.0, abs(one))
    return bool(one == other)


def _judged(item: Mapping[str, Any], names: Mapping[str, Any], seconds: float) -> ItemCheck:
    result = ItemCheck(item["id"], item["section"], "right")
    wrong, unclear = judge_change(item, names, seconds)
    if unclear:
        return replace(result, verdict="unclear", why=f"{unclear}; the course's grader may know what to do with it")
    if not wrong:
        return result
    case = wrong[0]
    first = f", first with {case.description}" if case.description else ""
    where = f"in {len(wrong)} of {len(item['cases'])} cases{first}" if len(item["cases"]) > 1 else ""
    known = [mistake["says"] for mistake in item["mistakes"] if _alike(mistake["marks"], fingerprint_mistake(wrong))]
    shown = [*((f"input {number}", value) for number, value in enumerate(case.inputs, start=1)), ("found", case.found)]
    return replace(result, verdict="wrong", where=where, why=". ".join([*known[:1], case.why]), shown=shown)
