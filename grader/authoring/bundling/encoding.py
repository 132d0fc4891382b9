"""Encode a recording as plain JSON, with numbers as base64 of little-endian bytes: reading it runs no code."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from grader.authoring.bundling.check.replay import describe_layer
from grader.authoring.bundling.recording import ObjectReference, RecordedStep, Unrecordable

__all__ = ["encode_steps"]

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)


def encode_steps(steps: Sequence[RecordedStep]) -> Iterator[dict[str, Any]]:
    """Yield steps as plain JSON values, without those that are neither checked nor needed by a later step.

    Raises:
        Unrecordable: a value is not plain data.
    """
    # A forward pass builds lazy layers, and pairs the student's parameters with the recorded ones.
    needed = {step.target for step in steps if step.do == "load" or (step.do == "shapes" and step.checked)}
    for step in steps:
        encoded = _encode_step(step, steps)
        if step.do not in ("operations", "shapes", "parameters") or step.checked or step.target in needed:
            yield {"do": step.do, "of": step.target.key if step.target else None, **encoded}


def _encode_step(step: RecordedStep, steps: Sequence[RecordedStep]) -> dict[str, Any]:
    match step.do:
        case "operations":
            return {"inputs": [list(tensor.shape) for tensor in step.args], **_encode_operations(step, steps)}
        case "shapes":
            sizes = sorted(prod(step.answer[name]) for name in step.checked)
            return {"sizes": sizes, "all": len(sizes) == len(step.answer)}
        case "parameters":
            return {"answer": _encode({name: step.answer[name] for name in step.checked})}
        case "gradients":
            question = {"args": _encode(step.args), "cotangent": _encode(step.named["cotangent"])}
            return question | {"answer": _encode({name: step.answer[name] for name in step.checked})}
        case "load":
            return {"values": _encode(step.args[0])}
    return {"args": _encode(step.args), "named": _encode(step.named), **_encode_answer(step)}


def _encode_answer(step: RecordedStep) -> dict[str, Any]:
    if step.made is not None:
        return {"made": step.made, "kind": step.answer}
    if "values" in step.checked:
        return {"compare": "values", "answer": _encode(step.answer)}
    if "shape" in step.checked:
        return {"compare": "shape", "answer": list(step.answer.shape)}
    return {"compare": ""}


def _encode_operations(step: RecordedStep, steps: Sequence[RecordedStep]) -> dict[str, Any]:
    """Return the layers of a forward pass that a test checks, and the parameters in the order of their use."""
    layers = [describe_layer(step.answer[position].name, step.answer[position].shape) for position in step.checked]
    last = step.answer[-1]
    checks_output = len(step.answer) - 1 in step.checked and not describe_layer(last.name, last.shape)[0]
    answers = [other.answer for other in steps if other.do == "shapes" and other.target == step.target]
    shapes = {name: list(shape) for name, shape in answers[0].items()} if answers else {}
    used = dict.fromkeys(name for operation in step.answer for name in operation.parameters)
    return {
        "layers": [[kind, shape] for kind, shape in layers if kind],
        "output": list(last.shape) if checks_output else None,
        "uses": [[name, shapes[name]] for name in used if name in shapes],
    }


def _encode(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _encode_tensor(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple | list):
        return [_encode(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: _encode(entry) for name, entry in value.items()}
    reference = getattr(value, "reference", None)
    if isinstance(reference, ObjectReference):
        return {"made": reference.key}
    raise Unrecordable("its answers are not plain data")


def _encode_tensor(value: Tensor) -> dict[str, Any]:
    if value.dtype not in _DTYPES:
        raise Unrecordable(f"its numbers have the type {value.dtype}")
    array = value.detach().contiguous().numpy()
    little = array.astype(array.dtype.newbyteorder("<")).tobytes()
    name = str(value.dtype).removeprefix("torch.")
    return {"tensor": base64.b64encode(little).decode("ascii"), "dtype": name, "shape": list(value.shape)}
