"""What rubrics ask of functions, classes and modules, in a student's process or in ours.

The bundle for students has a copy of this file, so it imports nothing of the grader.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = [
    "NORMALISATIONS",
    "PACKAGES_PATTERN",
    "StaysOnDevice",
    "classify",
    "fill",
    "find_learnable",
    "find_module_name",
    "gradients",
    "make_computed",
    "predict_classes",
    "read_signature",
    "sketch",
    "trace_operations",
]  # fmt: skip

# What is imported from these is not a student's own work; a model composed by nn.Sequential is.
PACKAGES_PATTERN = r"(d2l|torch(?!\.jit|\._dynamo|\.nn\.modules\.container)|torchvision|numpy|scipy)(\.|$)"

# Modules with running statistics.
NORMALISATIONS: tuple[type[Any], ...] = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)

_MAX_OPERATIONS = 5000
_PIXELS = 400_000  # of the images that a model classifies at once: eight of 224x224
_aten = torch.ops.aten
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def classify(value: Any) -> str:
    """Return what a value is to a rubric: "module", "class", "function" or "object"."""
    if isinstance(value, nn.Module):
        return "module"
    if isinstance(value, type):
        return "class"
    return "function" if callable(value) else "object"


def find_module_name(value: Any) -> str:
    """Return the module that defines a function or class, or an object's class."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or not isinstance(value, (type, FunctionType)):
        module = getattr(type(value), "__module__", "")
    return module if isinstance(module, str) else ""


