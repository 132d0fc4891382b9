"""Where an exception was raised, as far as its words depend on it: the line, the layer, the shapes around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

__all__ = ["FailedLayer", "Shape", "Spot", "format_shape"]

Shape = tuple[int, ...]

_ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True)
class FailedLayer:
    """The layer of torch that raised; `grader.models.raised.find_layer` finds it and describes the attributes."""

    kind: str
    number: int
    count: int
    name: str = ""
    takes: int | None = None
    input: Shape = ()
    before: Shape = ()

    def __str__(self) -> str:
        ordinal = _ORDINALS[self.number] if self.number < len(_ORDINALS) else f"{self.number}th"
        name = f" ({self.name})" if self.name else ""
        return f"the {f'{ordinal} ' if self.count > 1 else ''}{self.kind}{name}"

    def describe_input(self) -> str:
        """Return how many numbers its input has, and of which map they come if that is known."""
        map_ = self.before if self.before else self.input
        size = prod(self.input[1:]) if len(self.input) > 1 else prod(self.input)
        return f"{size} ({format_shape(map_[1:])})" if len(map_) > 2 else f"{size}"


@dataclass(frozen=True)
class Spot:
    """What is known of the place at which an exception was raised.

    Attributes:
        code: the part of the line that was running, or the whole line.
        layer: the layer of torch that raised it.
        near: the name that is close to the missing one, or "".
        shapes: the shapes of the tensors that the line names.
    """

    code: str = ""
    layer: FailedLayer | None = None
    near: str = ""
    shapes: Mapping[str, Shape] = field(default_factory=dict)


def format_shape(shape: Shape) -> str:
    """Format a shape as the textbook does: 16x5x5."""
    return "x".join(str(n) for n in shape) or "one number"
