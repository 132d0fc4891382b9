"""Stand-ins: functions and classes of our own that a student's code calls in place of its own wrong ones.

They tell whether an item is wrong only because of another: with the right `corr2d` in place of the student's, and all
else as it was, the item is right. The objects themselves stay on the trusted side. What crosses the sandbox's border is
a question, as plain data, and its answer: a value, or the description of a module.

The code that asks may be hostile, so everything is bounded: the number of questions, their size, the time.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from grader.models.described_modules import describe_module

__all__ = ["Description", "StandIns", "Unanswered"]

_MOST_QUESTIONS = 1000  # of one test
_MOST_SECONDS = 2.0  # of processor time for the answers to one test
_MOST_ENTRIES = 20_000  # of all tensors of a question, and of an answer
_LARGEST_NUMBER = 4096  # of whole numbers in a question, which may be sizes
_DEEPEST = 8


class Unanswered(Exception):
    """A question is too large, or asks for something that there is not."""


@dataclass(frozen=True)
class Description:
    """An answer that is a module, as `describe_module` describes it."""

    module: Mapping[str, Any]


@dataclass
class StandIns:
    """The stand-ins of one test.

    Attributes:
        objects: what answers, by the name that the student's code calls it.
        asked: how many questions each was asked.
        asked_by_test: the names that the test itself asked for.
        unanswered: how many questions could not be answered. What follows from them shows nothing.
    """

    objects: Mapping[str, Callable[..., Any]]
    asked: Counter[str] = field(default_factory=Counter)
    asked_by_test: set[str] = field(default_factory=set)
    unanswered: int = 0
    _seconds: float = 0.0

    def __post_init__(self) -> None:
        _begin_to_differentiate()

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return what the right object returns.

        Raises:
            Unanswered: the question or its answer is too large, or the object raises.
        """
        with torch.no_grad():
            return self._answer(name, args, kwargs, lambda right: _describe_modules(right(*args, **kwargs)))

    def find_gradients(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], cotangent: Tensor
    ) -> list[Tensor | None]:
        """Return d(sum(result * cotangent))/d(argument) for each argument that is a tensor, in order.

        Raises:
            Unanswered: as for `call`, or there are no gradients.
        """

        def compute(right: Callable[..., Any]) -> list[Tensor | None]:
            positional = [_make_leaf(value) for value in args]
            named = {key: _make_leaf(value) for key, value in kwargs.items()}
            tensors = [value for value in (*positional, *named.values()) if isinstance(value, Tensor)]
            learnable = [tensor for tensor in tensors if tensor.requires_grad]
            found = torch.autograd.grad(right(*positional, **named), learnable, cotangent, allow_unused=True)
            gradients = iter(found)
            return [next(gradients) if tensor.requires_grad else None for tensor in tensors]

        with torch.enable_grad():
            gradients: list[Tensor | None] = self._answer(name, (*args, cotangent), kwargs, compute)
        return gradients

    def _answer(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        compute: Callable[[Callable[..., Any]], Any],
    ) -> Any:
        self.asked[name] += 1
        if name not in self.objects:
            raise Unanswered(f"there is no {name}")
        if self.asked.total() > _MOST_QUESTIONS or self._seconds > _MOST_SECONDS:
            raise Unanswered("too many questions")
        _require_small((tuple(args), dict(kwargs)))
        started = time.thread_time()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                answer = compute(self.objects[name])
        except Exception as error:  # whatever the right object does with arguments that are not right
            raise Unanswered(f"{name} raises {type(error).__name__}: {str(error)[:200]}") from error
        finally:
            self._seconds += time.thread_time() - started
        if not isinstance(answer, Description):
            _require_small(answer)
        return answer


@cache
def _begin_to_differentiate() -> None:
    """Compute a gradient: the first one of a process takes a second, which is not to be a test's."""
    x = torch.ones(1, requires_grad=True)
    torch.autograd.grad(x * x, [x], torch.ones(1), allow_unused=True)


def _describe_modules(result: Any) -> Any:
    return Description(describe_module(result)) if isinstance(result, nn.Module) else result


def _make_leaf(value: Any) -> Any:
    is_real = isinstance(value, Tensor) and value.is_floating_point()
    return value.detach().clone().requires_grad_() if is_real else value


def _require_small(value: Any) -> None:
    """Require plain values with few entries and small whole numbers.

    Raises:
        Unanswered: there are others.
    """
    entries = 0
    waiting = [(value, 0)]
    while waiting:
        entry, depth = waiting.pop()
        if isinstance(entry, Tensor):
            entries += entry.numel()
        elif isinstance(entry, tuple | list):
            waiting += [(part, depth + 1) for part in entry]
        elif isinstance(entry, dict):
            waiting += [(part, depth + 1) for part in entry.values()]
        elif isinstance(entry, int):
            entries += _MOST_ENTRIES * (abs(entry) > _LARGEST_NUMBER)
        elif not isinstance(entry, float | str | type(None)):
            raise Unanswered(f"a {type(entry).__name__} is no plain value")
        entries += 1
        if entries > _MOST_ENTRIES or depth > _DEEPEST:
            raise Unanswered("a question or an answer that is too large")
