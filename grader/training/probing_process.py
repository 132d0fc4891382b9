"""A process that computes students' graphs, one after the other, within limits of memory and time.

It is started by the process that judges (`probing.py`), which would otherwise be at the mercy of a model that takes
gigabytes or minutes. It receives a ProbeRequest and answers with a ProbeAnswer or a ProbeFailure (`messages.py`). Linux
ends it if an answer takes too long.
"""

from __future__ import annotations

import gc
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Collection
from contextlib import suppress
from typing import NoReturn

import torch
from torch import Tensor

from grader.memory_limit import allow_memory, is_memory_refused
from grader.models.outputs import compute_outputs, draw_weights, renew_statistics
from grader.models.probe import probe
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Closed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.training.graph import Graph, Node
from grader.training.messages import ProbeAnswer, ProbeFailure, ProbeRequest
from grader.training.network import Network

__all__ = ["CPU_SECONDS", "MEMORY_BYTES", "WALL_SECONDS", "WEIGHTED", "become_prober", "main"]

# For one answer. On images of 224x224, VGG-11 takes about 8 s and 2 GB, ResNet-18 2 s.
CPU_SECONDS = 30
WALL_SECONDS = 120  # on a machine that is busy with other things
MEMORY_BYTES = 3 * 2**30

WEIGHTED = ("conv2d", "linear", "matmul")
# Whatever they are put together to, each layer matters for the result: with drawn weights none of them loses what comes
# before it. Other operations may, such as a multiplication by zero.
_KEEPING = {
    *WEIGHTED,
    *("batch_norm", "relu", "dropout", "flatten", "add"),
    *("max_pool2d", "avg_pool2d", "adaptive_max_pool2d", "adaptive_avg_pool2d"),
}
_LEAST_INFLUENCE = 0.01


def become_prober(connection: socket.socket) -> NoReturn:
    """Turn a fork of the process that judges into one that answers until the other end of `connection` is closed."""
    status = 1
    try:
        _leave_parent(connection)
        # First of all: threads of torch do not survive a fork, and waiting for them never ends.
        torch.set_num_threads(1)
        gc.freeze()  # else a collection would copy the memory that is shared with the parent
        _serve_within_limits()
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Answer as a new process, on the socket 3, until its other end is closed."""
    torch.set_num_threads(1)
    _serve_within_limits()


def _serve_within_limits() -> None:
    allow_memory(MEMORY_BYTES)
    _serve(Channel(socket.socket(fileno=3)))


def _leave_parent(connection: socket.socket) -> None:
    """Give up the parent's terminal, output, handlers of signals, and all descriptors but one."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.dup2(connection.fileno(), 3)
    os.closerange(4, 65536)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _serve(line: Channel) -> None:
    with suppress(Closed):
        while True:
            request = unpack_message(line.receive(), ProbeRequest)
            _limit_time()
            line.send(pack_message(_answer(request)))
            signal.alarm(0)


def _limit_time() -> None:
    """Let Linux end this process if it is still busy with the same request after the seconds for one."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    end = math.ceil(time.process_time()) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (end if hard == resource.RLIM_INFINITY else min(end, hard), hard))
    signal.alarm(WALL_SECONDS)


def _answer(request: ProbeRequest) -> ProbeAnswer | ProbeFailure:
    graph, images, secret = Graph.from_json(request.graph), array_to_tensor(request.images), request.secret
    results: dict[str, Tensor] = {}
    try:
        match request.computation:
            case "probe":
                results = _probe(graph, images, secret, request.option)
            case "outputs":
                outputs = _compute(graph, images, secret, request.option)
                results = {} if outputs is None else {"outputs": outputs}
            case "influence":
                results = {"influential": torch.tensor(_count_influential(graph, images, secret, request.operations))}
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        return ProbeFailure(str(error)[:1000], is_memory_refused(error))
    arrays = {name: tensor_to_array(tensor) for name, tensor in results.items()}
    return ProbeAnswer(tuple(arrays), tuple(array for array in arrays.values() if isinstance(array, Array)))


def _probe(graph: Graph, images: Tensor, secret: int, drops_in_eval: bool) -> dict[str, Tensor]:
    network = Network(graph, drops_in_eval=drops_in_eval)
    return probe(network, network.names, images, secret)


def _compute(graph: Graph, images: Tensor, secret: int, training: bool) -> Tensor | None:
    network = Network(graph, "meta")
    details = (network.names, graph.parameters, images, secret)
    outputs = compute_outputs(network, *details, gain=graph.gain, training=training)
    return outputs if _count_influential(graph, images, secret, WEIGHTED) == _count(graph, WEIGHTED) else None


def _count_influential(graph: Graph, images: Tensor, secret: int, operations: Collection[str]) -> int:
    if all(map(_is_keeping, graph.nodes)):
        return _count(graph, operations)
    influences = _find_influences(graph, images, secret)
    return sum(operation in operations and influence >= _LEAST_INFLUENCE for operation, influence in influences)


def _count(graph: Graph, operations: Collection[str]) -> int:
    return sum(map(graph.count, operations))


def _is_keeping(node: Node) -> bool:
    return node.operation in _KEEPING and dict(node.settings).get("number") is None


def _find_influences(graph: Graph, images: Tensor, secret: int) -> list[tuple[str, float]]:
    """Return for each layer with weights its operation, and how much the outputs depend on its result.

    That is the product of the result and of the outputs' gradient with respect to it, in relation to the outputs.
    """
    network = _WatchedNetwork(graph, "meta").eval()
    weights = dict(zip(network.names, draw_weights(graph.parameters, secret, graph.gain), strict=True))
    with torch.enable_grad():
        state = weights | renew_statistics(network)
        outputs = torch.func.functional_call(network, state, (images.clone().requires_grad_(),))
        outputs.square().sum().backward()
    size = 2 * float(outputs.detach().square().sum())
    gradients = [(operation, result.detach(), result.grad) for operation, result in network.results]
    return [
        (operation, float(result.norm() * gradient.norm()) / size if size and gradient is not None else 0.0)
        for operation, result, gradient in gradients
    ]


class _WatchedNetwork(Network):
    """Keeps the results of its layers with weights, and the gradients that reach them."""

    def __init__(self, graph: Graph, device: str) -> None:
        super().__init__(graph, device)
        self.results: list[tuple[str, Tensor]] = []

    def _compute(self, number: int, node: Node, inputs: list[Tensor], parameters: list[Tensor]) -> Tensor:
        result = super()._compute(number, node, inputs, parameters)
        if node.operation in WEIGHTED:
            result.retain_grad()
            self.results.append((node.operation, result))
        return result


if __name__ == "__main__":
    main()
