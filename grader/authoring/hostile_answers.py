"""What no test expects of a student's code: answers, models and recorded values to try a rubric's tests with."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy
import torch
from torch import Tensor, nn

from grader.student import Recorded, Rerun

__all__ = ["Observed", "spoil_layers", "spoil_records", "spoil_rerun"]

_SURROGATE = "\ud800"  # half a character, which no file can hold


class _Raising:
    """An object that raises whatever is asked of it."""

    def _raise(self, *_: Any) -> NoReturn:
        raise ValueError("nothing may be asked of this object")

    __getattr__ = __iter__ = __len__ = __bool__ = __add__ = __mul__ = __float__ = _raise


def _hold_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def _like(right: Any) -> Tensor:
    """Return the right answer, or some tensor if it is none."""
    return right.detach() if isinstance(right, Tensor) else torch.ones(2, 3)


def _full(value: float, dtype: torch.dtype = torch.float32) -> Callable[[Any], Tensor]:
    return lambda right: torch.full_like(_like(right), value, dtype=dtype)


_TENSORS: Mapping[str, Callable[[Any], Any]] = {
    "a tensor without dimensions": lambda _: torch.tensor(1.0),
    "an empty tensor": lambda _: torch.empty(0),
    "a tensor of shape (0, 3)": lambda _: torch.empty(0, 3),
    "a large tensor": lambda _: torch.zeros(1500, 1000),
    "one more dimension": lambda right: _like(right)[None],
    "a flat tensor": lambda right: _like(right).flatten(),
    "a transposed tensor": lambda right: _like(right).mT if _like(right).ndim > 1 else _like(right)[..., None],
    "NaN in every place": _full(float("nan")),
    "infinity in every place": _full(float("inf")),
    "whole numbers": _full(0, torch.int64),
    "truth values": _full(1, torch.bool),
    "complex numbers": _full(1, torch.complex64),
    "numbers of eight bits": _full(1, torch.uint8),
    "numbers of half precision": lambda right: _like(right).half(),
    "numbers of double precision": lambda right: _like(right).double(),
}
_SMALL = {answer: make for answer, make in _TENSORS.items() if answer != "a large tensor"}
_ANSWERS: Mapping[str, Callable[[Any], Any]] = {
    "None": lambda _: None,
    "True": lambda _: True,
    "a whole number": lambda _: -3,
    "a huge whole number": lambda _: 10**500,
    "a number": lambda _: 2.5,
    "NaN": lambda _: float("nan"),
    "infinity": lambda _: float("inf"),
    "a complex number": lambda _: 1j,
    "a text": lambda _: f"a text with {_SURROGATE}",
    "bytes": lambda _: b"bytes",
    "an empty list": lambda _: [],
    "a nested list": lambda _: [[1.0, [2.0, "three"]], []],
    "a list that holds itself": lambda _: _hold_itself(),
    "a list with the answer": lambda right: [right],
    "the answer twice": lambda right: (right, right),
    "a tuple of five": lambda _: (1, 2.0, "three", None, torch.ones(1)),
    "an empty dict": lambda _: {},
    "a dict with other keys": lambda right: {"unexpected": right, 3: None},
    "a set": lambda _: {1, 2},
    "an endless generator": lambda _: itertools.count(),
    "a function": lambda _: lambda *args, **named: None,
    "a class": lambda _: dict,
    "an object that raises": lambda _: _Raising(),
    "a model": lambda _: nn.Identity(),
    "an array of objects": lambda _: numpy.array([None, "text"], dtype=object),
    "an array of texts": lambda _: numpy.array(["text"]),
    "a sparse tensor": lambda right: _like(right).to_sparse(),
    "a tensor without numbers": lambda right: _like(right).to("meta"),
    **_TENSORS,
}


def _remove(module: nn.Module) -> None:
    for part in module.modules():
        for name in part._parameters:
            part._parameters[name] = None


def _rename(module: nn.Module) -> None:
    for part in module.modules():
        for name in list(part._parameters):
            part._parameters[f"{name}_"] = part._parameters.pop(name)


def _tie(module: nn.Module) -> None:
    first = next(module.parameters(), None)
    for part in module.modules():
        for name in part._parameters:
            part._parameters[name] = first


def _freeze(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def _change(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module], None]:
    def change_all(module: nn.Module) -> None:
        for part in module.modules():
            for name, value in part._parameters.items():
                if value is not None and not isinstance(value, nn.parameter.UninitializedParameter):
                    new = change(value.detach())
                    part._parameters[name] = nn.Parameter(new, new.is_floating_point() or new.is_complex())

    return change_all


def _add(value: Tensor) -> Callable[[nn.Module], None]:
    return lambda module: module.register_parameter("odd", nn.Parameter(value))


_MODELS: Mapping[str, Callable[[nn.Module], None]] = {
    "no parameters": _remove,
    "parameters of other names": _rename,
    "one parameter in every place": _tie,
    "frozen parameters": _freeze,
    "complex parameters": _change(lambda value: value.to(torch.complex64)),
    "whole numbers as parameters": _change(lambda value: value.to(torch.int64)),
    "parameters of half precision": _change(lambda value: value.half()),
    "parameters of double precision": _change(lambda value: value.double()),
    "NaN in its parameters": _change(lambda value: torch.full_like(value, float("nan"))),
    "flat parameters": _change(lambda value: value.flatten()),
    "parameters without entries": _change(lambda value: value.flatten()[:0]),
    "parameters without dimensions": _change(lambda value: value.new_zeros(())),
    "a further parameter": _add(torch.zeros(3)),
    "a further parameter without dimensions": _add(torch.tensor(1.0)),
    "a further complex parameter": _add(torch.zeros(2, dtype=torch.complex64)),
}


# Of what a forward pass gives, these are enough: they are compared in few places, and building models takes time.
_OF_MODELS = (
    *("None", "an empty dict", "the answer twice", "an object that raises"),
    *("an empty tensor", "one more dimension", "NaN in every place", "complex numbers"),
)


class Observed:
    """A function with the signature of a right function or class that notes whether it deals with models.

    Attributes:
        makes_models: whether a result was a model.
        takes_models: whether an argument was a model.
    """

    def __init__(self, right: Callable[..., Any]) -> None:
        functools.update_wrapper(self, right, updated=())
        self.makes_models = self.takes_models = False
        self._right = right

    def __call__(self, *args: Any, **named: Any) -> Any:
        result = self._right(*args, **named)
        self.makes_models = self.makes_models or isinstance(result, nn.Module)
        self.takes_models = self.takes_models or bool(_find_models(*args, *named.values()))
        return result

    def spoil(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        """Yield what may stand in its place, each with a description."""
        for answer, make in _ANSWERS.items():
            yield f"returns {answer}", _wrap(self._right, make)
        for answer in _OF_MODELS if self.makes_models else ():
            yield f"makes a model that gives {answer}", _wrap(self._right, partial(_spoil_forward, _ANSWERS[answer]))
        for change, spoil in _MODELS.items() if self.makes_models or self.takes_models else ():
            yield f"gives or leaves a model with {change}", _wrap(self._right, spoil=spoil)


def spoil_layers() -> Iterator[tuple[str, Callable[[nn.Module], None]]]:
    """Yield what may be done to the layers that a test builds, each with a description."""
    yield from _MODELS.items()


def spoil_records(records: Sequence[Recorded]) -> Iterator[tuple[str, Sequence[Recorded]]]:
    """Yield values that names may have in place of the right ones, or after them, each with a description."""
    others: dict[str, Any] = {"a shape": (1, 2, 3), "a layer without parameters": {}}
    for answer in (*others, *_SMALL):
        values = [others[answer] if answer in others else _spoil_value(_SMALL[answer], r.value) for r in records]
        spoilt = [replace(record, value=value) for record, value in zip(records, values, strict=True)]
        yield f"every value is {answer}", spoilt
        yield f"every value becomes {answer}", [*records, *(replace(r, cell=r.cell + 1000) for r in spoilt)]


def spoil_rerun() -> Iterator[tuple[str, Callable[[Rerun], Rerun]]]:
    """Yield what cells may show when they run again with other data, each with a description."""
    yield "cells that run again show nothing", lambda _: Rerun()
    for answer, make in _SMALL.items():
        yield f"cells that run again show {answer}", partial(_spoil_shown, make)


def _spoil_shown(make: Callable[[Any], Any], right: Rerun) -> Rerun:
    values = tuple(replace(record, value=_spoil_value(make, record.value)) for record in right.values)
    return Rerun(values, tuple(map(make, right.returned)), right.substituted)


def _spoil_value(make: Callable[[Any], Any], value: Any) -> Any:
    return {name: make(part) for name, part in value.items()} if isinstance(value, Mapping) else make(value)


def _find_models(*values: Any) -> list[nn.Module]:
    return [value for value in values if isinstance(value, nn.Module)]


def _wrap(
    right: Callable[..., Any],
    change: Callable[[Any], Any] = lambda result: result,
    spoil: Callable[[nn.Module], None] = lambda _: None,
) -> Callable[..., Any]:
    """Return a function with the signature of the right one that changes its result, and the models it deals with."""

    @functools.wraps(right, updated=())
    def spoilt(*args: Any, **named: Any) -> Any:
        result = right(*args, **named)
        for model in _find_models(result, *args, *named.values()):
            spoil(model)
        return change(result)

    return spoilt


def _spoil_forward(make: Callable[[Any], Any], result: Any) -> Any:
    if isinstance(result, nn.Module):
        forward = result.forward
        result.forward = lambda *inputs: make(forward(*inputs))
    return result
