"""A model's forward pass as plain data: which tensor operations, on what, with which parameters.

It runs where the model lives, in the student's process or in ours. The result is a claim: the trusted side reads it
with an allow-list (`training/graph_reader.py`) and compares what the model and the graph compute (`probe.py`,
`outputs.py`). So it may guess: a model that only prints or checks numbers on its way has a graph, and a wrong guess
gives a graph that computes something else than the model.
"""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from grader.models.modules import StaysOnDevice
from grader.models.torch_internals import find_leaves
from grader.models.trace import Place, Trace

__all__ = ["BATCH", "NotExportable", "export_graph"]

BATCH = 13  # images in the traced batch: not a usual number of channels, so that the two cannot be confused
_MAX_NODES = 2000
_MAX_TRACES = 16  # each with other guesses
_ALLOWED_RESULTS = (Tensor, torch.Size, bool, int, float, complex, str, type(None))
_PRODUCTS = ("aten.matmul", "aten.mm", "aten.addmm")
_TRANSPOSITIONS = (
    *(("aten.transpose.int", dims) for dims in ((0, 1), (1, 0), (-1, -2), (-2, -1))),
    *(("aten.mT.default", ()), ("aten.permute.default", ((1, 0),))),
)
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/grader/", "/lib/python")


class NotExportable(Exception):
    """The forward pass depends on a tensor's numbers, or computes with something that is not plain data.

    Args:
        message: the reason.
        until: the operations up to the one that torch refused, which is the output, as `export_graph` returns them; or
            None.
        returns_nothing: whether the forward pass ends without a result.
    """

    def __init__(self, message: str, until: dict[str, Any] | None = None, returns_nothing: bool = False) -> None:
        super().__init__(message)
        self.until = until
        self.returns_nothing = returns_nothing

    def to_plain(self) -> dict[str, Any]:
        """Return what is known of the model as plain data."""
        return {"reason": str(self)[:500], "until": self.until, "returns_nothing": self.returns_nothing}


def export_graph(module: nn.Module, image: tuple[int, ...]) -> dict[str, Any]:
    """Return the operations of a forward pass in train mode, without any of the model's numbers.

    Nothing is computed: parameters and images are torch's meta tensors. If the model asks for a number, it gets 0 or
    False; if it then raises, it is traced again with other answers. Other effects of the model's Python (counting
    calls, printing) happen once for each trace. Operations that the output does not need are left out.

    Args:
        module: any module. It stays in train mode.
        image: the shape of one image, (c, h, w).

    Returns:
        `image`; `parameters` and `buffers` as (name, shape, learnable); `nodes` as (operation, arguments, named
        arguments), in which {"node": i}, {"parameter": i}, {"buffer": i} and {"image": 0} stand for tensors; `output`,
        one of these.

    Raises:
        NotExportable: the output depends on a tensor's numbers, or on a tensor that is not the model's.
    """
    X = torch.empty(BATCH, *image, device="meta")
    module.train()
    refused: Exception | None = None
    try:
        _build_lazy_layers(module, X)
    except Exception as error:  # whatever keeps the model from being run; the trace shows how far it comes
        refused = error
    parameters = {name: value for name, value in module.named_parameters() if _is_built(value)}
    buffers = {name: value for name, value in module.named_buffers() if _is_built(value)}
    sketches = {name: _sketch(value) for name, value in (parameters | buffers).items()}
    known = [(sketches[name], ("parameter", number)) for number, name in enumerate(parameters)]
    known += [(sketches[name], ("buffer", number)) for number, name in enumerate(buffers)]
    described = {
        "image": tuple(image),
        "parameters": tuple((name, tuple(value.shape), value.requires_grad) for name, value in parameters.items()),
        "buffers": tuple((name, tuple(value.shape), False) for name, value in buffers.items()),
    }
    trace, result, raised = _trace(module, sketches, known, X)
    cause = refused or raised
    if cause is not None:
        raise NotExportable(_describe(cause), _export_until_failure(described, trace)) from cause
    leaves = find_leaves(result)
    places = {trace.place_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)}
    outputs = [place for place in places if place is not None]
    if not trace.complete or None in places or len(trace.nodes) > _MAX_NODES:
        raise NotExportable("it uses tensors that are no parameters of the model, or far too many operations")
    if result is None:
        raise NotExportable("its forward pass returns nothing", returns_nothing=True)
    if len(outputs) != 1 or not all(isinstance(leaf, _ALLOWED_RESULTS) for leaf in leaves):
        raise NotExportable("it gives something else than one tensor made from the images")
    nodes, output = _leave_out_unused(_join_transpositions(trace.nodes), outputs[0])
    return {**described, "nodes": nodes, "output": dict([output])}


def _trace(
    module: nn.Module, sketches: Mapping[str, Tensor], known: Sequence[tuple[Tensor, Place]], X: Tensor
) -> tuple[Trace, Any, Exception | None]:
    """Return a trace of a forward pass and its result, or the first trace and why it ended.

    The numbers that the module asks for are guessed.
    """
    first: tuple[Trace, None, Exception] | None = None
    guesses: list[bool] | None = []
    for _ in range(_MAX_TRACES):
        trace = Trace([*known, (X, ("image", 0))], guesses)
        try:
            with trace.noting(), torch.device("meta"), _WithoutNumbers():
                return trace, torch.func.functional_call(module, dict(sketches), (X,)), None
        except Exception as error:  # whatever keeps the model from being traced
            first = first or (trace, None, error)
        guesses = _guess_anew(trace.answered)
        if guesses is None:
            break
    assert first is not None
    return first


