"""The operations of a forward pass, noted before torch takes them apart: a convolution, not what it is made of.

`make_fx(pre_dispatch=True)` of torch.fx notes the same in several times the time: it makes a proxy and a fake tensor of
each result, which nobody here reads.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import DispatchKey, _TorchDispatchModeKey
from torch.fx._symbolic_trace import _is_fx_tracing_context
from torch.fx.experimental.proxy_tensor import (
    PreDispatchTorchFunctionMode,
    ProxyTorchDispatchMode,
    disable_autocast_cache,
)
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from grader.models.modules import make_computed

__all__ = ["Place", "Trace"]

Place = tuple[str, int]  # what a tensor is: of "node" or another kind, and its number among these

_SWITCHES = (
    torch._C._set_grad_enabled,
    torch.amp.autocast_mode._enter_autocast,
    torch.amp.autocast_mode._exit_autocast,
)
_ASKS_FOR_NUMBERS = (  # word for word what make_fx says
    "It appears that you're trying to get value out of a tracing tensor with {} - erroring out! "
    "It's likely that this is caused by data-dependent control flow or similar.  "
    "It may be possible to trace this with dynamic shapes; try setting tracing_mode='symbolic' in your make_fx call."
)
_NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format, complex)


class Trace:
    """What a forward pass does.

    Args:
        known: tensors that are there before it begins, each with its place.

    Attributes:
        nodes: (operation, arguments, named arguments) as plain data, in which {kind: number} stands for a tensor.
        complete: whether each argument is plain data, or a tensor that was known or is the result of a node.
    """

    def __init__(self, known: Iterable[tuple[Tensor, Place]]) -> None:
        self.nodes: list[tuple[str, Any, Any]] = []
        self.complete = True
        self._places: Any = WeakTensorKeyDictionary()
        self._constants: Any = WeakTensorKeyDictionary()  # one number each, and made of such that stand in the code
        for tensor, place in known:
            self._places[tensor] = place

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note what is done in the body; what torch.compile made refuses to run there, as it does for torch.fx."""
        python_first = torch._C._EnablePythonDispatcher()
        with _is_fx_tracing_context(True), disable_autocast_cache(), python_first, _Switches(self), _Operations(self):
            yield

    def place_of(self, tensor: Tensor) -> Place | None:
        """Return what a tensor is, None where it came from nowhere."""
        found: Place | None = self._places.get(tensor)
        return found

    def note(self, operation: Any, args: Any, kwargs: Any) -> int:
        """Note an operation, and return its node's number."""
        self.nodes.append((str(operation), self._plain(args), self._plain(kwargs)))
        return len(self.nodes) - 1

    def note_result(self, result: Any, number: int) -> None:
        """Note what a node gave; each of several results is a node that takes it out."""
        if isinstance(result, Tensor):
            self._places[result] = ("node", number)
        elif isinstance(result, tuple | list):
            for index, each in enumerate(result):
                self.nodes.append((str(operator.getitem), ({"node": number}, index), {}))
                self.note_result(each, len(self.nodes) - 1)

    def note_constant(self, result: Any, tensors: Iterable[Tensor], stands_in_code: bool) -> None:
        """Note whether a result, which was made of these tensors, is a number that depends on no image."""
        found = [each for each in pytree.tree_leaves(result) if isinstance(each, Tensor)]
        constant = stands_in_code or (self.are_constant(tensors) and any(each in self._constants for each in tensors))
        for each in found:
            if constant and all(other.numel() <= 1 for other in found):
                self._constants[each] = True
            else:
                self._constants.pop(each, None)

    def are_constant(self, tensors: Iterable[Tensor]) -> bool:
        """Tell whether the numbers of these tensors depend on no image and no parameter."""
        return all(each in self._constants or each not in self._places for each in tensors)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            place = self.place_of(value)
            self.complete = self.complete and place is not None
            return dict([place]) if place else None
        if isinstance(value, tuple | list):
            return tuple(self._plain(entry) for entry in value)
        if isinstance(value, Mapping):
            return {str(key): self._plain(entry) for key, entry in value.items()}
        if value is None or type(value) in (bool, int, float, str):
            return value
        self.complete = self.complete and isinstance(value, _NAMED)
        return str(value)


class _Operations(ProxyTorchDispatchMode):
    """Stands where torch.fx's own mode would: no other may see operations before they are taken apart."""

    def __init__(self, trace: Trace) -> None:
        TorchDispatchMode.__init__(self, DispatchKey.PreDispatch)
        self._mode_key = _TorchDispatchModeKey.PROXY
        self.enter_stack = []
        self._trace = trace

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled meanwhile, and to have it skipped takes longer than to note an operation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, trace = kwargs or {}, self._trace
        if func is torch.ops.prim.device.default:
            return func(*args, **kwargs)
        tensors = [each for each in pytree.tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if any(type(each) not in (Tensor, nn.Parameter) and trace.place_of(each) is None for each in tensors):
            return NotImplemented
        if func is torch.ops.aten.is_nonzero.default:
            if args[0].numel() != 1:
                raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
            with self:
                return (args[0] != 0).item()
        if torch.Tag.data_dependent_output in func.tags:
            if not trace.are_constant(tensors):
                raise RuntimeError(_ASKS_FOR_NUMBERS.format(func))
            return func(*args, **kwargs)
        stands_in_code = func is torch.ops.aten.lift_fresh.default
        func = torch.ops.aten.lift_fresh_copy.default if stands_in_code else func
        number = trace.note(func, args, kwargs)
        result = make_computed(func, args, kwargs)
        trace.note_constant(result, tensors, stands_in_code)
        trace.note_result(result, number)
        return result


class _Switches(PreDispatchTorchFunctionMode):
    """Notes what is no operation, and yet changes what operations do."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._entered: list[int] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _SWITCHES:
            return func(*args, **(kwargs or {}))
        if func is torch.amp.autocast_mode._exit_autocast:
            args = ({"node": self._entered.pop()},)
        number = self._trace.note(func, args, {})
        if func is torch.amp.autocast_mode._enter_autocast:
            self._entered.append(number)
        if func is torch._C._set_grad_enabled:
            func(*args)  # of autocast torch has done so, and asks here besides
        return number
