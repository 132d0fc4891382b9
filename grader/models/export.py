"""A model's forward pass as plain data: which tensor operations, on what, with which parameters.

It runs where the model lives, in the student's process or in ours. The result is a claim: the trusted side reads it
with an allow-list (`training/graph_reader.py`) and compares what the model and the graph compute (`probe.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from grader.models.modules import StaysOnDevice
from grader.models.torch_internals import find_leaves
from grader.models.trace import Trace

__all__ = ["BATCH", "NotExportable", "export_graph"]

BATCH = 13  # images in the traced batch: not a usual number of channels, so that the two cannot be confused
_MAX_NODES = 2000
_ALLOWED_RESULTS = (Tensor, torch.Size, bool, int, float, complex, str, type(None))


class NotExportable(Exception):
    """The forward pass depends on a tensor's numbers, or computes with something that is not plain data."""


def export_graph(module: nn.Module, image: tuple[int, ...]) -> dict[str, Any]:
    """Return the operations of a forward pass in train mode, without any of the model's numbers.

    Nothing is computed: parameters and images are torch's meta tensors. Other effects of the model's Python (counting
    calls, printing) happen once.

    Args:
        module: any module. It stays in train mode.
        image: the shape of one image, (c, h, w).

    Returns:
        `image`; `parameters` and `buffers` as (name, shape, learnable); `nodes` as (operation, arguments, named
        arguments), in which {"node": i}, {"parameter": i}, {"buffer": i} and {"image": 0} stand for tensors; `output`,
        one of these.

    Raises:
        NotExportable: the operations depend on a tensor's numbers, or use a tensor that is not the model's.
    """
    X = torch.empty(BATCH, *image, device="meta")
    module.train()
    try:
        _build_lazy_layers(module, X)
    except Exception as error:  # whatever keeps the model from being run
        raise NotExportable(f"{type(error).__name__}: {error}") from error
    parameters = {name: value for name, value in module.named_parameters() if _is_built(value)}
    buffers = {name: value for name, value in module.named_buffers() if _is_built(value)}
    sketches = {name: _sketch(value) for name, value in (parameters | buffers).items()}
    known = [(sketches[name], ("parameter", number)) for number, name in enumerate(parameters)]
    known += [(sketches[name], ("buffer", number)) for number, name in enumerate(buffers)]
    trace = Trace([*known, (X, ("image", 0))])
    try:
        with trace.noting(), torch.device("meta"), StaysOnDevice():
            result = torch.func.functional_call(module, sketches, (X,))
    except Exception as error:  # whatever keeps the model from being traced
        raise NotExportable(f"{type(error).__name__}: {error}") from error
    leaves = find_leaves(result)
    places = {trace.place_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)}
    outputs = [place for place in places if place is not None]
    if not trace.complete or None in places or len(trace.nodes) > _MAX_NODES:
        raise NotExportable("it uses tensors that are no parameters of the model, or far too many operations")
    if len(outputs) != 1 or not all(isinstance(leaf, _ALLOWED_RESULTS) for leaf in leaves):
        raise NotExportable("it gives something else than one tensor made from the images")
    return {
        "image": tuple(image),
        "parameters": tuple((name, tuple(value.shape), value.requires_grad) for name, value in parameters.items()),
        "buffers": tuple((name, tuple(value.shape), False) for name, value in buffers.items()),
        "nodes": tuple(trace.nodes),
        "output": dict(outputs),
    }


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
