"""The allow-list: for each torch operation that a student's model may use, the operation that rebuilds it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from grader.training.graph import Unsupported
from grader.training.network import ELEMENTWISE

__all__ = ["COMMUTATIVE", "PASSED_ON", "TRANSLATIONS", "RebuiltOperation"]

COMMUTATIVE = {"add", "mul", "maximum", "minimum"}
# They return their first argument, as far as a training in float32 on one device is concerned.
PASSED_ON = {"contiguous", "clone", "alias", "to", "_to_copy", "lift_fresh"}
_MOST = 10_000


class Shapes(Protocol):
    """Knows the shapes of the tensors among the arguments."""

    def shape(self, reference: Any) -> tuple[int, ...]:
        """Return the shape of a tensor or parameter; a tensor's first dimension is the batch."""


@dataclass(frozen=True)
class RebuiltOperation:
    """The operation that rebuilds another; its inputs and parameters are references as they arrived."""

    operation: str
    inputs: tuple[Any, ...]
    parameters: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


Translation = RebuiltOperation | dict[str, int]  # a dict refers to the tensor that the operation does not change
Translate = Callable[[Shapes, str, dict[str, Any]], Translation]


def _parameters(*references: Any) -> tuple[Any, ...]:
    """Return the references to parameters without those that are None."""
    parameters = [reference for reference in references if reference is not None]
    for reference in parameters:
        if not isinstance(reference, Mapping) or set(reference) != {"parameter"}:
            raise Unsupported("a layer's weight is not a parameter of the model")
    return tuple(parameters)


def _pair(value: Any) -> tuple[int, int]:
    numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
    pair = numbers * 2 if len(numbers) == 1 else numbers
    if len(pair) != 2 or any(type(n) is not int or not 0 <= n <= _MOST for n in pair):
        raise Unsupported("a layer has an impossible setting")
    return pair


def _numbers(value: Any) -> tuple[int, ...]:
    numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
    if any(type(n) is not int or abs(n) > _MOST for n in numbers):
        raise Unsupported("an operation has an impossible setting")
    return numbers


def _real(value: Any) -> float:
    if type(value) not in (int, float, bool) or not math.isfinite(value):
        raise Unsupported("an operation has a number that is not finite")
    return float(value)


