"""Tell whether two versions of a definition behave alike, by calls like those that the rubric's tests make, and more.

The calls are noted while the tests judge the right version. They are made again with other numbers, other dtypes and
fewer arguments, for drawn cases of other sizes, and models are compared by their graphs, parameters and outputs.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from grader.judging.local import LocalRemote, LocalStudent
from grader.judging.responses import are_alike

__all__ = ["Call", "NotingStudent", "find_difference", "vary"]

_SIDES = (32, 64, 96, 224)  # of the images on which models are compared, the first one that both accept
_MOST_MODELS = 8  # that are compared
_MOST_BUILT = 50  # models of few parameters that are built to compare how their weights are drawn


@dataclass
class Call:
    """A call of a definition.

    Attributes:
        name: of the definition.
        args, kwargs: copies of the arguments.
        images: the shapes of the images that the result was given, if it is a model.
        what: how the call differs from the one that a test makes.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    images: list[tuple[int, ...]] = field(default_factory=list)
    what: str = ""


class NotingStudent(LocalStudent):
    """A namespace as a rubric sees it, which notes the calls that tests make."""

    def __init__(self, namespace: Mapping[str, Any], **others: Any) -> None:
        super().__init__(namespace, **others)
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> Any:
        remote = super().__getattr__(name)
        return _NotingRemote(remote.value, name, self.calls) if isinstance(remote, LocalRemote) else remote


class _NotingRemote(LocalRemote):
    """A callable that notes its calls, or a model that notes the images that it is given."""

    def __init__(self, value: Any, name: str, calls: list[Call], made: Call | None = None) -> None:
        super().__init__(value)
        self._name = name
        self._calls = calls
        self._made = made

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._made is not None:
            self._made.images += [tuple(X.shape[1:]) for X in args[:1] if isinstance(X, Tensor)]
            return super().__call__(*args, **kwargs)
        call = self._note(args, kwargs)
        return self._wrap(super().__call__(*args, **kwargs), call)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        call = self._note(args, kwargs)
        return self._wrap(super().sketch(*args, **kwargs), call)

    def graph(self, image: tuple[int, ...]) -> Any:
        if self._made is not None:
            self._made.images.append(image)
        return super().graph(image)

    def _note(self, args: Any, kwargs: Any) -> Call:
        call = Call(self._name, tuple(map(_copy, args)), {name: _copy(value) for name, value in kwargs.items()})
        self._calls.append(call)
        return call

    def _wrap(self, result: Any, call: Call) -> Any:
        return _NotingRemote(result.value, self._name, self._calls, call) if isinstance(result, LocalRemote) else result


def _copy(value: Any) -> Any:
    value = value.value if isinstance(value, LocalRemote) else value
    try:
        return copy.deepcopy(value)
    except Exception:  # an object of a kind that cannot be copied is used as it is
        return value


def vary(calls: Sequence[Call], right: Mapping[str, Any], draw: torch.Generator) -> Iterator[Call]:
    """Yield calls, then the same ones with other numbers and dtypes, and without the arguments that have defaults."""
    seen: set[str] = set()
    for call in calls:
        key = repr((call.name, [_describe(value) for value in call.args], _describe(call.kwargs)))
        if key in seen:
            continue
        seen.add(key)
        yield call
        for what, change in (("other numbers", _redraw), ("float64", _double)) if _has_tensors(call.args) else ():
            args = tuple(change(value, draw) for value in call.args)
            yield replace(call, args=args, what=what)
        yield from _leave_out(call, right.get(call.name))


def _describe(value: Any) -> Any:
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape)
    if isinstance(value, tuple | list):
        return [_describe(entry) for entry in value]
    if isinstance(value, dict):
        return [(name, _describe(entry)) for name, entry in value.items()]
    return repr(value)[:200]


def _has_tensors(args: Sequence[Any]) -> bool:
    return any(isinstance(value, Tensor) for value in args)


def _redraw(value: Any, draw: torch.Generator) -> Any:
    if isinstance(value, Tensor) and value.dtype is torch.float32:
        return torch.randn(value.shape, generator=draw)
    return value


def _double(value: Any, draw: torch.Generator) -> Any:
    return value.double() if isinstance(value, Tensor) and value.dtype is torch.float32 else value


def _leave_out(call: Call, function: Any) -> Iterator[Call]:
    """Yield the call without one of its arguments after another, from the last one, as far as these have defaults."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return
    optional = {parameter.name for parameter in parameters if parameter.default is not parameter.empty}
    for name in call.kwargs:
        if name in optional:
            rest = {other: value for other, value in call.kwargs.items() if other != name}
            yield replace(call, kwargs=rest, what=f"without {name}")
    for index in reversed(range(len(call.args))):
        if index >= len(parameters) or list(parameters)[index].name not in optional:
            break
        yield replace(call, args=call.args[:index], what=f"without {list(parameters)[index].name}")


def find_difference(calls: Sequence[Call], right: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Return how another version differs from the right one, or "" if no call shows a difference.

    What the right version refuses is left out.
    """
    for name in dict.fromkeys(call.name for call in calls):
        signatures = [_read_signature(names.get(name)) for names in (right, other)]
        if signatures[0] != signatures[1]:
            return f"{name} takes {signatures[1]} in place of {signatures[0]}"
    models = 0
    for number, call in enumerate(calls):
        if models >= _MOST_MODELS and not _has_tensors(call.args):
            continue
        expected = _make(call, right, number)
        if isinstance(expected, Exception):
            continue
        models += isinstance(expected[0], nn.Module)
        found = _make(call, other, number)
        difference = _compare(expected, found, call, (right, other))
        if difference:
            what = f" ({call.what})" if call.what else ""
            return f"{call.name}{_describe(call.args)}{what}: {difference}"
    return ""


