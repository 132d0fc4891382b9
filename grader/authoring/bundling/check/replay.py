"""Put the recorded questions to a student's work, and compare the answers with those of the model solution."""

from __future__ import annotations

import base64
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from grader.authoring.bundling.check.cells import find_place
from grader.models import modules

__all__ = ["Replay", "Unclear", "Wrong", "describe_layer"]

_LAYERS = {"convolution": "convolution", **dict.fromkeys(("addmm", "baddbmm", "bmm", "mm"), "linear")}
_POOLS = ("pool", "mean", "amax", "max")
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-2}


class Wrong(Exception):
    """An answer differs from the recorded one; `found` is the student's answer."""

    def __init__(self, message: str, found: Any = None) -> None:
        super().__init__(message)
        self.found = found


class Unclear(Exception):
    """The work is organised differently from the model solution, so the recorded question does not fit it."""


class Replay:
    """Replay one case with one state of a notebook.

    Args:
        names: the notebook's definitions by name.

    Attributes:
        inputs: the inputs of the last question, by the names of the parameters that take them.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.inputs: dict[str, Any] = {}
        self._names = names
        self._objects: dict[int, Any] = {}
        self._uses_defaults = False  # whether a model was made with default arguments of its own
        self._makers: dict[int, Callable[[], Any]] = {}  # makes the real object in place of a sketch without numbers
        self._parameter_names: dict[int, dict[str, str]] = {}  # the student's parameter names by the recorded ones

    def ask(self, step: Mapping[str, Any]) -> None:
        """Ask one recorded question.

        Raises:
            Wrong: the answer is wrong.
            Unclear: the question does not fit this work.
        """
        questions: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "call": self._call,
            "gradients": self._gradients,
            "layer": self._layer,
            "load": self._load,
            "operations": self._operations,
            "parameters": self._parameters,
            "shapes": self._shapes,
            "sketch": self._sketch,
        }
        try:
            with torch.random.fork_rng(devices=[]):
                questions[step["do"]](step)
        except Wrong as wrong:
            # A default may be a size that the book's model does not have.
            if self._uses_defaults and wrong.__cause__ is not None:
                raise Unclear(f"called as in the book, it {wrong}") from None
            raise

    def _call(self, step: Mapping[str, Any]) -> None:
        function, args, named = self._read_question(step)
        before = _copy_tensors((args, named))
        found = (_make if "made" in step else _ask)(lambda: function(*args, **named))
        after = _copy_tensors((args, named))
        if any(a.shape != b.shape or not _are_equal(a, b) for a, b in zip(before, after)):
            raise Wrong("changes the tensor it is given; work on a copy")
        if "made" in step:
            self._keep(step, found)
        elif step["compare"] == "values":
            _compare(found, self._decode(step["answer"]))
        elif step["compare"] == "shape":
            _compare_shape(found, tuple(step["answer"]))

    def _sketch(self, step: Mapping[str, Any]) -> None:
        function, args, named = self._read_question(step)
        if isinstance(function, nn.Module):  # the notebook defines the model itself, not a class
            self._objects[step["made"]] = function
            return
        try:
            self._keep(step, modules.sketch(function, args, named))
            self._makers[step["made"]] = lambda: function(*args, **named)
        except Exception:
            self._keep(step, _make(lambda: function(*args, **named)))

    def _layer(self, step: Mapping[str, Any]) -> None:
        kind, *args = self._decode(step["args"])
        torch.manual_seed(0)
        self._objects[step["made"]] = getattr(nn, kind)(*args, **self._decode(step["named"]))

    def _load(self, step: Mapping[str, Any]) -> None:
        number, module = self._get_module(step)
        values = {name: self._decode(value) for name, value in step["values"].items()}
        own = self._match_names(number, {name: tuple(value.shape) for name, value in values.items()})
        _ask(lambda: modules.fill(module, {own[name]: value for name, value in values.items()}))

    def _parameters(self, step: Mapping[str, Any]) -> None:
        number, module = self._get_module(step)
        expected = {name: self._decode(value) for name, value in step["answer"].items()}
        own = self._match_names(number, {name: tuple(value.shape) for name, value in expected.items()})
        found = modules.find_learnable(module)
        for name, value in expected.items():
            _compare(found[own[name]], value, f"{own[name]}: ")

    def _gradients(self, step: Mapping[str, Any]) -> None:
        number, module = self._get_module(step)
        expected = {name: self._decode(value) for name, value in step["answer"].items()}
        own = self._match_names(number, {name: tuple(value.shape) for name, value in expected.items()})
        inputs = [_match_dtype(module, value) for value in self._decode(step["args"])]
        found = _ask(lambda: modules.gradients(module, tuple(inputs), self._decode(step["cotangent"])))
        for name, value in expected.items():
            gradient = found[own[name]]
            if gradient is None:
                raise Wrong(f"no gradient reaches {own[name]}: the layer cannot learn it")
            _compare(gradient, value, f"the gradient of {own[name]} is not right: ")

    def _operations(self, step: Mapping[str, Any]) -> None:
        number, module = self._get_module(step)
        inputs = [torch.linspace(-1, 1, prod(shape), device="cpu").reshape(shape) for shape in step["inputs"]]
        if number in self._makers:
            try:
                modules.trace_operations(module, tuple(inputs))
            except Exception:  # it reads numbers, or it is wrong, and then it is wrong with numbers too
                module = self._objects[number] = _make(self._makers[number])
        try:
            found = modules.trace_operations(module, tuple(inputs))
        except Exception:  # some models accept a single image only
            found = _ask(lambda: modules.trace_operations(module, tuple(images[:1] for images in inputs)))
        _compare_layers([describe_layer(name, shape) for name, shape, _ in found], step["layers"])
        if step.get("output") and (not found or list(found[-1][1]) != step["output"]):
            shape = tuple(found[-1][1]) if found else "nothing"
            raise Wrong(f"expected shape {tuple(step['output'])}, found {shape}", shape)
        self._match_parameters(number, module, step["uses"], [name for _, _, used in found for name in used])

    def _shapes(self, step: Mapping[str, Any]) -> None:
        _, module = self._get_module(step)
        found = Counter(parameter.numel() for parameter in modules.find_learnable(module).values())
        expected = Counter(step["sizes"])
        total, expected_total = sum(found.elements()), sum(expected.elements())
        if step["all"] and total != expected_total:
            raise Wrong(f"expected {expected_total:,} parameters, found {total:,}", total)
        if not step["all"] and expected - found:
            size = max((expected - found).elements())
            raise Wrong(f"the model has no weight of {size:,} numbers: layers in a plain list are lost")

    def _read_question(self, step: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return what to call, and its arguments, with floats in the dtype of the layer that uses them."""
        function, args, named = self._get(step["of"]), self._decode(step["args"]), self._decode(step["named"])
        if not callable(function):
            raise Wrong(f"expected something to call, found a {type(function).__name__}")
        if not isinstance(function, nn.Module):
            uses_defaults = _leaves_defaults(function, args, named)
            self._uses_defaults = self._uses_defaults or (uses_defaults and step.get("kind") == "module")
        layer = next((value for value in (function, *args) if isinstance(value, nn.Module)), None)
        if layer is not None:
            args = tuple(_match_dtype(layer, value) for value in args)
        self.inputs = _name_inputs(function, args, named)
        return function, args, named

    def _keep(self, step: Mapping[str, Any], found: Any) -> None:
        if step["kind"] == "module" and not isinstance(found, nn.Module):
            raise Wrong(f"expected an nn.Module, found {_describe(found)}")
        self._objects[step["made"]] = found

    def _get_module(self, step: Mapping[str, Any]) -> tuple[int, nn.Module]:
        number = step["of"]
        module = self._get(number)
        if not isinstance(module, nn.Module):
            raise Wrong(f"expected an nn.Module, found {_describe(module)}")
        return number, module

    def _get(self, key: int | str) -> Any:
        if isinstance(key, int):
            return self._objects[key]
        if key not in self._names:
            raise Unclear(f"{key} is not defined")
        return self._names[key]

    def _decode(self, encoded: Any) -> Any:
        if isinstance(encoded, list):
            return tuple(self._decode(entry) for entry in encoded)
        if not isinstance(encoded, dict):
            return encoded
        if "made" in encoded:
            return self._get(encoded["made"])
        if "tensor" in encoded:
            numbers = bytearray(base64.b64decode(encoded["tensor"]))
            dtype = getattr(torch, encoded["dtype"])
            empty = torch.empty(encoded["shape"], dtype=dtype, device="cpu")
            return torch.frombuffer(numbers, dtype=dtype).reshape(encoded["shape"]) if numbers else empty
        return {name: self._decode(entry) for name, entry in encoded.items()}

    def _match_parameters(self, number: int, module: nn.Module, recorded: Sequence[Any], used: Sequence[str]) -> None:
        """Pair the student's parameters with the recorded ones, in the order in which a forward pass uses them."""
        shapes = {name: list(parameter.shape) for name, parameter in modules.find_learnable(module).items()}
        own = [name for name in dict.fromkeys(used) if name in shapes]
        if [shapes[name] for name in own] == [shape for _, shape in recorded]:
            self._parameter_names[number] = {name: mine for (name, _), mine in zip(recorded, own)}

    def _match_names(self, number: int, recorded: Mapping[str, tuple[int, ...]]) -> Mapping[str, str]:
        """Return the student's names of recorded parameters, paired by use, else by name, else by shape."""
        by_use = self._parameter_names.get(number, {})
        if recorded.keys() <= by_use.keys():
            return by_use
        own = {name: tuple(value.shape) for name, value in modules.find_learnable(self._get(number)).items()}
        if all(own.get(name) == shape for name, shape in recorded.items()):
            return {name: name for name in recorded}
        by_shape = {shape: name for name, shape in own.items()}
        if len(by_shape) == len(own) and sorted(by_shape) == sorted(recorded.values()):
            return {name: by_shape[shape] for name, shape in recorded.items()}
        raise Unclear("its parameters differ from the book's")


