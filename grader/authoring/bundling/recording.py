"""Records what a test asks of the model solution, and finds out what of each answer the test minds.

A test is run again for each part of each answer, with that part changed: where it still passes, the part is not minded.
So a bundle asks for no more than the test does, and no test has to say how it compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from grader.judging.responses import are_alike
from grader.student import Fault, Recorded, Student, StudentFault

__all__ = ["Made", "RecordedStep", "Unrecordable", "record_steps"]

Test = Callable[[Student], None]


class Unrecordable(Exception):
    """A test asks for what no recording can tell; the reason is shown to students."""


@dataclass(frozen=True)
class Made:
    """What an earlier step made: a layer, a model; or, under a name, what the notebook defines."""

    by: int | str


@dataclass(frozen=True)
class RecordedStep:
    """One question to a student's work, and the model solution's answer.

    Attributes:
        do: "call", "sketch", "layer", "load", "parameters", "shapes", "gradients" or "operations".
        of: what is asked.
        minded: the parts of the answer that the test minds; "values" or "shape" of a tensor, else a name or a place.
        made: the number of what came back, where that is no plain data.
    """

    do: str
    of: Made | None
    args: tuple[Any, ...] = ()
    named: Mapping[str, Any] = field(default_factory=dict)
    answer: Any = None
    minded: tuple[Any, ...] = ()
    made: int | None = None

    @property
    def made_something(self) -> bool:
        """Whether what came back is no plain data."""
        return self.made is not None


def record_steps(test: Test, student: Student) -> list[RecordedStep]:
    """Return what a test asks, with the parts of the answers that it minds.

    Args:
        test: passes for this student.
        student: the model solution.

    Raises:
        Unrecordable: it asks for what cannot be recorded, or the right answer is another one each time.
    """
    first, second = (_Recorder(student, seed) for seed in (1, 2))
    test(first)
    test(second)
    steps = [replace(step, minded=_minded(test, first, number)) for number, step in enumerate(first.steps)]
    same = len(steps) == len(second.steps) and all(
        are_alike(_part(step, part), _part(other, part))
        for step, other in zip(steps, second.steps, strict=True)
        for part in step.minded
    )
    if not same:
        raise Unrecordable("its right answers are drawn at random")
    return steps


def _minded(test: Test, heard: _Recorder, number: int) -> tuple[Any, ...]:
    """Return the parts of one answer without which the test does not pass."""
    minded: list[Any] = []
    for part, changed in _changes(heard.steps[number]):
        if minded[:1] == ["values"]:
            break  # where values are compared, shapes are, too
        try:
            test(_Recorder(heard.student, 1, heard, {number: changed}))
        except Exception:  # whatever the test makes of an answer that contradicts itself
            minded.append(part)
    return tuple(minded)


def _changes(step: RecordedStep) -> Iterator[tuple[Any, Any]]:
    """Give the parts of an answer, each with the answer in which it is another."""
    answer = step.answer
    match step.do:
        case "operations":
            for place, operation in enumerate(answer):
                other = replace(operation, shape=(*operation.shape[:-1], operation.shape[-1] + 1))
                yield place, (*answer[:place], other, *answer[place + 1 :])
        case "shapes":
            for name, shape in answer.items():
                yield name, {**answer, name: (*shape[:-1], shape[-1] + 1)}
        case "parameters" | "gradients":
            for name, value in answer.items():
                yield name, {**answer, name: None if value is None else _other(value)}
        case "call" if not step.made_something:
            yield "values", _other(answer)
            if isinstance(answer, Tensor):
                yield "shape", answer[None]


def _other(value: Any) -> Any:
    """Return another value of the same kind and shape."""
    if isinstance(value, tuple):
        return tuple(_other(each) for each in value)
    if isinstance(value, bool) or (isinstance(value, Tensor) and value.dtype == torch.bool):
        return torch.logical_not(value) if isinstance(value, Tensor) else not value
    return f"{value}?" if value is None or isinstance(value, str) else value + 1


def _part(step: RecordedStep, part: Any) -> Any:
    if part == "values":
        return step.answer
    if part == "shape":
        return tuple(step.answer.shape)
    answer = step.answer[part]
    return (answer.name, answer.shape) if step.do == "operations" else answer


class _Recorder:
    """A student that notes what it is asked.

    Args:
        student: who answers.
        seed: what is drawn at random comes from it.
        heard: an earlier recording, of which the answers are given again instead.
        changed: what is answered in the place of its answers, by the number of the step.
    """

    def __init__(
        self, student: Student, seed: int, heard: _Recorder | None = None, changed: Mapping[int, Any] | None = None
    ) -> None:
        torch.manual_seed(seed)
        self.student = student
        self.steps: list[RecordedStep] = []
        self.made: list[Any] = []
        self._seed = seed
        self._heard = heard
        self._changed = changed or {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.student, name)
        if not hasattr(found, "kind"):
            raise Unrecordable("it looks at a variable")
        return _RecordedRemote(self, found, Made(name))

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        step = RecordedStep("layer", None, (kind, *args), kwargs)
        made = self.noted(step, lambda: self.student.layer(kind, *_bare(args), **kwargs))
        torch.manual_seed(self._seed)  # the student's side seeds for a layer, and what is drawn next would be the same
        return made

    def recorded(self) -> Sequence[Recorded]:
        raise Unrecordable("it looks at the values that the notebook's cells leave")

    def noted(self, step: RecordedStep, question: Callable[[], Any]) -> Any:
        """Answer a question, and note both; what the model solution cannot answer is no part of a recording."""
        answer = question() if self._heard is None else self._heard.again(len(self.steps), step)
        answer = self._changed.get(len(self.steps), answer)
        if hasattr(answer, "kind"):
            self.steps.append(replace(step, answer=answer.kind, made=len(self.made)))
            self.made.append(answer)
            return _RecordedRemote(self, answer, Made(len(self.made) - 1))
        self.steps.append(replace(step, answer=answer))
        return answer

    def again(self, number: int, step: RecordedStep) -> Any:
        """Answer as at that step.

        Raises:
            LookupError: another question was asked there.
        """
        heard = self.steps[number]
        if (heard.do, heard.of) != (step.do, step.of):
            raise LookupError("another question")
        return heard.answer if heard.made is None else self.made[heard.made]


class _RecordedRemote:
    """A remote of which is noted what it is asked."""

    def __init__(self, recorder: _Recorder, remote: Any, place: Made) -> None:
        self._recorder = recorder
        self.remote = remote
        self.place = place
        self.kind = remote.kind

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._asked("call", lambda: self.remote(*_bare(args), **_bare(kwargs)), *args, **kwargs)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        return self._asked("sketch", lambda: self.remote.sketch(*_bare(args), **_bare(kwargs)), *args, **kwargs)

    def signature(self) -> Any:
        return self.remote.signature()

    def parameters(self) -> Any:
        return self._asked("parameters", self.remote.parameters)

    def parameter_shapes(self) -> Any:
        return self._asked("shapes", self.remote.parameter_shapes)

    def load(self, values: Mapping[str, Tensor]) -> None:
        self._asked("load", lambda: self.remote.load(values), dict(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> Any:
        question = lambda: self.remote.gradients(*inputs, cotangent=cotangent)  # noqa: E731
        return self._asked("gradients", question, *inputs, cotangent=cotangent)

    def operations(self, *inputs: Tensor) -> Any:
        return self._asked("operations", lambda: self.remote.operations(*inputs), *inputs)

    def __getattr__(self, name: str) -> NoReturn:
        # A graph, a probe: what is said of a model beside its verdict, or a training.
        raise StudentFault(Fault.RAISED, f"{name} is not recorded")

    def _asked(self, do: str, question: Callable[[], Any], *args: Any, **named: Any) -> Any:
        return self._recorder.noted(RecordedStep(do, self.place, args, named), question)


def _bare(value: Any) -> Any:
    if isinstance(value, _RecordedRemote):
        return value.remote
    if isinstance(value, tuple | list):
        return tuple(_bare(each) for each in value)
    if isinstance(value, dict):
        return {name: _bare(each) for name, each in value.items()}
    return value
