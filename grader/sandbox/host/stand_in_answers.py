"""The trusted end of stand-ins: questions of a student's process to functions of our own, and their answers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from grader.models.stand_ins import Description, StandIns, Unanswered
from grader.sandbox.protocol.encoding import Array, Failure
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value

__all__ = ["answer_question", "is_question"]

_MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def is_question(response: Any) -> bool:
    """Tell whether a frame from a process with stand-ins is a question to one of them."""
    return isinstance(response, dict) and "stand_in" in response


def answer_question(stand_ins: StandIns, question: dict[str, Any]) -> Any:
    """Return the answer as plain data, or a failure for a question that is malformed or not answered."""
    try:
        name = str(question["stand_in"])[:100]
        args, kwargs = unpack_value(question["given"], _refuse)
        if not (isinstance(args, tuple) and isinstance(kwargs, dict)):
            raise TypeError("no arguments")
        if "cotangent" in question:
            cotangent = question["cotangent"]
            if not isinstance(cotangent, Array):
                raise TypeError("no tensor")
            found = stand_ins.find_gradients(name, args, kwargs, array_to_tensor(cotangent))
            return tuple(tensor_to_array(entry) if isinstance(entry, Tensor) else None for entry in found)
        answer = stand_ins.call(name, args, kwargs)
        if isinstance(answer, Description):
            return ("module", answer.module)
        return ("value", pack_value(answer, _refuse))
    except Unanswered as error:
        stand_ins.unanswered += 1
        return Failure("Unanswered", str(error)[:500])
    except _MALFORMED:
        stand_ins.unanswered += 1
        return Failure("Unanswered", "the question is malformed")


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} is no plain value")
