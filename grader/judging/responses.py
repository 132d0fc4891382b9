"""Record how a student's code responds to a test, to compare it with how a known mistake responds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from grader.models.rerun import Substitution
from grader.student import Fault, Operation, Recorded, Rerun, Student, StudentFault
from grader.testing.models import Layer, find_layers

__all__ = ["Kept", "ParameterShapes", "RecordingStudent", "Response", "UnlikeResponse", "are_alike"]

_TOLERANCE = 1e-4
_MOST, _DEEPEST = 10_000, 4  # entries and nesting of one response
_SIZED = (str, bytes, tuple, list, dict, set, frozenset)


class UnlikeResponse(BaseException):
    """A response differs from the expected one. Not an Exception, so that no test catches it."""


@dataclass(frozen=True)
class Kept:
    """Stands for a response that is not recorded itself: an object of the student's, or one that is too large.

    `kind` is a noun without its article.
    """

    kind: str


class ParameterShapes(dict[str, tuple[int, ...]]):
    """The shapes of a module's parameters by name."""


_VALUES = (type(None), bool, int, float, complex, str, bytes, range, set, frozenset)
_PLAIN = (*_VALUES, Tensor, Layer, Fault, ParameterShapes)


@dataclass(frozen=True)
class Response:
    """One response of a student's code.

    Attributes:
        subject: the beginning of a sentence on the response: "corr2d returns".
        value: the response, or a `Kept`.
        tells_mistakes: whether it tells one mistake from another. Names of parameters, for example, do not.
    """

    subject: str
    value: Any
    tells_mistakes: bool = True


class RecordingStudent:
    """A student that records its responses: results, gradients, the layers of forward passes, and faults.

    The values of a student's own parameters are not recorded, because they are random.

    Args:
        student: responds to the test.
        expected: responses to compare with; the first one that differs raises `UnlikeResponse`.

    Attributes:
        all_responses: the responses so far, in order.
        reads_values: whether the test has asked for the recorded values of names, which are not among the responses.
    """

    def __init__(self, student: Student, expected: Sequence[Any] | None = None) -> None:
        self._student = student
        self._expected = expected
        self.all_responses: list[Response] = []
        self.reads_values = False

    @property
    def responses(self) -> list[Any]:
        """The values of those responses that tell one mistake from another."""
        return [response.value for response in self.all_responses if response.tells_mistakes]

    def __getattr__(self, name: str) -> Any:
        return self._ask(lambda: getattr(self._student, name), f"{name} is", name)

    def read(self, name: str) -> Any:
        """Return the value of a name, as Python's own values."""
        return self._ask(lambda: self._student.read(name), f"{name} is", name)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        """Build a layer of torch.nn in the student's process."""
        layer = self._student.layer(kind, *_unwrap(args), **_unwrap(kwargs))
        return _RecordingRemote(self, layer, f"nn.{kind}", built_here=True)

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Announce calls. Their responses are recorded when the calls are made."""
        self._student.ahead(calls)

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell."""
        self.reads_values = True
        return self._student.recorded()

    def rerun(self, wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0) -> Rerun:
        """Run the cells of a notebook again with other data."""
        return self._student.rerun(wanted, substitutions, entries)

    def record(self, subject: str, value: Any, tells_mistakes: bool = True) -> None:
        """Record a response; see `Response` for the arguments.

        Raises:
            UnlikeResponse: it differs from the expected one.
        """
        response = Response(subject, _bound(value), tells_mistakes)
        self.all_responses.append(response)
        if self._expected is None or not tells_mistakes:
            return
        number = len(self.responses) - 1
        if not (number < len(self._expected) and are_alike(response.value, self._expected[number])):
            raise UnlikeResponse

    def _ask(self, question: Callable[[], Any], subject: str, name: str) -> Any:
        """Return the response to a question, and record it. What stays with the student is called `name`."""
        try:
            response = question()
        except StudentFault as fault:
            self.record(subject, (fault.fault, fault.message))
            raise
        self.record(subject, response, tells_mistakes=not _stays(response))
        return self._wrap(response, name)

    def _wrap(self, response: Any, name: str) -> Any:
        if _stays(response):
            return _RecordingRemote(self, response, name)
        if isinstance(response, tuple):
            return tuple(self._wrap(entry, name) for entry in response)
        return response