def _read_signature(function: Any) -> str:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ""
    return ", ".join(str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in parameters)


def _make(call: Call, names: Mapping[str, Any], seed: int) -> Any:
    """Return the result of a call with the state of its arguments after it, or the exception that it raises."""
    torch.manual_seed(seed)
    args, kwargs = copy.deepcopy(call.args), copy.deepcopy(call.kwargs)
    try:
        result = names[call.name](*args, **kwargs)
    except Exception as error:
        return error
    return result, args


def _compare(expected: Any, found: Any, call: Call, versions: Sequence[Mapping[str, Any]]) -> str:
    if isinstance(found, Exception):
        return f"raises {type(found).__name__}: {found}"[:200]
    (result, after), (other, other_after) = expected, found
    for one, two in ((result, other), *zip(after, other_after, strict=True)):
        if isinstance(one, nn.Module) and isinstance(two, nn.Module):
            make = [partial(_build, call, names) for names in versions]
            difference = _compare_models(one, two, call.images, make if one is result else ())
        else:
            difference = _compare_values(one, two)
        if difference:
            return difference
    return ""


def _build(call: Call, names: Mapping[str, Any]) -> nn.Module:
    model: nn.Module = names[call.name](*copy.deepcopy(call.args), **copy.deepcopy(call.kwargs))
    return model


def _compare_values(one: Any, two: Any) -> str:
    if isinstance(one, Tensor) and isinstance(two, Tensor) and one.dtype != two.dtype:
        return f"gives {two.dtype}, not {one.dtype}"
    if isinstance(one, Tensor) and isinstance(two, Tensor) and one.requires_grad != two.requires_grad:
        return "no gradient passes" if one.requires_grad else "a gradient passes"
    if isinstance(one, Tensor | tuple | list | dict | int | float | str | None):
        return "" if are_alike(one, two) else "gives another result"
    return "" if type(one) is type(two) or type(one).__name__ == type(two).__name__ else "gives another kind of result"


def _compare_models(
    one: nn.Module, two: nn.Module, images: Sequence[tuple[int, ...]], make: Sequence[Callable[[], nn.Module]]
) -> str:
    """Compare two models: their parameters, how these are drawn, and what they compute and keep in both modes."""
    side = [(image[0], side, side) for image in images if len(image) == 3 for side in _SIDES]
    sizes = dict.fromkeys([*side, *images])
    shown = False
    for image in sizes:
        X = torch.randn(3, *image, generator=torch.Generator().manual_seed(1))
        outputs = [_run(model, X, training=False) for model in (one, two)]  # makes lazy layers
        if isinstance(outputs[0], Exception):
            continue
        shown = True
        break
    shapes = [{name: tuple(value.shape) for name, value in model.state_dict().items()} for model in (one, two)]
    if sorted(shapes[0].items()) != sorted(shapes[1].items()):
        return "has other parameters"
    if drawn := _compare_draws(one, two, make):
        return drawn
    if not shown:
        return ""
    two.load_state_dict(one.state_dict())
    for training in (False, True):
        outputs = [_run(model, X, training=training) for model in (one, two)]
        if isinstance(outputs[1], Exception) or not are_alike(*outputs):
            return f"computes other outputs in {'train' if training else 'eval'} mode"
    if not are_alike(dict(sorted(one.state_dict().items())), dict(sorted(two.state_dict().items()))):
        return "keeps other statistics"
    return ""


def _run(model: nn.Module, X: Tensor, training: bool) -> Any:
    torch.manual_seed(3)
    model.train(training)
    try:
        with torch.no_grad():
            return model(X)
    except Exception as error:
        return error


def _compare_draws(one: nn.Module, two: nn.Module, make: Sequence[Callable[[], nn.Module]]) -> str:
    """Compare how the parameters of two models are drawn, by mean and spread."""
    small = sum(value.numel() for value in one.parameters()) < 10_000
    models: list[list[nn.Module]] = [[one], [two]]
    lazy = any(isinstance(value, nn.parameter.UninitializedParameter) for value in one.parameters())
    if make and small and not lazy:
        for number in range(_MOST_BUILT):
            for known, build in zip(models, make, strict=True):
                torch.manual_seed(number)
                known.append(build())
    for name in dict(one.named_parameters()):
        pooled = []
        for known in models:
            values = [dict(model.named_parameters())[name] for model in known]
            if any(isinstance(value, nn.parameter.UninitializedParameter) or value.is_meta for value in values):
                break
            pooled.append(torch.cat([value.detach().flatten() for value in values]).double())
        if len(pooled) == 2 and not _are_drawn_alike(*pooled):
            return f"draws {name} in another way"
    return ""


def _are_drawn_alike(one: Tensor, two: Tensor) -> bool:
    if one.numel() < 20:
        return bool((one.std(correction=0) == 0) == (two.std(correction=0) == 0))
    spread, shift = float(one.std()), float(one.mean() - two.mean())
    error = 5 * spread / float(one.numel() ** 0.5)
    return abs(shift) <= 2 * error + 1e-9 and abs(spread - float(two.std())) <= 2 * error + 0.02 * spread + 1e-9
