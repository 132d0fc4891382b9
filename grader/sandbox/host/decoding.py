"""What a student's process answered, read on the trusted side: tensors of our own memory, and faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from grader.sandbox.protocol.encoding import Array, Failure
from grader.student import Fault, StudentFault

__all__ = ["estimate_size", "read_fault", "read_tensor", "read_tensors", "reject_malformed"]

_NAMED_FAULTS = {
    "MemoryError": Fault.OUT_OF_MEMORY,
    "Malformed": Fault.MALFORMED,
    "ChangedArgument": Fault.CHANGED_ARGUMENT,
    "Missing": Fault.MISSING,
}


def read_tensor(array: Array) -> Tensor:
    """Return an array as a tensor of its own memory."""
    dtype = getattr(torch, array.dtype)
    if not array.data:
        return torch.empty(array.shape, dtype=dtype)
    return torch.frombuffer(bytearray(array.data), dtype=dtype).reshape(array.shape)


def estimate_size(value: Any) -> int:
    """Return about how much memory a small value takes; raises TypeError for what is none."""
    match value:
        case Array():
            return len(value.data) + 200
        case tuple() if all(type(entry) is int for entry in value):
            return 50 * len(value) + 100
        case dict() if all(isinstance(entry, Array) for entry in value.values()):
            return sum(len(name) + estimate_size(entry) for name, entry in value.items()) + 200
    raise TypeError("a value that is none of a tensor, a shape and a layer")


def read_fault(failure: Failure) -> StudentFault:
    """Return the fault that a failure tells of."""
    message = re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", failure.message)[:500]
    fault = _NAMED_FAULTS.get(failure.name, Fault.RAISED)
    if fault is Fault.RAISED and "can't allocate memory" in message:
        fault = Fault.OUT_OF_MEMORY
    match fault:
        case Fault.OUT_OF_MEMORY:
            return StudentFault(fault, "asked for more memory than a test may use")
        case Fault.CHANGED_ARGUMENT:
            return StudentFault(fault, "changes the tensor it is given; work on a copy")
        case Fault.MALFORMED | Fault.MISSING:
            return StudentFault(fault, message)
    raised = failure.name[:100]
    return StudentFault(fault, f"raises {raised}: {message}" if message else f"raises {raised}", raised)


@contextmanager
def reject_malformed() -> Iterator[None]:
    """Turn an answer of the wrong form into the fault that it is."""
    try:
        yield
    except (ArithmeticError, AttributeError, RuntimeError, TypeError, ValueError):
        raise StudentFault(Fault.MALFORMED, "answered with something else than was asked for") from None


def read_tensors(answer: Any) -> dict[str, Tensor]:
    """Return an answer that is to be tensors by name.

    Raises StudentFault where it is something else.
    """
    if not isinstance(answer, dict) or not all(isinstance(value, Tensor) for value in answer.values()):
        raise StudentFault(Fault.MALFORMED, "has parameters that are no plain tensors")
    return answer
