"""Asks a student's work what was asked of the model solution, and compares the answers."""

from __future__ import annotations

import base64
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from grader.models import modules

__all__ = ["Replay", "Unclear", "Wrong", "describe_layer"]

_LAYERS = {"convolution": "convolution", **dict.fromkeys(("addmm", "baddbmm", "bmm", "mm"), "linear")}
_POOLS = ("pool", "mean", "amax", "max")
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 1e-2}


class Wrong(Exception):
    """An answer is not the recorded one; `found` is what came instead."""

    def __init__(self, message: str, found: Any = None) -> None:
        super().__init__(message)
        self.found = found


class Unclear(Exception):
    """The work is put together in another way than the recording, and so nothing can be said of it."""


class Replay:
    """One case, asked of one state of a notebook.

    Args:
        names: what the notebook defines.

    Attributes:
        inputs: of the last question.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.inputs: tuple[Any, ...] = ()
        self._names = names
        self._made: dict[int, Any] = {}
        self._left_open = False  # whether some model was made with defaults of its own
        self._again: dict[int, Callable[[], Any]] = {}  # makes for real what was made without numbers
        self._lined_up: dict[int, dict[str, str]] = {}  # the recorded names of parameters, and the student's

    def ask(self, step: Mapping[str, Any]) -> None:
        """Ask one thing.

        Raises:
            Wrong: the answer is not right.
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
            if self._left_open and wrong.__cause__ is not None:  # with a size of its own that the book's does not have
                raise Unclear(f"made as the book makes it, it {wrong}") from None
            raise

    def _call(self, step: Mapping[str, Any]) -> None:
        thing, args, named = self._question(step)
        before = _tensors((args, named))
        found = (_made if "made" in step else _outcome)(lambda: thing(*args, **named))
        after = _tensors((args, named))
        if any(one.shape != other.shape or not _equal(one, other) for one, other in zip(before, after, strict=True)):
            raise Wrong("changes the tensor it is given; work on a copy")
        if "made" in step:
            self._keep(step, found)
        elif step["compare"] == "values":
            _compare(found, self._value(step["answer"]))
        elif step["compare"] == "shape":
            _compare_shape(found, tuple(step["answer"]))

    def _sketch(self, step: Mapping[str, Any]) -> None:
        thing, args, named = self._question(step)
        if isinstance(thing, nn.Module):  # a model that is made already
            self._made[step["made"]] = thing
            return
        try:
            self._keep(step, modules.sketch(thing, args, named))
            self._again[step["made"]] = lambda: thing(*args, **named)
        except Exception:
            self._keep(step, _made(lambda: thing(*args, **named)))

    def _layer(self, step: Mapping[str, Any]) -> None:
        kind, *args = self._value(step["args"])
        torch.manual_seed(0)
        self._made[step["made"]] = getattr(nn, kind)(*args, **self._value(step["named"]))

    def _load(self, step: Mapping[str, Any]) -> None:
        number, module = self._module(step)
        values = {name: self._value(value) for name, value in step["values"].items()}
        own = self._own_names(number, {name: tuple(value.shape) for name, value in values.items()})
        _outcome(lambda: modules.fill(module, {own[name]: value for name, value in values.items()}))

    def _parameters(self, step: Mapping[str, Any]) -> None:
        number, module = self._module(step)
        expected = {name: self._value(value) for name, value in step["answer"].items()}
        own = self._own_names(number, {name: tuple(value.shape) for name, value in expected.items()})
        found = modules.find_learnable(module)
        for name, value in expected.items():
            _compare(found[own[name]], value, f"{own[name]}: ")

    def _gradients(self, step: Mapping[str, Any]) -> None:
        number, module = self._module(step)
        expected = {name: self._value(value) for name, value in step["answer"].items()}
        own = self._own_names(number, {name: tuple(value.shape) for name, value in expected.items()})
        inputs = [_as_its(module, each) for each in self._value(step["args"])]
        found = _outcome(lambda: modules.gradients(module, tuple(inputs), self._value(step["cotangent"])))
        for name, value in expected.items():
            gradient = found[own[name]]
            if gradient is None:
                raise Wrong(f"no gradient reaches {own[name]}: the layer cannot learn it")
            _compare(gradient, value, f"the gradient of {own[name]} is not right: ")

    def _operations(self, step: Mapping[str, Any]) -> None:
        number, module = self._module(step)
        inputs = [torch.linspace(-1, 1, prod(shape), device="cpu").reshape(shape) for shape in step["inputs"]]
        if number in self._again:
            try:
                modules.trace_operations(module, tuple(inputs))
            except Exception:  # it looks at numbers, or it is wrong: then it is wrong with numbers, too
                module = self._made[number] = _made(self._again[number])
        try:
            found = modules.trace_operations(module, tuple(inputs))
        except Exception:  # some models take one image at a time
            found = _outcome(lambda: modules.trace_operations(module, tuple(each[:1] for each in inputs)))
        _compare_layers([describe_layer(name, shape) for name, shape, _ in found], step["layers"])
        if step.get("output") and (not found or list(found[-1][1]) != step["output"]):
            shape = tuple(found[-1][1]) if found else "nothing"
            raise Wrong(f"expected shape {tuple(step['output'])}, found {shape}", shape)
        self._line_up(number, module, step["uses"], [name for _, _, used in found for name in used])

    def _shapes(self, step: Mapping[str, Any]) -> None:
        _, module = self._module(step)
        found = Counter(parameter.numel() for parameter in modules.find_learnable(module).values())
        expected = Counter(step["sizes"])
        total, wanted = sum(found.elements()), sum(expected.elements())
        if step["all"] and total != wanted:
            raise Wrong(f"expected {wanted:,} parameters, found {total:,}", total)
        if not step["all"] and not expected <= found:
            size = max((expected - found).elements())
            raise Wrong(f"the model has no weight of {size:,} numbers: layers in a plain list are lost")

    def _question(self, step: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return what is to be called, and with what; numbers take the type of the layer that they meet."""
        thing, args, named = self._thing(step["of"]), self._value(step["args"]), self._value(step["named"])
        if not callable(thing):
            raise Wrong(f"expected something to call, found a {type(thing).__name__}")
        if not isinstance(thing, nn.Module):
            left_open = _parameters_left(thing, args, named)
            self._left_open = self._left_open or (left_open and step.get("kind") == "module")
        layer = next((each for each in (thing, *args) if isinstance(each, nn.Module)), None)
        if layer is not None:
            args = tuple(_as_its(layer, each) for each in args)
        self.inputs = (*args, *named.values())
        return thing, args, named

    def _keep(self, step: Mapping[str, Any], found: Any) -> None:
        if step["kind"] == "module" and not isinstance(found, nn.Module):
            raise Wrong(f"expected an nn.Module, found {_described(found)}")
        self._made[step["made"]] = found

    def _module(self, step: Mapping[str, Any]) -> tuple[int, nn.Module]:
        number = step["of"]
        module = self._thing(number)
        if not isinstance(module, nn.Module):
            raise Wrong(f"expected an nn.Module, found {_described(module)}")
        return number, module

    def _thing(self, place: int | str) -> Any:
        if isinstance(place, int):
            return self._made[place]
        if place not in self._names:
            raise Unclear(f"{place} is not defined")
        return self._names[place]

    def _value(self, coded: Any) -> Any:
        if isinstance(coded, list):
            return tuple(self._value(each) for each in coded)
        if not isinstance(coded, dict):
            return coded
        if "made" in coded:
            return self._thing(coded["made"])
        if "tensor" in coded:
            numbers = bytearray(base64.b64decode(coded["tensor"]))
            dtype = getattr(torch, coded["dtype"])
            empty = torch.empty(coded["shape"], dtype=dtype, device="cpu")
            return torch.frombuffer(numbers, dtype=dtype).reshape(coded["shape"]) if numbers else empty
        return {name: self._value(each) for name, each in coded.items()}

    def _line_up(self, number: int, module: nn.Module, recorded: Sequence[Any], used: Sequence[str]) -> None:
        """Find the student's parameters by the order in which a forward pass uses them."""
        shapes = {name: list(parameter.shape) for name, parameter in modules.find_learnable(module).items()}
        own = [name for name in dict.fromkeys(used) if name in shapes]
        if [shapes[name] for name in own] == [shape for _, shape in recorded]:
            self._lined_up[number] = {name: mine for (name, _), mine in zip(recorded, own, strict=True)}

    def _own_names(self, number: int, recorded: Mapping[str, tuple[int, ...]]) -> Mapping[str, str]:
        """Return the student's names of recorded parameters: by their use, by their names, or by their shapes."""
        lined_up = self._lined_up.get(number, {})
        if recorded.keys() <= lined_up.keys():
            return lined_up
        own = {name: tuple(each.shape) for name, each in modules.find_learnable(self._thing(number)).items()}
        if all(own.get(name) == shape for name, shape in recorded.items()):
            return {name: name for name in recorded}
        by_shape = {shape: name for name, shape in own.items()}
        if len(by_shape) == len(own) and sorted(by_shape) == sorted(recorded.values()):
            return {name: by_shape[shape] for name, shape in recorded.items()}
        raise Unclear("its parameters are others than the book's")


def describe_layer(name: str, shape: Sequence[int]) -> tuple[str, list[int]]:
    """Return which kind of layer an operation is ("" for none), and its output's shape for one image.

    A convolution over the whole map is a fully connected layer.
    """
    of_one = list(shape[1:])
    of_one = of_one[:-2] if of_one[-2:] == [1, 1] else of_one
    name = name.rstrip("_")
    if name == "convolution" and len(of_one) == 1:
        name = "mm"
    pooling = "pooling" if "softmax" not in name and any(part in name for part in _POOLS) else ""
    return _LAYERS.get(name, pooling), of_one


def _parameters_left(thing: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    """Tell whether a callable has parameters that these arguments leave to their defaults.

    Raises:
        Unclear: it cannot be called with them.
    """
    try:
        signature = inspect.signature(thing)
        bound = signature.bind(*args, **named).arguments
    except TypeError as error:
        raise Unclear(f"it is not called as the book's is: {error}") from None
    except ValueError:
        return False  # some callables have no signature
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(name not in bound and each.kind not in variadic for name, each in signature.parameters.items())


def _outcome(question: Callable[[], Any]) -> Any:
    """Return what a student's code answers.

    Raises:
        Wrong: it raises an exception.
    """
    try:
        return question()
    except (Exception, SystemExit) as error:
        text = f": {error}" if str(error) else ""
        raise Wrong(f"raises {type(error).__name__}{text}") from error


def _made(question: Callable[[], Any]) -> Any:
    """Return what a student's code makes of the book's arguments, which another signature may not take.

    Raises:
        Unclear: it raises an exception.
    """
    try:
        return question()
    except (Exception, SystemExit) as error:
        raise Unclear(f"made as the book makes it, it raises {type(error).__name__}: {error}") from error


def _compare_layers(found: Sequence[tuple[str, list[int]]], expected: Sequence[Sequence[Any]]) -> None:
    """Require the expected layers among those that are found, in their order."""
    left = list(found)
    for number, (kind, shape) in enumerate(expected, start=1):
        places = [place for place, layer in enumerate(left) if layer == (kind, shape)]
        if not places:
            there = next((f"{other} giving {_written(size)}" for other, size in left if other), "nothing more")
            raise Wrong(f"layer {number}: expected {kind} giving {_written(shape)}, found {there}")
        left = left[places[0] + 1 :]


def _compare(found: Any, expected: Any, before: str = "") -> None:
    """Require an answer to be the recorded one, up to rounding; shapes are equal, and whole numbers exact."""
    if isinstance(expected, (str, bool, type(None))):
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            raise Wrong(f"{before}expected {expected!r}, found {_described(found)}", found)
        return
    if isinstance(expected, tuple):
        if not isinstance(found, tuple | list) or len(found) != len(expected):
            raise Wrong(f"{before}expected {len(expected)} values, found {_described(found)}", found)
        for one, other in zip(found, expected, strict=True):
            _compare(one, other, before)
        return
    found = _as_tensor(found)
    expected = expected if isinstance(expected, Tensor) else torch.tensor(expected, dtype=torch.float64, device="cpu")
    _compare_shape(found, tuple(expected.shape), before)
    if found.is_complex() or (found.dtype == torch.bool) != (expected.dtype == torch.bool):
        raise Wrong(f"{before}expected {expected.dtype}, found {found.dtype}", found)
    tolerance = max(_TOLERANCE.get(each.dtype, 0.0) for each in (found, expected))
    a, b = found.double(), expected.double()
    finite = b[b.isfinite()].abs()
    scale = max(1.0, float(finite.max())) if finite.numel() else 1.0
    same = ((a - b).abs() <= tolerance * scale) | (a == b) | (a.isnan() & b.isnan())
    if not bool(same.all()):
        index = [int(i) for i in (~same).nonzero()[0]]
        right, wrong = float(b[tuple(index)]), float(a[tuple(index)])
        place = f" at {index}" if index else ""
        raise Wrong(f"{before}expected {right:.6g}{place}, found {wrong:.6g}", found)


def _compare_shape(found: Any, expected: tuple[int, ...], before: str = "") -> None:
    found = _as_tensor(found)
    if not isinstance(found, Tensor):
        raise Wrong(f"{before}expected a tensor of shape {expected}, found {_described(found)}", found)
    if tuple(found.shape) != expected:
        raise Wrong(f"{before}expected shape {expected}, found {tuple(found.shape)}", found)


def _as_tensor(found: Any) -> Any:
    """Return what counts as a tensor as a plain one: numbers and arrays do."""
    if isinstance(found, Tensor):
        return found.detach().cpu()
    if isinstance(found, (int, float)) and not isinstance(found, bool):
        return torch.tensor(float(found), dtype=torch.float64, device="cpu")
    array = type(found).__module__.partition(".")[0] == "numpy"
    return torch.as_tensor(found).clone() if array else found


def _as_its(module: nn.Module, value: Any) -> Any:
    """Return numbers in the type of a layer's parameters, where it has any."""
    own = next((each for each in module.parameters() if each.is_floating_point()), None)
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(own.device, own.dtype) if floating and own is not None else value


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value.detach().clone()]
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return [tensor for entry in entries for tensor in _tensors(entry)]


def _equal(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.nan_to_num(), other.nan_to_num())


def _described(value: Any) -> str:
    return "None (does it return its result?)" if value is None else f"a {type(value).__name__}"


def _written(shape: Sequence[int]) -> str:
    return "x".join(str(n) for n in shape) or "one number"
