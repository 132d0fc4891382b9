"""Decoding the responses of a student's process on the trusted side, into values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from grader.sandbox.protocol.encoding import Array
from grader.student import Fault, StudentFault

__all__ = ["estimate_size", "read_tensors", "read_text", "reject_malformed"]


def estimate_size(value: Any) -> int:
    """Return roughly how many bytes a recorded value takes in memory.

    Raises:
        TypeError: the value is neither a tensor, a shape nor a layer's parameters.
    """
    match value:
        case Array():
            return len(value.data) + 200
        case tuple() if all(type(entry) is int for entry in value):
            return sum(50 + int(entry).bit_length() // 8 for entry in value) + 100
        case dict() if all(isinstance(entry, Array) for entry in value.values()):
            return sum(len(name) + estimate_size(entry) for name, entry in value.items()) + 200
    raise TypeError("a value that is none of a tensor, a shape and a layer")


def read_text(value: Any, longest: int) -> str:
    """Return the first `longest` characters of a text.

    Raises:
        TypeError: the value is something else. Its own text could be many times as long as its frame.
    """
    if type(value) is not str:
        raise TypeError("no text")
    return value[:longest]


@contextmanager
def reject_malformed() -> Iterator[None]:
    """Turn the error of reading a response of the wrong form into a student's fault."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        raise StudentFault(Fault.MALFORMED, "answered with something else than was asked for") from None


def read_tensors(response: Any) -> dict[str, Tensor]:
    """Return a response that should be tensors by name.

    Raises:
        StudentFault: the response is something else.
    """
    if not isinstance(response, dict) or not all(isinstance(value, Tensor) for value in response.values()):
        raise StudentFault(Fault.MALFORMED, "has parameters that are no plain tensors")
    return response
