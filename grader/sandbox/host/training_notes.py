"""Reading the kernel's notes on the student's own trainings as data. Any code in the kernel can forge them."""

from __future__ import annotations

import math
from typing import Any

from grader.sandbox.host.decoding import read_text
from grader.student import OwnTraining

__all__ = ["read_own_training"]

_MOST = 2**40
_MAX_LOSSES = 100
_MAX_FINDINGS = 20
_MAX_DIMENSIONS = 4
_NEARLY = 0.05
_ENDS = ("", "steps", "budget", "nan", "plateau")


def read_own_training(file: str, cell: int, note: dict[str, Any]) -> OwnTraining:
    """Return the training that a note describes.

    Raises:
        TypeError, ValueError, KeyError, ArithmeticError: the note has another form.
    """
    lr = float(note["lr"])
    lowest, highest = (float(value) for value in note["pixels"])
    return OwnTraining(
        file=file,
        cell=cell,
        part=_read_count(note["part"]),
        number=_read_count(note["number"]),
        model=read_text(note["model"], 100),
        parameters=_read_count(note["parameters"]),
        size=tuple(_read_count(n) for n in note["size"][:_MAX_DIMENSIONS]),
        pixels=_find_black_and_white(lowest, highest),
        steps=_read_count(note["steps"]),
        epochs=None if note["epochs"] is None else _read_count(note["epochs"]),
        planned_epochs=None if note["planned_epochs"] is None else _read_count(note["planned_epochs"]),
        optimizer=read_text(note["optimizer"], 100),
        lr=lr if math.isfinite(lr) else None,
        findings=tuple((read_text(name, 40), read_text(text, 500)) for name, text in note["findings"][:_MAX_FINDINGS]),
        ended=_ENDS[_ENDS.index(note["ended"])],
        losses=tuple(loss for loss in map(float, note["losses"][:_MAX_LOSSES]) if math.isfinite(loss)),
    )


def _find_black_and_white(lowest: float, highest: float) -> tuple[float, float]:
    """Return the values of black and white pixels, from the lowest and the highest value of the first batches."""
    if not 0 < highest - lowest < math.inf or max(abs(lowest), abs(highest - 1)) < _NEARLY:
        return 0.0, 1.0
    return lowest, highest


def _read_count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _MOST:
        raise ValueError("no count")
    return value