class _RecordingRemote:
    """A remote whose responses are recorded; `name` is what it is called in a sentence."""

    def __init__(self, student: RecordingStudent, remote: Any, name: str, built_here: bool = False) -> None:
        self._student = student
        self._name = name
        self._built_here = built_here
        self._filled = False
        self.remote = remote
        self.kind = remote.kind

    def __getattr__(self, name: str) -> Any:
        # A signature is not recorded: it does not tell one mistake from another.
        return getattr(self.remote, name)

    def __repr__(self) -> str:
        return repr(self.remote)

    def note_layers(self, layers: tuple[Layer, ...]) -> None:
        """Record the layers that were found in a model's graph."""
        self._student.record(f"the layers of {self._name} are", layers)

    def note_differences(self, differences: tuple[tuple[str, ...], ...]) -> None:
        """Record how a model's graph differs from the textbook's."""
        self._student.record(f"the differences of {self._name} are", differences)

    def note_fault(self, fault: StudentFault) -> None:
        """Record that it cannot be called without numbers, nor with them."""
        self._student.record(f"{self._name} does", (fault.fault, fault.message))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        subject, result = f"{self._name} returns", f"the result of {self._name}"
        return self._student._ask(lambda: self.remote(*_unwrap(args), **_unwrap(kwargs)), subject, result)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        return self._student._wrap(self.remote.sketch(*_unwrap(args), **_unwrap(kwargs)), f"the result of {self._name}")

    def load(self, values: Any) -> None:
        self.remote.load(values)
        self._filled = True

    def parameters(self) -> Any:
        values = self.remote.parameters()
        self._record_shapes({name: tuple(value.shape) for name, value in values.items()})
        if self._built_here and self._filled:  # then the student's code changed the values of the test's own layer
            self._student.record(f"the parameters of {self._name} are", dict(values))
        return values

    def parameter_shapes(self) -> Any:
        shapes = self.remote.parameter_shapes()
        self._record_shapes(shapes)
        return shapes

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> Any:
        question = lambda: self.remote.gradients(*inputs, cotangent=cotangent)  # noqa: E731
        return dict(self._student._ask(question, f"the gradients of {self._name} are", self._name))

    def operations(self, *inputs: Tensor) -> Any:
        try:
            operations: tuple[Operation, ...] = self.remote.operations(*inputs)
        except StudentFault as fault:
            self._student.record(f"{self._name} does", (fault.fault, fault.message))
            raise
        layers = find_layers(operations, self.remote.parameter_shapes())
        self._student.record(f"{self._name} has the layers", layers)
        return operations

    def _record_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._student.record(f"{self._name} has", ParameterShapes(shapes), tells_mistakes=False)


def _stays(response: Any) -> bool:
    """Tell whether a response is an object that stays in the student's process."""
    return hasattr(response, "kind") and not isinstance(response, Layer)


def _bound(response: Any, depth: int = 0) -> Any:
    """Return the part of a response that is recorded: plain values, and nothing larger than a right response.

    A student's code can respond hundreds of times, each time with as much as a frame holds. Arrays become tensors,
    because the engine compares responses, and two arrays cannot be compared like other values.
    """
    if _stays(response):
        return Kept(response.kind)
    entries = 0
    if isinstance(response, Tensor):
        entries = response.numel()
    elif isinstance(response, numpy.ndarray):
        entries = response.size
    elif isinstance(response, _SIZED):
        entries = len(response)
    if entries > _MOST or depth > _DEEPEST:
        return Kept(f"{type(response).__name__} too large to be kept")
    if isinstance(response, numpy.ndarray | numpy.generic):
        return _to_tensor(response)
    if isinstance(response, tuple | list):
        return tuple(_bound(entry, depth + 1) for entry in response)
    if isinstance(response, dict) and not isinstance(response, ParameterShapes):
        return {name: _bound(entry, depth + 1) for name, entry in response.items()}
    return response if isinstance(response, _PLAIN) else Kept(type(response).__name__)


def _to_tensor(array: Any) -> Any:
    try:
        return torch.from_numpy(numpy.array(array))
    except TypeError:  # texts or objects
        return Kept(f"array of {array.dtype}")


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
