"""What an exception has at hand besides its text: names that are close, the layer that raised it, shapes of tensors.

It is read where the exception was caught, from its traceback alone, so that calls which raise nothing cost nothing.
"""

from __future__ import annotations

import builtins
import difflib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import prod
from types import FrameType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from grader.models.failed_layer import FailedLayer, Spot

__all__ = ["find_layer", "find_near_name", "list_frames", "list_shapes", "read_spot"]

_SHORTEST = 3  # letters of a name in which others may differ
_CLOSE = 0.75
_MOST_NAMES = 5_000
_MOST_SHAPES = 12
_MOST_DIMENSIONS = 8
_KINDS: tuple[tuple[str, tuple[type[nn.Module], ...]], ...] = (
    ("fully connected layer", (nn.Linear,)),
    ("convolution", (nn.Conv1d, nn.Conv2d, nn.Conv3d)),
    ("pooling", (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)),
    ("batch normalisation", (nn.BatchNorm1d, nn.BatchNorm2d)),
)
_KEYWORD = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'")
_IMPORTED = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_NO_FORWARD = 'is missing the required "forward" function'


def list_frames(error: BaseException) -> list[tuple[FrameType, int]]:
    """Return the frames that an exception passed and the line in each, the one that raised it last."""
    frames, entry = [], error.__traceback__
    while entry is not None:
        frames.append((entry.tb_frame, entry.tb_lineno))
        entry = entry.tb_next
    return frames


def read_spot(error: BaseException) -> Spot:
    """Return what is known of the place at which an exception was raised in this process, without its line."""
    layer = find_layer(error)
    return Spot("", FailedLayer(**layer) if layer else None, find_near_name(error))


def find_near_name(error: BaseException) -> str:
    """Return the name that is close to one which an exception misses, or ""."""
    with suppress(Exception):  # whatever a student's object does when it is looked at
        if "did you mean" in str(error).lower():
            return ""
        for wanted, names in _list_choices(error):
            if near := _find_nearest(wanted, names):
                return near
    return ""


def _list_choices(error: BaseException) -> Iterator[tuple[str, Iterable[str]]]:
    """Yield the missing name with the names that it may stand for, the likeliest first."""
    frames = list_frames(error)
    frame = frames[-1][0] if frames else None
    text = str(error)
    if isinstance(error, NameError) and frame is not None and error.name and not isinstance(error, UnboundLocalError):
        code = frame.f_code
        yield error.name, (*code.co_varnames, *code.co_freevars, *code.co_cellvars)
        yield error.name, [name for name in frame.f_globals if not name.startswith("_")]
        yield error.name, vars(builtins)
    elif isinstance(error, AttributeError) and error.name:
        yield error.name, [name for name in dir(error.obj) if not name.startswith("_")]
    elif (found := _IMPORTED.search(text)) and found[2] in sys.modules:
        yield found[1], [name for name in dir(sys.modules[found[2]]) if not name.startswith("_")]
    elif (found := _KEYWORD.search(text)) and frame is not None:
        if (function := _find_function(found[1], frame)) is not None:
            yield found[2], inspect.signature(function).parameters
    elif isinstance(error, NotImplementedError) and _NO_FORWARD in text and frame is not None:
        own = (vars(kind) for kind in type(frame.f_locals.get("self")).__mro__ if not _is_torchs(kind))
        yield "forward", [name for names in own for name in names]


def _find_function(name: str, frame: FrameType) -> Any:
    """Return the function or class that a message names, as far as the frame knows it, or None."""
    head = name.split(".")[0]
    known: Mapping[str, Any] = {**frame.f_globals, **frame.f_locals}
    inside = (vars(value).get(head) for value in (*known.values(), nn) if isinstance(value, ModuleType))
    places = (known.get(head), *inside)
    return next((value for value in places if callable(value)), None)


def _find_nearest(wanted: str, names: Iterable[str]) -> str:
    """Return the name that is the same but for case and underscores, or else very like; its digits are the same."""
    others = [name for name in list(names)[:_MOST_NAMES] if isinstance(name, str) and name != wanted]
    plain = _simplify(wanted)
    if alike := [name for name in others if _simplify(name) == plain]:
        return alike[0]
    if len(wanted) < _SHORTEST:
        return ""
    digits = re.findall(r"\d", wanted)
    likely = [name for name in others if len(name) >= _SHORTEST and re.findall(r"\d", name) == digits]
    return next(iter(difflib.get_close_matches(wanted, likely, 1, _CLOSE)), "")


def _simplify(name: str) -> str:
    return name.replace("_", "").casefold()


def list_shapes(frame: FrameType) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors among a function's local names."""
    shapes: dict[str, tuple[int, ...]] = {}
    with suppress(Exception):
        for name, value in frame.f_locals.items():
            if isinstance(value, Tensor) and value.dim() <= _MOST_DIMENSIONS and len(shapes) < _MOST_SHAPES:
                shapes[name] = tuple(int(n) for n in value.shape)
    return shapes


def find_layer(error: BaseException) -> dict[str, Any] | None:
    """Return which layer of torch raised an exception, as plain data; None if none did.

    Returns:
        `kind` in words; `number` among the `count` layers of its kind in the outermost module, in the order in which
        they were made; `name`, that of the attribute it is, or ""; `takes`, how many numbers or channels it is made
        for, or None; `input`, the shape of its input; `before`, the shape that was flattened to it, or ().
    """
    with suppress(Exception):
        calls = [
            (frame.f_locals["self"], frame.f_locals.get("args", ()), frame.f_locals.get("kwargs", {}))
            for frame, _ in list_frames(error)
            if frame.f_code.co_name == "_call_impl" and isinstance(frame.f_locals.get("self"), nn.Module)
        ]
        if calls and (kind := _name_kind(calls[-1][0])):
            return _describe_layer(kind, calls)
    return None


def _describe_layer(kind: str, calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]]) -> dict[str, Any]:
    layer, inputs, _ = calls[-1]
    outermost = calls[0][0]
    alike = [module for module in outermost.modules() if _name_kind(module) == kind]
    path = next(name for name, module in outermost.named_modules() if module is layer)
    first = inputs[0] if inputs else None
    shape = tuple(int(n) for n in first.shape) if isinstance(first, Tensor) else ()
    takes = next((getattr(layer, name) for name in _SIZES if isinstance(getattr(layer, name, None), int)), None)
    name = path.rpartition(".")[2]
    return {
        "kind": kind,
        "number": next(number for number, module in enumerate(alike, 1) if module is layer),
        "count": len(alike),
        "name": "" if name.isdigit() else name[:100],
        "takes": takes,
        "input": shape[:_MOST_DIMENSIONS],
        "before": _find_shape_before(*calls[0], shape) if len(calls) > 1 and len(shape) == 2 else (),
    }


_SIZES = ("in_features", "in_channels", "num_features")


def _name_kind(module: nn.Module) -> str:
    return next((name for name, kinds in _KINDS if isinstance(module, kinds)), "")


def _is_torchs(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("torch", "builtins", "d2l")


class _Maps(TorchFunctionMode):
    """Notes the shape of the last result with more than two dimensions."""

    last: tuple[int, ...] = ()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dim() > 2:
            self.last = tuple(int(n) for n in result.shape)
        return result


def _find_shape_before(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Run a module again until it raises, and return the shape of the map that was flattened to the input, or ()."""
    with torch.no_grad(), suppress(Exception), _Maps() as maps:
        module(*args, **kwargs)
    last = maps.last
    return last[:_MOST_DIMENSIONS] if last[:1] == shape[:1] and prod(last[1:]) == shape[1] else ()
