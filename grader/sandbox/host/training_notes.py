"""What the kernel says about the student's own trainings, read as data: anybody in it can speak on its line."""

from __future__ import annotations

import math
from typing import Any

from grader.student import OwnTraining

__all__ = ["read_own_training"]

_MOST = 2**40
_MAX_LOSSES = 100
_MAX_FINDINGS = 20
_MAX_DIMENSIONS = 4
_NEARLY = 0.05
_ENDS = ("", "steps", "budget", "nan", "plateau")


def read_own_training(file: str, cell: int, note: dict[str, Any]) -> OwnTraining:
    """Return a training that a note tells of.

    Raises TypeError, ValueError, KeyError or ArithmeticError for a note of another form.
    """
    lr = float(note["lr"])
    lowest, highest = (float(value) for value in note["pixels"])
    return OwnTraining(
        file=file,
        cell=cell,
        part=_count(note["part"]),
        number=_count(note["number"]),
        model=_text(note["model"], 100),
        parameters=_count(note["parameters"]),
        size=tuple(_count(n) for n in note["size"][:_MAX_DIMENSIONS]),
        pixels=_black_and_white(lowest, highest),
        steps=_count(note["steps"]),
        epochs=None if note["epochs"] is None else _count(note["epochs"]),
        planned_epochs=None if note["planned_epochs"] is None else _count(note["planned_epochs"]),
        optimizer=_text(note["optimizer"], 100),
        lr=lr if math.isfinite(lr) else None,
        findings=tuple((_text(name, 40), _text(text, 500)) for name, text in note["findings"][:_MAX_FINDINGS]),
        ended=_ENDS[_ENDS.index(note["ended"])],
        losses=tuple(loss for loss in map(float, note["losses"][:_MAX_LOSSES]) if math.isfinite(loss)),
    )


def _black_and_white(lowest: float, highest: float) -> tuple[float, float]:
    """Return what black and white are where these are the lowest and the highest value of the first batches."""
    if not 0 < highest - lowest < math.inf or max(abs(lowest), abs(highest - 1)) < _NEARLY:
        return 0.0, 1.0
    return lowest, highest


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError("no count")
    return value


def _text(value: Any, longest: int) -> str:
    if type(value) is not str:
        raise TypeError("no text")
    return value[:longest]
