"""A small module as plain data, and the module that such data describes: torch's own layers and how they are joined.

A description holds no code and no numbers. It is how a right helper takes the place of a student's wrong one
(`stand_ins.py`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

__all__ = ["NotDescribable", "build_module", "describe_module"]

_POOLING = ("kernel_size", "stride", "padding", "ceil_mode")
_NORMALISATION = ("eps", "momentum", "affine", "track_running_stats")
_CONVOLUTION = ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
# The layers that a description can have, each with the arguments of its constructor.
_LAYERS: Mapping[str, tuple[str, ...]] = {
    **{f"Conv{n}d": ("in_channels", *_CONVOLUTION) for n in (1, 2, 3)},
    **{f"LazyConv{n}d": _CONVOLUTION for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": ("num_features", *_NORMALISATION) for n in (1, 2, 3)},
    **{f"LazyBatchNorm{n}d": _NORMALISATION for n in (1, 2, 3)},
    **{f"MaxPool{n}d": (*_POOLING, "dilation") for n in (1, 2, 3)},
    **{f"AvgPool{n}d": (*_POOLING, "count_include_pad") for n in (1, 2, 3)},
    **{f"Adaptive{kind}Pool{n}d": ("output_size",) for n in (1, 2, 3) for kind in ("Avg", "Max")},
    "Linear": ("in_features", "out_features", "bias"),
    "LazyLinear": ("out_features", "bias"),
    "Flatten": ("start_dim", "end_dim"),
    "Dropout": ("p",),
    **dict.fromkeys(("ReLU", "Sigmoid", "Tanh", "GELU", "SiLU", "Identity"), ()),
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "operator.add": operator.add,
    "operator.iadd": operator.iadd,
    "operator.mul": operator.mul,
    "torch.add": torch.add,
    "torch.cat": torch.cat,
    "torch.flatten": torch.flatten,
    "torch.relu": torch.relu,
    "torch.sigmoid": torch.sigmoid,
    "torch.tanh": torch.tanh,
    "functional.relu": functional.relu,
    "functional.sigmoid": functional.sigmoid,
    "functional.tanh": functional.tanh,
}
_METHODS = ("add", "add_", "relu", "relu_", "flatten", "sigmoid", "tanh")
_PLAIN = (type(None), bool, int, float, str)


class NotDescribable(Exception):
    """A module holds something else than torch's layers, joined in a fixed way."""


def describe_module(module: nn.Module) -> dict[str, Any]:
    """Return the layers of a module and the steps of its forward pass, as plain data.

    Raises:
        NotDescribable: it has other parts, or its forward pass depends on what it is given.
    """
    try:
        traced: fx.GraphModule = fx.symbolic_trace(module)
    except Exception as error:
        raise NotDescribable(str(error)) from error
    numbers = {node: number for number, node in enumerate(traced.graph.nodes)}
    layers: dict[str, int] = {}  # each with its number: a layer that is used twice is the same one
    found: list[tuple[str, dict[str, Any]]] = []
    steps = []
    for node in traced.graph.nodes:
        target: Any = node.target
        if node.op == "call_module":
            if target not in layers:
                layers[target] = len(found)
                found.append(_describe_layer(traced.get_submodule(target)))
            target = layers[target]
        elif node.op == "call_function":
            target = next((name for name, function in _FUNCTIONS.items() if function is target), None)
        if target is None or node.op == "get_attr" or (node.op == "call_method" and target not in _METHODS):
            raise NotDescribable(f"{node.op} of {node.target}")
        steps.append((node.op, target, _refer(node.args, numbers), _refer(node.kwargs, numbers)))
    return {"layers": tuple(found), "steps": tuple(steps)}


def _describe_layer(layer: nn.Module) -> tuple[str, dict[str, Any]]:
    kind = type(layer).__name__
    if kind not in _LAYERS or type(layer) is not getattr(nn, kind):
        raise NotDescribable(f"a layer {kind}")
    settings = {name: getattr(layer, name) for name in _LAYERS[kind]}
    if "bias" in settings:
        settings["bias"] = settings["bias"] is not None
    return kind, {name: _refer(value, {}) for name, value in settings.items()}


def _refer(value: Any, numbers: Mapping[fx.Node, int]) -> Any:
    """Return an argument as plain data, in which {"step": number} stands for the result of a step."""
    if isinstance(value, fx.Node):
        return {"step": numbers[value]}
    if isinstance(value, tuple | list):
        return tuple(_refer(entry, numbers) for entry in value)
    if isinstance(value, Mapping):
        return {name: _refer(entry, numbers) for name, entry in value.items()}
    if type(value) not in _PLAIN:
        raise NotDescribable(f"an argument of type {type(value).__name__}")
    return value


def build_module(description: Mapping[str, Any]) -> nn.Module:
    """Return a new module as a description has it, with torch's initial numbers."""
    return _Described(description)


class _Described(nn.Module):
    def __init__(self, description: Mapping[str, Any]) -> None:
        super().__init__()
        self._layers = nn.ModuleList(getattr(nn, kind)(**settings) for kind, settings in description["layers"])
        self._steps: Sequence[Any] = description["steps"]

    def forward(self, *inputs: Any) -> Any:
        given = iter(inputs)
        results: list[Any] = []
        for operation, target, args, kwargs in self._steps:
            arguments = _resolve(args, results)
            named = _resolve(kwargs, results)
            if operation == "placeholder":
                result = next(given)
            elif operation == "call_module":
                result = self._layers[target](*arguments, **named)
            elif operation == "call_function":
                result = _FUNCTIONS[target](*arguments, **named)
            elif operation == "call_method":
                result = getattr(arguments[0], target)(*arguments[1:], **named)
            else:
                return arguments[0]
            results.append(result)
        return None


def _resolve(value: Any, results: Sequence[Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_resolve(entry, results) for entry in value)
    if isinstance(value, Mapping):
        if value.keys() == {"step"}:
            return results[value["step"]]
        return {name: _resolve(entry, results) for name, entry in value.items()}
    return value
