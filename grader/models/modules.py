"""What a rubric asks of functions, classes and modules, wherever they live: in a student's process or in ours."""

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

# What is merely imported from these was not written here; a model put together by nn.Sequential was.
PACKAGES_PATTERN = r"(d2l|torch(?!\.jit|\._dynamo|\.nn\.modules\.container)|torchvision|numpy|scipy)(\.|$)"

_MAX_OPERATIONS = 5000
_PIXELS = 400_000  # of the images that a model sees at once: eight of 224x224
_aten = torch.ops.aten
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def classify(thing: Any) -> str:
    """Return what a thing is to a rubric: "module", "class", "function" or "object"."""
    if isinstance(thing, nn.Module):
        return "module"
    if isinstance(thing, type):
        return "class"
    return "function" if callable(thing) else "object"


def find_module_name(thing: Any) -> str:
    """Return the module in which a function or class, or an object's class, was written."""
    module = getattr(thing, "__module__", None)
    if not isinstance(module, str) or not isinstance(thing, type | FunctionType):
        module = getattr(type(thing), "__module__", "")
    return module if isinstance(module, str) else ""


def read_signature(thing: Callable[..., Any]) -> tuple[tuple[str, bool, bool], ...]:
    """Return the name of each parameter, whether it is required, and whether it is given by name only.

    Raises:
        TypeError, ValueError: it has no signature.
    """
    return tuple(
        (each.name, each.default is each.empty, each.kind is each.KEYWORD_ONLY)
        for each in inspect.signature(thing).parameters.values()
        if each.kind not in _VARIADIC
    )


def find_learnable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes; those of lazy layers exist after the first forward pass."""
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
    """Return d(sum(output * cotangent))/d(parameter) by name, None where no gradient reaches a parameter."""
    module.zero_grad()
    with torch.enable_grad():
        output = module(*inputs)
    weight = torch.ones_like(output) if cotangent is None else cotangent
    if output.requires_grad:
        output.backward(weight.to(output.dtype))
    return {name: parameter.grad for name, parameter in find_learnable(module).items()}


def predict_classes(module: nn.Module, images: Tensor, size: tuple[int, ...], pixels: tuple[float, float]) -> Tensor:
    """Return the class that a model in eval mode holds for the likeliest for each image, (n,) int64.

    Args:
        module: gives scores (n, classes); it stays in eval mode.
        images: (n, 1, h, w) uint8.
        size: what the model is given of an image: channels, height and width, without the channels, or flat.
        pixels: what black and white are to the model.
    """
    if len(size) == 1:
        height = width = math.isqrt(size[0])
    else:
        height, width = size[-2:]
    black, white = pixels
    module.eval()
    found = [torch.empty(0, dtype=torch.int64)]
    at_once = max(1, _PIXELS // max(1, height * width))
    with torch.no_grad():
        for part in images.split(at_once) if len(images) else ():
            shades = part.float()
            if shades.shape[-2:] != (height, width):
                shades = nn.functional.interpolate(shades, (height, width), mode="bilinear", antialias=True).round()
            shades = black + shades / 255 * (white - black)
            shape = (size[0], height, width) if len(size) == 3 else size
            given = shades.expand(-1, *shape) if len(size) == 3 else shades.reshape(-1, *shape)
            found.append(module(_as_its_own(module, given)).argmax(1).cpu())
    return torch.cat(found)


class StaysOnDevice(TorchFunctionMode):
    """Lets no tensor be moved to another device: what is made without numbers has none to take along."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer a move with the tensor as it is, in another dtype where that is asked for."""
        # By name: what stands in for a GPU (sandbox/devices.py) puts functions of its own into their places.
        if getattr(func, "__name__", "") not in ("to", "cpu", "cuda"):
            return func(*args, **(kwargs or {}))
        wanted = [each for each in (*args[1:], *(kwargs or {}).values()) if isinstance(each, torch.dtype)]
        return args[0].type(wanted[0]) if wanted else args[0]