def read_signature(function: Callable[..., Any]) -> tuple[tuple[str, bool, bool], ...]:
    """Return the name of each parameter, whether it is required, and whether it is keyword-only.

    Raises:
        TypeError, ValueError: the function has no signature.
    """
    return tuple(
        (parameter.name, parameter.default is parameter.empty, parameter.kind is parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind not in _VARIADIC
    )


def find_learnable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes, without those of lazy layers that never ran."""
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and not isinstance(parameter, nn.parameter.UninitializedParameter)
    }


def fill(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Set parameters by name.

    Raises:
        ValueError: a parameter has another shape.
    """
    parameters = find_learnable(module)
    with torch.no_grad():
        for name, value in values.items():
            if parameters[name].shape != value.shape:
                raise ValueError(f"{name} has shape {tuple(parameters[name].shape)}, not {tuple(value.shape)}")
            parameters[name].copy_(value)


def gradients(module: nn.Module, inputs: tuple[Any, ...], cotangent: Tensor | None) -> dict[str, Tensor | None]:
    """Return d(sum(output * cotangent))/d(parameter) by name, or None if no gradient reaches a parameter."""
    module.zero_grad()
    with torch.enable_grad():
        output = module(*inputs)
    weight = torch.ones_like(output) if cotangent is None else cotangent
    if output.requires_grad:
        output.backward(weight.to(output.dtype))
    return {name: parameter.grad for name, parameter in find_learnable(module).items()}


def predict_classes(module: nn.Module, images: Tensor, size: tuple[int, ...], pixels: tuple[float, float]) -> Tensor:
    """Return the class that a model in eval mode predicts for each image, (n,) int64.

    Args:
        module: returns scores (n, classes). It stays in eval mode.
        images: (n, 1, h, w) uint8.
        size: the shape of one input of the model: (channels, height, width), (height, width) or (pixels,).
        pixels: the values of black and white in an input of the model.
    """
    if len(size) == 1:
        height = width = math.isqrt(size[0])
    else:
        height, width = size[-2:]
    black, white = pixels
    module.eval()
    classes = [torch.empty(0, dtype=torch.int64)]
    at_once = max(1, _PIXELS // max(1, height * width))
    with torch.no_grad():
        for part in images.split(at_once) if len(images) else ():
            shades = part.float()
            if shades.shape[-2:] != (height, width):
                shades = nn.functional.interpolate(shades, (height, width), mode="bilinear", antialias=True).round()
            shades = black + shades / 255 * (white - black)
            shape = (size[0], height, width) if len(size) == 3 else size
            inputs = shades.expand(-1, *shape) if len(size) == 3 else shades.reshape(-1, *shape)
            classes.append(module(_convert(module, inputs)).argmax(1).cpu())
    return torch.cat(classes)


class StaysOnDevice(TorchFunctionMode):
    """Keeps tensors on their device: a tensor without numbers cannot be moved."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Return a moved tensor as it is, but with the requested dtype."""
        # By name, because the stand-ins for a GPU (sandbox/guest/devices.py) replace these functions.
        if getattr(func, "__name__", "") not in ("to", "cpu", "cuda"):
            return func(*args, **(kwargs or {}))
        dtypes = [value for value in (*args[1:], *(kwargs or {}).values()) if isinstance(value, torch.dtype)]
        return args[0].type(dtypes[0]) if dtypes else args[0]


def sketch(make: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Make a module whose tensors have shapes but no numbers (torch's meta device)."""
    with torch.device("meta"), StaysOnDevice():
        return make(*args, **kwargs)


def trace_operations(
    module: Callable[..., Any], inputs: tuple[Any, ...]
) -> list[tuple[str, tuple[int, ...], tuple[str, ...]]]:
    """Return the name, output shape and parameters of each tensor operation of a forward pass in eval mode, in order.

    Only results that carry the batch dimension of the first input are listed. The inputs take the module's dtype and
    device. The module stays in eval mode.
    """
    names: dict[int, str] = {}
    is_sketch = False
    if isinstance(module, nn.Module):
        module.eval()
        is_sketch = any(parameter.is_meta for parameter in module.parameters())
        inputs = tuple(_convert(module, entry) for entry in inputs)
    without_numbers = torch.device("meta") if is_sketch else nullcontext()
    with torch.no_grad(), without_numbers, StaysOnDevice() if is_sketch else nullcontext():
        if isinstance(module, nn.Module):
            if any(isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters()):
                with _Computed():  # type: ignore[no-untyped-call]
                    module(*inputs)  # building lazy layers is not part of a forward pass
            names = {_find_storage(parameter): name for name, parameter in find_learnable(module).items()}
        tracer = _Tracer(inputs[0].shape[0], names)
        with tracer:
            module(*inputs)
    return tracer.operations


def make_computed(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Return the result of one of torch's operations.

    For tensors without numbers torch finds the shape of a result in Python. For a batch normalisation that takes 3 ms,
    because all operations that it consists of run. If the shape is plain from the arguments, nothing runs.
    """
    find_shape = _SHAPES.get(func)
    if find_shape is None or kwargs:
        return func(*args, **kwargs)
    tensors = [argument for argument in args if isinstance(argument, Tensor)]
    alike = all(map(_has_no_numbers, tensors)) and len({tensor.dtype for tensor in tensors}) == 1
    shape = find_shape(*args) if alike else None
    if shape is None:
        return func(*args)
    shapes = (shape, shape[1:2], shape[1:2]) if func is _aten.native_batch_norm.default else (shape,)
    results = tuple(torch.empty(shape, dtype=tensors[0].dtype, device="meta") for shape in shapes)
    return results if len(results) > 1 else results[0]


def _has_no_numbers(tensor: Tensor) -> bool:
    """Return whether a tensor is sketched and no gradient goes through it."""
    if type(tensor) not in (Tensor, nn.Parameter) or not tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.numel() > 0 and not (tensor.requires_grad and torch.is_grad_enabled())


# Each takes an operation's arguments and returns the shape of its contiguous result, or None if that is not plain or
# torch may refuse the arguments.


def _same_shape(X: Tensor) -> torch.Size | None:
    return X.shape if X.is_contiguous() else None


def _shape_of_both(X: Tensor, Y: Any) -> torch.Size | None:
    alike = isinstance(Y, Tensor) and X.shape == Y.shape and Y.is_contiguous()
    return _same_shape(X) if alike else None


def _normalised_shape(X: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *_: Any) -> Any:
    parts = [part for part in (weight, bias, mean, variance) if part is not None]
    whole = training or (mean is not None and variance is not None)
    return _same_shape(X) if whole and X.dim() > 1 and all(part.shape == X.shape[1:2] for part in parts) else None


def _linear_shape(X: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[int, ...] | None:
    fits = X.dim() == weight.dim() == 2 and X.shape[1] == weight.shape[1]
    return (X.shape[0], weight.shape[0]) if fits and bias is not None and bias.shape == weight.shape[:1] else None


def _addmm_shape(bias: Tensor, X: Tensor, weight: Tensor) -> tuple[int, ...] | None:
    fits = X.dim() == weight.dim() == 2 and X.shape[1] == weight.shape[0]
    return (X.shape[0], weight.shape[1]) if fits and bias.shape == weight.shape[1:] else None


_SHAPES: dict[Any, Callable[..., tuple[int, ...] | None]] = {
    **dict.fromkeys((_aten.relu.default, _aten.sigmoid.default, _aten.tanh.default), _same_shape),
    **dict.fromkeys((_aten.batch_norm.default, _aten.native_batch_norm.default), _normalised_shape),
    _aten.add.Tensor: _shape_of_both,
    _aten.linear.default: _linear_shape,
    _aten.addmm.default: _addmm_shape,
}


class _Computed(TorchDispatchMode):
    """Runs each operation by `make_computed`."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and skipping dynamo takes longer than this mode

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return make_computed(func, args, kwargs or {})


class _Tracer(_Computed):
    """Notes each tensor operation whose result carries the batch dimension."""

    def __init__(self, batch: int, names: Mapping[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[str, tuple[int, ...], tuple[str, ...]]] = []
        self._batch = batch
        self._names = names

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = make_computed(func, args, kwargs or {})
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        carries = isinstance(first, Tensor) and first.dim() and first.shape[0] == self._batch
        if carries and len(self.operations) < _MAX_OPERATIONS:
            used = (self._names.get(_find_storage(entry)) for entry in args if isinstance(entry, Tensor))
            shape = tuple(int(n) for n in first.shape)
            self.operations.append((func.overloadpacket.__name__, shape, tuple(name for name in used if name)))
        return result


def _convert(module: nn.Module, entry: Any) -> Any:
    """Return a tensor on the device and with the dtype of a module's parameters, anything else unchanged."""
    own = next((parameter for parameter in module.parameters() if parameter.is_floating_point()), None)
    return entry.to(own.device, own.dtype) if isinstance(entry, Tensor) and own is not None else entry


def _find_storage(tensor: Tensor) -> int:
    """Return a number of a tensor's storage, the same for its views. A sketch has no address to use instead."""
    return int(tensor.untyped_storage()._cdata)
