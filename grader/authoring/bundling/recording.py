"""Record what a test asks of the model solution, and find out which parts of each answer it checks.

For each part of each answer the test runs again with that part changed. If it still passes, it does not check that
part. So a bundle checks no more than the test does, and no test has to say how it compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from grader.judging.responses import are_alike
from grader.student import Fault, Recorded, Student, StudentFault
from grader.testing.failures import Unmeasured

__all__ = ["ObjectReference", "RecordedStep", "Unrecordable", "record_steps"]

Test = Callable[[Student], None]


class Unrecordable(Exception):
    """A test asks for something that cannot be recorded; the message gives students the reason."""


@dataclass(frozen=True)
class ObjectReference:
    """A layer or model that an earlier step made, by number, or a definition of the notebook, by name."""

    key: int | str


@dataclass(frozen=True)
class RecordedStep:
    """One question to a student's work, and the model solution's answer.

    Attributes:
        do: "call", "sketch", "layer", "load", "parameters", "shapes", "gradients" or "operations".
        target: the object that is asked.
        args, named: the arguments of the question.
        answer: the answer.
        checked: the parts of the answer that the test checks: "values" or "shape" of a tensor, else names or positions.
        made: the number of the object that the step made, None if the answer is plain data.
    """

    do: str
    target: ObjectReference | None
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None
    checked: tuple[Any, ...] = ()
    made: int | None = None


def record_steps(test: Test, student: Student) -> list[RecordedStep]:
    """Return what a test asks, with the parts of the answers that it checks.

    Args:
        test: the test; it passes for this student.
        student: the model solution.

    Raises:
        Unrecordable: the test asks for something that cannot be recorded, or the right answer differs from run to run.
    """
    ask = _without_measuring(test)
    first, second = (_Recorder(student, seed) for seed in (1, 2))
    ask(first)
    ask(second)
    steps = [replace(step, checked=_find_checked_parts(ask, first, n)) for n, step in enumerate(first.steps)]
    is_deterministic = len(steps) == len(second.steps) and all(
        are_alike(_get_part(step, part), _get_part(other, part))
        for step, other in zip(steps, second.steps, strict=True)
        for part in step.checked
    )
    if not is_deterministic:
        raise Unrecordable("its right answers are drawn at random")
    return steps


def _without_measuring(test: Test) -> Test:
    """Return a test that believes what a model's process says of it: what is recorded cannot be measured."""

    def ask(student: Student) -> None:
        with suppress(Unmeasured):
            test(student)

    return ask


def _find_checked_parts(test: Test, recorder: _Recorder, number: int) -> tuple[Any, ...]:
    """Return the parts of one answer that the test checks: it fails if they change."""
    checked: list[Any] = []
    for part, changed in _list_changes(recorder.steps[number]):
        if checked[:1] == ["values"]:
            break  # a comparison of values includes the shape
        try:
            test(_Recorder(recorder.student, 1, recorder, {number: changed}))
        except Exception:  # a test may raise anything if an answer contradicts itself
            checked.append(part)
    return tuple(checked)


def _list_changes(step: RecordedStep) -> Iterator[tuple[Any, Any]]:
    """Yield each part of an answer, with the answer in which that part is changed."""
    answer = step.answer
    match step.do:
        case "operations":
            for position, operation in enumerate(answer):
                other = replace(operation, shape=(*operation.shape[:-1], operation.shape[-1] + 1))
                yield position, (*answer[:position], other, *answer[position + 1 :])
        case "shapes":
            for name, shape in answer.items():
                yield name, {**answer, name: (*shape[:-1], shape[-1] + 1)}
        case "parameters" | "gradients":
            for name, value in answer.items():
                yield name, {**answer, name: None if value is None else _change(value)}
        case "call" if step.made is None:
            yield "values", _change(answer)
            if isinstance(answer, Tensor):
                yield "shape", answer[None]


def _change(value: Any) -> Any:
    """Return a different value of the same kind and shape."""
    if isinstance(value, tuple):
        return tuple(_change(entry) for entry in value)
    if isinstance(value, bool) or (isinstance(value, Tensor) and value.dtype == torch.bool):
        return torch.logical_not(value) if isinstance(value, Tensor) else not value
    return f"{value}?" if value is None or isinstance(value, str) else value + 1


def _get_part(step: RecordedStep, part: Any) -> Any:
    if part == "values":
        return step.answer
    if part == "shape":
        return tuple(step.answer.shape)
    answer = step.answer[part]
    return (answer.name, answer.shape) if step.do == "operations" else answer