def _export_until_failure(described: Mapping[str, Any], trace: Trace) -> dict[str, Any] | None:
    """Return the operations up to the one that torch refused, or None if something else raised."""
    if trace.running is None or not trace.complete or len(trace.nodes) > _MAX_NODES:
        return None
    nodes, output = _leave_out_unused(trace.nodes[: trace.running + 1], ("node", trace.running))
    return {**described, "nodes": nodes, "output": dict([output])}


def _guess_anew(answered: Sequence[bool]) -> list[bool] | None:
    """Return the answers to try next, or None if all were tried: the last False becomes True."""
    guesses = list(answered)
    while guesses and guesses[-1]:
        guesses.pop()
    return [*guesses[:-1], True] if guesses else None


class _WithoutNumbers(StaysOnDevice):
    """Gives zeros to Python code that leaves torch with a tensor's numbers, mostly to print or to plot them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Answer what torch refuses for tensors without numbers."""
        match getattr(func, "__name__", ""):
            case "numpy" | "__array__":
                return numpy.zeros(args[0].shape, dtype=numpy.float32)
            case "tolist":
                return numpy.zeros(args[0].shape).tolist()
            case "__format__" if args[0].dim() == 0:
                return format(0.0, args[1])
        return super().__torch_function__(func, types, args, kwargs)


def _join_transpositions(nodes: Sequence[tuple[str, Any, Any]]) -> list[tuple[str, Any, Any]]:
    """Return the nodes with each product X W^T of a hand-written layer as the fully connected layer that it is."""
    transposed = {number: args[0] for number, (target, args, _) in enumerate(nodes) if _transposes_weight(target, args)}
    joined = []
    for target, args, kwargs in nodes:
        name, left = target.partition(".default")[0], args[:-1]
        weight = args[-1] if args else None
        if name in _PRODUCTS and isinstance(weight, dict) and weight.get("node") in transposed:
            # The bias of addmm comes first.
            order = (left[-1], transposed[weight["node"]], *left[:-1])
            target, args = "aten.linear.default", order
        joined.append((target, args, kwargs))
    return joined


def _transposes_weight(target: str, args: Any) -> bool:
    if not args or not isinstance(args[0], dict) or "parameter" not in args[0]:
        return False
    return (target, args[1:]) in _TRANSPOSITIONS or target in ("aten.t.default", "aten.numpy_T.default")


def _leave_out_unused(
    nodes: Sequence[tuple[str, Any, Any]], output: Place
) -> tuple[tuple[tuple[str, Any, Any], ...], Place]:
    """Return the nodes that the output needs, numbered anew, and the output's place among them."""
    needed = {output[1]} if output[0] == "node" else set()
    for number in reversed(range(len(nodes))):
        target, args, kwargs = nodes[number]
        read = set(_find_nodes((args, kwargs)))
        changes_needed = target.partition(".default")[0].endswith("_") and bool(needed & set(_find_nodes(args[:1])))
        if number in needed or changes_needed:
            needed |= {number, *read}
    numbers = {number: place for place, number in enumerate(sorted(needed))}
    kept = tuple(_renumber(nodes[number], numbers) for number in numbers)
    return kept, ("node", numbers[output[1]]) if output[0] == "node" else output


def _find_nodes(value: Any) -> Iterable[int]:
    """Return the numbers of the nodes that stand among plain arguments."""
    if isinstance(value, dict):
        own = [value["node"]] if value.keys() == {"node"} and type(value["node"]) is int else []
        return [*own, *(number for entry in value.values() for number in _find_nodes(entry))]
    return [number for entry in value for number in _find_nodes(entry)] if isinstance(value, tuple) else []


def _renumber(value: Any, numbers: Mapping[int, int]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"node"} and type(value["node"]) is int:
            return {"node": numbers[value["node"]]}
        return {name: _renumber(entry, numbers) for name, entry in value.items()}
    return tuple(_renumber(entry, numbers) for entry in value) if isinstance(value, tuple) else value


def _describe(error: Exception) -> str:
    """Return an error's name and text, and the student's line that raised it."""
    text = f"{type(error).__name__}: {error}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_library(frame.filename)]
    if not own:
        return text
    line = linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()
    return f"{text} (in the line `{line[:100]}`)" if line else text


def _is_library(file: str) -> bool:
    return file.startswith("<frozen") or any(part in file for part in _LIBRARIES)


def _build_lazy_layers(module: nn.Module, X: Tensor) -> None:
    lazy = [value for value in module.parameters() if isinstance(value, nn.parameter.UninitializedParameter)]
    if not lazy:
        return
    sketch = any(value.is_meta for value in lazy)
    with torch.no_grad(), torch.device("meta" if sketch else "cpu"), StaysOnDevice():
        module(X[:2] if sketch else torch.zeros(2, *X.shape[1:]))


def _is_built(value: Tensor) -> bool:
    """Return whether a parameter or buffer has a shape; in a lazy layer that never ran it has none."""
    return not nn.parameter.is_lazy(value)


def _sketch(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=torch.get_default_dtype(), device="meta")