def describe_layer(name: str, shape: Sequence[int]) -> tuple[str, list[int]]:
    """Return the kind of layer that an operation belongs to ("" if none), and its output shape for one image.

    A convolution over the whole feature map counts as a fully connected layer.
    """
    single = list(shape[1:])
    single = single[:-2] if single[-2:] == [1, 1] else single
    name = name.rstrip("_")
    if name == "convolution" and len(single) == 1:
        name = "mm"
    pooling = "pooling" if "softmax" not in name and any(part in name for part in _POOLS) else ""
    return _LAYERS.get(name, pooling), single


def _name_inputs(function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by the names of the parameters that take them."""
    forward = function.forward if isinstance(function, nn.Module) else function
    try:
        names = list(inspect.signature(forward).parameters)
    except (TypeError, ValueError):  # some callables have no signature
        names = []
    names += [f"input {number}" for number in range(len(names) + 1, len(args) + 1)]
    return {**dict(zip(names, args)), **named}


def _leaves_defaults(function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    """Tell whether a callable has parameters that these arguments leave at their defaults.

    Raises:
        Unclear: it cannot be called with them.
    """
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*args, **named).arguments
    except TypeError as error:
        raise Unclear(f"it cannot be called as in the book: {error}") from None
    except ValueError:
        return False  # some callables have no signature
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = signature.parameters.items()
    return any(name not in bound and parameter.kind not in variadic for name, parameter in parameters)


def _ask(question: Callable[[], Any]) -> Any:
    """Return the answer of a student's code.

    Raises:
        Wrong: it raises an exception.
    """
    try:
        return question()
    except (Exception, SystemExit) as error:
        raise Wrong(_describe_error(error)) from error


def _make(question: Callable[[], Any]) -> Any:
    """Return the object that a student's code makes from the book's arguments, which may not fit its signature.

    Raises:
        Unclear: it raises an exception.
    """
    try:
        return question()
    except (Exception, SystemExit) as error:
        raise Unclear(f"called as in the book, it {_describe_error(error)}") from error


def _describe_error(error: BaseException) -> str:
    text = f": {error}" if str(error) else ""
    place = find_place(error)
    if isinstance(error, NotImplementedError):
        return "is not written yet: it raises NotImplementedError" + (f" ({place})" if place else "")
    return f"raises {type(error).__name__}{text}" + (f" ({place})" if place else "")


def _compare_layers(found: Sequence[tuple[str, list[int]]], expected: Sequence[Sequence[Any]]) -> None:
    """Require the expected layers among the found ones, in order."""
    rest = list(found)
    for number, (kind, shape) in enumerate(expected, start=1):
        positions = [position for position, layer in enumerate(rest) if layer == (kind, shape)]
        if not positions:
            next_layer = next(
                (f"{other} giving {_format_shape(size)}" for other, size in rest if other), "nothing more"
            )
            raise Wrong(f"layer {number}: expected {kind} giving {_format_shape(shape)}, found {next_layer}")
        rest = rest[positions[0] + 1 :]


def _compare(found: Any, expected: Any, prefix: str = "") -> None:
    """Require an answer to equal the recorded one: floats up to rounding, shapes and whole numbers exactly."""
    if isinstance(expected, (str, bool, type(None))):
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            raise Wrong(f"{prefix}expected {expected!r}, found {_describe(found)}", found)
        return
    if isinstance(expected, tuple):
        if not isinstance(found, (tuple, list)) or len(found) != len(expected):
            raise Wrong(f"{prefix}expected {len(expected)} values, found {_describe(found)}", found)
        for pair in zip(found, expected):
            _compare(*pair, prefix)
        return
    found = _as_tensor(found)
    expected = expected if isinstance(expected, Tensor) else torch.tensor(expected, dtype=torch.float64, device="cpu")
    _compare_shape(found, tuple(expected.shape), prefix)
    if found.is_complex() or (found.dtype == torch.bool) != (expected.dtype == torch.bool):
        raise Wrong(f"{prefix}expected {expected.dtype}, found {found.dtype}", found)
    tolerance = max(_TOLERANCE.get(tensor.dtype, 0.0) for tensor in (found, expected))
    a, b = found.double(), expected.double()
    finite = b[b.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    equal = ((a - b).abs() <= tolerance * scale) | (a == b) | (a.isnan() & b.isnan())
    if not bool(equal.all()):
        index = [int(i) for i in (~equal).nonzero()[0]]
        right, wrong = float(b[tuple(index)]), float(a[tuple(index)])
        place = f" at {index}" if index else ""
        raise Wrong(f"{prefix}expected {right:.6g}{place}, found {wrong:.6g}", found)


def _compare_shape(found: Any, expected: tuple[int, ...], prefix: str = "") -> None:
    found = _as_tensor(found)
    if not isinstance(found, Tensor):
        raise Wrong(f"{prefix}expected a tensor of shape {expected}, found {_describe(found)}", found)
    if tuple(found.shape) != expected:
        raise Wrong(f"{prefix}expected shape {expected}, found {tuple(found.shape)}", found)


def _as_tensor(found: Any) -> Any:
    """Return numbers and numpy arrays as tensors, and anything else unchanged."""
    if isinstance(found, Tensor):
        plain = found.detach().cpu()
        return plain if plain.layout is torch.strided else plain.to_dense()
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return torch.tensor(float(found), dtype=torch.float64, device="cpu")
    is_array = type(found).__module__.partition(".")[0] == "numpy"
    return torch.as_tensor(found).clone() if is_array else found


def _match_dtype(module: nn.Module, value: Any) -> Any:
    """Return a floating-point tensor with the dtype and device of a layer's parameters, anything else unchanged."""
    parameter = next((parameter for parameter in module.parameters() if parameter.is_floating_point()), None)
    is_float = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(parameter.device, parameter.dtype) if is_float and parameter is not None else value


def _copy_tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value.detach().clone()]
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return [tensor for entry in entries for tensor in _copy_tensors(entry)]


def _are_equal(a: Tensor, b: Tensor) -> bool:
    return torch.equal(a.nan_to_num(), b.nan_to_num())


def _describe(value: Any) -> str:
    return "None (does it return its result?)" if value is None else f"a {type(value).__name__}"


def _format_shape(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape) or "one number"