class _Recorder:
    """A student that records the questions it is asked.

    Args:
        student: answers the questions.
        seed: seeds whatever is drawn at random.
        previous: an earlier recording; if given, its answers are repeated instead.
        changed: answers that replace those of the earlier recording, by the number of the step.
    """

    def __init__(
        self, student: Student, seed: int, previous: _Recorder | None = None, changed: Mapping[int, Any] | None = None
    ) -> None:
        torch.manual_seed(seed)
        self.student = student
        self.steps: list[RecordedStep] = []
        self.objects: list[Any] = []
        self._seed = seed
        self._previous = previous
        self._changed = changed or {}

    def __getattr__(self, name: str) -> Any:
        definition = getattr(self.student, name)
        if not hasattr(definition, "kind"):
            raise Unrecordable("it looks at a variable")
        return _RecordedObject(self, definition, ObjectReference(name))

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        step = RecordedStep("layer", None, (kind, *args), kwargs)
        layer = self.record(step, lambda: self.student.layer(kind, *_unwrap(args), **kwargs))
        # The student's side seeds torch before it makes a layer; without this the next draw would repeat.
        torch.manual_seed(self._seed)
        return layer

    def recorded(self) -> Sequence[Recorded]:
        raise Unrecordable("it looks at the values that the notebook's cells leave")

    def record(self, step: RecordedStep, question: Callable[[], Any]) -> Any:
        """Answer a question and record both. A question that the model solution cannot answer is not recorded."""
        answer = question() if self._previous is None else self._previous.repeat(len(self.steps), step)
        answer = self._changed.get(len(self.steps), answer)
        if hasattr(answer, "kind"):
            self.steps.append(replace(step, answer=answer.kind, made=len(self.objects)))
            self.objects.append(answer)
            return _RecordedObject(self, answer, ObjectReference(len(self.objects) - 1))
        self.steps.append(replace(step, answer=answer))
        return answer

    def repeat(self, number: int, step: RecordedStep) -> Any:
        """Return the answer recorded at step `number`.

        Raises:
            LookupError: another question was recorded there.
        """
        recorded = self.steps[number]
        if (recorded.do, recorded.target) != (step.do, step.target):
            raise LookupError("another question")
        return recorded.answer if recorded.made is None else self.objects[recorded.made]


class _RecordedObject:
    """Wrap a student's function, class or model, and record the questions it is asked."""

    def __init__(self, recorder: _Recorder, wrapped: Any, reference: ObjectReference) -> None:
        self._recorder = recorder
        self.wrapped = wrapped
        self.reference = reference
        self.kind = wrapped.kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("call", lambda: self.wrapped(*_unwrap(args), **_unwrap(kwargs)), *args, **kwargs)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("sketch", lambda: self.wrapped.sketch(*_unwrap(args), **_unwrap(kwargs)), *args, **kwargs)

    def signature(self) -> Any:
        return self.wrapped.signature()

    def parameters(self) -> Any:
        return self._ask("parameters", self.wrapped.parameters)

    def parameter_shapes(self) -> Any:
        return self._ask("shapes", self.wrapped.parameter_shapes)

    def load(self, values: Mapping[str, Tensor]) -> None:
        self._ask("load", lambda: self.wrapped.load(values), dict(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> Any:
        question = lambda: self.wrapped.gradients(*inputs, cotangent=cotangent)  # noqa: E731
        return self._ask("gradients", question, *inputs, cotangent=cotangent)

    def operations(self, *inputs: Tensor) -> Any:
        return self._ask("operations", lambda: self.wrapped.operations(*inputs), *inputs)

    def __getattr__(self, name: str) -> NoReturn:
        # A graph or a probe is only remarked on beside a model's verdict, or belongs to a training.
        raise StudentFault(Fault.RAISED, f"{name} is not recorded")

    def _ask(self, do: str, question: Callable[[], Any], *args: Any, **named: Any) -> Any:
        return self._recorder.record(RecordedStep(do, self.reference, args, named), question)


def _unwrap(value: Any) -> Any:
    if isinstance(value, _RecordedObject):
        return value.wrapped
    if isinstance(value, tuple | list):
        return tuple(_unwrap(entry) for entry in value)
    if isinstance(value, dict):
        return {name: _unwrap(entry) for name, entry in value.items()}
    return value
