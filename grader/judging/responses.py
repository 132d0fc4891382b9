"""Record how a student's code responds to a test, to compare it with how a known mistake responds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from grader.student import Fault, Operation, Recorded, Student, StudentFault
from grader.testing.models import Layer, find_layers

__all__ = ["RecordingStudent", "UnlikeResponse", "are_alike"]

_TOLERANCE = 1e-4
_MOST, _DEEPEST = 10_000, 4  # entries and nesting of one response
_SIZED = (str, tuple, list, dict)
_TOO_LARGE = "an answer too large to be kept"


class UnlikeResponse(Exception):
    """A response differs from the expected one."""


class RecordingStudent:
    """A student that records its responses: results, gradients, the layers of forward passes, and faults.

    The values of a student's own parameters are not recorded, because they are random.

    Args:
        student: responds to the test.
        expected: responses to compare with; the first one that differs raises `UnlikeResponse`.

    Attributes:
        responses: the responses so far, in order.
    """

    def __init__(self, student: Student, expected: Sequence[Any] | None = None) -> None:
        self._student = student
        self._expected = expected
        self.responses: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return self._ask(lambda: getattr(self._student, name))

    def read(self, name: str) -> Any:
        """Return the value of a name, as Python's own values."""
        return self._ask(lambda: self._student.read(name))

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        """Build a layer of torch.nn in the student's process."""
        return _RecordingRemote(self, self._student.layer(kind, *_unwrap(args), **_unwrap(kwargs)), built_here=True)

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Announce calls. Their responses are recorded when the calls are made."""
        self._student.ahead(calls)

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell."""
        return self._student.recorded()

    def record(self, response: Any) -> None:
        """Record a response.

        Raises:
            UnlikeResponse: it differs from the expected one.
        """
        number = len(self.responses)
        response = _bound(response)
        self.responses.append(response)
        expected = self._expected
        if expected is not None and not (number < len(expected) and are_alike(response, expected[number])):
            raise UnlikeResponse

    def _ask(self, question: Callable[[], Any]) -> Any:
        try:
            response = question()
        except StudentFault as fault:
            self.record((fault.fault, fault.message))
            raise
        if not hasattr(response, "kind"):
            self.record(response)
        return self._wrap(response)

    def _wrap(self, response: Any) -> Any:
        if hasattr(response, "kind"):
            return _RecordingRemote(self, response)
        if isinstance(response, tuple):
            return tuple(self._wrap(entry) for entry in response)
        return response


class _RecordingRemote:
    """A remote whose responses are recorded."""

    def __init__(self, student: RecordingStudent, remote: Any, built_here: bool = False) -> None:
        self._student = student
        self._built_here = built_here
        self._filled = False
        self.remote = remote
        self.kind = remote.kind

    def __getattr__(self, name: str) -> Any:
        # signature and parameter_shapes are not recorded: they do not tell one mistake from another.
        return getattr(self.remote, name)

    def __repr__(self) -> str:
        return repr(self.remote)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._student._ask(lambda: self.remote(*_unwrap(args), **_unwrap(kwargs)))

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        return self._student._wrap(self.remote.sketch(*_unwrap(args), **_unwrap(kwargs)))

    def load(self, values: Any) -> None:
        self.remote.load(values)
        self._filled = True

    def parameters(self) -> Any:
        values = self.remote.parameters()
        if self._built_here and self._filled:  # then the student's code changed the values of the test's own layer
            self._student.record(dict(values))
        return values

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> Any:
        return dict(self._student._ask(lambda: self.remote.gradients(*inputs, cotangent=cotangent)))

    def operations(self, *inputs: Tensor) -> Any:
        try:
            operations: tuple[Operation, ...] = self.remote.operations(*inputs)
        except StudentFault as fault:
            self._student.record((fault.fault, fault.message))
            raise
        self._student.record(find_layers(operations, self.remote.parameter_shapes()))
        return operations


def _bound(response: Any, depth: int = 0) -> Any:
    """Return the part of a response that is recorded: the kind of a remote, and nothing larger than a right response.

    A student's code can respond hundreds of times, each time with as much as a frame holds.
    """
    if hasattr(response, "kind") and not isinstance(response, Layer):
        return f"a {response.kind}"
    entries = 0
    if isinstance(response, Tensor):
        entries = response.numel()
    elif isinstance(response, _SIZED):
        entries = len(response)
    if entries > _MOST or depth > _DEEPEST:
        return _TOO_LARGE
    if isinstance(response, tuple | list):
        return tuple(_bound(entry, depth + 1) for entry in response)
    if isinstance(response, dict):
        return {name: _bound(entry, depth + 1) for name, entry in response.items()}
    return response


def _unwrap(value: Any) -> Any:
    if isinstance(value, _RecordingRemote):
        return value.remote
    if isinstance(value, tuple | list):
        return tuple(_unwrap(entry) for entry in value)
    if isinstance(value, dict):
        return {name: _unwrap(entry) for name, entry in value.items()}
    return value


def are_alike(one: Any, other: Any) -> bool:
    """Tell whether two responses are equal up to rounding and dtype. The names of gradients do not matter."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and _are_close(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return are_alike(list(one.values()), list(other.values()))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(are_alike(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, Fault) or isinstance(other, Fault):
        return one is other
    return type(one) is type(other) and bool(one == other)


def _are_close(one: Tensor, other: Tensor) -> bool:
    if one.is_complex() or other.is_complex():
        return one.is_complex() and other.is_complex() and torch.equal(one, other)
    a, b = one.double(), other.double()
    finite = b[b.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    return bool((((a - b).abs() <= _TOLERANCE * scale) | (a == b) | (a.isnan() & b.isnan())).all())
