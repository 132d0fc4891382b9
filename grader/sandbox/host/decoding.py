"""Decoding the responses of a student's process on the trusted side, into values and faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from grader.sandbox.protocol.encoding import Array, Failure
from grader.student import Fault, StudentFault

__all__ = ["estimate_size", "read_fault", "read_tensors", "reject_malformed"]

_NAMED_FAULTS = {
    "MemoryRefused": Fault.OUT_OF_MEMORY,
    "Malformed": Fault.MALFORMED,
    "ChangedArgument": Fault.CHANGED_ARGUMENT,
    "Missing": Fault.MISSING,
}


def estimate_size(value: Any) -> int:
    """Return roughly how many bytes a recorded value takes in memory.

    Raises:
        TypeError: the value is neither a tensor, a shape nor a layer's parameters.
    """
    match value:
        case Array():
            return len(value.data) + 200
        case tuple() if all(type(entry) is int for entry in value):
            return 50 * len(value) + 100
        case dict() if all(isinstance(entry, Array) for entry in value.values()):
            return sum(len(name) + estimate_size(entry) for name, entry in value.items()) + 200
    raise TypeError("a value that is none of a tensor, a shape and a layer")


def read_fault(failure: Failure) -> StudentFault:
    """Return the fault that a failure stands for."""
    message = re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", failure.message)[:500]
    fault = _NAMED_FAULTS.get(failure.name, Fault.RAISED)
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
    """Turn the error of reading a response of the wrong form into a student's fault."""
    try:
        yield
    except (ArithmeticError, AttributeError, RuntimeError, TypeError, ValueError):
        raise StudentFault(Fault.MALFORMED, "answered with something else than was asked for") from None


def read_tensors(response: Any) -> dict[str, Tensor]:
    """Return a response that should be tensors by name.

    Raises:
        StudentFault: the response is something else.
    """
    if not isinstance(response, dict) or not all(isinstance(value, Tensor) for value in response.values()):
        raise StudentFault(Fault.MALFORMED, "has parameters that are no plain tensors")
    return response
