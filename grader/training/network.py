"""A graph as a module of our own, initialised canonically. None of the student's code is part of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.fit import xavier
from grader.training.graph import IMAGE, Graph, Node

__all__ = ["ELEMENTWISE", "OPERATIONS", "Network"]

Operation = Callable[[Sequence[Tensor], Sequence[Tensor], dict[str, Any]], Tensor]

ELEMENTWISE: dict[str, Callable[..., Tensor]] = {
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "elu": F.elu,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
    "hardtanh": F.hardtanh,
    "clamp": torch.clamp,
    "exp": torch.exp,
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "reciprocal": torch.reciprocal,
    "pow": torch.pow,
}
_BINARY: dict[str, Callable[[Any, Any], Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}


def _elementwise(function: Callable[..., Tensor]) -> Operation:
    return lambda inputs, parameters, settings: function(inputs[0], **settings)


def _binary(function: Callable[[Any, Any], Tensor]) -> Operation:
    def apply(inputs: Sequence[Tensor], parameters: Sequence[Tensor], settings: dict[str, Any]) -> Tensor:
        operands: list[Any] = [*inputs, *parameters, *([settings["number"]] if "number" in settings else [])]
        return function(*(reversed(operands) if settings.get("reversed") else operands))

    return apply


def _weighted(function: Callable[..., Tensor]) -> Operation:
    return lambda inputs, parameters, settings: function(inputs[0], *parameters, **settings)


def _flatten(inputs: Sequence[Tensor], parameters: Sequence[Tensor], settings: dict[str, Any]) -> Tensor:
    return inputs[0].flatten(1)


def _reshape(inputs: Sequence[Tensor], parameters: Sequence[Tensor], settings: dict[str, Any]) -> Tensor:
    return inputs[0].reshape(inputs[0].shape[0], *settings["shape"])


# Each takes the inputs, the parameters and the settings of a node. Batch normalisation and dropout are methods of the
# network, because they depend on whether it trains.
OPERATIONS: dict[str, Operation] = {
    **{name: _elementwise(function) for name, function in ELEMENTWISE.items()},
    **{name: _binary(function) for name, function in _BINARY.items()},
    "conv2d": _weighted(F.conv2d),
    "linear": _weighted(F.linear),
    "matmul": _weighted(torch.matmul),
    "prelu": _weighted(F.prelu),
    "max_pool2d": _elementwise(F.max_pool2d),
    "avg_pool2d": _elementwise(F.avg_pool2d),
    "adaptive_avg_pool2d": _elementwise(F.adaptive_avg_pool2d),
    "adaptive_max_pool2d": _elementwise(F.adaptive_max_pool2d),
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _elementwise(torch.permute),
    "pad": _elementwise(F.pad),
    "mean": _elementwise(torch.mean),
    "sum": _elementwise(torch.sum),
    "amax": _elementwise(torch.amax),
    "softmax": _elementwise(F.softmax),
    "log_softmax": _elementwise(F.log_softmax),
    "cat": lambda inputs, parameters, settings: torch.cat(list(inputs), **settings),
}


class Network(nn.Module):
    """Runs a graph.

    Args:
        graph: the graph; its parameters are left uninitialised, see `initialise`.
        device: where to compute; "meta" computes shapes without values.
        drops_in_eval: whether dropout drops in eval mode, too.
    """

    def __init__(self, graph: Graph, device: torch.device | str = "cpu", *, drops_in_eval: bool = False) -> None:
        super().__init__()
        self.graph = graph
        self._drops_in_eval = drops_in_eval
        dtype = torch.float32
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(shape, dtype=dtype, device=device)) for shape in graph.parameters
        )
        self.statistics = nn.ModuleDict(
            {
                str(number): nn.BatchNorm2d(
                    node.setting("channels"), node.setting("eps"), node.setting("momentum"), affine=False, device=device
                )
                for number, node in enumerate(graph.nodes)
                if node.operation == "batch_norm"
            }
        )
        self._last_use = _last_uses(graph)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of the graph."""
        return tuple(f"weights.{number}" for number in range(len(self.weights)))

    def forward(self, images: Tensor) -> Tensor:
        """Map images, (n, c, h, w), to the logits, (n, classes)."""
        values: dict[int, Tensor] = {IMAGE: images}
        for number, node in enumerate(self.graph.nodes):
            inputs = [values[source] for source in node.inputs]
            parameters = [self.weights[index] for index in node.parameters]
            values[number] = self._compute(number, node, inputs, parameters)
            for done in self._last_use.get(number, ()):
                del values[done]
        return values[len(self.graph.nodes) - 1]

    def _compute(self, number: int, node: Node, inputs: list[Tensor], parameters: list[Tensor]) -> Tensor:
        if node.operation == "batch_norm":
            return self._normalise(self.statistics[str(number)], inputs[0], parameters)
        if node.operation == "dropout":
            return F.dropout(inputs[0], node.setting("p"), self.training or self._drops_in_eval)
        return OPERATIONS[node.operation](inputs, parameters, dict(node.settings))

    def _normalise(self, statistics: Any, X: Tensor, parameters: list[Tensor]) -> Tensor:
        weight, bias = parameters or (None, None)
        if self.training and statistics.momentum is None:
            statistics.num_batches_tracked += 1
            momentum = 1 / int(statistics.num_batches_tracked)
        else:
            momentum = statistics.momentum or 0.0
        mean, variance = statistics.running_mean, statistics.running_var
        return F.batch_norm(X, mean, variance, weight, bias, self.training, momentum, statistics.eps)

    def initialise(self, seed: int) -> None:
        """Initialise all parameters; the values depend only on the graph and the seed.

        Weights of convolutions and fully connected layers are Xavier-uniform (d2l.ai 5.4.2.2), other factors are 1, and
        summands are 0.
        """
        generator = torch.Generator().manual_seed(seed)
        ones = {node.parameters[0] for node in self.graph.nodes if node.operation in ("batch_norm", "mul", "div")
                and node.parameters}  # fmt: skip
        with torch.no_grad():
            for number, weight in enumerate(self.weights):
                if weight.dim() > 1:
                    weight.copy_(xavier(tuple(weight.shape), generator))
                else:
                    weight.fill_(1.0 if number in ones else 0.0)
        for statistics in self.statistics.values():
            statistics.reset_running_stats()  # type: ignore[operator]


def _last_uses(graph: Graph) -> dict[int, list[int]]:
    """Return for each node the inputs that no later node uses."""
    last: dict[int, int] = {}
    for number, node in enumerate(graph.nodes):
        for source in node.inputs:
            last[source] = number
    uses: dict[int, list[int]] = {}
    for source, number in last.items():
        uses.setdefault(number, []).append(source)
    return uses