def sketch(make: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call what makes a module so that its tensors have shapes and no numbers (torch's meta device)."""
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
    sketch = False
    if isinstance(module, nn.Module):
        module.eval()
        sketch = any(parameter.is_meta for parameter in module.parameters())
        inputs = tuple(_as_its_own(module, entry) for entry in inputs)
    without_numbers = torch.device("meta") if sketch else nullcontext()
    with torch.no_grad(), without_numbers, StaysOnDevice() if sketch else nullcontext():
        if isinstance(module, nn.Module):
            if any(isinstance(p, nn.parameter.UninitializedParameter) for p in module.parameters()):
                with _Computed():  # type: ignore[no-untyped-call]
                    module(*inputs)  # building lazy layers is no part of a forward pass
            names = {_storage(parameter): name for name, parameter in find_learnable(module).items()}
        tracer = _Tracer(inputs[0].shape[0], names)
        with tracer:
            module(*inputs)
    return tracer.operations


def make_computed(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Return what an operation of torch's gives.

    Of tensors without numbers torch finds the shape of a result in Python: that of a batch normalisation takes 3 ms,
    because all is done that one is made of. Where it is plain from the arguments, nothing is done.
    """
    told = _TOLD.get(func)
    if told is None or kwargs:
        return func(*args, **kwargs)
    given = [each for each in args if isinstance(each, Tensor)]
    same = all(map(_has_no_numbers, given)) and len({each.dtype for each in given}) == 1
    shape = told(*args) if same else None
    if shape is None:
        return func(*args)
    shapes = (shape, shape[1:2], shape[1:2]) if func is _aten.native_batch_norm.default else (shape,)
    results = tuple(torch.empty(each, dtype=given[0].dtype, device="meta") for each in shapes)
    return results if len(results) > 1 else results[0]


def _has_no_numbers(tensor: Tensor) -> bool:
    """Tell whether this is a sketched tensor that no gradient goes through."""
    if type(tensor) not in (Tensor, nn.Parameter) or not tensor.is_meta or not tensor.is_floating_point():
        return False
    return tensor.numel() > 0 and not (tensor.requires_grad and torch.is_grad_enabled())


# Each takes an operation's arguments and returns the shape of its result, laid out as usual; None where that is not
# plain, or where torch may refuse them.


def _as_given(X: Tensor) -> torch.Size | None:
    return X.shape if X.is_contiguous() else None


def _of_both(X: Tensor, Y: Any) -> torch.Size | None:
    alike = isinstance(Y, Tensor) and X.shape == Y.shape and Y.is_contiguous()
    return _as_given(X) if alike else None


def _normalised(X: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, *_: Any) -> Any:
    each = [entry for entry in (weight, bias, mean, variance) if entry is not None]
    whole = training or (mean is not None and variance is not None)
    return _as_given(X) if whole and X.dim() > 1 and all(entry.shape == X.shape[1:2] for entry in each) else None


def _linear(X: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[int, ...] | None:
    fits = X.dim() == weight.dim() == 2 and X.shape[1] == weight.shape[1]
    return (X.shape[0], weight.shape[0]) if fits and bias is not None and bias.shape == weight.shape[:1] else None


def _multiplied(bias: Tensor, X: Tensor, weight: Tensor) -> tuple[int, ...] | None:
    fits = X.dim() == weight.dim() == 2 and X.shape[1] == weight.shape[0]
    return (X.shape[0], weight.shape[1]) if fits and bias.shape == weight.shape[1:] else None


_TOLD: dict[Any, Callable[..., tuple[int, ...] | None]] = {
    **dict.fromkeys((_aten.relu.default, _aten.sigmoid.default, _aten.tanh.default), _as_given),
    **dict.fromkeys((_aten.batch_norm.default, _aten.native_batch_norm.default), _normalised),
    _aten.add.Tensor: _of_both,
    _aten.linear.default: _linear,
    _aten.addmm.default: _multiplied,
}


class _Computed(TorchDispatchMode):
    """Has each operation `computed`."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled meanwhile, and what has it skipped takes longer than what is done here

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
        first = result[0] if isinstance(result, tuple | list) and result else result
        carries = isinstance(first, Tensor) and first.dim() and first.shape[0] == self._batch
        if carries and len(self.operations) < _MAX_OPERATIONS:
            used = (self._names.get(_storage(entry)) for entry in args if isinstance(entry, Tensor))
            shape = tuple(int(n) for n in first.shape)
            self.operations.append((func.overloadpacket.__name__, shape, tuple(name for name in used if name)))
        return result


def _as_its_own(module: nn.Module, entry: Any) -> Any:
    own = next((parameter for parameter in module.parameters() if parameter.is_floating_point()), None)
    return entry.to(own.device, own.dtype) if isinstance(entry, Tensor) and own is not None else entry


def _storage(tensor: Tensor) -> int:
    """Return what tells tensors' memory apart, views of one parameter included; a sketch's has no address."""
    return int(tensor.untyped_storage()._cdata)
