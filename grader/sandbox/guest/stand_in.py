"""The guest's end of stand-ins (`models/stand_ins.py`): functions that ask the trusted side, in place of the student's.

A question is asked on the line on which the test waits for its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from grader.models.described_modules import build_module
from grader.models.rerun import FILE_PREFIX
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Failure
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value

__all__ = ["bind_stand_ins"]

_Ask = Callable[[dict[str, Any]], Any]


def bind_stand_ins(names: Iterable[str], namespace: dict[str, Any], channel: Channel) -> Mapping[str, Any]:
    """Bind names to functions that ask the trusted side, and return these by name."""

    def ask(question: dict[str, Any]) -> Any:
        channel.send(question)
        answer = channel.receive()
        if isinstance(answer, Failure):
            raise RuntimeError(answer.message)
        return answer

    stand_ins = {name: _make_stand_in(name, ask) for name in names}
    namespace.update(stand_ins)
    return stand_ins


def _make_stand_in(name: str, ask: _Ask) -> Callable[..., Any]:
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        question: dict[str, Any] = {"stand_in": name}  # without arguments it is not answered, and that is noted
        with suppress(TypeError):
            question["given"] = pack_value((args, kwargs), _refuse)
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return _Differentiable.apply(ask, question, *tensors)
        return _read_answer(ask(question))

    # A rerun sees what the functions of its cells return, and this one stands for one of them.
    code = stand_in.__code__.replace(co_filename=f"{FILE_PREFIX}stand-in>", co_name=name)
    return FunctionType(code, stand_in.__globals__, name, None, stand_in.__closure__)


class _Differentiable(torch.autograd.Function):
    """A stand-in's call whose gradients the trusted side computes as well."""

    @staticmethod
    def forward(context: Any, ask: _Ask, question: dict[str, Any], *tensors: Tensor) -> Any:
        context.ask, context.question = ask, question
        return _read_answer(ask(question))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, cotangent: Tensor) -> Any:
        answer = context.ask({**context.question, "cotangent": tensor_to_array(cotangent)})
        gradients = [array_to_tensor(entry) if isinstance(entry, Array) else None for entry in answer]
        return (None, None, *gradients)


def _read_answer(answer: Any) -> Any:
    kind, content = answer
    return build_module(content) if kind == "module" else unpack_value(content, _refuse)


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} cannot be given to a stand-in")
