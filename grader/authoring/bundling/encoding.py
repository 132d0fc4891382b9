"""A recording as plain JSON: numbers as base64 of little-endian bytes, nothing that is run when it is read."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from grader.authoring.bundling.check.replay import describe_layer
from grader.authoring.bundling.recording import Made, RecordedStep, Unrecordable

__all__ = ["encode_steps"]

_DTYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)


def encode_steps(steps: Sequence[RecordedStep]) -> Iterator[dict[str, Any]]:
    """Give steps as plain JSON values, without those of which nothing is minded and nothing follows.

    Raises:
        Unrecordable: something in them is no plain data.
    """
    # A forward pass builds lazy layers, and tells which parameter is which.
    followed = {step.of for step in steps if step.do == "load" or (step.do == "shapes" and step.minded)}
    for step in steps:
        said = _said(step, steps)
        if step.do not in ("operations", "shapes", "parameters") or step.minded or step.of in followed:
            yield {"do": step.do, "of": step.of.by if step.of else None, **said}


def _said(step: RecordedStep, steps: Sequence[RecordedStep]) -> dict[str, Any]:
    match step.do:
        case "operations":
            return {"inputs": [list(each.shape) for each in step.args], **_operations(step, steps)}
        case "shapes":
            sizes = sorted(prod(step.answer[name]) for name in step.minded)
            return {"sizes": sizes, "all": len(sizes) == len(step.answer)}
        case "parameters":
            return {"answer": _plain({name: step.answer[name] for name in step.minded})}
        case "gradients":
            asked = {"args": _plain(step.args), "cotangent": _plain(step.named["cotangent"])}
            return asked | {"answer": _plain({name: step.answer[name] for name in step.minded})}
        case "load":
            return {"values": _plain(step.args[0])}
    return {"args": _plain(step.args), "named": _plain(step.named), **_answer(step)}


def _answer(step: RecordedStep) -> dict[str, Any]:
    if step.made is not None:
        return {"made": step.made, "kind": step.answer}
    if "values" in step.minded:
        return {"compare": "values", "answer": _plain(step.answer)}
    if "shape" in step.minded:
        return {"compare": "shape", "answer": list(step.answer.shape)}
    return {"compare": ""}


def _operations(step: RecordedStep, steps: Sequence[RecordedStep]) -> dict[str, Any]:
    """Return the layers of a forward pass that a test minds, and the parameters in the order of their use."""
    layers = [describe_layer(step.answer[place].name, step.answer[place].shape) for place in step.minded]
    last = step.answer[-1]
    minded = len(step.answer) - 1 in step.minded and not describe_layer(last.name, last.shape)[0]
    told = [each.answer for each in steps if each.do == "shapes" and each.of == step.of]
    shapes = {name: list(shape) for name, shape in told[0].items()} if told else {}
    used = dict.fromkeys(name for operation in step.answer for name in operation.parameters)
    return {
        "layers": [[kind, shape] for kind, shape in layers if kind],
        "output": list(last.shape) if minded else None,
        "uses": [[name, shapes[name]] for name in used if name in shapes],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _numbers(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    place = getattr(value, "place", None)
    if isinstance(place, Made):
        return {"made": place.by}
    raise Unrecordable("its answers are no plain data")


def _numbers(value: Tensor) -> dict[str, Any]:
    if value.dtype not in _DTYPES:
        raise Unrecordable(f"its numbers are of {value.dtype}")
    array = value.detach().contiguous().numpy()
    little = array.astype(array.dtype.newbyteorder("<")).tobytes()
    name = str(value.dtype).removeprefix("torch.")
    return {"tensor": base64.b64encode(little).decode("ascii"), "dtype": name, "shape": list(value.shape)}
