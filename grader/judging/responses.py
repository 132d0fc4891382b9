"""What a student's work answered during a test, kept so that it can be compared with what a known mistake answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from grader.student import Fault, Operation, Recorded, Student, StudentFault
from grader.testing.models import Layer, find_layers

__all__ = ["Listener", "UnlikeResponse", "are_alike"]

_TOLERANCE = 1e-4
_MOST, _DEEPEST = 10_000, 4
_SIZED = (str, tuple, list, dict)
_TOO_LARGE = "an answer too large to be kept"


class UnlikeResponse(Exception):
    """An answer is not the one that was expected."""


class Listener:
    """A student that keeps what it answers: results, gradients, the layers of forward passes, and faults.

    The values of a student's own parameters are not kept, because they are random.

    Args:
        student: who is asked.
        expected: answers to compare with; at the first that is not alike `Unlike` is raised.
    """

    def __init__(self, student: Student, expected: Sequence[Any] | None = None) -> None:
        self._student = student
        self._expected = expected
        self.answers: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return self._heard(lambda: getattr(self._student, name))

    def read(self, name: str) -> Any:
        """Return what a name stands for, in Python's own values."""
        return self._heard(lambda: self._student.read(name))

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        """Build a layer of torch.nn in the student's process."""
        return _HeardRemote(self, self._student.layer(kind, *_bare(args), **_bare(kwargs)), built_here=True)

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Say which calls will be asked for; their answers are heard when they are."""
        self._student.ahead(calls)

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell."""
        return self._student.recorded()

    def hear(self, answer: Any) -> None:
        """Keep an answer.

        Raises:
            Unlike: it is not what was expected.
        """
        number = len(self.answers)
        answer = _kept(answer)
        self.answers.append(answer)
        expected = self._expected
        if expected is not None and not (number < len(expected) and are_alike(answer, expected[number])):
            raise UnlikeResponse

    def _heard(self, question: Callable[[], Any]) -> Any:
        try:
            answer = question()
        except StudentFault as fault:
            self.hear((fault.fault, fault.message))
            raise
        if not hasattr(answer, "kind"):
            self.hear(answer)
        return self._shown(answer)

    def _shown(self, answer: Any) -> Any:
        if hasattr(answer, "kind"):
            return _HeardRemote(self, answer)
        if isinstance(answer, tuple):
            return tuple(self._shown(each) for each in answer)
        return answer


class _HeardRemote:
    """A remote that is listened to."""

    def __init__(self, listener: Listener, remote: Any, built_here: bool = False) -> None:
        self._listener = listener
        self._built_here = built_here
        self._filled = False
        self.remote = remote
        self.kind = remote.kind

    def __getattr__(self, name: str) -> Any:
        # signature, parameter_shapes: nothing in them tells one mistake from another
        return getattr(self.remote, name)

    def __repr__(self) -> str:
        return repr(self.remote)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._listener._heard(lambda: self.remote(*_bare(args), **_bare(kwargs)))

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        return self._listener._shown(self.remote.sketch(*_bare(args), **_bare(kwargs)))

    def load(self, values: Any) -> None:
        self.remote.load(values)
        self._filled = True

    def parameters(self) -> Any:
        found = self.remote.parameters()
        if self._built_here and self._filled:  # what the student's code made of a test's own layer
            self._listener.hear(dict(found))
        return found

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> Any:
        found = self._listener._heard(lambda: self.remote.gradients(*inputs, cotangent=cotangent))
        return dict(found)

    def operations(self, *inputs: Tensor) -> Any:
        try:
            operations: tuple[Operation, ...] = self.remote.operations(*inputs)
        except StudentFault as fault:
            self._listener.hear((fault.fault, fault.message))
            raise
        self._listener.hear(find_layers(operations, self.remote.parameter_shapes()))
        return operations


def _kept(answer: Any, depth: int = 0) -> Any:
    """Return what is kept of an answer: of remotes their kind, and nothing of what is larger than any right answer.

    A student's work can answer hundreds of times with as much as a frame holds.
    """
    if hasattr(answer, "kind") and not isinstance(answer, Layer):
        return f"a {answer.kind}"
    entries = answer.numel() if isinstance(answer, Tensor) else len(answer) if isinstance(answer, _SIZED) else 0
    if entries > _MOST or depth > _DEEPEST:
        return _TOO_LARGE
    if isinstance(answer, tuple | list):
        return tuple(_kept(each, depth + 1) for each in answer)
    if isinstance(answer, dict):
        return {name: _kept(each, depth + 1) for name, each in answer.items()}
    return answer


def _bare(value: Any) -> Any:
    if isinstance(value, _HeardRemote):
        return value.remote
    if isinstance(value, tuple | list):
        return tuple(_bare(each) for each in value)
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items()}
    return value


def are_alike(one: Any, other: Any) -> bool:
    """Tell whether two answers are the same, up to rounding and dtype; gradients whatever their names are."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and _close(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return are_alike(list(one.values()), list(other.values()))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(are_alike(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, Fault) or isinstance(other, Fault):
        return one is other
    return type(one) is type(other) and bool(one == other)


def _close(one: Tensor, other: Tensor) -> bool:
    if one.is_complex() or other.is_complex():
        return one.is_complex() and other.is_complex() and torch.equal(one, other)
    a, b = one.double(), other.double()
    finite = b[b.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    return bool((((a - b).abs() <= _TOLERANCE * scale) | (a == b) | (a.isnan() & b.isnan())).all())