def _convolution(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    weight, bias = named["weight"], named["bias"]
    dilation = _pair(named["dilation"])
    if overload == "padding" and named["padding"] == "same":
        whole = [d * (k - 1) for d, k in zip(dilation, shapes.shape(weight)[2:], strict=True)]
        if any(n % 2 for n in whole):
            raise Unsupported("a convolution pads one side more than the other")
        padding = (whole[0] // 2, whole[1] // 2)
    else:
        padding = (0, 0) if named["padding"] == "valid" else _pair(named["padding"])
    settings = {
        "stride": _pair(named["stride"]),
        "padding": padding,
        "dilation": dilation,
        "groups": int(named["groups"]),
    }
    return RebuiltOperation("conv2d", (named["input"],), _parameters(weight, bias), settings)


def _linear(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    return RebuiltOperation("linear", (named["input"],), _parameters(named["weight"], named["bias"]))


def _product(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    return RebuiltOperation("matmul", (named["self"],), _parameters(named.get("other", named.get("mat2"))))


def _batch_norm(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    if not named["training"]:
        raise Unsupported("a batch normalisation is kept in eval mode")
    channels = shapes.shape(named["input"])[1]
    momentum = named["momentum"]
    settings = {"eps": _real(named["eps"]), "momentum": _real(momentum or 0.0), "channels": channels}
    return RebuiltOperation("batch_norm", (named["input"],), _parameters(named["weight"], named["bias"]), settings)


def _pooling(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        source = named.get("self", named.get("input"))
        kernel = _pair(named["kernel_size"])
        settings: dict[str, Any] = {
            "kernel_size": kernel,
            "stride": _pair(named["stride"]) if named["stride"] else kernel,
            "padding": _pair(named["padding"]),
            "ceil_mode": bool(named["ceil_mode"]),
        }
        if name == "max_pool2d":
            settings["dilation"] = _pair(named["dilation"])
        else:
            settings["count_include_pad"] = bool(named["count_include_pad"])
            if named["divisor_override"] is not None:
                raise Unsupported("an average pooling has a divisor_override, which is not rebuilt")
        return RebuiltOperation(name, (source,), (), settings)

    return translate


def _adaptive(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        return RebuiltOperation(name, (named["self"],), (), {"output_size": _pair(named["output_size"])})

    return translate


def _elementwise(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        settings = {
            key: value if isinstance(value, str | bool) or value is None else _real(value)
            for key, value in named.items()
            if key != "self" and key in _SETTINGS.get(name, ())
        }
        for key, fixed in _FIXED.get(name, {}).items():
            if named.get(key, fixed) != fixed:
                raise Unsupported(f"{name} has a setting that is not rebuilt")
        return RebuiltOperation(name, (named["self"],), (), settings)

    return translate


# Settings of element-wise operations, by their names both in torch's schema and in the rebuilding function.
_SETTINGS = {
    "gelu": ("approximate",),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "softplus": ("beta", "threshold"),
    "hardtanh": ("min_val", "max_val"),
    "pow": ("exponent",),
}
_FIXED = {"elu": {"scale": 1, "input_scale": 1}}


def _clamp(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    low, high = named.get("min"), named.get("max")
    if low == 0 and high is None:
        return RebuiltOperation("relu", (named["self"],))
    settings = {key: _real(value) for key, value in (("min", low), ("max", high)) if value is not None}
    return RebuiltOperation("clamp", (named["self"],), (), settings)


def _dropout(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    source, p = named["input"], _real(named["p"])
    if not named["train"] or p == 0:
        return dict(source)
    if not 0 < p <= 1:
        raise Unsupported("a dropout has an impossible probability")
    return RebuiltOperation("dropout", (source,), (), {"p": p})


def _reshape(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    source = named["self"]
    before = shapes.shape(source)
    after = _shape_after_reshape(before, named)
    if after == before:
        return dict(source)
    if len(after) == 2:
        return RebuiltOperation("flatten", (source,))
    return RebuiltOperation("reshape", (source,), (), {"shape": after[1:]})


def _shape_after_reshape(before: tuple[int, ...], named: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape that a reshaping gives, and refuse one that mixes images."""
    if "start_dim" in named:
        start, end = (_dimension(named[key], before) for key in ("start_dim", "end_dim"))
        after = (*before[:start], math.prod(before[start : end + 1]), *before[end + 1 :])
    elif "size" in named or "shape" in named:
        sizes = _numbers(named.get("size", named.get("shape")))
        rest = math.prod(before) // max(1, math.prod(n for n in sizes if n != -1))
        after = tuple(rest if n == -1 else n for n in sizes)
    else:
        dims = [_dimension(n, before) for n in _numbers(named.get("dim", tuple(range(1, len(before)))))]
        after = tuple(n for dim, n in enumerate(before) if not (dim in dims and n == 1 and dim > 0))
    if after[:1] != before[:1] or math.prod(after) != math.prod(before):
        raise Unsupported("it mixes images: a reshaping mixes the batch with other dimensions")
    return after


def _dimension(value: Any, shape: tuple[int, ...]) -> int:
    if type(value) is not int or not -len(shape) <= value < len(shape):
        raise Unsupported("an operation uses a dimension that does not exist")
    return value % len(shape)


def _binary(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        if named.get("alpha", 1) != 1 or named.get("rounding_mode") is not None:
            raise Unsupported(f"{name} has a setting that is not rebuilt")
        left, right = named["self"], named["other"]
        operands = (left, right)
        tensors = tuple(item for item in operands if isinstance(item, Mapping) and "parameter" not in item)
        weights = tuple(item for item in operands if isinstance(item, Mapping) and "parameter" in item)
        numbers = tuple(item for item in operands if not isinstance(item, Mapping))
        if not tensors:
            raise Unsupported("it computes with parameters before any image")
        settings: dict[str, Any] = {"number": _real(numbers[0])} if numbers else {}
        if name not in COMMUTATIVE and operands[0] is not tensors[0]:
            settings["reversed"] = True
        return RebuiltOperation(name, tensors, weights, settings)

    return translate


def _reversed_subtraction(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    return _binary("sub")(shapes, overload, {**named, "self": named["other"], "other": named["self"]})


def _reduction(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        shape = shapes.shape(named["self"])
        dims = tuple(sorted(_dimension(n, shape) for n in _numbers(named["dim"])))
        keep = bool(named["keepdim"])
        pooled = {"mean": "adaptive_avg_pool2d", "amax": "adaptive_max_pool2d"}.get(name)
        if pooled and dims == (2, 3) and len(shape) == 4 and keep:
            return RebuiltOperation(pooled, (named["self"],), (), {"output_size": (1, 1)})
        if not dims or 0 in dims or named.get("dtype") is not None:
            raise Unsupported("it mixes images: a mean or a sum is taken over the batch")
        return RebuiltOperation(name, (named["self"],), (), {"dim": dims, "keepdim": keep})

    return translate


def _softmax(name: str) -> Translate:
    def translate(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
        dim = _dimension(named["dim"], shapes.shape(named["self"]))
        if dim == 0:
            raise Unsupported("it mixes images: a softmax is taken over the batch")
        return RebuiltOperation(name, (named["self"],), (), {"dim": dim})

    return translate


def _cat(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    tensors = tuple(named["tensors"])
    return RebuiltOperation("cat", tensors, (), {"dim": _dimension(named["dim"], shapes.shape(tensors[0]))})


def _permute(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    shape = shapes.shape(named["self"])
    if "dims" in named:
        dims = tuple(_dimension(n, shape) for n in _numbers(named["dims"]))
    else:
        first, second = (_dimension(named[key], shape) for key in ("dim0", "dim1"))
        order = list(range(len(shape)))
        order[first], order[second] = second, first
        dims = tuple(order)
    if dims[:1] != (0,):
        raise Unsupported("it mixes images: the batch is no longer the first dimension")
    return RebuiltOperation("permute", (named["self"],), (), {"dims": dims})


def _pad(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    value = named.get("value")
    if named.get("mode", "constant") != "constant":
        raise Unsupported("it pads with something other than a constant")
    settings = {"pad": _numbers(named["pad"]), "value": _real(value or 0.0)}
    return RebuiltOperation("pad", (named["self"],), (), settings)


def _prelu(shapes: Shapes, overload: str, named: dict[str, Any]) -> Translation:
    return RebuiltOperation("prelu", (named["self"],), _parameters(named["weight"]))


TRANSLATIONS: dict[str, Translate] = {
    **{name: _elementwise(name) for name in ELEMENTWISE if name != "clamp"},
    **{name: _binary(name) for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamp),
    **dict.fromkeys(("reshape", "view", "_unsafe_view", "flatten", "squeeze"), _reshape),
    **{name: _adaptive(name) for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d")},
    **{name: _pooling(name) for name in ("max_pool2d", "avg_pool2d")},
    **{name: _softmax(name) for name in ("softmax", "log_softmax")},
    **{name: _reduction(name) for name in ("mean", "sum", "amax")},
    **dict.fromkeys(("permute", "transpose"), _permute),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "rsub": _reversed_subtraction,
    "cat": _cat,
    "dropout": _dropout,
    "conv2d": _convolution,
    "linear": _linear,
    **dict.fromkeys(("matmul", "mm"), _product),
    "batch_norm": _batch_norm,
    "prelu": _prelu,
}
