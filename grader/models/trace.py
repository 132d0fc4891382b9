"""The operations of a forward pass, noted before torch takes them apart: a convolution, not what it is made of.

`make_fx(pre_dispatch=True)` of torch.fx notes the same in several times the time: it makes a proxy and a fake tensor of
each result, which are not needed here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from grader.models.modules import make_computed
from grader.models.torch_internals import (
    ENTER_AUTOCAST,
    EXIT_AUTOCAST,
    SET_GRAD_ENABLED,
    PreDispatchMode,
    SwitchMode,
    WeakTensorKeyDictionary,
    find_leaves,
    trace_before_dispatch,
)

__all__ = ["Place", "Trace"]

Place = tuple[str, int]  # what a tensor is: "node" or another kind, and its number among these

_SWITCHES = (SET_GRAD_ENABLED, ENTER_AUTOCAST, EXIT_AUTOCAST)
_ASKS_FOR_NUMBERS = (  # word for word the message of make_fx
    "It appears that you're trying to get value out of a tracing tensor with {} - erroring out! "
    "It's likely that this is caused by data-dependent control flow or similar.  "
    "It may be possible to trace this with dynamic shapes; try setting tracing_mode='symbolic' in your make_fx call."
)
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format, complex)
_ONE_NUMBER = (torch.ops.aten.item.default, torch.ops.aten._local_scalar_dense.default)
_MOST_QUESTIONS = 100  # for numbers; a loop may wait for one that never comes


class Trace:
    """What a forward pass does.

    Args:
        known: tensors that exist before it begins, each with its place.
        guesses: the answers to its first questions for a tensor's number, which has none here: False stands for 0, True
            for 1. None if it may not ask; without further guesses the answer is False.

    Attributes:
        nodes: (operation, arguments, named arguments) as plain data, in which {kind: number} stands for a tensor.
        complete: whether each argument is plain data, or a tensor that was known or is the result of a node.
        answered: the answers to its questions, in order.
        running: the number of the node whose operation has not given its result, as after an exception; else None.
    """

    def __init__(self, known: Iterable[tuple[Tensor, Place]], guesses: Sequence[bool] | None = None) -> None:
        self.nodes: list[tuple[str, Any, Any]] = []
        self.answered: list[bool] = []
        self.running: int | None = None
        self._guesses = guesses
        self.complete = True
        self._places: Any = WeakTensorKeyDictionary()
        self._constants: Any = WeakTensorKeyDictionary()  # single numbers made of literals in the code
        for tensor, place in known:
            self._places[tensor] = place

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is done in the body. What torch.compile made refuses to run there, as it does for torch.fx."""
        with trace_before_dispatch(), _Switches(self), _Operations(self):
            yield

    def place_of(self, tensor: Tensor) -> Place | None:
        """Return what a tensor is, or None if it is unknown."""
        place: Place | None = self._places.get(tensor)
        return place

    def answer(self, operation: Any, tensors: Sequence[Tensor]) -> bool | int | float:
        """Return a number that depends on the images, by guessing it.

        Raises:
            RuntimeError: it may not ask, or asked far too often.
        """
        number = len(self.answered)
        if self._guesses is None or number >= _MOST_QUESTIONS:
            raise RuntimeError(_ASKS_FOR_NUMBERS.format(operation))
        self.answered.append(number < len(self._guesses) and self._guesses[number])
        if operation not in _ONE_NUMBER or tensors[0].dtype == torch.bool:
            return self.answered[-1]
        return float(self.answered[-1]) if tensors[0].is_floating_point() else int(self.answered[-1])

    def note(self, operation: Any, args: Any, kwargs: Any) -> int:
        """Note an operation, and return its node's number."""
        self.nodes.append((str(operation), self._to_plain(args), self._to_plain(kwargs)))
        return len(self.nodes) - 1

    def note_result(self, result: Any, number: int) -> None:
        """Note the result of a node. Each of several results is a node that takes it out."""
        if isinstance(result, Tensor):
            self._places[result] = ("node", number)
        elif isinstance(result, tuple | list):
            for index, part in enumerate(result):
                self.nodes.append((str(operator.getitem), ({"node": number}, index), {}))
                self.note_result(part, len(self.nodes) - 1)

    def note_constant(self, result: Any, tensors: Iterable[Tensor], is_literal: bool) -> None:
        """Note whether a result is a number that depends on no image.

        Args:
            result: of an operation.
            tensors: the operation's arguments.
            is_literal: the result stands in the code.
        """
        results = [leaf for leaf in find_leaves(result) if isinstance(leaf, Tensor)]
        constant = is_literal or (self.are_constant(tensors) and any(tensor in self._constants for tensor in tensors))
        for leaf in results:
            if constant and all(other.numel() <= 1 for other in results):
                self._constants[leaf] = True
            else:
                self._constants.pop(leaf, None)

    def are_constant(self, tensors: Iterable[Tensor]) -> bool:
        """Return whether the numbers of these tensors depend on no image and no parameter."""
        return all(tensor in self._constants or tensor not in self._places for tensor in tensors)

    def _to_plain(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            place = self.place_of(value)
            self.complete = self.complete and place is not None
            return dict([place]) if place else None
        if isinstance(value, tuple | list):
            return tuple(self._to_plain(entry) for entry in value)
        if isinstance(value, Mapping):
            return {str(key): self._to_plain(entry) for key, entry in value.items()}
        if value is None or type(value) in (bool, int, float, str):
            return value
        self.complete = self.complete and isinstance(value, _NAMED)
        return str(value)


class _Operations(PreDispatchMode):
    """Notes operations."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, trace = kwargs or {}, self._trace
        if func is torch.ops.prim.device.default:
            return func(*args, **kwargs)
        tensors = [leaf for leaf in find_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(type(tensor) not in (Tensor, nn.Parameter) and trace.place_of(tensor) is None for tensor in tensors):
            return NotImplemented
        if func is torch.ops.aten.is_nonzero.default:
            if args[0].numel() != 1:
                raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
            with self:
                return (args[0] != 0).item()
        if torch.Tag.data_dependent_output in func.tags:
            return func(*args, **kwargs) if trace.are_constant(tensors) else trace.answer(func, tensors)
        is_literal = func is torch.ops.aten.lift_fresh.default
        func = torch.ops.aten.lift_fresh_copy.default if is_literal else func
        number = trace.running = trace.note(func, args, kwargs)
        result = make_computed(func, args, kwargs)
        trace.running = None
        trace.note_constant(result, tensors, is_literal)
        trace.note_result(result, number)
        return result


class _Switches(SwitchMode):
    """Notes what is no operation and yet changes what operations do."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace
        self._entered: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _SWITCHES:
            return func(*args, **(kwargs or {}))
        if func is EXIT_AUTOCAST:
            args = ({"node": self._entered.pop()},)
        number = self._trace.note(func, args, {})
        if func is ENTER_AUTOCAST:
            self._entered.append(number)
        if func is SET_GRAD_ENABLED:
            func(*args)  # autocast has already switched when it asks here
        return number
